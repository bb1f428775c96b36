"""What is known to be harmless: registered drive tests, licensed stations, own cells, protected
numbers. Applied before anything is correlated, so that it never becomes an alert.

Pure. The detection itself is kept, with its evidence; only the alert is not raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from contract.codec import Scalar

_TOLERANCES = {"mhz": 0.005, "frequency_mhz": 0.005, "frequency_hz": 5000.0}
"""Half a step of a tuner; every other value must agree exactly."""
_MAX_PAIRS = 12
_MAX_TEXT = 80


class AllowanceKind(StrEnum):
    """Why something is harmless."""

    DRIVE_TEST = "DRIVE_TEST"
    LICENSED_STATION = "LICENSED_STATION"
    OWN_CELL = "OWN_CELL"
    PROTECTED_NUMBER = "PROTECTED_NUMBER"


NAMES: dict[AllowanceKind, frozenset[str]] = {
    AllowanceKind.DRIVE_TEST: frozenset(
        {"rat", "plmn", "arfcn", "earfcn", "channel", "lac", "tac", "lac_tac", "ci", "cell_id"}
    ),
    AllowanceKind.LICENSED_STATION: frozenset({"mhz", "frequency_mhz", "frequency_hz", "band"}),
    AllowanceKind.OWN_CELL: frozenset(
        {
            "rat",
            "plmn",
            "arfcn",
            "earfcn",
            "channel",
            "lac",
            "tac",
            "lac_tac",
            "ci",
            "cell_id",
            "pci",
        }
    ),
    AllowanceKind.PROTECTED_NUMBER: frozenset({"number", "sender"}),
}
"""Names of a subject that an allowance of each kind may speak of."""

_ENOUGH: dict[AllowanceKind, tuple[frozenset[str], ...]] = {
    AllowanceKind.DRIVE_TEST: (
        frozenset({"plmn", "arfcn"}),
        frozenset({"plmn", "earfcn"}),
        frozenset({"plmn", "channel"}),
        frozenset({"plmn", "ci"}),
        frozenset({"plmn", "cell_id"}),
    ),
    AllowanceKind.LICENSED_STATION: (
        frozenset({"mhz"}),
        frozenset({"frequency_mhz"}),
        frozenset({"frequency_hz"}),
    ),
    AllowanceKind.OWN_CELL: (frozenset({"plmn", "ci"}), frozenset({"plmn", "cell_id"})),
    AllowanceKind.PROTECTED_NUMBER: (frozenset({"number"}), frozenset({"sender"})),
}
"""What must be named at least: "everything of one operator" is no allowance."""


class AllowanceError(ValueError):
    """An allowance that cannot be made so; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One row: what agrees with every pair, in the area and the time, raises no alert."""

    id: int = 0
    kind: AllowanceKind
    match: Mapping[str, Scalar]
    area: str
    valid_from: int
    valid_until: int | None
    note: str
    added_by: str
    added_at: int
    removed_by: str | None = None
    removed_at: int | None = None
    hits: int = 0
    last_hit_at: int | None = None

    def covers(self, subject: Mapping[str, Scalar], area: str, at: int) -> bool:
        """Whether it speaks of a subject in an area at a time (microseconds)."""
        if self.removed_at is not None or at < self.valid_from:
            return False
        if self.valid_until is not None and at >= self.valid_until:
            return False
        return _lies_in(area, self.area) and all(
            name in subject and _agrees(name, subject[name], value)
            for name, value in self.match.items()
        )


def find(
    allowances: Iterable[Allowance], subject: Mapping[str, Scalar], area: str, at: int
) -> Allowance | None:
    """Return the first allowance that speaks of a subject."""
    return next((a for a in allowances if a.covers(subject, area, at)), None)


def check_match(kind: AllowanceKind, match: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the pairs of a new allowance; raises AllowanceError."""
    if len(match) > _MAX_PAIRS:
        raise AllowanceError(f"more than {_MAX_PAIRS} pairs")
    strange = sorted(set(match) - NAMES[kind])
    if strange:
        known = ", ".join(sorted(NAMES[kind]))
        raise AllowanceError(f"{kind.value} does not know {strange[0][:40]!r}; it knows {known}")
    if not any(needed <= match.keys() for needed in _ENOUGH[kind]):
        ways = " or ".join(" + ".join(sorted(needed)) for needed in _ENOUGH[kind])
        raise AllowanceError(f"{kind.value} must name {ways}")
    return dict(match)


def parse_match(text: str) -> dict[str, Scalar]:
    """Read ``name=value`` pairs, one a line or separated by commas; raises AllowanceError."""
    pairs: dict[str, Scalar] = {}
    for number, part in enumerate(text.replace(",", "\n").splitlines(), start=1):
        if not part.strip():
            continue
        name, sign, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name or not value:
            raise AllowanceError(f"pair {number}: name=value is expected")
        if len(name) > _MAX_TEXT or len(value) > _MAX_TEXT:
            raise AllowanceError(f"pair {number}: longer than {_MAX_TEXT} characters")
        if name in pairs:
            raise AllowanceError(f"pair {number}: {name[:40]!r} is named twice")
        pairs[name] = value
    return pairs


def _lies_in(area: str, own: str) -> bool:
    significant = own.rstrip("0")
    length = -(-len(significant) // 2) * 2  # levels have two digits each
    return area[:length] == own[:length]


def _agrees(name: str, observed: Scalar, value: Scalar) -> bool:
    if str(observed) == str(value):
        return True
    try:
        return abs(float(observed) - float(value)) <= _TOLERANCES.get(name, 0.0)
    except ValueError:
        return False
