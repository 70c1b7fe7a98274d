"""I say what is doubtful about a schema or a change of it, in rules of one file each, asking no server."""
