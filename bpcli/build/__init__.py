"""Composition: a config becomes data, network, loss, optimizer and state, or errors and warnings at its keys."""
