"""How long steps took in a period: the leg of each state, and from alarm to stop by division.

Percentiles are of what happened (nearest rank): nothing is interpolated, so a reader can find the
case behind each figure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from central.case_states import TARGETS_US, CaseState, legs
from central.clock_work import clocks_of
from central.clocks import ClockState, Subject
from central.store.intake import HappeningRow
from central.store.sql import SqlStore

_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """How long one kind of step took."""

    of: str
    """A state of cases, or a division."""
    number: int
    p50_us: int
    p90_us: int
    p95_us: int
    late: int
    """How many took longer than their target."""


def percentile(values: Sequence[int], percent: int) -> int:
    """Return the smallest value that so many percent do not exceed; there is at least one."""
    rank = -(-len(values) * percent // _PERCENT)
    return sorted(values)[max(rank, 1) - 1]


def _percentiles(values: Sequence[int]) -> tuple[int, int, int]:
    return percentile(values, 50), percentile(values, 90), percentile(values, 95)


def _pace(of: str, took: Sequence[tuple[int, bool]]) -> Pace:
    lasted = [us for us, _ in took]
    late = sum(is_late for _, is_late in took)
    return Pace(of, len(took), *_percentiles(lasted), late)


def legs_left(store: SqlStore, areas: frozenset[str], first: int, end: int) -> list[Pace]:
    """Return how long cases stayed in each state that they left in [first, end)."""
    took: dict[CaseState, list[tuple[int, bool]]] = defaultdict(list)
    for first_seen, steps in store.case_histories(areas, first):
        for leg in legs(first_seen, [(at, CaseState(state)) for at, state in steps]):
            if leg.ended_at is not None and first <= leg.ended_at < end:
                lasted = leg.lasted_us(end)
                took[leg.state].append((lasted, lasted > leg.target_us))
    return [_pace(state.value, took[state]) for state in TARGETS_US if state in took]


def entry_to_stop(
    store: SqlStore, areas: frozenset[str], first: int, end: int, now: int
) -> list[Pace]:
    """Return how long it took to stop what alarms of [first, end) named, by division.

    An alarm whose stop is still missing counts as late once its nine minutes are over, and not
    before; how long it has waited so far is its time.
    """
    division = dict(store.alarmed_cases(areas, first, end))
    happened: dict[int, list[HappeningRow]] = {case_id: [] for case_id in division}
    for row in store.happenings(list(division)):
        happened[row.case_id].append(row)
    took: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for case_id, rows in happened.items():
        for clock in clocks_of(rows).clocks:
            is_late = clock.state(now) is ClockState.BREACHED
            if clock.kind is Subject.ENTRY_TO_STOP and (is_late or clock.stopped_at is not None):
                took[division[case_id]].append((clock.elapsed_us(now), is_late))
    return [_pace(area, took[area]) for area in sorted(took)]


def clock_paces(
    store: SqlStore, areas: frozenset[str], first: int, end: int, now: int
) -> list[Pace]:
    """Return how long each clock of the cases alarmed in [first, end) ran until it was stopped.

    One that still runs has no length yet, so that a period's figures change only by what happens;
    it counts as late once it is overdue.
    """
    happened: dict[int, list[HappeningRow]] = {
        case_id: [] for case_id, _ in store.alarmed_cases(areas, first, end)
    }
    for row in store.happenings(list(happened)):
        happened[row.case_id].append(row)
    took: dict[Subject, list[int]] = defaultdict(list)
    late: dict[Subject, int] = defaultdict(int)
    for rows in happened.values():
        for clock in clocks_of(rows).clocks:
            late[clock.kind] += clock.state(now) is ClockState.BREACHED
            if clock.stopped_at is not None:
                took[clock.kind].append(clock.elapsed_us(now))
    return [
        Pace(
            kind.value, len(took[kind]),
            *_percentiles(took[kind]), late[kind],
        )
        for kind in Subject
        if took[kind]
    ]  # fmt: skip
