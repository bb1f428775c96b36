"""The sniffer board's application."""

VERSION = "0.1.0"
