"""What the host's end of a board says to those above it: messages, counters, errors."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.board import messages as m


class BoardError(Exception):
    """A board that does not do what it was asked; the message names port and command."""


class BoardSilentError(BoardError):
    """No answer, though it was asked again."""


class CommandRefusedError(BoardError):
    """The board answered no."""

    def __init__(self, port: str, command: str, status: m.Status) -> None:
        super().__init__(f"{port}: {command} refused: {status.name}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of the board and when it was made."""

    message: m.Message
    board_ms: int
    at_us: int | None
    """Wall time; None while the clocks have not been compared."""
    error_us: int | None
    """The true time lies within this of ``at_us``, on the host's own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCounters:
    """What became of the board's frames. ``received`` is the sum of the five below it."""

    received: int = 0
    used: int = 0
    """Hellos, heartbeats, replies: for the link itself."""
    delivered: int = 0
    waiting: int = 0
    dropped: int = 0
    """Nobody took them in time; telemetry goes first."""
    duplicates: int = 0
    """Events that came again on request and were here already."""
    unreadable: int = 0
    """Good frames of an unknown type or length, and those of a board that did not prove itself."""
    lost: int = 0
    """Frames that the board sent and that did not arrive whole."""
    bad_frames: int = 0
    """Pieces of bytes that were no frame: damage, or the middle of one after an opening."""
    commands: int = 0
    retries: int = 0
    unanswered: int = 0
    boots: int = 0
    recovered: int = 0
    """Events that were lost and came by a re-send."""
    round_trip_us: int | None = None
    problem: str | None = None
