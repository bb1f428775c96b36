"""Readings to detections: fake base stations (later illegal FM broadcasts, dens, positions).

Pure: typed values in, typed values out, no thread, file, socket or wall clock.
"""

from rf_watch.cells import CellWatch
from rf_watch.context import CellContext
from rf_watch.rules import RULES, Family, Rule, Strength
from rf_watch.settings import SETTINGS, CellSettings, SettingError

__all__ = [
    "RULES",
    "SETTINGS",
    "CellContext",
    "CellSettings",
    "CellWatch",
    "Family",
    "Rule",
    "SettingError",
    "Strength",
]
