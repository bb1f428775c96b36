"""The states of a case as a table: no step is jumped, nothing leads out of an end."""

from __future__ import annotations

import pytest

from central.alert_states import RuleError
from central.case_states import (
    ENDED,
    MINUTE_US,
    OPEN,
    PAYABLE,
    REWARD_MAX_FEN,
    REWARD_MIN_FEN,
    TABLE,
    TARGETS_US,
    CaseAction,
    CaseReason,
    CaseState,
    NotSolvedError,
    after,
    check_reason,
    check_reward,
    legs,
)

S, A = CaseState, CaseAction
ROAD = [S.DISCOVERED, S.VERIFIED, S.NOTIFIED, S.STRUCK, S.CLOSED]
STEPS = [A.VERIFY, A.NOTIFY, A.STRIKE, A.CLOSE]


def test_the_road_has_one_step_at_a_time() -> None:
    for action, before, then in zip(STEPS, ROAD, ROAD[1:], strict=False):
        assert after(action, before) is then
        for state in OPEN:
            if state is not before:
                with pytest.raises(RuleError):
                    after(action, state)


def test_nothing_leads_out_of_an_end_and_every_end_has_its_side_of_the_notice() -> None:
    for action, ways in TABLE.items():
        for before, then in ways.items():
            if before in ENDED:
                assert then is before
                assert action in {A.NOTE, A.TIP}
    cleared = {before for before, then in TABLE[A.CLEAR].items() if then is S.CLEARED}
    assert cleared == {S.CANDIDATE, S.LEAD, S.DISCOVERED, S.VERIFIED}
    assert set(TABLE[A.DISMISS]) == {S.NOTIFIED}


@pytest.mark.parametrize("state", [s for s in OPEN if s is not S.STRUCK])
def test_a_case_is_not_closed_before_it_is_solved(state: CaseState) -> None:
    with pytest.raises(NotSolvedError, match="after a strike"):
        after(A.CLOSE, state)


def test_an_end_has_a_reason() -> None:
    assert check_reason(A.CLOSE, None, "") is CaseReason.SOLVED
    assert check_reason(A.CLEAR, "OURS", "") is CaseReason.OURS
    for reason in (None, "SOLVED", "TRANSFERRED", "NO_SUCH"):
        with pytest.raises(RuleError):
            check_reason(A.DISMISS, reason, "")
    with pytest.raises(RuleError, match="needs a note"):
        check_reason(A.CLEAR, "OTHER", "")


def test_each_leg_has_its_clock_and_sleep_does_not_stop_it() -> None:
    steps = [
        (2 * MINUTE_US, S.DISCOVERED),
        (9 * MINUTE_US, S.DORMANT),
        (12 * MINUTE_US, S.DISCOVERED),
        (20 * MINUTE_US, S.VERIFIED),
        (22 * MINUTE_US, S.NOTIFIED),
    ]
    made = legs(0, steps)
    assert [(leg.state, leg.lasted_us(99) // MINUTE_US) for leg in made[:2]] == [
        (S.DISCOVERED, 20),
        (S.VERIFIED, 2),
    ]
    assert [leg.is_over(30 * MINUTE_US) for leg in made] == [True, False, False]
    assert made[-1].ended_at is None
    assert made[-1].is_over(22 * MINUTE_US + TARGETS_US[S.NOTIFIED] + 1)
    assert legs(0, []) == []


def test_a_reward_has_its_range_and_its_time() -> None:
    for state in PAYABLE:
        assert check_reward(REWARD_MIN_FEN, state) == 100_000
        assert check_reward(REWARD_MAX_FEN, state) == 1_000_000
    for fen in (REWARD_MIN_FEN - 1, REWARD_MAX_FEN + 1, 0, -5):
        with pytest.raises(RuleError, match="1000 to 10000 yuan"):
            check_reward(fen, S.VERIFIED)
    for state in set(CaseState) - PAYABLE:
        with pytest.raises(RuleError, match="after verification"):
            check_reward(REWARD_MIN_FEN, state)
    with pytest.raises(RuleError, match="no case"):
        check_reward(REWARD_MIN_FEN, None)
