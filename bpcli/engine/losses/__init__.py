"""Losses, one file each; the registry finds them.

All have L = scale * (sum over the batch of one sample's loss): scale is 1/N for the reduction `mean`, 1 for `sum`.
"""
