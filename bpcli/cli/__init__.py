"""The command line: one file for each command; it parses, and ordinary functions do the work."""
