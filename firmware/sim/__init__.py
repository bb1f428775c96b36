"""Simulated chips, for tests and the simulated board; never in the manifest."""
