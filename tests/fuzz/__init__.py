"""Fuzzers of all that bpcli reads: configs, CSV, IDX, npy, npz and checkpoints.

    cd tests && python -m fuzz --inputs 1000000

Each reader has a module of its own with `mutated`, which makes an input by changing a sound one the way its format is
built, and `read`, which reads it as bpcli does and checks what was accepted. Only a BpcliError may leave a reader.
"""
