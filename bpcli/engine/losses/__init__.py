"""Losses, one file each; the registry finds them.

All have L = sum over the batch of scale * (one sample's loss): scale is 1/N for the reduction `mean`, 1 for `sum`,
times the sample's weight if there are weights.
"""
