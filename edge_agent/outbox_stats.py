"""What an outbox says about itself: gauges, counters, and the troubles of the last minutes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from contract.codec import Values
from contract.topics import Lane

LATELY_US = 600 * 1_000_000
"""How long a trouble that does not come again is told."""


class Trouble(StrEnum):
    """What an operator has to know while it happens; a single old case must not alarm for ever."""

    STRANGE_RECEIPT = "strange_receipt"
    MISMATCH = "mismatch"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStats:
    """Gauges of the store and counters since it was opened."""

    depth: int
    size_bytes: int
    file_bytes: int
    oldest_age_s: float | None
    last_seq: int
    receipted: int
    enqueued: int
    known: int
    refused: dict[Lane, int]
    dropped: dict[Lane, int]
    """Given up for want of room or for their age; signed gaps say which."""
    aside: int
    """Refused again and again by the broker or the central, and put aside."""
    lately: frozenset[Trouble]
    """What went wrong within the last minutes."""
    receipts_refused: int
    mismatches: int
    quarantined: Path | None

    def counters(self) -> Values:
        """Return named values for a health report."""
        return {
            "depth": self.depth,
            "size_bytes": self.size_bytes,
            "file_bytes": self.file_bytes,
            "oldest_age_s": self.oldest_age_s or 0.0,
            "last_seq": self.last_seq,
            "receipted": self.receipted,
            "enqueued": self.enqueued,
            "known": self.known,
            **{f"refused_{lane.value}": count for lane, count in self.refused.items()},
            **{f"dropped_{lane.value}": count for lane, count in self.dropped.items()},
            "aside": self.aside,
            "receipts_refused": self.receipts_refused,
            "mismatches": self.mismatches,
        }


def file_bytes(path: Path) -> int:
    """Size of the store on the disk, its log included."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
