"""The table of what may be done with an alert, and who is called when nobody does it."""

from __future__ import annotations

import pytest

from central.actor import Role
from central.alert_states import (
    CALLS,
    CLOSED,
    OPEN,
    SECOND_US,
    TABLE,
    AlertAction,
    AlertState,
    ReasonCode,
    RuleError,
    after,
    check_reason,
    is_news,
    next_call,
)
from contract.words import Level, Severity


def test_no_action_leads_out_of_a_closed_state() -> None:
    for action, ways in TABLE.items():
        for before, then in ways.items():
            if before in CLOSED or before is AlertState.MERGED:
                assert then is before, (action, before)
                assert action is AlertAction.NOTE


def test_every_open_state_can_be_left_by_a_person() -> None:
    for state in OPEN:
        assert after(AlertAction.DISMISS, state) is AlertState.DISMISSED
    with pytest.raises(RuleError, match="close is not possible: the alert is NEW"):
        after(AlertAction.CLOSE, AlertState.NEW)
    with pytest.raises(RuleError, match="acknowledge is not possible: the alert is DISMISSED"):
        after(AlertAction.ACKNOWLEDGE, AlertState.DISMISSED)


def test_a_dismissal_needs_a_reason_and_other_needs_words() -> None:
    assert check_reason(AlertAction.ACKNOWLEDGE, None, "") is None
    assert check_reason(AlertAction.DISMISS, "OWN_CELL", "") is ReasonCode.OWN_CELL
    for reason in (None, "", "NO_SUCH"):
        with pytest.raises(RuleError, match="needs a reason code"):
            check_reason(AlertAction.DISMISS, reason, "")
    with pytest.raises(RuleError, match="needs a note"):
        check_reason(AlertAction.DISMISS, "OTHER", "  ")
    assert check_reason(AlertAction.CLOSE, "OTHER", "because") is ReasonCode.OTHER


@pytest.mark.parametrize(
    ("state", "claimed", "after_s", "expected"),
    [
        (AlertState.NEW, Level.CONFIRMED, 10**6, False),
        (AlertState.DISMISSED, Level.SUSPECTED, 3600, False),
        (AlertState.DISMISSED, Level.SUSPECTED, 25 * 3600, True),
        (AlertState.DISMISSED, Level.CONFIRMED, 1, True),
        (AlertState.CLOSED, Level.SUSPECTED, 60, False),
        (AlertState.CLOSED, Level.SUSPECTED, 700, True),
    ],
)
def test_what_is_news_after_the_end(
    state: AlertState, claimed: Level, after_s: int, expected: bool
) -> None:
    now = after_s * SECOND_US
    assert is_news(state, Level.SUSPECTED, 0, claimed=claimed, now=now) is expected


def test_calls_rise_and_then_go_on_until_somebody_acknowledges() -> None:
    for severity in Severity:
        due = [next_call(severity, 0, step)[0] for step in range(40)]
        assert due == sorted(set(due))
        assert next_call(severity, 0, 39)[1] is CALLS[severity][-1].role
    assert next_call(Severity.CRITICAL, 0, 0) == (60 * SECOND_US, Role.DUTY_OFFICER)
    assert next_call(Severity.CRITICAL, 0, 2)[1] is Role.COMMANDER
