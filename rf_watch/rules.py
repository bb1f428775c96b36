"""Law 5: what findings of the rules amount to together. The rules themselves: ``rule_table``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.codec import Values
from contract.words import AlertKind, Level, Severity
from rf_watch.rule_table import RULES
from rf_watch.rule_types import Family, Rule, Strength

__all__ = [
    "CONFIRMED",
    "FAMILY_CAP",
    "FUSED_SCORE_MIN",
    "HARD",
    "OBSERVED",
    "RULES",
    "SUSPECTED",
    "Family",
    "Finding",
    "Rule",
    "Strength",
    "Verdict",
    "judge",
    "score",
]

FAMILY_CAP = 7.0
"""No family adds more than this to a score: many sightings of one kind stay one kind."""

FUSED_SCORE_MIN = 6.9
"""ln 1000: so much, over three families, must one soft reason reach with supporting ones."""

HARD = frozenset({Strength.HARD_CRITICAL, Strength.HARD_HIGH})
_SPOOFED_SENDER = "SPOOFED_SENDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired on one subject."""

    rule: Rule
    values: Values
    misreads: int
    """How many readings would have to be misread to explain it away."""
    is_plain: bool = True
    """False: the record was incomplete, or the same cell was also read in an innocent form."""
    own_weight: float | None = None
    """A weight measured for this finding; the rule's is its cap."""

    @property
    def weight(self) -> float:
        """Log-likelihood ratio, never above the rule's."""
        if self.own_weight is None:
            return self.rule.weight
        return round(min(self.own_weight, self.rule.weight), 3)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What findings amount to."""

    level: Level
    severity: Severity
    alert: AlertKind | None


OBSERVED = Verdict(Level.OBSERVED, Severity.WARNING, None)
SUSPECTED = Verdict(Level.SUSPECTED, Severity.HIGH, AlertKind.FAKE_BTS_SUSPECTED)
CONFIRMED = Verdict(Level.CONFIRMED, Severity.CRITICAL, AlertKind.FAKE_BTS_CONFIRMED)


def judge(
    findings: Sequence[Finding], misreads_min: int, *, is_registered: bool = False
) -> Verdict:
    """Apply law 5: a hard rule, a rule that stands alone, or soft reasons of two families.

    A hard rule has one innocent explanation, a misread record. It therefore counts in full only
    once ``misreads_min`` readings (or two rules in one reading) would have to be wrong together; a
    single complete record of a critical one that nothing contradicts is suspected, an incomplete or
    contradicted one stays observed until it is heard again. Soft reasons count once a single
    misread cannot make them. A suspected cell that sent messages under a spoofed sender is
    confirmed. A registered drive-test car is suspected by nothing below a critical hard rule.
    """
    critical = [f for f in findings if f.rule.strength is Strength.HARD_CRITICAL]
    hard = [f for f in findings if f.rule.strength in HARD]
    if critical and sum(f.misreads for f in hard) >= misreads_min:
        return CONFIRMED
    if any(f.is_plain for f in critical):
        return SUSPECTED
    if is_registered or not _is_suspected(findings, hard, misreads_min):
        return OBSERVED
    is_spoofed = any(f.rule.id == _SPOOFED_SENDER and f.misreads >= misreads_min for f in findings)
    return CONFIRMED if is_spoofed else SUSPECTED


def _is_suspected(findings: Sequence[Finding], hard: Sequence[Finding], misreads_min: int) -> bool:
    settled = [f for f in findings if f.misreads >= misreads_min]
    high = [f for f in hard if f.rule.strength is Strength.HARD_HIGH]
    if high and sum(f.misreads for f in high) >= misreads_min:
        return True
    if any(f.rule.strength is Strength.STANDS_ALONE for f in findings):
        return True
    soft = {f.rule.family for f in settled if f.rule.strength is Strength.SOFT}
    if len(soft) >= 2:
        return True
    families = {f.rule.family for f in settled if f.rule.strength not in HARD}
    return bool(soft) and len(families) >= 3 and score(settled) >= FUSED_SCORE_MIN


def score(findings: Sequence[Finding]) -> float:
    """Sum of the weights, each family capped at FAMILY_CAP."""
    total = 0.0
    for family in Family:
        total += min(FAMILY_CAP, sum(f.weight for f in findings if f.rule.family is family))
    return round(total, 3)
