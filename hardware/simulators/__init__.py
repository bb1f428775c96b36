"""Simulated peers of every attached device: shipped, documented, used by tests and the demo."""
