"""The rows of the withdrawal machine: a reader can print them, a test can enumerate them.

Order matters only among rows of one state and one event: those with guards come first, and the
last one, without, is what happens when in doubt. Fault numbers are those of docs/withdrawal.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from atm_face.withdrawal import Effect, Event, Guard, Outcome, Row, State

TABLE_VERSION = "2026-11.2"

MAY_REQUEST = (
    Guard.CARD_GOOD,
    Guard.PIN_GOOD,
    Guard.FACE_GOOD,
    Guard.POLICY_ALLOWS,
    Guard.CLOCK_TRUSTED,
    Guard.JOURNAL_WHOLE,
    Guard.QUEUE_WITHIN_LIMITS,
    Guard.HOST_UP,
    Guard.DEVICES_READY,
)
"""All of it, or the host is not asked (W2, W7)."""

IS_OURS = (Guard.ANSWER_AUTHENTIC, Guard.SAME_STAN, Guard.SAME_TERMINAL)
IS_AGREED = (*IS_OURS, Guard.SAME_AMOUNT, Guard.ANSWER_FRESH, Guard.IS_APPROVAL)
"""All of it, or the answer is no approval of this request."""
MAY_DISPENSE = (Guard.MOVES_CASH, *IS_AGREED)
"""All of it, or nothing leaves the cassettes (W3)."""

_CARD = Effect.RETURN_CARD
_REVERSE = Effect.QUEUE_REVERSAL
_SUSPEND = (Effect.OPEN_SUSPENSE, Effect.KEEP_EVIDENCE)
_UNKNOWN = (*_SUSPEND, Effect.OUT_OF_SERVICE)


def _collecting() -> Iterable[Row]:
    here = State.COLLECTING
    yield Row(here, Event.DECIDED, State.REQUESTING, (Effect.SEND_REQUEST,), MAY_REQUEST)
    yield _closing(here, Event.DECIDED, Outcome.NOT_SENT, faults=(1, 20, 21, 22, 23, 25))
    yield _closing(here, Event.CANCELLED, Outcome.NOT_SENT, faults=(1,))
    yield _closing(here, Event.BOOT, Outcome.NOT_SENT, faults=(1,))
    yield _closing(here, Event.DEVICE_LOST, Outcome.NOT_SENT, faults=(1, 21))
    yield Row(
        here,
        Event.CARD_JAMMED,
        State.ENDED,
        (Effect.OUT_OF_SERVICE,),
        outcome=Outcome.NOT_SENT,
        faults=(17,),
    )
    yield _closing(
        here,
        Event.FOREIGN_DISPENSE,
        Outcome.NOT_SENT,
        (Effect.ALARM, Effect.OUT_OF_SERVICE),
        faults=(24,),
    )


def _requesting() -> Iterable[Row]:
    here = State.REQUESTING
    yield Row(here, Event.ANSWERED, State.DISPENSING, (Effect.DISPENSE,), MAY_DISPENSE)
    yield _closing(
        here,
        Event.ANSWERED,
        Outcome.TRANSFER_WAITS,
        guards=(Guard.IS_TRANSFER, *IS_AGREED),
        faults=(),
    )
    # Neither cash nor a transfer: a revocation. One that is not answered is repeated below, as an
    # advice about the transfer, until it is: it only ever keeps the customer's money where it is.
    yield _closing(here, Event.ANSWERED, Outcome.REVOKED, guards=IS_AGREED, faults=())
    yield Row(
        here,
        Event.ANSWERED,
        State.RETAINING,
        (Effect.RETAIN_CARD,),
        (*IS_OURS, Guard.IS_CAPTURE, Guard.CAPTURE_ALLOWED),
        Outcome.DECLINED,
        faults=(5,),
    )
    yield _closing(
        here, Event.ANSWERED, Outcome.DECLINED, guards=(*IS_OURS, Guard.IS_DECLINE), faults=(5,)
    )
    yield _closing(here, Event.ANSWERED, Outcome.REVERSED, (_REVERSE, Effect.ALARM), faults=(6,))
    yield _closing(here, Event.SILENT, Outcome.REVERSED, (_REVERSE,), faults=(3,))
    yield _closing(here, Event.BOOT, Outcome.REVERSED, (_REVERSE,), faults=(2,))
    yield _closing(
        here,
        Event.FOREIGN_DISPENSE,
        Outcome.REVERSED,
        (_REVERSE, Effect.ALARM, Effect.OUT_OF_SERVICE),
        faults=(24,),
    )


def _dispensing() -> Iterable[Row]:
    here = State.DISPENSING
    yield Row(here, Event.DISPENSED, State.STACKED, (_CARD,), (Guard.COUNT_FULL,))
    yield Row(
        here,
        Event.DISPENSED,
        State.STACKED,
        (_CARD,),
        (Guard.PARTIAL_ALLOWED, Guard.COUNT_PART),
        faults=(9,),
    )
    yield _rejecting(here, Event.DISPENSED, faults=(9,))
    yield _closing(here, Event.DISPENSE_REFUSED, Outcome.REVERSED, (_REVERSE,), faults=(7,))
    yield _closing(
        here, Event.TOKEN_FORGED, Outcome.REVERSED, (_REVERSE, Effect.ALARM), faults=(7,)
    )
    yield _checking(here, Event.NOTHING_DISPENSED, faults=(8,))
    yield _checking(here, Event.DEVICE_LOST, faults=(12,))
    yield _checking(here, Event.BOOT, faults=(12,))


def _stacked() -> Iterable[Row]:
    here = State.STACKED
    yield Row(here, Event.CARD_TAKEN, State.PRESENTING, (Effect.PRESENT,))
    yield _rejecting(
        here, Event.CARD_LEFT, (Effect.KEEP_EVIDENCE, Effect.RETAIN_CARD), faults=(16,)
    )
    yield _rejecting(here, Event.CARD_JAMMED, (Effect.OUT_OF_SERVICE,), faults=(17,))
    yield _rejecting(here, Event.DEVICE_LOST, (Effect.OUT_OF_SERVICE,), faults=(17,))
    # The reader held this card a moment ago: a card that is not there was pulled out by force.
    yield _rejecting(here, Event.CARD_ABSENT, (Effect.ALARM,), faults=(17,))
    yield _checking(here, Event.BOOT, faults=(12,))


def _presenting() -> Iterable[Row]:
    here = State.PRESENTING
    yield Row(here, Event.PRESENTED, State.PRESENTED, (Effect.AWAIT_TAKEN,))
    yield _rejecting(here, Event.PRESENT_NO_ITEMS, faults=(10,))
    yield _closing(here, Event.PRESENT_SOME_ITEMS, Outcome.SUSPENSE, _UNKNOWN, faults=(11,))
    yield _checking(here, Event.PRESENT_UNKNOWN, faults=(12,))
    yield _checking(here, Event.DEVICE_LOST, faults=(12,))
    yield _checking(here, Event.BOOT, faults=(12,))


def _presented() -> Iterable[Row]:
    here = State.PRESENTED
    yield _closing(
        here,
        Event.TAKEN,
        Outcome.COMPLETED,
        (Effect.QUEUE_CONFIRMATION,),
        (Guard.ALL_DISPENSED,),
        faults=(14,),
    )
    yield _closing(
        here,
        Event.TAKEN,
        Outcome.PARTIALLY_REVERSED,
        (Effect.QUEUE_PARTIAL_REVERSAL,),
        faults=(9,),
    )
    yield Row(here, Event.NOT_TAKEN, State.RETRACTING, (Effect.RETRACT,), faults=(13,))
    yield _checking(here, Event.DEVICE_LOST, faults=(12,))
    yield _checking(here, Event.BOOT, faults=(15,))


def _retracting() -> Iterable[Row]:
    here = State.RETRACTING
    yield _closing(
        here,
        Event.RETRACTED,
        Outcome.REVERSED,
        (_REVERSE,),
        (Guard.COUNT_AS_DISPENSED, Guard.RETRACT_REVERSES),
        faults=(13,),
    )
    yield _closing(
        here,
        Event.RETRACTED,
        Outcome.SUSPENSE,
        _SUSPEND,
        (Guard.COUNT_AS_DISPENSED,),
        faults=(13,),
    )
    for event in (Event.RETRACTED, Event.RETRACT_FAILED, Event.DEVICE_LOST, Event.BOOT):
        yield _closing(here, event, Outcome.SUSPENSE, _UNKNOWN, faults=(13,))


def _in_checking() -> Iterable[Row]:
    here = State.CHECKING
    yield _closing(
        here,
        Event.STATUS_PRESENTED,
        Outcome.COMPLETED,
        (Effect.QUEUE_CONFIRMATION,),
        (Guard.COUNT_FULL,),
        faults=(12, 15),
    )
    yield _closing(
        here,
        Event.STATUS_PRESENTED,
        Outcome.PARTIALLY_REVERSED,
        (Effect.QUEUE_PARTIAL_REVERSAL,),
        (Guard.COUNT_AS_DISPENSED,),
        faults=(9, 12),
    )
    yield _closing(here, Event.STATUS_PRESENTED, Outcome.SUSPENSE, _UNKNOWN, faults=(12,))
    yield _rejecting(here, Event.STATUS_NOT_PRESENTED, faults=(8, 12))
    yield _closing(here, Event.STATUS_RETRACTED, Outcome.SUSPENSE, _UNKNOWN, faults=(13,))
    yield _closing(here, Event.STATUS_UNKNOWN, Outcome.SUSPENSE, _UNKNOWN, faults=(12,))
    yield _closing(here, Event.DEVICE_LOST, Outcome.SUSPENSE, _UNKNOWN, faults=(12,))
    yield _checking(here, Event.BOOT, faults=(12,))


def _in_rejecting() -> Iterable[Row]:
    here = State.REJECTING
    yield Row(here, Event.REJECTED, State.CLOSING, (_CARD,))
    for event in (Event.REJECT_FAILED, Event.DEVICE_LOST):
        yield Row(here, event, State.CLOSING, (Effect.OUT_OF_SERVICE, _CARD), faults=(8,))
    yield Row(here, Event.BOOT, here, (Effect.REJECT,), faults=(8,))


def _in_closing() -> Iterable[Row]:
    here = State.CLOSING
    yield Row(here, Event.CARD_TAKEN, State.ENDED)
    yield Row(here, Event.CARD_ABSENT, State.ENDED)
    yield Row(
        here,
        Event.CARD_LEFT,
        State.RETAINING,
        (Effect.KEEP_EVIDENCE, Effect.RETAIN_CARD),
        faults=(16,),
    )
    for event in (Event.CARD_JAMMED, Event.DEVICE_LOST):
        yield Row(here, event, State.ENDED, (Effect.OUT_OF_SERVICE,), faults=(17,))
    yield Row(here, Event.BOOT, here, (_CARD,), faults=(15, 16))


def _retaining() -> Iterable[Row]:
    here = State.RETAINING
    for event in (Event.CARD_RETAINED, Event.CARD_ABSENT, Event.CARD_TAKEN):
        yield Row(here, event, State.ENDED)
    for event in (Event.CARD_JAMMED, Event.DEVICE_LOST):
        yield Row(here, event, State.ENDED, (Effect.OUT_OF_SERVICE,), faults=(17,))
    yield Row(here, Event.BOOT, here, (Effect.RETAIN_CARD,), faults=(16,))


def _anywhere() -> Iterable[Row]:
    """A late answer changes nothing; somebody else's dispense closes the machine."""
    for state in State:
        if state is not State.COLLECTING:
            yield Row(state, Event.LATE_ANSWER, state, (Effect.LOG_LATE,), faults=(4,))
        if state not in {State.COLLECTING, State.REQUESTING}:
            yield Row(
                state,
                Event.FOREIGN_DISPENSE,
                state,
                (Effect.ALARM, Effect.OUT_OF_SERVICE),
                faults=(24,),
            )


def _closing(
    state: State,
    event: Event,
    outcome: Outcome,
    effects: tuple[Effect, ...] = (),
    guards: tuple[Guard, ...] = (),
    *,
    faults: tuple[int, ...],
) -> Row:
    """The money is decided; the card goes back. A card that is out already: the reader says so."""
    return Row(state, event, State.CLOSING, (*effects, _CARD), guards, outcome, faults)


def _rejecting(
    state: State, event: Event, effects: tuple[Effect, ...] = (), *, faults: tuple[int, ...]
) -> Row:
    """Nobody could reach the notes: the whole amount is reversed, the notes go to the bin."""
    return Row(
        state,
        event,
        State.REJECTING,
        (_REVERSE, *effects, Effect.REJECT),
        outcome=Outcome.REVERSED,
        faults=faults,
    )


def _checking(state: State, event: Event, *, faults: tuple[int, ...]) -> Row:
    return Row(state, event, State.CHECKING, (Effect.ASK_STATUS,), faults=faults)


TABLE: tuple[Row, ...] = (
    *_collecting(),
    *_requesting(),
    *_dispensing(),
    *_stacked(),
    *_presenting(),
    *_presented(),
    *_retracting(),
    *_in_checking(),
    *_in_rejecting(),
    *_in_closing(),
    *_retaining(),
    *_anywhere(),
)
"""Every row; what is not here does not happen."""
