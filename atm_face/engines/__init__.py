"""Face engines: one interface, one file for each engine."""
