"""I am the rules: every file here has one, under the name RULE."""
