"""The NumPy training engine, a library of its own: it prints nothing, reads no files and does not know the config."""
