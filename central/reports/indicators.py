"""What is counted, each by its own definition, over days in China."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from central.actor import Actor
from central.clock_work import clocks_of, the_law
from central.clocks import ClockState, Happening, Subject, midnight
from central.orders.log import released_orders
from central.orders.wrongly_held import WrongHolds, wrongly_held
from central.store.sql import SqlStore
from contract.words import AlertKind, Decision, DecisionReason

SITE_MERGE_M = 300.0
"""``site.merge_m``: two illegal stations within it are one site (twins stand on one roof)."""
_EARTH_M = 6_371_008.8


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    FEN = "fen"
    MINUTES = "minutes"


@dataclass(frozen=True, slots=True)
class Indicator:
    """One figure of a report; its name is its word in the catalogues."""

    name: str
    unit: Unit
    count: Callable[[Counter, int, int], int]


class Counter:
    """Counts for one division up to one moment."""

    def __init__(self, store: SqlStore, area: str, own_area: str, now: int) -> None:
        """``own_area``: the division of devices that name none."""
        self.store = store
        self.area = area
        self._now = now
        actor = self._actor = Actor("", frozenset(), frozenset({area}))
        self._wrong: dict[tuple[int, int], WrongHolds] = {}
        known = store.devices()
        mine = [d.device for d in known if actor.covers(d.area or own_area or "000000")]
        self.devices: list[str] | None = None if len(mine) == len(known) else mine

    def over(self, indicator: Indicator, first: dt.date, end: dt.date) -> int:
        """Count from the midnight of one day to that of another."""
        return indicator.count(self, int(midnight(first)), int(midnight(end)))

    def decisions(self, first: int, end: int, **what: Any) -> int:
        """Count decisions of the division's machines."""
        return self.store.count_decisions(self.devices, first, end, **what)

    def happened(self, happening: Happening, first: int, end: int) -> int:
        """Count what started or stopped clocks."""
        return self.store.count_happenings(self.area, happening.value, first, end)

    def alerts(self, first: int, end: int, *kinds: AlertKind) -> int:
        """Count alerts, each subject once."""
        return len(self.store.alerted(self.area, kinds, first, end))

    def sites(self, first: int, end: int) -> int:
        """Count places of illegal broadcasts; what has no position is a place of its own."""
        kinds = [AlertKind.BLACK_BROADCAST_SUSPECTED]
        return _sites([subject for _, subject in self.store.alerted(self.area, kinds, first, end)])

    def late_entries(self, first: int, end: int) -> int:
        """Count alarms that were not entered within the law's minutes, as far as they are over."""
        return self._breached(Subject.ENTRY, first, end)

    def late_stops(self, first: int, end: int) -> int:
        """Count alarms whose stop took longer than the benchmark, or is still missing after it."""
        return self._breached(Subject.ENTRY_TO_STOP, first, end)

    def wrong_holds(self, first: int, end: int) -> WrongHolds:
        """Accounts of the division that were released as wrongly held."""
        if (first, end) not in self._wrong:
            released = released_orders(self.store, the_law(), first, end)
            mine = (r for r in released if self._actor.covers(r.application.area))
            self._wrong[first, end] = wrongly_held(mine, first, end)
        return self._wrong[first, end]

    def _breached(self, kind: Subject, first: int, end: int) -> int:
        ids = self.store.cases_with_alarm(self.area, first, end)
        rows: dict[int, list[Any]] = {case_id: [] for case_id in ids}
        for row in self.store.happenings(ids):
            rows[row.case_id].append(row)
        return sum(
            clock.kind is kind and clock.state(self._now) is ClockState.BREACHED
            for happened in rows.values()
            for clock in clocks_of(happened).clocks
        )


def _sites(subjects: Sequence[Mapping[str, Any]]) -> int:
    """Merge what lies within SITE_MERGE_M of one another, in chains, and count what is left."""
    places = [(s["lat"], s["lon"]) for s in subjects if _is_placed(s)]
    group = list(range(len(places)))

    def root(index: int) -> int:
        while group[index] != index:
            index = group[index]
        return index

    for one, place in enumerate(places):
        for other in range(one):
            if _distance_m(place, places[other]) <= SITE_MERGE_M:
                group[root(one)] = root(other)
    merged = len({root(index) for index in range(len(places))})
    return merged + len(subjects) - len(places)


def _is_placed(subject: Mapping[str, Any]) -> bool:
    return all(
        isinstance(subject.get(name), int | float) and not isinstance(subject.get(name), bool)
        for name in ("lat", "lon")
    )


def _distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *other))
    a = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(a)))


_D, _R = Decision, DecisionReason
INDICATORS: tuple[Indicator, ...] = (
    Indicator("alarms_110", Unit.COUNT, lambda c, a, b: c.store.count_alarms(c.area, a, b)[0]),
    Indicator("loss", Unit.FEN, lambda c, a, b: c.store.count_alarms(c.area, a, b)[1]),
    Indicator("late_entries", Unit.COUNT, Counter.late_entries),
    Indicator("late_stops", Unit.COUNT, Counter.late_stops),
    Indicator("stops", Unit.COUNT, lambda c, a, b: c.happened(Happening.STOP_EXECUTED, a, b)),
    Indicator("freezes", Unit.COUNT, lambda c, a, b: c.happened(Happening.FREEZE_EXECUTED, a, b)),
    Indicator(
        "stops_released", Unit.COUNT, lambda c, a, b: c.happened(Happening.STOP_RELEASED, a, b)
    ),
    Indicator("wrong_holds", Unit.COUNT, lambda c, a, b: len(c.wrong_holds(a, b).holds)),
    Indicator(
        "wrongly_held", Unit.MINUTES, lambda c, a, b: round(c.wrong_holds(a, b).total_minutes)
    ),
    Indicator("refunds", Unit.COUNT, lambda c, a, b: c.store.count_refunds(c.area, a, b)[0]),
    Indicator("refunded", Unit.FEN, lambda c, a, b: c.store.count_refunds(c.area, a, b)[1]),
    Indicator("cases_opened", Unit.COUNT, lambda c, a, b: c.store.count_cases(c.area, a, b)),
    Indicator(
        "cases_notified",
        Unit.COUNT,
        lambda c, a, b: c.store.count_case_steps(c.area, "notify", a, b),
    ),
    Indicator(
        "cases_struck", Unit.COUNT, lambda c, a, b: c.store.count_case_steps(c.area, "strike", a, b)
    ),
    Indicator(
        "withdraw_requests", Unit.COUNT, lambda c, a, b: c.decisions(a, b, is_withdrawal=True)
    ),
    Indicator(
        "allowed",
        Unit.COUNT,
        lambda c, a, b: c.decisions(a, b, is_withdrawal=True, decision=_D.ALLOW),
    ),
    Indicator(
        "face_mismatch",
        Unit.COUNT,
        lambda c, a, b: c.decisions(a, b, is_withdrawal=True, reasons=(_R.FACE_MISMATCH,)),
    ),
    Indicator(
        "stop_payment_hits",
        Unit.COUNT,
        lambda c, a, b: c.decisions(a, b, reasons=(_R.STOP_PAYMENT, _R.FROZEN)),
    ),
    Indicator(
        "transfers_delayed",
        Unit.COUNT,
        lambda c, a, b: c.decisions(a, b, decision=_D.ALLOW_DELAYED),
    ),
    Indicator("black_broadcast_sites", Unit.COUNT, Counter.sites),
    Indicator(
        "aviation_cases",
        Unit.COUNT,
        lambda c, a, b: c.alerts(a, b, AlertKind.AERONAUTICAL_INTERFERENCE),
    ),
    Indicator(
        "fake_bts",
        Unit.COUNT,
        lambda c, a, b: c.alerts(a, b, AlertKind.FAKE_BTS_SUSPECTED, AlertKind.FAKE_BTS_CONFIRMED),
    ),
    Indicator(
        "goip_dens", Unit.COUNT, lambda c, a, b: c.alerts(a, b, AlertKind.GOIP_DEN_SUSPECTED)
    ),
)
"""Figures of a report, in its order."""

STATED = ("vans", "devices", "staff", "hours_black_broadcast", "sets", "dissuaded", "arrested")
"""Figures that only people know; they are stated by name, or stay empty."""
