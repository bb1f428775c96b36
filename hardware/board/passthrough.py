"""A modem behind the board: its lines as the bytes they were, for the modem dialects to read."""

from __future__ import annotations

from hardware.board.messages import ModemLine

_CONTINUES = 2


def modem_bytes(message: ModemLine) -> bytes:
    """What the modem sent: a line, or a part of one that the next message goes on with."""
    if message.flags & _CONTINUES:
        return message.text
    return message.text + b"\r\n" if message.text else b""
