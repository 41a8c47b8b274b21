"""Measurements of the step that trains: what it costs, what numbers it computes, and whether its gradient is right."""
