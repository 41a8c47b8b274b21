"""What a run leaves on disk: folder, checkpoints, loss log, summary."""
