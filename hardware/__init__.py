"""Attached devices: bytes to typed readings and back, and nothing else."""
