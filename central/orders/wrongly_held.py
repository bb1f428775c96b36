"""Minutes for which somebody's money was held wrongly: measured, and reported like any failure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from central.orders.book import OrderRecord
from central.orders.kinds import KINDS, Hold, OrderKind, Trigger
from contract.clock import UnixMicros

MINUTE_US = 60 * 1_000_000


class Ground(StrEnum):
    """Why something is released."""

    NO_LONGER_NEEDED = "no_longer_needed"
    REPLACED_BY_FREEZE = "replaced_by_freeze"
    WRONG_ACCOUNT = "wrong_account"
    FAIR_COUNTERPARTY = "fair_counterparty"
    """Somebody who sold something honestly and was paid with the money (Zhejiang's Art. 24)."""
    APPEAL_GRANTED = "appeal_granted"

    @property
    def is_wrong(self) -> bool:
        """Whether the hold should never have been."""
        return self in _WRONG


_WRONG = frozenset({Ground.WRONG_ACCOUNT, Ground.FAIR_COUNTERPARTY, Ground.APPEAL_GRANTED})


@dataclass(frozen=True, slots=True)
class WrongHold:
    """One hold that should not have been."""

    order_id: bytes
    ground: Ground
    held_us: int

    @property
    def minutes(self) -> float:
        """How long."""
        return self.held_us / MINUTE_US


@dataclass(frozen=True, slots=True)
class WrongHolds:
    """All of a period."""

    holds: tuple[WrongHold, ...]

    @property
    def total_minutes(self) -> float:
        """Sum."""
        return sum(hold.held_us for hold in self.holds) / MINUTE_US

    @property
    def median_minutes(self) -> float | None:
        """Median; None where there was none."""
        return median(hold.minutes for hold in self.holds) if self.holds else None


def wrongly_held(
    orders: Iterable[OrderRecord], first: UnixMicros | int, end: UnixMicros | int
) -> WrongHolds:
    """Holds released in [first, end) on a ground that says they were wrong."""
    known = {record.application.order_id: record for record in orders}
    found = []
    for record in known.values():
        released = record.at(Trigger.EXECUTE)
        if KINDS[record.application.kind].ends not in {Hold.STOP, Hold.FREEZE, Hold.SUSPENSION}:
            continue
        if released is None or not first <= released < end:
            continue
        ground = Ground(record.application.ground or Ground.NO_LONGER_NEEDED)
        if not ground.is_wrong:
            continue
        for name in record.application.targets:
            begun = known[name].at(Trigger.EXECUTE) if name in known else None
            if begun is not None:
                found.append(WrongHold(name, ground, released - begun))
    return WrongHolds(tuple(found))


RELEASES = frozenset(kind for kind in OrderKind if KINDS[kind].ends is not None)
