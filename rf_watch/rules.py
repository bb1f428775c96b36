"""The rules of the cell detector as data, and law 5: what they amount to together.

One table: what is observed, how far it carries, whence it comes, what innocent thing looks alike.
``docs/rules.md`` is generated from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from contract.codec import Values
from contract.words import AlertKind, Level, Severity


class Family(StrEnum):
    """Kinds of evidence; reasons of two families count as independent."""

    AUTHENTICATION = "authentication"
    SPECTRUM_PLAN = "spectrum_plan"
    IDENTITY = "identity"
    LOCATION_AREA = "location_area"


class Strength(StrEnum):
    """What a rule may do by itself."""

    HARD_CRITICAL = "hard, critical"
    STANDS_ALONE = "stands alone"
    SOFT = "soft: counts only beside another family"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table."""

    id: str
    observed: str
    family: Family
    strength: Strength
    weight: float
    """Natural logarithm of the likelihood ratio, fake against genuine."""
    weight_basis: str
    source: str
    false_positives: str


FAMILY_CAP = 7.0
"""No family adds more than this to a score: many sightings of one kind stay one kind."""

AUTH_MAC_FAILURE_RUN = Rule(
    id="EMM-AUTH-MAC-FAILURE-RUN",
    observed="The test terminal refused the network's authentication twice or more with EMM cause "
    "20 (MAC failure), and no good authentication came between",
    family=Family.AUTHENTICATION,
    strength=Strength.STANDS_ALONE,
    weight=2.1,
    weight_basis="9 of 9 published attack traces, 0 of 7 ordinary logs; with one added to each "
    "outcome (10/11) / (1/9) = 8.2, ln = 2.1",
    source="TS 24.301 sections 5.4.2.6 and 5.4.2.7; TS 33.401 section 6.1: only the home network "
    "can make a MAC that the SIM accepts",
    false_positives="A test SIM with a wrong key or a fault of the home subscriber server: both "
    "refuse every network, so a good authentication of the same terminal rules them out. One "
    "failure is ordinary after a mix-up of temporary identities, which the network repairs at once",
)
GSM_PLMN_IMPOSSIBLE = Rule(
    id="GSM-PLMN-IMPOSSIBLE",
    observed="A GSM cell announces a PLMN whose operator never held a GSM network",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_CRITICAL,
    weight=6.9,
    weight_basis="only a misread makes it innocent; taken as below one complete record in 1000",
    source="rf_watch/tables/china_gsm.py: 460-03, 460-05, 460-11, 460-15",
    false_positives="A decode error: AT answers have no checksum, and one flipped bit makes 460-11 "
    "of 460-01. 460-12 is only recalled and never used",
)
GSM_BAND_IMPOSSIBLE = Rule(
    id="GSM-BAND-IMPOSSIBLE",
    observed="A GSM cell of a Chinese PLMN stands on ARFCN 787 to 885, where nobody in mainland "
    "China holds a GSM licence",
    family=Family.SPECTRUM_PLAN,
    strength=Strength.HARD_CRITICAL,
    weight=6.9,
    weight_basis="only a misread makes it innocent; taken as below one complete record in 1000",
    source="rf_watch/tables/china_gsm.py: 1860-1880 MHz belongs to China Telecom, LTE FDD only",
    false_positives="A decode error. A foreign cell across a border may stand there lawfully, so "
    "the cell must announce MCC 460",
)
IDENTITY_CLASH = Rule(
    id="IDENTITY_CLASH",
    observed="One global cell identity on two carriers or under two physical ids (BSIC, PSC, PCI) "
    "within cell.lac_window_s",
    family=Family.IDENTITY,
    strength=Strength.SOFT,
    weight=3.0,
    weight_basis="0 of 197 genuine cells of a city survey, so below 1.5 % (rule of three); that "
    "30 % of fakes copy an identity that is also heard is a choice; ln 20 = 3.0",
    source="Freiburg survey of 2012; TS 23.003 sections 4.3.1 and 19.6: the identity is unique",
    false_positives="An operator's retune; fields of two cells mixed in one answer during a "
    "reselection. No clash: a shared cell that lists several PLMNs, two EARFCN of one carrier in "
    "overlapping bands, an unknown physical id",
)
LAC_CHANGES = Rule(
    id="LAC_CHANGES",
    observed="One GSM carrier and cell identity with cell.lac_changes_min location area codes "
    "within cell.lac_window_s",
    family=Family.LOCATION_AREA,
    strength=Strength.SOFT,
    weight=2.3,
    weight_basis="choice: ln 10. Rotating the LAC is how a blaster makes phones report anew; no "
    "base rate for genuine cells is published",
    source="field reports (135 false LACs in three days, Ningxia); scenario format section 4.2",
    false_positives="Two genuine cells that reuse ARFCN and CI in different location areas (their "
    "BSIC differ); a re-homing by the operator (one change, once)",
)

RULES: tuple[Rule, ...] = (
    GSM_PLMN_IMPOSSIBLE,
    GSM_BAND_IMPOSSIBLE,
    AUTH_MAC_FAILURE_RUN,
    IDENTITY_CLASH,
    LAC_CHANGES,
)
"""Every rule, in the order in which a detection lists its reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that fired on one subject."""

    rule: Rule
    values: Values
    misreads: int
    """How many readings would have to be misread to explain it away."""
    is_plain: bool = True
    """False: the record was incomplete, or the same cell was also read in an innocent form."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What findings amount to."""

    level: Level
    severity: Severity
    alert: AlertKind | None


OBSERVED = Verdict(Level.OBSERVED, Severity.WARNING, None)
SUSPECTED = Verdict(Level.SUSPECTED, Severity.HIGH, AlertKind.FAKE_BTS_SUSPECTED)
CONFIRMED = Verdict(Level.CONFIRMED, Severity.CRITICAL, AlertKind.FAKE_BTS_CONFIRMED)


def judge(findings: Sequence[Finding], misreads_min: int) -> Verdict:
    """Apply law 5: a hard rule, a rule that stands alone, or soft reasons of two families.

    A hard rule has one innocent explanation, a misread record. It is therefore confirmed only once
    ``misreads_min`` readings (or two rules in one reading) would have to be wrong together; a
    single complete record that nothing contradicts is suspected, an incomplete or contradicted one
    stays observed until it is heard again. Soft reasons count once a single misread cannot make
    them.
    """
    hard = [f for f in findings if f.rule.strength is Strength.HARD_CRITICAL]
    if hard and sum(f.misreads for f in hard) >= misreads_min:
        return CONFIRMED
    if any(f.is_plain for f in hard):
        return SUSPECTED
    if any(f.rule.strength is Strength.STANDS_ALONE for f in findings):
        return SUSPECTED
    settled = {
        f.rule.family
        for f in findings
        if f.rule.strength is Strength.SOFT and f.misreads >= misreads_min
    }
    return SUSPECTED if len(settled) >= 2 else OBSERVED


def score(findings: Sequence[Finding]) -> float:
    """Sum of the weights, each family capped at FAMILY_CAP."""
    total = 0.0
    for family in Family:
        total += min(FAMILY_CAP, sum(f.rule.weight for f in findings if f.rule.family is family))
    return round(total, 3)
