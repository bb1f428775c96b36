"""Evaluate what was blocked, push back what went wrong, and chase the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from contract.clock import UnixMicros


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A block that a carrier was asked for."""

    number: str
    carrier: str
    rule: str
    pushed_at: UnixMicros
    done_at: UnixMicros | None = None
    was_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts of one carrier, one rule, or all."""

    pushed: int
    missed: tuple[str, ...]
    """Numbers that still called after their block: they go back to the carrier."""
    wrong: int
    late: int

    @property
    def missed_rate(self) -> Fraction:
        """Exact share of blocks that did not hold; 0 of nothing."""
        return Fraction(len(self.missed), self.pushed) if self.pushed else Fraction(0)


def evaluate(
    pushed: Iterable[Pushed], seen_at: Mapping[str, UnixMicros], late_after_us: int
) -> dict[str, Evaluation]:
    """Evaluate by ``carrier NAME``, ``rule NAME`` and ``all``.

    ``seen_at``: last call of a number. A call before the block was done is no miss.
    """
    groups: dict[str, list[Pushed]] = defaultdict(list)
    for row in pushed:
        for group in ("all", f"carrier {row.carrier}", f"rule {row.rule}"):
            groups[group].append(row)
    return {name: _evaluation(rows, seen_at, late_after_us) for name, rows in groups.items()}


def _evaluation(
    rows: list[Pushed], seen_at: Mapping[str, UnixMicros], late_after_us: int
) -> Evaluation:
    missed = {
        row.number
        for row in rows
        if row.number in seen_at
        and seen_at[row.number] > (row.pushed_at if row.done_at is None else row.done_at)
    }
    late = sum(
        1 for row in rows if row.done_at is not None and row.done_at - row.pushed_at > late_after_us
    )
    numbers = {row.number for row in rows}
    wrong = sum(row.was_wrong for row in rows)
    return Evaluation(len(numbers), tuple(sorted(missed)), wrong, late)


class PushState(StrEnum):
    """How a row that was pushed back stands."""

    ANSWERED = "answered"
    DUE = "due"
    OVERDUE = "overdue"


def push_state(
    sent_at: UnixMicros, answered_at: UnixMicros | None, now: UnixMicros, answer_within_us: int
) -> PushState:
    """Return whether a carrier has answered, or is late."""
    if answered_at is not None and answered_at <= now:
        return PushState.ANSWERED
    return PushState.OVERDUE if now - sent_at > answer_within_us else PushState.DUE
