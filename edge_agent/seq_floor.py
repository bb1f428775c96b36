"""The sequence floor: a number beside the outbox below which no sequence number is ever new.

(device, seq) names a message for good, so a device whose outbox was destroyed must not begin
again at 1. The floor is raised in blocks before the numbers are used; a new store starts above
it. At most a block of numbers is skipped, and the central shows the hole.
"""

from __future__ import annotations

from pathlib import Path

from contract.files import replace_durably
from edge_agent.outbox_errors import SeqFloorError

BLOCK = 1000
"""Numbers reserved by one write."""

_MAX_DIGITS = 18  # stays below 2**63


class SeqFloor:
    """The floor's file and the value that is known to be on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._durable = 0

    def read(self) -> int | None:
        """Return the floor, None where there is no file; raises SeqFloorError."""
        try:
            text = self.path.read_bytes().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SeqFloorError(self.path, f"cannot be read: {error.strerror}") from error
        if not text.isdigit() or len(text) > _MAX_DIGITS:
            raise SeqFloorError(self.path, "does not hold a sequence number")
        self._durable = int(text)
        return self._durable

    def reserve(self, seq: int) -> None:
        """Make sure, before ``seq`` is used, that the floor on the disk covers it."""
        if seq > self._durable:
            floor = seq + BLOCK
            replace_durably(self.path, b"%d\n" % floor)
            self._durable = floor
