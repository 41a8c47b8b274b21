"""Metrics: of classifications, of regressions, and the counts and ranks that several of them read."""
