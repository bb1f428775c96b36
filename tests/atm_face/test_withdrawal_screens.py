"""The customer's texts: one for every state, none that tells or blames."""

from __future__ import annotations

import pytest

from atm_face.withdrawal import Outcome, State, Withdrawal
from atm_face.withdrawal_screens import TEXTS, Screen, screen_of
from hardware.atm.interface import Movement

# Words that would tell a customer, or who looks over the shoulder, why; or that blame.
TELLING = ("police", "list", "order", "stop", "freez", "sanction", "fraud", "suspect", "fail")
TELLING_ZH = ("警", "公安", "名单", "止付", "冻结", "惩戒", "诈骗", "嫌疑", "指令", "管控", "失败")
SETTLED = {State.REJECTING, State.CLOSING, State.RETAINING, State.ENDED}


def withdrawals() -> list[Withdrawal]:
    """Every state with every outcome that it can have."""
    return [
        Withdrawal(
            id="w",
            stan="000001",
            terminal="T",
            amount_fen=1,
            state=state,
            outcome=outcome,
            movement=movement,
        )
        for movement in Movement
        for state in State
        for outcome in (Outcome if state in SETTLED else [None])
    ]


def test_every_state_has_a_screen_and_every_screen_a_state() -> None:
    shown = {screen_of(one).screen for one in withdrawals()}
    assert shown | {Screen.IDLE} == set(Screen) == set(TEXTS)
    assert Screen.IDLE not in shown  # nobody is served


@pytest.mark.parametrize("screen", Screen)
def test_no_screen_tells_or_blames(screen: Screen) -> None:
    text = TEXTS[screen]
    assert not [word for word in TELLING if word in text.en.lower()]
    assert not [word for word in TELLING_ZH if word in text.zh]


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.DECLINED, Outcome.SUSPENSE])
def test_whoever_gets_no_cash_is_sent_to_the_counter(outcome: Outcome) -> None:
    for state in (State.CLOSING, State.ENDED):
        shown = screen_of(
            Withdrawal(id="w", stan="1", terminal="T", amount_fen=1, state=state, outcome=outcome)
        )
        assert "请到柜台办理" in shown.text.zh
        assert "please go to the counter" in shown.text.en.lower()
        assert shown.asks_for_card is (state is State.CLOSING)
