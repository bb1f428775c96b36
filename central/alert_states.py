"""What may be done with an alert: one table of (action, state), and who is called when nobody does.

Pure. No row leads out of a closed state: nothing reopens an alert. A further sighting of a closed
one is counted on it, or becomes an alert of its own (:func:`is_news`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from central.actor import Role
from contract.words import Level, Severity

SECOND_US = 1_000_000
CENTRAL_ACTOR = "central"
"""Name in a history of what the clock did."""


class AlertState(StrEnum):
    """Where an alert stands."""

    NEW = "NEW"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CONFIRMED = "CONFIRMED"
    DISMISSED = "DISMISSED"
    MERGED = "MERGED"
    CLOSED = "CLOSED"


OPEN = (AlertState.NEW, AlertState.ACKNOWLEDGED, AlertState.CONFIRMED)
CLOSED = (AlertState.DISMISSED, AlertState.CLOSED)


class AlertAction(StrEnum):
    """What is done with an alert."""

    ACKNOWLEDGE = "acknowledge"
    CONFIRM = "confirm"
    DISMISS = "dismiss"
    CLOSE = "close"
    SNOOZE = "snooze"
    WAKE = "wake"
    NOTE = "note"
    MERGE = "merge"
    SPLIT = "split"
    CALL = "call"
    """The clock called the next person."""
    LINK = "link"
    """It became part of a case."""
    SUPPORT = "support"
    """One of its detections supports a further alert, or the other way round."""
    UNDO = "undo"


class ReasonCode(StrEnum):
    """Why an alert was dismissed or closed."""

    FALSE_POSITIVE = "FALSE_POSITIVE"
    REGISTERED_TEST_VEHICLE = "REGISTERED_TEST_VEHICLE"
    LICENSED_STATION = "LICENSED_STATION"
    OWN_CELL = "OWN_CELL"
    HARMLESS = "HARMLESS"
    DUPLICATE = "DUPLICATE"
    EXERCISE = "EXERCISE"
    HANDLED_IN_CASE = "HANDLED_IN_CASE"
    SOURCE_GONE = "SOURCE_GONE"
    FIXED = "FIXED"
    OTHER = "OTHER"
    """Only with a note."""


_N, _A, _C = AlertState.NEW, AlertState.ACKNOWLEDGED, AlertState.CONFIRMED
_SAME = {_N: _N, _A: _A, _C: _C}

TABLE: dict[AlertAction, dict[AlertState, AlertState]] = {
    AlertAction.ACKNOWLEDGE: {_N: _A},
    AlertAction.CONFIRM: {_N: _C, _A: _C},
    AlertAction.DISMISS: {
        _N: AlertState.DISMISSED,
        _A: AlertState.DISMISSED,
        _C: AlertState.DISMISSED,
    },
    AlertAction.CLOSE: {_C: AlertState.CLOSED},
    AlertAction.SNOOZE: _SAME,
    AlertAction.WAKE: _SAME,
    AlertAction.LINK: _SAME,
    AlertAction.SUPPORT: _SAME,
    AlertAction.CALL: {_N: _N},
    AlertAction.MERGE: {
        _N: AlertState.MERGED,
        _A: AlertState.MERGED,
        _C: AlertState.MERGED,
    },
    AlertAction.NOTE: {state: state for state in AlertState},
}
"""Action to (state before, state after). SPLIT and UNDO give back the state that history names."""

NEEDS_REASON = frozenset({AlertAction.DISMISS, AlertAction.CLOSE})
UNDOABLE = frozenset(
    {AlertAction.ACKNOWLEDGE, AlertAction.CONFIRM, AlertAction.SNOOZE, AlertAction.WAKE}
)
"""What its author may take back while nothing else has happened. A dismissal is not among them."""
UNDO_S = 600
LONGEST_SNOOZE_S = 24 * 3600


class RuleError(ValueError):
    """Something that is not done with an alert or a case in this state; the text says why."""


def after(action: AlertAction, state: AlertState) -> AlertState:
    """Return the state after an action; raises RuleError."""
    try:
        return TABLE[action][state]
    except KeyError:
        raise RuleError(f"{action.value} is not possible: the alert is {state.value}") from None


def check_reason(action: AlertAction, reason: str | None, note: str) -> ReasonCode | None:
    """Return the reason code that an action carries; raises RuleError."""
    if action not in NEEDS_REASON:
        return None
    try:
        code = ReasonCode(reason or "")
    except ValueError:
        raise RuleError(f"{action.value} needs a reason code") from None
    if code is ReasonCode.OTHER and not note.strip():
        raise RuleError("the reason OTHER needs a note that says which")
    return code


# -- a further sighting of what is closed ---------------------------------------------------------

AGAIN_AFTER_S = {AlertState.DISMISSED: 24 * 3600, AlertState.CLOSED: 600}
"""How long a sighting of the same subject still belongs to the closed alert.

A false positive goes on being one; an emitter that was struck and is heard again is news.
"""


def is_news(
    state: AlertState, level: Level, closed_at: int | None, *, claimed: Level, now: int
) -> bool:
    """Whether a claim on the subject of a closed alert raises a new one (closed ones stay so)."""
    if state not in AGAIN_AFTER_S:
        return False
    if claimed.rank > level.rank:
        return True
    return closed_at is None or now - closed_at > AGAIN_AFTER_S[state] * SECOND_US


# -- escalation -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """Who is called how long after an alert rose, as long as nobody acknowledges it."""

    after_s: int
    role: Role


CALLS: dict[Severity, tuple[Call, ...]] = {
    Severity.CRITICAL: (
        Call(60, Role.DUTY_OFFICER),
        Call(180, Role.REVIEWER),
        Call(300, Role.COMMANDER),
    ),
    Severity.HIGH: (
        Call(300, Role.DUTY_OFFICER),
        Call(900, Role.REVIEWER),
        Call(1800, Role.COMMANDER),
    ),
    Severity.WARNING: (Call(3600, Role.DUTY_OFFICER),),
}
"""The alert itself reaches the duty officer at once; these are the calls after it."""

REPEAT_S = 600
"""After the last step its role is called again this often, until somebody acknowledges."""


def called_roles(severity: Severity, steps: int) -> frozenset[Role]:
    """Return the roles that ``steps`` calls have reached."""
    return frozenset(call.role for call in CALLS[severity][:steps])


def next_call(severity: Severity, risen_at: int, steps: int) -> tuple[int, Role]:
    """Return when the call number ``steps`` (from 0) is due, and whom it calls."""
    calls = CALLS[severity]
    if steps < len(calls):
        return risen_at + calls[steps].after_s * SECOND_US, calls[steps].role
    last = calls[-1]
    repeats = steps - len(calls) + 1
    return risen_at + (last.after_s + repeats * REPEAT_S) * SECOND_US, last.role
