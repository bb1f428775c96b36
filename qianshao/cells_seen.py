"""The cells of a recording as a table for a terminal: seen, how strong, with what score and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from contract.messages import Detection
from hardware.readings import CellReading, Item, Rat

ROWS_MAX = 200
"""More cells than these are counted and left out of the table, the least suspect first."""

_HEADER = (
    *("rat", "plmn", "channel", "lac/tac", "cell id", "bsic/pci", "best dBm"),
    *("readings", "level", "score", "why"),
)


class _Name(NamedTuple):
    rat: Rat
    plmn: str
    channel: int | None
    lac_tac: int | None
    cell_id: int | None
    physical_id: int | None


@dataclass(slots=True)
class _Seen:
    readings: int = 0
    best_dbm: float | None = None


class CellTable:
    """Counts the cells of one recording."""

    def __init__(self) -> None:
        self._cells: dict[_Name, _Seen] = {}

    def note(self, item: Item) -> None:
        """Take one item of the recording."""
        if not isinstance(item, CellReading):
            return
        plmn = "+".join(item.plmns) or "?"
        name = _Name(item.rat, plmn, item.channel, item.lac_tac, item.cell_id, item.physical_id)
        seen = self._cells.setdefault(name, _Seen())
        seen.readings += 1
        if item.level_dbm is not None:
            best = seen.best_dbm
            seen.best_dbm = item.level_dbm if best is None else max(best, item.level_dbm)

    def text(self, detections: Iterable[Detection]) -> str:
        """Return the table, the most suspect first; empty without any cell."""
        if not self._cells:
            return ""
        found = list(detections)
        rows = sorted(
            (self._row(name, seen, found) for name, seen in self._cells.items()),
            key=lambda row: -row[0],
        )
        left_out = len(rows) - ROWS_MAX
        cells = [_HEADER, *(row for _, row in rows[:ROWS_MAX])]
        widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADER) - 1)]
        lines = [
            "  ".join([*(f"{w:{n}}" for w, n in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in cells
        ]
        if left_out > 0:
            lines.append(f"... and {left_out} more cells")
        return "\n".join(lines) + "\n"

    def _row(
        self, name: _Name, seen: _Seen, detections: Iterable[Detection]
    ) -> tuple[float, tuple[str, ...]]:
        mine = [found for found in detections if _is_about(found, name)]
        worst = max(mine, key=lambda found: (found.level.rank, found.score), default=None)
        rules = dict.fromkeys(reason.rule for found in mine for reason in found.reasons)
        best = "-" if seen.best_dbm is None else f"{seen.best_dbm:.0f}"
        area = "-" if name.lac_tac is None else f"{name.lac_tac:X}"
        row = (
            name.rat.value,
            name.plmn,
            _text(name.channel),
            area,
            _text(name.cell_id),
            _text(name.physical_id),
            best,
            str(seen.readings),
            "-" if worst is None else worst.level.value,
            "-" if worst is None else f"{worst.score:.1f}",
            ", ".join(rules) or "nothing odd",
        )
        return (0.0 if worst is None else 100.0 * worst.level.rank + worst.score), row


def _text(value: int | None) -> str:
    return "-" if value is None else str(value)


def _is_about(detection: Detection, name: _Name) -> bool:
    """Whether every identity that a detection's subject names is the cell's."""
    subject = detection.subject
    if "plmn" not in subject:
        return False
    named = {
        "rat": name.rat.value,
        "channel": name.channel,
        "cell_id": name.cell_id,
        "physical_id": name.physical_id,
    }
    return subject["plmn"] in name.plmn.split("+") and all(
        subject[key] == value for key, value in named.items() if key in subject
    )
