"""Training: a step, the loop around it, the state that it changes, and recovery from divergence."""
