"""A simulated fleet: real envelopes, outboxes and receipts of many stations over a real broker."""
