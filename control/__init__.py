"""The process people talk to: API, command line, supervisor."""
