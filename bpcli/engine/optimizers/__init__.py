"""Optimizers, one file each; the registry finds them.

Each works on flat vectors. The trainer handles the schedule, clipping and frozen parameters.
"""
