"""Decides one visit: the table of the scenario format, section 4.1, as data, pure.

The first row that holds gives the reason and the decision. A row only ever takes money away from a
visit; nothing but the last lines allows, and they are reached only when every row was silent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from atm_face import screens
from atm_face.screens import Prompt, Text
from contract.words import Decision, DecisionReason, Pad, PinVerdict

TABLE_VERSION = "2026-11.4"
"""Changes whenever a row, its order or its decision does."""

LIST_MAX_AGE_S = 900
"""``atm.list_max_age_s``: how old the list may be while there is no link."""

TRANSFER_DELAY_S = 24 * 3600
"""``atm.transfer_delay_h`` (rule set PBOC-2016-261-ATM): to other people after 24 hours."""

LOWEST_PAD_FLOOR = Pad.CHALLENGE
"""No policy, however signed, may move cash on a picture that could be a print."""


DISSUASION = (Prompt.ANTI_FRAUD_VOICE_ZH,)
"""Asked and confirmed before money goes: at every transfer to other people (PBOC-2016-261-ATM), and
of a customer whom the list warns of. It accuses nobody; saying no ends at the counter."""


class PolicyError(ValueError):
    """A policy asks for less than the house allows; ``key`` names the setting."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class Business(StrEnum):
    """What the customer asks the machine for."""

    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"
    TRANSFER_OWN = "transfer_own"
    TRANSFER_OTHER = "transfer_other"
    REVOKE = "revoke"
    """Take back a transfer that the bank still holds: the money stays."""

    @property
    def is_outgoing(self) -> bool:
        """Whether money leaves the account."""
        return self not in {Business.DEPOSIT, Business.REVOKE}

    @property
    def word(self) -> str:
        """The word of the signed message: withdraw, deposit, transfer or revoke."""
        return self.value.partition("_")[0]


class SanctionRegime(StrEnum):
    """Rule set under which the card's owner is in a sanction term."""

    PBOC_2016_261 = "PBOC-2016-261"
    PBOC_2019_85 = "PBOC-2019-85"
    JOINT_2024 = "JOINT-2024"

    def forbids(self, business: Business) -> bool:
        """JOINT-2024 stops outgoing money; the older two every business outside the counter.

        Taking back what one has ordered is no new business: none forbids it.
        """
        if business is Business.REVOKE:
            return False
        return self is not SanctionRegime.JOINT_2024 or business.is_outgoing


class ListMode(StrEnum):
    """How far the list of stops, freezes and sanctions may be relied on."""

    ONLINE = "ONLINE"
    OFFLINE_FRESH = "OFFLINE_FRESH"
    OFFLINE_STALE = "OFFLINE_STALE"


def list_mode(
    *, is_online: bool, age_s: float | None, max_age_s: float = LIST_MAX_AGE_S
) -> ListMode:
    """Mode from the link and the seconds since the central last confirmed the list.

    A list that was never confirmed (None) is stale whatever the link says: nobody has checked
    this card against anything.
    """
    if age_s is None:
        return ListMode.OFFLINE_STALE
    if is_online:
        return ListMode.ONLINE
    return ListMode.OFFLINE_STALE if age_s > max_age_s else ListMode.OFFLINE_FRESH


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Everything the decision rests on; None means "nobody could tell"."""

    business: Business
    pin: PinVerdict
    is_enrolled: bool
    """A reference face and a separate consent exist for the card's owner."""
    is_face_covered: bool
    """No face could be seen, after one prompt to uncover it."""
    pad: Pad
    """Presentation-attack detection that was really done."""
    is_live: bool | None
    is_match: bool | None
    list_mode: ListMode
    has_stop: bool = False
    has_freeze: bool = False
    sanction: SanctionRegime | None = None
    amount_fen: int = 0
    day_fen: int = 0
    """What the card drew here today before this visit."""
    is_dormant: bool = False
    needs_step_up: bool = False
    """The list asks for a second verification of the person, which this machine cannot give."""
    is_payee_listed: bool = False
    is_warned: bool = False
    """The list says that this customer may be under somebody's influence."""
    is_confirmed: bool | None = None
    """What the customer answered to the question of :data:`DISSUASION`; None: not asked yet."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a bank may set. Raising a floor is free; lowering it below the house's is refused."""

    pad_floor: Pad = LOWEST_PAD_FLOOR
    max_once_fen: int | None = None
    """Most of one transaction; None: the host alone limits."""
    max_day_fen: int | None = None

    def __post_init__(self) -> None:
        for key in ("max_once_fen", "max_day_fen"):
            limit = getattr(self, key)
            if limit is not None and limit <= 0:
                raise PolicyError(key, f"{limit} is no limit")
        if self.pad_floor.rank < LOWEST_PAD_FLOOR.rank:
            raise PolicyError("pad_floor", f"{self.pad_floor} is below {LOWEST_PAD_FLOOR}")

    @property
    def version(self) -> str:
        """Names the table and the settings, for the signed message."""
        once = "" if self.max_once_fen is None else f"/once<={self.max_once_fen}"
        day = "" if self.max_day_fen is None else f"/day<={self.max_day_fen}"
        return f"{TABLE_VERSION}/pad>={self.pad_floor}{once}{day}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a visit and what the customer is shown."""

    decision: Decision
    reason: DecisionReason | None
    screen: Text
    prompts: tuple[Prompt, ...] = ()
    delay_s: int = 0
    """Seconds until an ALLOW_DELAYED transfer is carried out."""

    @property
    def is_allowed(self) -> bool:
        """Whether money goes, now or later."""
        return self.decision in {Decision.ALLOW, Decision.ALLOW_DELAYED}

    @property
    def asks_first(self) -> bool:
        """Whether the customer has to say yes before money goes."""
        return self.is_allowed and Prompt.ANTI_FRAUD_VOICE_ZH in self.prompts


@dataclass(frozen=True, slots=True)
class Explanation:
    """One rule that held, for the record and the officer; never for the customer."""

    rule: str
    reason: DecisionReason
    decision: Decision
    source: str
    is_deciding: bool
    """The first that held; the others would have decided without it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    reason: DecisionReason
    holds: Callable[[Visit, Policy], bool]
    decision: Decision
    screen: Text = screens.COUNTER
    prompts: tuple[Prompt, ...] = ()


def _is_liveness_unavailable(visit: Visit, policy: Policy) -> bool:
    """No verdict, or one from a weaker test than the policy asks for.

    A weak test that failed still counts as failed: such a cue may deny, never approve.
    """
    if visit.is_live is False:
        return False
    return visit.is_live is None or visit.is_match is None or visit.pad.rank < policy.pad_floor.rank


def _is_over_limit(visit: Visit, policy: Policy) -> bool:
    if not visit.business.is_outgoing:
        return False
    once, day = policy.max_once_fen, policy.max_day_fen
    return (once is not None and visit.amount_fen > once) or (
        day is not None and visit.day_fen + visit.amount_fen > day
    )


def is_asked(visit: Visit) -> bool:
    """Whether the question comes before money goes: to other people, or of a warned customer."""
    if visit.business is Business.TRANSFER_OTHER:
        return True
    return visit.is_warned and visit.business.is_outgoing


TABLE: tuple[Row, ...] = (
    Row(
        DecisionReason.STOP_PAYMENT,
        lambda visit, _: visit.has_stop and visit.business.is_outgoing,
        Decision.DENY,
    ),
    Row(
        DecisionReason.FROZEN,
        lambda visit, _: visit.has_freeze and visit.business.is_outgoing,
        Decision.DENY,
    ),
    Row(
        DecisionReason.PIN_BLOCKED,
        lambda visit, _: visit.pin is PinVerdict.BLOCKED,
        Decision.DENY,
        screens.PIN_BLOCKED,
    ),
    Row(
        DecisionReason.PIN_INVALID,
        lambda visit, _: visit.pin is not PinVerdict.OK,
        Decision.DENY,
        screens.PIN_WRONG,
    ),
    Row(
        DecisionReason.NOT_ENROLLED,
        lambda visit, _: not visit.is_enrolled,
        Decision.REFER_TO_COUNTER,
        screens.NOT_ENROLLED,
    ),
    Row(
        DecisionReason.FACE_COVERED,
        lambda visit, _: visit.is_face_covered,
        Decision.REFER_TO_COUNTER,
        screens.COVERED,
        (Prompt.REMOVE_COVER,),
    ),
    Row(
        DecisionReason.LIVENESS_UNAVAILABLE,
        _is_liveness_unavailable,
        Decision.REFER_TO_COUNTER,
    ),
    Row(
        DecisionReason.LIVENESS_FAILED,
        lambda visit, _: visit.is_live is not True,
        Decision.DENY,
    ),
    Row(
        DecisionReason.FACE_MISMATCH,
        lambda visit, _: visit.is_match is not True,
        Decision.DENY,
    ),
    Row(
        DecisionReason.NONCOUNTER_OUTFLOW_SUSPENDED,
        lambda visit, _: visit.sanction is not None and visit.sanction.forbids(visit.business),
        Decision.DENY,
    ),
    Row(
        DecisionReason.LIST_STALE,
        lambda visit, _: (
            visit.list_mode is ListMode.OFFLINE_STALE and visit.business is not Business.REVOKE
        ),
        Decision.REFER_TO_COUNTER,
    ),
    # What follows is beyond the scenario format, so nothing of it may come before a row above.
    Row(
        DecisionReason.DORMANT,
        lambda visit, _: visit.is_dormant and visit.business is not Business.REVOKE,
        Decision.REFER_TO_COUNTER,
    ),
    Row(
        DecisionReason.STEP_UP_REQUIRED,
        lambda visit, _: visit.needs_step_up and visit.business.is_outgoing,
        Decision.REFER_TO_COUNTER,
    ),
    Row(
        DecisionReason.LISTED_PAYEE,
        lambda visit, _: visit.is_payee_listed and visit.business is Business.TRANSFER_OTHER,
        Decision.DENY,
    ),
    Row(DecisionReason.LIMIT_EXCEEDED, _is_over_limit, Decision.REFER_TO_COUNTER),
    Row(
        DecisionReason.NOT_CONFIRMED,
        lambda visit, _: visit.is_confirmed is False and is_asked(visit),
        Decision.REFER_TO_COUNTER,
    ),
)
"""The rows in their order."""


SOURCES: dict[DecisionReason, str] = {
    DecisionReason.STOP_PAYMENT: "银发〔2016〕86号: stop payment, 48 hours, at most twice",
    DecisionReason.FROZEN: "银发〔2016〕86号: freeze, six months, renewable",
    DecisionReason.PIN_BLOCKED: "the PIN pad's verdict",
    DecisionReason.PIN_INVALID: "the PIN pad's verdict",
    DecisionReason.NOT_ENROLLED: "人脸识别技术应用安全管理办法 (2025-06-01): separate consent",
    DecisionReason.FACE_COVERED: "the bank's face + card + PIN rule",
    DecisionReason.LIVENESS_UNAVAILABLE: "the bank's face + card + PIN rule",
    DecisionReason.LIVENESS_FAILED: "the bank's face + card + PIN rule",
    DecisionReason.FACE_MISMATCH: "the bank's face + card + PIN rule",
    DecisionReason.NONCOUNTER_OUTFLOW_SUSPENDED: "the sanction regime of the term's first day",
    DecisionReason.LIST_STALE: "反电信网络诈骗法 art. 18: verify, or do not pay",
    DecisionReason.DORMANT: "银发〔2016〕261号: six months unused, counter only",
    DecisionReason.STEP_UP_REQUIRED: "反电信网络诈骗法 art. 18: verify the identity again",
    DecisionReason.LISTED_PAYEE: "反电信网络诈骗法 art. 18: limit or stop the service",
    DecisionReason.LIMIT_EXCEEDED: "the bank's own limits",
    DecisionReason.NOT_CONFIRMED: "银发〔2016〕261号: asked, and confirmed before money goes",
}
"""Where each rule comes from, for the record."""


def explain(visit: Visit, policy: Policy) -> tuple[Explanation, ...]:
    """Return every rule that held, in the table's order; the first is the one that decided."""
    held = [row for row in TABLE if row.holds(visit, policy)]
    return tuple(
        Explanation(
            rule=f"atm.{row.reason.value.lower()}",
            reason=row.reason,
            decision=row.decision,
            source=SOURCES[row.reason],
            is_deciding=row is held[0],
        )
        for row in held
    )


def decide(visit: Visit, policy: Policy) -> Verdict:
    """Decide one visit: the first row that holds, else allow (a transfer to others: delayed)."""
    for row in TABLE:
        if row.holds(visit, policy):
            return Verdict(row.decision, row.reason, row.screen, row.prompts)
    if visit.business is Business.TRANSFER_OTHER:
        return Verdict(
            Decision.ALLOW_DELAYED,
            None,
            screens.ALLOWED_DELAYED,
            DISSUASION,
            delay_s=TRANSFER_DELAY_S,
        )
    return Verdict(Decision.ALLOW, None, screens.ALLOWED, DISSUASION if is_asked(visit) else ())
