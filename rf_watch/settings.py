"""Named settings of the detectors, with their defaults and where these come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace


class SettingError(ValueError):
    """A setting that does not exist or whose value makes no sense; ``name`` says which."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One row of the table of settings."""

    name: str
    field: str
    unit: str
    minimum: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSettings:
    """Settings of the cell detector; :data:`SETTINGS` gives each its public name."""

    lac_changes_min: int = 2
    lac_window_s: int = 600
    misreads_min: int = 2
    noise_ratio: int = 20
    tracks_max: int = 4096
    cro_extreme_db: int = 60
    t3212_short_decihours: int = 2
    pci_earfcn_min: int = 2
    mac_failures_min: int = 2
    episode_gap_s: int = 3600

    def __post_init__(self) -> None:
        values = asdict(self)
        for row in SETTINGS:
            if values[row.field] < row.minimum:
                raise SettingError(
                    row.name, f"{values[row.field]} is below the least, {row.minimum}"
                )

    def with_named(self, values: Mapping[str, int]) -> CellSettings:
        """Return a copy with some settings replaced by public name; raises SettingError."""
        field_of = {row.name: row.field for row in SETTINGS}
        changes: dict[str, int] = {}
        for name, value in values.items():
            if name not in field_of:
                raise SettingError(name, "no such setting")
            if isinstance(value, bool) or not isinstance(value, int):
                raise SettingError(name, f"{value!r} is no whole number")
            changes[field_of[name]] = value
        return replace(self, **changes)


SETTINGS: tuple[SettingRow, ...] = (
    SettingRow(
        "cell.lac_changes_min",
        "lac_changes_min",
        "LACs",
        2,
        "choice: a genuine cell keeps its LAC for years",
    ),
    SettingRow(
        "cell.lac_window_s",
        "lac_window_s",
        "s",
        1,
        "choice: a cell not heard for so long is forgotten; also the window of a detection's id",
    ),
    SettingRow(
        "cell.misreads_min",
        "misreads_min",
        "readings",
        1,
        "choice: so many readings would have to be misread before a decode error is ruled out",
    ),
    SettingRow(
        "cell.noise_ratio",
        "noise_ratio",
        "readings",
        2,
        "choice: odd values rarer than one in so many readings of a cell may be noise on the "
        "serial line; a worse line would lose most of its records whole",
    ),
    SettingRow(
        "cell.tracks_max",
        "tracks_max",
        "cells",
        16,
        "choice: bound of memory; the cell not heard for the longest time is forgotten first",
    ),
    SettingRow(
        "cell.cro_extreme_db",
        "cro_extreme_db",
        "dB",
        2,
        "choice: so far above what the operator's genuine cells use",
    ),
    SettingRow(
        "cell.t3212_short_decihours",
        "t3212_short_decihours",
        "decihours",
        1,
        "choice: 12 minutes; genuine networks use hours",
    ),
    SettingRow(
        "cell.pci_earfcn_min",
        "pci_earfcn_min",
        "EARFCNs",
        2,
        "choice: one PCI on so many unplanned carriers",
    ),
    SettingRow(
        "nas.mac_failures_min",
        "mac_failures_min",
        "failures",
        2,
        "law 5 of the house: one MAC failure is ordinary, the network repairs it",
    ),
    SettingRow(
        "nas.episode_gap_s",
        "episode_gap_s",
        "s",
        1,
        "choice: five times T3402 (12 min, TS 24.301 section 10.2), after which a refused terminal "
        "tries again; failures further apart are no run",
    ),
)
"""Public name to field, with unit, least value and basis."""

assert {row.field for row in SETTINGS} == {field.name for field in fields(CellSettings)}
