"""What the two capture formats have in common: a framing finds packets in a growing buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAX_PACKET_BYTES = 262_144
"""Longest believable packet (the largest snapshot length that capture tools use)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured packet."""

    number: int
    """Counts from 1, as in Wireshark."""
    at_us: int
    """Time of the packet, microseconds since 1970-01-01T00:00:00Z."""
    link_type: int
    """LINKTYPE_ value (DLT)."""
    offset: int
    """Where the packet's record starts in the capture, bytes."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One record that was taken off the buffer; at most one of packet and damage is there."""

    size: int
    packet: Packet | None = None
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The framing cannot tell where the next record starts."""

    reason: str


class Framing(Protocol):
    """One capture format. It keeps no bytes: the buffer starts at ``offset`` of the capture."""

    def step(self, buffer: bytearray, offset: int) -> Step | Lost | None:
        """Read the record at the start of the buffer; None while bytes of it are missing."""

    def search(self, buffer: bytearray, start: int, *, is_end: bool) -> tuple[int, bool]:
        """Look for a believable record from ``start`` on.

        Returns a position and whether a record starts there. Where none does, the bytes before the
        position are done with. Only with ``is_end`` may the lack of further bytes decide anything,
        so that the chunks in which a stream arrives make no difference.
        """

    def ending(self, buffer: bytearray) -> str:
        """Say inside what a capture ends whose last bytes are in the buffer."""
