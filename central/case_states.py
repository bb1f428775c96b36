"""How a case goes from first suspicion to end: the states of the scenario format as a table.

Pure. ``CANDIDATE > DISCOVERED > VERIFIED > NOTIFIED > STRUCK > CLOSED`` and no step is jumped; a
case that was nothing ends ``CLEARED`` before the police were notified and ``DISMISSED`` after it.
``DORMANT`` (off the air) is no step: how far the case came is kept while it sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from central.alert_states import SECOND_US, RuleError


class CaseState(StrEnum):
    """Where a case stands."""

    CANDIDATE = "CANDIDATE"
    LEAD = "LEAD"
    DISCOVERED = "DISCOVERED"
    VERIFIED = "VERIFIED"
    NOTIFIED = "NOTIFIED"
    STRUCK = "STRUCK"
    CLOSED = "CLOSED"
    CLEARED = "CLEARED"
    DISMISSED = "DISMISSED"
    DORMANT = "DORMANT"
    """Shown while the emitter is off the air; the state below it is kept."""


ENDED = (CaseState.CLOSED, CaseState.CLEARED, CaseState.DISMISSED)
OPEN = tuple(s for s in CaseState if s not in ENDED and s is not CaseState.DORMANT)


class CaseAction(StrEnum):
    """What is done with a case."""

    OPEN = "open"
    DISCOVER = "discover"
    ASK = "ask"
    VERIFY = "verify"
    """The operator or regulator said: not ours."""
    NOTIFY = "notify"
    """A named person confirmed: the police are notified."""
    STRIKE = "strike"
    CLOSE = "close"
    CLEAR = "clear"
    DISMISS = "dismiss"
    SLEEP = "sleep"
    WAKE = "wake"
    OFFER = "offer"
    """Another unit is asked to take it over."""
    TRANSFER = "transfer"
    """A named person of that unit took it over: it ends here."""
    OWN = "own"
    LINK = "link"
    NOTE = "note"
    PART = "part"
    """A member, a task or a seized thing was added or ended."""
    TIP = "tip"
    DISPATCH = "dispatch"


class CaseReason(StrEnum):
    """Why a case ended."""

    OURS = "OURS"
    """The operator or regulator said that it is theirs."""
    HARMLESS = "HARMLESS"
    REGISTERED_TEST_VEHICLE = "REGISTERED_TEST_VEHICLE"
    NOT_FOUND = "NOT_FOUND"
    EXERCISE = "EXERCISE"
    DUPLICATE = "DUPLICATE"
    SOLVED = "SOLVED"
    TRANSFERRED = "TRANSFERRED"
    OTHER = "OTHER"
    """Only with a note."""


_S = CaseState
_SAME: dict[CaseState, CaseState] = {state: state for state in OPEN}

TABLE: dict[CaseAction, dict[CaseState, CaseState]] = {
    CaseAction.DISCOVER: {_S.CANDIDATE: _S.DISCOVERED, _S.LEAD: _S.DISCOVERED},
    CaseAction.ASK: {_S.DISCOVERED: _S.DISCOVERED},
    CaseAction.VERIFY: {_S.DISCOVERED: _S.VERIFIED},
    CaseAction.NOTIFY: {_S.VERIFIED: _S.NOTIFIED},
    CaseAction.STRIKE: {_S.NOTIFIED: _S.STRUCK},
    CaseAction.CLOSE: {_S.STRUCK: _S.CLOSED},
    CaseAction.CLEAR: {
        _S.CANDIDATE: _S.CLEARED,
        _S.LEAD: _S.CLEARED,
        _S.DISCOVERED: _S.CLEARED,
        _S.VERIFIED: _S.CLEARED,
    },
    CaseAction.DISMISS: {_S.NOTIFIED: _S.DISMISSED},
    CaseAction.SLEEP: _SAME,
    CaseAction.WAKE: _SAME,
    CaseAction.OFFER: _SAME,
    CaseAction.TRANSFER: dict.fromkeys(OPEN, _S.CLOSED),
    CaseAction.OWN: _SAME,
    CaseAction.LINK: _SAME,
    CaseAction.PART: _SAME,
    CaseAction.DISPATCH: _SAME,
    CaseAction.TIP: {state: state for state in CaseState if state is not _S.DORMANT},
    CaseAction.NOTE: {state: state for state in CaseState if state is not _S.DORMANT},
}
"""Action to (state before, state after). Nothing leads out of an ended state."""

NEEDS_REASON = frozenset({CaseAction.CLEAR, CaseAction.DISMISS})


class NotSolvedError(RuleError):
    """A case is not closed before it is solved, or taken over by a named person elsewhere."""


def after(action: CaseAction, state: CaseState) -> CaseState:
    """Return the state after an action; raises RuleError."""
    try:
        return TABLE[action][state]
    except KeyError:
        pass
    if action is CaseAction.CLOSE and state not in ENDED:
        raise NotSolvedError(
            f"the case is {state.value}: it is closed after a strike, or ends by a transfer that "
            "a named person of the other unit accepts"
        )
    raise RuleError(f"{action.value} is not possible: the case is {state.value}")


def check_reason(action: CaseAction, reason: str | None, note: str) -> CaseReason | None:
    """Return the reason code that an action carries; raises RuleError."""
    if action is CaseAction.CLOSE:
        return CaseReason.SOLVED
    if action is CaseAction.TRANSFER:
        return CaseReason.TRANSFERRED
    if action not in NEEDS_REASON:
        return None
    try:
        code = CaseReason(reason or "")
    except ValueError:
        raise RuleError(f"{action.value} needs a reason code") from None
    if code in {CaseReason.SOLVED, CaseReason.TRANSFERRED}:
        raise RuleError(f"{code.value} is no reason to {action.value}")
    if code is CaseReason.OTHER and not note.strip():
        raise RuleError("the reason OTHER needs a note that says which")
    return code


# -- a clock on each leg --------------------------------------------------------------------------

MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
TARGETS_US: dict[CaseState, int] = {
    CaseState.CANDIDATE: 15 * MINUTE_US,
    CaseState.LEAD: 24 * HOUR_US,
    CaseState.DISCOVERED: 15 * MINUTE_US,
    CaseState.VERIFIED: 5 * MINUTE_US,
    CaseState.NOTIFIED: 24 * HOUR_US,
    CaseState.STRUCK: 72 * HOUR_US,
}
"""How long a case may stand in each state. Choices: notify in minutes, strike the same day."""


@dataclass(frozen=True, slots=True)
class Leg:
    """The time between two states; computed from the history, never stored."""

    state: CaseState
    began_at: int
    ended_at: int | None
    """None: it runs."""
    target_us: int

    def lasted_us(self, now: int) -> int:
        """Microseconds until its end, or until now."""
        return (now if self.ended_at is None else self.ended_at) - self.began_at

    def is_over(self, now: int) -> bool:
        """Whether it took, or takes, longer than its target."""
        return self.lasted_us(now) > self.target_us


def legs(first_seen: int, steps: Iterable[tuple[int, CaseState]]) -> list[Leg]:
    """Return the legs of a case from (time, state reached), in order.

    The first leg begins with the first reading or the lead itself, not with the moment in which
    somebody opened the case.
    """
    made: list[Leg] = []
    began = first_seen
    state: CaseState | None = None
    for at, reached in steps:
        if reached in {state, CaseState.DORMANT}:  # a sleeping case keeps its leg running
            continue
        if state is not None and state in TARGETS_US:
            made.append(Leg(state, began, at, TARGETS_US[state]))
            began = at
        state = reached
    if state is not None and state in TARGETS_US:
        made.append(Leg(state, began, None, TARGETS_US[state]))
    return made


# -- tip-offs -------------------------------------------------------------------------------------

REWARD_MIN_FEN = 1_000 * 100
REWARD_MAX_FEN = 10_000 * 100
"""``tip.reward_min_yuan`` and ``tip.reward_max_yuan``: the published range."""
PAYABLE = frozenset({CaseState.VERIFIED, CaseState.NOTIFIED, CaseState.STRUCK, CaseState.CLOSED})


def check_reward(fen: int, state: CaseState | None) -> int:
    """Return a reward that may be awarded now; raises RuleError."""
    if not REWARD_MIN_FEN <= fen <= REWARD_MAX_FEN:
        low, high = REWARD_MIN_FEN // 100, REWARD_MAX_FEN // 100
        raise RuleError(f"a reward is {low} to {high} yuan")
    if state is None:
        raise RuleError("the tip belongs to no case yet")
    if state not in PAYABLE:
        raise RuleError(f"a reward is awarded after verification; the case is {state.value}")
    return fen
