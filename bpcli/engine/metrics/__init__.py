"""Metrics of classification and regression, and the counts and ranks that several of them use."""
