"""Optimizers, one file each; the registry finds them.

Each works on flat vectors and leaves the schedule, clipping and frozen parameters to the trainer.
"""
