"""The NumPy training engine, a library of its own: prints nothing, reads no file, sees no config."""
