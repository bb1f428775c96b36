"""The regulator's monthly figures, from detections and the crews' own account of their work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contract.words import AlertKind

COLUMNS = (
    "period",
    "black_broadcast_cases",
    "aviation_cases",
    "fake_bts_cases",
    "vans",
    "devices",
    "staff",
    "hours_black_broadcast",
    "sets",
)
"""As the ministry prints them, one row a month."""
WORK_COLUMNS = ("vans", "devices", "staff", "hours_black_broadcast", "sets")
"""What no detection knows: it comes from the crews, or stays empty."""

_CASES = {
    AlertKind.BLACK_BROADCAST_SUSPECTED: "black_broadcast_cases",
    AlertKind.AERONAUTICAL_INTERFERENCE: "aviation_cases",
    AlertKind.FAKE_BTS_SUSPECTED: "fake_bts_cases",
    AlertKind.FAKE_BTS_CONFIRMED: "fake_bts_cases",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What the figures need of one detection."""

    alert: AlertKind | None
    track_id: str
    first_seen: datetime
    is_dated: bool


@dataclass(frozen=True, slots=True)
class Month:
    """One row; an empty text where nobody said the figure."""

    period: str
    figures: Mapping[str, str]

    def row(self) -> list[str]:
        """The values in the order of COLUMNS."""
        return [self.period, *(self.figures.get(name, "") for name in COLUMNS[1:])]


@dataclass(slots=True)
class MonthlyFigures:
    """Counts every track once in the month in which it was first seen."""

    utc_offset_s: int = 0
    undated: int = 0
    """Alerts of recordings without a date: they belong to no month."""
    _tracks: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """Count one detection; those that were only observed are no case."""
        column = None if case.alert is None else _CASES.get(case.alert)
        if column is None:
            return
        if not case.is_dated:
            self.undated += 1
            return
        local = case.first_seen + timedelta(seconds=self.utc_offset_s)
        columns = self._tracks.setdefault(f"{local:%Y-%m}", {})
        columns.setdefault(column, set()).add(case.track_id)

    def months(self, work: Mapping[str, Mapping[str, str]]) -> Iterable[Month]:
        """Return the months in order, each with the work that was told for it."""
        for period in sorted({*self._tracks, *work}):
            columns = self._tracks.get(period, {})
            cases = {name: str(len(columns.get(name, ()))) for name in _CASES.values()}
            yield Month(period, {**cases, **work.get(period, {})})
