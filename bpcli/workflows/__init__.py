"""What the commands do: train, resume, evaluate, predict, profile."""
