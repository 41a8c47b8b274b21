"""Measurements of the training step: its cost, every number it computes, and whether its gradient is right."""
