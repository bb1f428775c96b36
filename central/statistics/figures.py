"""Figures with their revisions, and claims of a text put to the test.

A figure is never overwritten: a correction is a further revision with its author and reason, and a
report of an earlier day still gives what was known then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from central.statistics.audit import Audit, PercentError, Verdict, audit_change, audit_known
from central.statistics.percent import Change, Share
from contract.clock import UnixMicros


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One statement of how many there were on a day."""

    indicator: str
    unit: str
    day: dt.date
    value: int
    stated_at: UnixMicros
    by: str
    reason: str = ""


@dataclass(slots=True)
class Figures:
    """Revisions of daily counts; each (indicator, unit, day) has its newest known one."""

    _rows: dict[tuple[str, str, dt.date], list[Revision]] = field(default_factory=dict)

    def state(self, revision: Revision) -> None:
        """Add a revision; a correction needs a reason."""
        if revision.value < 0:
            raise ValueError("a count is not negative")
        rows = self._rows.setdefault((revision.indicator, revision.unit, revision.day), [])
        if rows and not revision.reason:
            raise ValueError(f"{revision.indicator} of {revision.day} is corrected without reason")
        rows.append(revision)
        rows.sort(key=lambda row: row.stated_at)

    def value(
        self, indicator: str, unit: str, day: dt.date, as_of: UnixMicros | None = None
    ) -> int | None:
        """Return what is known, or was known at a moment; None: nothing."""
        known = [
            row
            for row in self._rows.get((indicator, unit, day), ())
            if as_of is None or row.stated_at <= as_of
        ]
        return known[-1].value if known else None

    def count(
        self, indicator: str, first: dt.date, end: dt.date, as_of: UnixMicros | None = None
    ) -> int:
        """Sum over units and days; each day of a unit counts once, by its newest revision."""
        total = 0
        for name, unit, day in self._rows:
            if name == indicator and first <= day < end:
                total += self.value(name, unit, day, as_of) or 0
        return total

    def revised(self, indicator: str) -> list[Revision]:
        """All revisions of figures that were corrected, oldest first."""
        return [
            row
            for key, rows in sorted(self._rows.items())
            for row in rows
            if key[0] == indicator and len(rows) > 1
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Arithmetic that a text implies. Exactly one form is set."""

    name: str
    printed: str
    change: tuple[int, int | None] | None = None
    """Count now and base; base None: it is searched."""
    share: tuple[int, int] | None = None
    quotient: tuple[int, int] | None = None
    """Sum and number of heads; ``printed`` is what each gets, approximately."""
    total: tuple[int, ...] | None = None
    """Addends whose sum ``printed`` claims, or (with +) a floor for it."""


def check(claim: Claim, *, tolerance: Fraction = Fraction(5, 1000)) -> Audit:
    """Reproduce a claim or flag it; ``tolerance`` is what "about" means for quotients."""
    if claim.change is not None:
        now, base = claim.change
        return (
            audit_change(now, claim.printed)
            if base is None
            else audit_known(Change(now, base).percent, claim.printed)
        )
    if claim.share is not None:
        return audit_known(Share(*claim.share).percent, claim.printed)
    wanted, is_floor = _number(claim.printed)
    if claim.quotient is not None:
        whole, heads = claim.quotient
        found = Fraction(whole, heads)
        is_right = abs(found - wanted) <= wanted * tolerance
    else:
        found = Fraction(sum(claim.total or ()))
        is_right = found >= wanted if is_floor else found == wanted
    text = f"{float(found):,.2f}"
    if is_right:
        return Audit(Verdict.ROUNDED, text)
    return Audit(Verdict.DIFFERS, text, (), f"{claim.name}: the parts give {text}")


def _number(text: str) -> tuple[Fraction, bool]:
    plain = text.replace(",", "").strip()
    is_floor = plain.endswith("+")
    try:
        return Fraction(plain.rstrip("+")), is_floor
    except ValueError:
        raise PercentError(f"{text[:40]!r} is no number") from None


def flagged(claims: Iterable[Claim]) -> list[tuple[Claim, Audit]]:
    """Claims that do not hold as printed."""
    checked = [(claim, check(claim)) for claim in claims]
    return [(claim, audit) for claim, audit in checked if audit.verdict is not Verdict.ROUNDED]
