"""bpcli and its peers, timed side by side: `python tests/benchmarks`. See the README in this folder."""
