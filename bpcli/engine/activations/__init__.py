"""Activation functions, one file each; the registry finds them."""
