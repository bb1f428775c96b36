"""One withdrawal as a state machine: words, guards and the step; the rows are in the table module.

Pure: a record and an event in, the next record and the effects out. Whoever drives it writes the
step to a journal on disk before it carries out any effect (W1), and after a power cut feeds
:attr:`Event.BOOT` to what was open. The same table runs live and in the enumeration of all faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hardware.atm.interface import Movement


class State(StrEnum):
    """Where a withdrawal stands; each is written to the journal before its effects begin."""

    COLLECTING = "collecting"
    """Card in; factors are being checked; nothing was sent."""
    REQUESTING = "requesting"
    """The 0200 may have been sent."""
    DISPENSING = "dispensing"
    """Approved; notes may have moved to the stacker."""
    STACKED = "stacked"
    """Notes are counted on the stacker; the card goes back first."""
    PRESENTING = "presenting"
    """Notes may have reached the customer."""
    PRESENTED = "presented"
    """Notes are in the customer's reach."""
    RETRACTING = "retracting"
    """Notes that were not taken are being drawn in."""
    CHECKING = "checking"
    """The dispenser is asked what it did."""
    REJECTING = "rejecting"
    """Notes nobody could reach go to the reject bin."""
    CLOSING = "closing"
    """The money is decided; the card goes back."""
    RETAINING = "retaining"
    """The card is kept."""
    ENDED = "ended"


class Event(StrEnum):
    """What can happen to a withdrawal."""

    DECIDED = "decided"
    CANCELLED = "cancelled"
    ANSWERED = "answered"
    SILENT = "silent"
    LATE_ANSWER = "late_answer"
    DISPENSED = "dispensed"
    DISPENSE_REFUSED = "dispense_refused"
    TOKEN_FORGED = "token_forged"  # noqa: S105 - invalidTokenHMAC
    NOTHING_DISPENSED = "nothing_dispensed"
    CARD_TAKEN = "card_taken"
    CARD_LEFT = "card_left"
    CARD_RETAINED = "card_retained"
    CARD_JAMMED = "card_jammed"
    CARD_ABSENT = "card_absent"
    PRESENTED = "presented"
    PRESENT_NO_ITEMS = "present_no_items"
    PRESENT_SOME_ITEMS = "present_some_items"
    PRESENT_UNKNOWN = "present_unknown"
    TAKEN = "taken"
    NOT_TAKEN = "not_taken"
    RETRACTED = "retracted"
    RETRACT_FAILED = "retract_failed"
    STATUS_PRESENTED = "status_presented"
    STATUS_NOT_PRESENTED = "status_not_presented"
    STATUS_RETRACTED = "status_retracted"
    STATUS_UNKNOWN = "status_unknown"
    REJECTED = "rejected"
    REJECT_FAILED = "reject_failed"
    DEVICE_LOST = "device_lost"
    FOREIGN_DISPENSE = "foreign_dispense"
    BOOT = "boot"


class Effect(StrEnum):
    """What a step asks for, in its order."""

    SEND_REQUEST = "send_request"
    DISPENSE = "dispense"
    RETURN_CARD = "return_card"
    RETAIN_CARD = "retain_card"
    PRESENT = "present"
    AWAIT_TAKEN = "await_taken"
    RETRACT = "retract"
    REJECT = "reject"
    ASK_STATUS = "ask_status"
    QUEUE_REVERSAL = "queue_reversal"
    QUEUE_PARTIAL_REVERSAL = "queue_partial_reversal"
    QUEUE_CONFIRMATION = "queue_confirmation"
    OPEN_SUSPENSE = "open_suspense"
    OUT_OF_SERVICE = "out_of_service"
    ALARM = "alarm"
    KEEP_EVIDENCE = "keep_evidence"
    LOG_LATE = "log_late"

    @property
    def is_external(self) -> bool:
        """Whether it leaves the journal; all others are part of the journal's own transaction."""
        return self in EXTERNAL


EXTERNAL = frozenset(
    {
        Effect.SEND_REQUEST,
        Effect.DISPENSE,
        Effect.RETURN_CARD,
        Effect.RETAIN_CARD,
        Effect.PRESENT,
        Effect.AWAIT_TAKEN,
        Effect.RETRACT,
        Effect.REJECT,
        Effect.ASK_STATUS,
    }
)


class Outcome(StrEnum):
    """What became of the money: recorded once for each withdrawal (W4)."""

    NOT_SENT = "not_sent"
    DECLINED = "declined"
    COMPLETED = "completed"
    REVERSED = "reversed"
    PARTIALLY_REVERSED = "partially_reversed"
    SUSPENSE = "suspense"
    TRANSFER_WAITS = "transfer_waits"
    """The bank has taken a transfer; it holds it for the legal delay."""
    REVOKED = "revoked"
    """The bank has taken a waiting transfer back."""


class HostWord(StrEnum):
    """What the host's answer means, out of its response code."""

    APPROVED = "approved"
    DECLINED = "declined"
    CAPTURE_CARD = "capture_card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What must be good before the host is asked. Absent knowledge is False: fail closed (W7)."""

    card: bool = False
    """A card was read that is not expired and not refused by the reader."""
    pin: bool = False
    """The PIN pad holds a complete entry and, where it can tell, says it is right."""
    face: bool = False
    """The live face matched the card's owner."""
    policy: bool = False
    """The decision table says ALLOW."""
    clock: bool = False
    """Time is trusted: no jump since it was last checked."""
    journal: bool = False
    """The journal can be written and its hash chain is whole."""
    queue: bool = False
    """No reversal of this card waits, and the queue is within its limits."""
    host: bool = False
    """The host answered the last echo."""
    devices: bool = False
    """Dispenser and reader are in service, and nobody else drives them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The host's answer as it was decoded; the machine compares it with its own request."""

    word: HostWord
    is_authentic: bool
    stan: str
    terminal: str
    amount_fen: int
    age_ms: int
    """Since the request was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a bank may set."""

    allows_partial: bool = False
    """The host profile carries replacement amounts and the customer is told."""
    reverses_counted_retract: bool = False
    """Reverse when every retracted note was counted; otherwise a person counts first."""
    captures_cards: bool = True
    answer_max_age_ms: int = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What the machine remembers of one request for money: nothing secret (W8).

    Most are withdrawals; a transfer and its revocation go the same way and never reach the notes.
    """

    id: str
    stan: str
    terminal: str
    amount_fen: int
    state: State = State.COLLECTING
    dispensed_fen: int = 0
    outcome: Outcome | None = None
    movement: Movement = Movement.CASH


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One event with what it carries."""

    event: Event
    factors: Factors | None = None
    answer: Answer | None = None
    count_fen: int | None = None
    """Sum of the notes the device counted."""


class Guard(StrEnum):
    """A condition under which a row holds."""

    CARD_GOOD = "card_good"
    PIN_GOOD = "pin_good"
    FACE_GOOD = "face_good"
    POLICY_ALLOWS = "policy_allows"
    CLOCK_TRUSTED = "clock_trusted"
    JOURNAL_WHOLE = "journal_whole"
    QUEUE_WITHIN_LIMITS = "queue_within_limits"
    HOST_UP = "host_up"
    DEVICES_READY = "devices_ready"
    ANSWER_AUTHENTIC = "answer_authentic"
    SAME_STAN = "same_stan"
    SAME_TERMINAL = "same_terminal"
    SAME_AMOUNT = "same_amount"
    ANSWER_FRESH = "answer_fresh"
    IS_APPROVAL = "is_approval"
    IS_DECLINE = "is_decline"
    IS_CAPTURE = "is_capture"
    COUNT_FULL = "count_full"
    COUNT_PART = "count_part"
    PARTIAL_ALLOWED = "partial_allowed"
    ALL_DISPENSED = "all_dispensed"
    COUNT_AS_DISPENSED = "count_as_dispensed"
    RETRACT_REVERSES = "retract_reverses"
    CAPTURE_ALLOWED = "capture_allowed"
    MOVES_CASH = "moves_cash"
    IS_TRANSFER = "is_transfer"


Check = Callable[[Withdrawal, Happened, Terms], bool]


def _factor(name: str) -> Check:
    return lambda _w, h, _t: h.factors is not None and bool(getattr(h.factors, name))


def _answer(holds: Callable[[Withdrawal, Answer, Terms], bool]) -> Check:
    return lambda w, h, t: h.answer is not None and holds(w, h.answer, t)


CHECKS: Mapping[Guard, Check] = {
    Guard.CARD_GOOD: _factor("card"),
    Guard.PIN_GOOD: _factor("pin"),
    Guard.FACE_GOOD: _factor("face"),
    Guard.POLICY_ALLOWS: _factor("policy"),
    Guard.CLOCK_TRUSTED: _factor("clock"),
    Guard.JOURNAL_WHOLE: _factor("journal"),
    Guard.QUEUE_WITHIN_LIMITS: _factor("queue"),
    Guard.HOST_UP: _factor("host"),
    Guard.DEVICES_READY: _factor("devices"),
    Guard.ANSWER_AUTHENTIC: _answer(lambda _w, a, _t: a.is_authentic),
    Guard.SAME_STAN: _answer(lambda w, a, _t: a.stan == w.stan),
    Guard.SAME_TERMINAL: _answer(lambda w, a, _t: a.terminal == w.terminal),
    Guard.SAME_AMOUNT: _answer(lambda w, a, _t: a.amount_fen == w.amount_fen),
    Guard.ANSWER_FRESH: _answer(lambda _w, a, t: 0 <= a.age_ms <= t.answer_max_age_ms),
    Guard.IS_APPROVAL: _answer(lambda _w, a, _t: a.word is HostWord.APPROVED),
    Guard.IS_DECLINE: _answer(lambda _w, a, _t: a.word is not HostWord.APPROVED),
    Guard.IS_CAPTURE: _answer(lambda _w, a, _t: a.word is HostWord.CAPTURE_CARD),
    Guard.COUNT_FULL: lambda w, h, _t: h.count_fen == w.amount_fen,
    Guard.COUNT_PART: lambda w, h, _t: h.count_fen is not None and 0 < h.count_fen < w.amount_fen,
    Guard.PARTIAL_ALLOWED: lambda _w, _h, t: t.allows_partial,
    Guard.ALL_DISPENSED: lambda w, _h, _t: w.dispensed_fen == w.amount_fen,
    Guard.COUNT_AS_DISPENSED: lambda w, h, _t: h.count_fen == w.dispensed_fen,
    Guard.RETRACT_REVERSES: lambda _w, _h, t: t.reverses_counted_retract,
    Guard.CAPTURE_ALLOWED: lambda _w, _h, t: t.captures_cards,
    Guard.MOVES_CASH: lambda w, _h, _t: w.movement is Movement.CASH,
    Guard.IS_TRANSFER: lambda w, _h, _t: w.movement is Movement.TRANSFER,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: the first whose guards all hold is taken."""

    state: State
    event: Event
    to: State
    effects: tuple[Effect, ...] = ()
    guards: tuple[Guard, ...] = ()
    outcome: Outcome | None = None
    faults: tuple[int, ...] = ()
    """Rows of the fault table that this answers."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step comes to: the record to write, and then the effects."""

    row: Row
    before: Withdrawal
    after: Withdrawal
    happened: Happened

    @property
    def external(self) -> tuple[Effect, ...]:
        """The effects that leave the journal, in order."""
        return tuple(effect for effect in self.row.effects if effect.is_external)


class UnexpectedEventError(Exception):
    """An event that has no row here: nothing changes, nothing is done, and it is journaled."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.value} does not belong to {state.value}")
        self.state = state
        self.event = event


class DoubleOutcomeError(Exception):
    """The table would record a second outcome for one withdrawal (W4)."""


def step(
    withdrawal: Withdrawal,
    happened: Happened,
    terms: Terms,
    *,
    rows: Sequence[Row] | None = None,
    checks: Mapping[Guard, Check] = CHECKS,
) -> Step:
    """Find the row and make the next record; raises UnexpectedEventError.

    ``rows`` and ``checks`` are for tests that break them on purpose.
    """
    if rows is None:
        from atm_face.withdrawal_table import TABLE

        rows = TABLE
    for row in rows:
        if row.state is not withdrawal.state or row.event is not happened.event:
            continue
        if all(checks[guard](withdrawal, happened, terms) for guard in row.guards):
            return Step(row, withdrawal, _next(withdrawal, happened, row), happened)
    raise UnexpectedEventError(withdrawal.state, happened.event)


def _next(withdrawal: Withdrawal, happened: Happened, row: Row) -> Withdrawal:
    if row.outcome is not None and withdrawal.outcome is not None:
        raise DoubleOutcomeError(f"{withdrawal.outcome.value}, then {row.outcome.value}")
    tells_count = happened.event in {Event.DISPENSED, Event.STATUS_PRESENTED}
    return replace(
        withdrawal,
        state=row.to,
        outcome=row.outcome or withdrawal.outcome,
        dispensed_fen=(happened.count_fen or 0 if tells_count else withdrawal.dispensed_fen),
    )
