"""The command: composes agents and central."""
