"""The host's side of the sniffer board's link."""
