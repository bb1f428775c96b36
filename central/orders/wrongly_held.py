"""Minutes for which somebody's money was held wrongly: measured, and reported like any failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


Span = tuple[int, int]


def together_us(spans: Iterable[Span]) -> int:
    """How long at least one of the spans ran: what two orders held at once counts once."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


@dataclass(frozen=True, slots=True)
class WrongHold:
    """One account that was held and should not have been."""

    account: bytes
    grounds: tuple[Ground, ...]
    spans: tuple[Span, ...]
    """When it was held: each order's own time, those that were renewed included."""

    @property
    def held_us(self) -> int:
        """How long."""
        return together_us(self.spans)

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
    """Accounts released in [first, end) on a ground that says they were wrongly held.

    A hold that was renewed counts from its first order on, and what two orders held at the same
    time counts once.
    """
    known = {record.application.order_id: record for record in orders}
    grounds: dict[bytes, list[Ground]] = {}
    spans: dict[bytes, list[Span]] = {}
    for record in known.values():
        released = record.at(Trigger.EXECUTE)
        if KINDS[record.application.kind].ends not in {Hold.STOP, Hold.FREEZE, Hold.SUSPENSION}:
            continue
        if released is None or not first <= released < end:
            continue
        ground = Ground(record.application.ground or Ground.NO_LONGER_NEEDED)
        if not ground.is_wrong:
            continue
        for held in _with_renewed(record, known):
            begun, account = held.at(Trigger.EXECUTE), held.application.account
            if begun is None or account is None:
                continue
            until = held.application.until
            span = int(begun), int(released if until is None else min(until, released))
            grounds.setdefault(account.hmac, []).append(ground)
            spans.setdefault(account.hmac, []).append(span)
    return WrongHolds(
        tuple(
            WrongHold(account, tuple(sorted(set(grounds[account]))), tuple(sorted(set(found))))
            for account, found in spans.items()
        )
    )


def _with_renewed(
    release: OrderRecord, known: Mapping[bytes, OrderRecord]
) -> Iterator[OrderRecord]:
    """What a release ended, and whatever that had renewed, each once."""
    waiting, seen = list(release.application.targets), set[bytes]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        yield known[name]
        if KINDS[known[name].application.kind].renews is not None:
            waiting += known[name].application.targets


RELEASES = frozenset(kind for kind in OrderKind if KINDS[kind].ends is not None)
