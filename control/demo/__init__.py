"""The sample shop and its application, for the demo and for tests of the whole."""
