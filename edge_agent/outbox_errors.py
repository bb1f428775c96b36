"""What can go wrong with an outbox, each with the file it is about."""

from __future__ import annotations

from pathlib import Path

from contract.envelope import EnvelopeError
from contract.topics import Lane


class OutboxError(Exception):
    """The outbox cannot do what was asked; ``path`` is its file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class OutboxClosedError(OutboxError):
    """The outbox has been closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "is closed")


class OutboxFullError(OutboxError):
    """A message was not taken because something ran out: ``lane`` and what it was."""

    def __init__(self, path: Path, lane: Lane, what: str) -> None:
        super().__init__(path, f"takes no more of lane {lane.value}: {what}")
        self.lane = lane
        self.what = what


class MessageRefusedError(OutboxError):
    """A body that cannot be signed as a message; the others are not touched."""


class BrokenStoreError(OutboxError):
    """The file is no longer a sound store."""


class SeqFloorError(OutboxError):
    """The sequence floor cannot be read, or is missing where it is needed."""


class ReceiptMismatchError(EnvelopeError):
    """A receipt that is genuine but contradicts what this device has sent; nothing was deleted."""
