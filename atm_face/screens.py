"""What the customer reads and is asked to do, in Chinese and English.

No screen names police, a list or an order (scenario format, section 4.1): the customer learns that
the counter will help, and a bystander learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Prompt(StrEnum):
    """One thing the customer can do, as a word for the screen and the voice."""

    LOOK_AT_CAMERA = "LOOK_AT_CAMERA"
    COME_CLOSER = "COME_CLOSER"
    HOLD_STILL = "HOLD_STILL"
    FIND_EVEN_LIGHT = "FIND_EVEN_LIGHT"
    ONE_PERSON_ONLY = "ONE_PERSON_ONLY"
    REMOVE_COVER = "REMOVE_COVER"
    TURN_LEFT = "TURN_LEFT"
    TURN_RIGHT = "TURN_RIGHT"
    ENTER_PIN = "ENTER_PIN"
    APPROACH_LEFT = "APPROACH_LEFT"
    APPROACH_RIGHT = "APPROACH_RIGHT"
    ANTI_FRAUD_VOICE_ZH = "ANTI_FRAUD_VOICE_ZH"
    """Said in Chinese, shown, and confirmed by the customer before anything is sent."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text in both languages."""

    en: str
    zh: str


PROMPTS: dict[Prompt, Text] = {
    Prompt.LOOK_AT_CAMERA: Text("Please look straight at the camera.", "请正视摄像头"),
    Prompt.COME_CLOSER: Text("Please come closer.", "请靠近一些"),
    Prompt.HOLD_STILL: Text("Please hold still.", "请保持不动"),
    Prompt.FIND_EVEN_LIGHT: Text(
        "Please face the camera without light behind or on you.", "请避开强光或逆光"
    ),
    Prompt.ONE_PERSON_ONLY: Text("One person at a time, please.", "请单人操作"),
    Prompt.REMOVE_COVER: Text(
        "Please take off mask, dark glasses and hat.", "请摘下口罩、墨镜和帽子"
    ),
    Prompt.TURN_LEFT: Text("Please turn your head slowly to your left.", "请缓慢向左转头"),
    Prompt.TURN_RIGHT: Text("Please turn your head slowly to your right.", "请缓慢向右转头"),
    Prompt.ENTER_PIN: Text(
        "Please enter your PIN on the keypad. Cover it with your hand.",
        "请在密码键盘上输入密码，输入时请遮挡",
    ),
    Prompt.APPROACH_LEFT: Text(
        "Please come a little closer, then turn your head slowly to your left.",
        "请稍微靠近一些，然后缓慢向左转头",
    ),
    Prompt.APPROACH_RIGHT: Text(
        "Please come a little closer, then turn your head slowly to your right.",
        "请稍微靠近一些，然后缓慢向右转头",
    ),
    Prompt.ANTI_FRAUD_VOICE_ZH: Text(
        "Is somebody telling you to do this? Do you know who gets the money? If in doubt, do"
        " not go on; the counter will help you.",
        "是否有人要求您办理这笔业务？您是否认识收款人？如有疑问请勿继续，柜台可为您提供帮助",
    ),
}

ALLOWED = Text("Your transaction is being carried out.", "交易正在办理")

ALLOWED_DELAYED = Text(
    "Your transfer will be carried out in 24 hours; until then you can cancel it.",
    "您的转账将在24小时后办理，在此之前可以撤销",
)

COUNTER = Text(
    "This transaction cannot be done at this machine. Please go to the counter.",
    "本机无法办理此交易，请到柜台办理",
)
"""For every reason that the screen must not tell apart."""

CANCELLED = Text(
    "Cancelled. Please take your card. The counter is open to you at any time.",
    "已取消，请取走银行卡。您可随时到柜台办理",
)

PIN_BLOCKED = Text(
    "The PIN of this card is locked. Please go to the counter.", "此卡密码已锁定，请到柜台办理"
)
PIN_WRONG = Text(
    "The PIN is not correct. If you need help, please go to the counter.",
    "密码不正确，如需帮助请到柜台办理",
)
NOT_ENROLLED = Text(
    "No face is registered for this card. Please go to the counter.",
    "此卡未登记人脸，请到柜台办理",
)
COVERED = Text(
    "Your face cannot be seen. Please go to the counter.", "无法看到您的面部，请到柜台办理"
)
