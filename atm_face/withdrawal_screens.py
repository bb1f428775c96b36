"""What the customer reads at each state of a withdrawal, in Chinese and English.

No screen blames, and none names an authority, a list or an order: the counter always helps. A
withdrawal that ended without cash says so plainly, so that nobody waits for notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from atm_face.screens import ALLOWED_DELAYED, COUNTER, Text
from atm_face.withdrawal import Outcome, State, Withdrawal
from hardware.atm.interface import Movement


class Screen(StrEnum):
    """One picture on the customer's screen; the voice guidance has a recording for each."""

    IDLE = "idle"
    FACTORS = "factors"
    WAIT = "wait"
    TAKE_CARD = "take_card"
    TAKE_CASH = "take_cash"
    CHECKING = "checking"
    DONE = "done"
    DONE_PART = "done_part"
    NO_CASH = "no_cash"
    COUNTER = "counter"
    RECORDED = "recorded"
    CARD_KEPT = "card_kept"
    TRANSFER_WAITS = "transfer_waits"
    NO_TRANSFER = "no_transfer"
    REVOKED = "revoked"
    REVOCATION_RECORDED = "revocation_recorded"


TEXTS: dict[Screen, Text] = {
    Screen.IDLE: Text("Welcome", "欢迎使用"),
    Screen.FACTORS: Text(
        "Please look at the camera. If you would rather not, please go to the counter.",
        "请正视摄像头。如不愿使用，请到柜台办理",
    ),
    Screen.WAIT: Text("One moment, please.", "请稍候"),
    Screen.TAKE_CARD: Text(
        "Please take your card. Your cash comes next.", "请取走银行卡，随后出钞"
    ),
    Screen.TAKE_CASH: Text("Please take your cash.", "请取走现金"),
    Screen.CHECKING: Text("One moment, please. The machine is checking.", "请稍候，机器正在核对"),
    Screen.DONE: Text("Done. Thank you.", "办理完成，谢谢"),
    Screen.DONE_PART: Text(
        "A smaller sum was paid out. Only that sum is booked.", "实付金额少于申请金额，仅按实付入账"
    ),
    Screen.NO_CASH: Text(
        "No cash was paid out and you will not be charged. For help, please go to the counter.",
        "未出钞，不会扣款。如需帮助，请到柜台办理",
    ),
    Screen.COUNTER: COUNTER,
    Screen.RECORDED: Text(
        "The machine has recorded this transaction and the bank will check it."
        " Please go to the counter.",
        "本机已记录此笔交易，银行将进行核对，请到柜台办理",
    ),
    Screen.CARD_KEPT: Text(
        "Your card is kept safe. Please go to the counter.", "您的银行卡已妥善保管，请到柜台办理"
    ),
    Screen.TRANSFER_WAITS: ALLOWED_DELAYED,
    Screen.NO_TRANSFER: Text(
        "No transfer was made and you will not be charged. For help, please go to the counter.",
        "转账未办理，不会扣款。如需帮助，请到柜台办理",
    ),
    Screen.REVOKED: Text(
        "Your transfer is cancelled. The money stays in your account.",
        "转账已撤销，款项仍在您的账户内",
    ),
    Screen.REVOCATION_RECORDED: Text(
        "Your cancellation is recorded and is being passed on to the bank. To be sure, please go"
        " to the counter.",
        "撤销申请已记录，正在转达银行。如需确认，请到柜台办理",
    ),
}

_OF_STATE = {
    State.COLLECTING: Screen.FACTORS,
    State.REQUESTING: Screen.WAIT,
    State.DISPENSING: Screen.WAIT,
    State.STACKED: Screen.TAKE_CARD,
    State.PRESENTING: Screen.WAIT,
    State.PRESENTED: Screen.TAKE_CASH,
    State.RETRACTING: Screen.WAIT,
    State.CHECKING: Screen.CHECKING,
    State.REJECTING: Screen.WAIT,
    State.RETAINING: Screen.CARD_KEPT,
}
_OF_OUTCOME = {
    Outcome.NOT_SENT: Screen.COUNTER,
    Outcome.DECLINED: Screen.COUNTER,
    Outcome.COMPLETED: Screen.DONE,
    Outcome.REVERSED: Screen.NO_CASH,
    Outcome.PARTIALLY_REVERSED: Screen.DONE_PART,
    Outcome.SUSPENSE: Screen.RECORDED,
    Outcome.TRANSFER_WAITS: Screen.TRANSFER_WAITS,
    Outcome.REVOKED: Screen.REVOKED,
}
_REVERSED = {
    Movement.CASH: Screen.NO_CASH,
    Movement.TRANSFER: Screen.NO_TRANSFER,
    Movement.REVOCATION: Screen.REVOCATION_RECORDED,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A screen, its text, and whether the card is on its way out."""

    screen: Screen
    text: Text
    asks_for_card: bool


def screen_of(withdrawal: Withdrawal) -> Shown:
    """Return what to show; every state has a screen, the last two by the outcome."""
    screen = _OF_STATE.get(withdrawal.state)
    if screen is None:
        assert withdrawal.outcome is not None
        screen = _OF_OUTCOME[withdrawal.outcome]
        if withdrawal.outcome is Outcome.REVERSED:
            screen = _REVERSED[withdrawal.movement]
    is_out = withdrawal.state in {State.CLOSING, State.STACKED}
    return Shown(screen, TEXTS[screen], asks_for_card=is_out)
