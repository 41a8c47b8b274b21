"""Learning-rate schedules, one file each; the registry finds them."""
