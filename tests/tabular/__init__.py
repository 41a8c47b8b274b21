"""How good bpcli is on tables as they come, beside scikit-learn and RealMLP: `python tests/tabular`."""
