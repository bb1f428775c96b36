"""The agent process: configuration, supervision, outbox, identity, health."""
