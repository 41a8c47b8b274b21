"""The command line: one file for each command. A command parses its arguments; ordinary functions do the work."""
