"""Captures of cellular signalling: pcap and pcapng bytes to typed readings, without I/O.

Hand-written on the standard library alone: an agent in a van installs no packet library, and the
few messages a detector looks at need none. What is not read is passed over and counted.
"""

from hardware.captures.pcap import Packet, PcapReader
from hardware.captures.reader import CaptureReader
from hardware.captures.refusal import Refused

__all__ = ["CaptureReader", "Packet", "PcapReader", "Refused"]
