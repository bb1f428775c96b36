"""Kinds of orders as data: what each one holds, ends or renews, and its code at the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from central.clocks import Subject
from contract.words import OrderType


class Hold(StrEnum):
    """What lies on an account while an order lives."""

    STOP = "stop"
    FREEZE = "freeze"
    WATCH = "watch"
    """Silent: the customer is served as always, and the centre is told."""
    SUSPENSION = "suspension"
    LINK = "link"


class OrderKind(StrEnum):
    """Everything that two officers may order."""

    STOP_PAYMENT = "stop_payment"
    RELEASE_STOP = "release_stop"
    EXTEND_STOP = "extend_stop"
    FREEZE = "freeze"
    RELEASE_FREEZE = "release_freeze"
    EXTEND_FREEZE = "extend_freeze"
    WATCH = "watch"
    END_WATCH = "end_watch"
    SUSPEND = "suspend"
    RESUME = "resume"
    CROSS_ATM_LINK = "cross_atm_link"
    END_CROSS_ATM_LINK = "end_cross_atm_link"
    LIST_UPDATE = "list_update"
    NUMBER_REPORT = "number_report"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRule:
    """How one kind behaves."""

    begins: Hold | None = None
    ends: Hold | None = None
    renews: Hold | None = None
    wire: OrderType | None = None
    """Type under which the machines get it; None: it reaches them through the list, or never."""
    is_matched: bool = False
    """Whether the bank compares name, account, amount and time before anything is done."""
    term: Subject | None = None
    """Row of the law that sets how long it holds."""


_K = OrderKind
KINDS: Mapping[OrderKind, KindRule] = {
    _K.STOP_PAYMENT: KindRule(
        begins=Hold.STOP,
        wire=OrderType.STOP_PAYMENT,
        is_matched=True,
        term=Subject.STOP_PAYMENT,
    ),
    _K.RELEASE_STOP: KindRule(ends=Hold.STOP, wire=OrderType.RELEASE_STOP),
    _K.EXTEND_STOP: KindRule(
        begins=Hold.STOP, renews=Hold.STOP, wire=OrderType.EXTEND_STOP, term=Subject.STOP_PAYMENT
    ),
    _K.FREEZE: KindRule(
        begins=Hold.FREEZE, wire=OrderType.FREEZE, is_matched=True, term=Subject.FREEZE
    ),
    _K.RELEASE_FREEZE: KindRule(ends=Hold.FREEZE, wire=OrderType.RELEASE_FREEZE),
    _K.EXTEND_FREEZE: KindRule(
        begins=Hold.FREEZE, renews=Hold.FREEZE, wire=OrderType.EXTEND_FREEZE, term=Subject.FREEZE
    ),
    _K.WATCH: KindRule(begins=Hold.WATCH),
    _K.END_WATCH: KindRule(ends=Hold.WATCH),
    _K.SUSPEND: KindRule(begins=Hold.SUSPENSION),
    _K.RESUME: KindRule(ends=Hold.SUSPENSION),
    _K.CROSS_ATM_LINK: KindRule(begins=Hold.LINK, wire=OrderType.CROSS_ATM_LINK),
    _K.END_CROSS_ATM_LINK: KindRule(ends=Hold.LINK, wire=OrderType.END_CROSS_ATM_LINK),
    _K.LIST_UPDATE: KindRule(),
    _K.NUMBER_REPORT: KindRule(),
}

AT_THE_BANK = frozenset(
    {
        _K.STOP_PAYMENT,
        _K.RELEASE_STOP,
        _K.EXTEND_STOP,
        _K.FREEZE,
        _K.RELEASE_FREEZE,
        _K.EXTEND_FREEZE,
        _K.WATCH,
        _K.END_WATCH,
    }
)
"""Kinds that the stop-payment platform has a code for (``platform.json``)."""


class OrderState(StrEnum):
    """Where an order stands."""

    DRAFTED = "drafted"
    SIGNED = "signed"
    SENT = "sent"
    MATCHED = "matched"
    MISMATCHED = "mismatched"
    EXECUTED = "executed"
    FED_BACK = "fed_back"
    EXPIRED = "expired"
    RELEASED = "released"
    EXTENDED = "extended"
    REFUSED = "refused"
    LAPSED = "lapsed"
    """Nobody signed or sent it in time."""
    WITHDRAWN = "withdrawn"

    @property
    def is_live(self) -> bool:
        """Whether it is carried out and not ended: what it holds is held."""
        return self in _LIVE


_LIVE = frozenset({OrderState.EXECUTED, OrderState.FED_BACK})


class Trigger(StrEnum):
    """What moves an order."""

    DRAFT = "draft"
    SIGN = "sign"
    COMPLETE = "complete"
    """The last signature that its kind demands."""
    SEND = "send"
    MATCH = "match"
    MISMATCH = "mismatch"
    REFUSE = "refuse"
    EXECUTE = "execute"
    FEED_BACK = "feed_back"
    EXPIRE = "expire"
    RELEASE = "release"
    EXTEND = "extend"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"


_S, _T = OrderState, Trigger
TRANSITIONS: Mapping[tuple[OrderState, Trigger], OrderState] = {
    (_S.DRAFTED, _T.SIGN): _S.DRAFTED,
    (_S.DRAFTED, _T.COMPLETE): _S.SIGNED,
    (_S.DRAFTED, _T.LAPSE): _S.LAPSED,
    (_S.DRAFTED, _T.WITHDRAW): _S.WITHDRAWN,
    (_S.SIGNED, _T.SEND): _S.SENT,
    (_S.SIGNED, _T.REFUSE): _S.REFUSED,
    (_S.SENT, _T.MATCH): _S.MATCHED,
    (_S.SENT, _T.MISMATCH): _S.MISMATCHED,
    (_S.SENT, _T.REFUSE): _S.REFUSED,
    (_S.MATCHED, _T.EXECUTE): _S.EXECUTED,
    (_S.EXECUTED, _T.FEED_BACK): _S.FED_BACK,
    **{
        (live, trigger): state
        for live in _LIVE
        for trigger, state in (
            (_T.EXPIRE, _S.EXPIRED),
            (_T.RELEASE, _S.RELEASED),
            (_T.EXTEND, _S.EXTENDED),
        )
    },
}
"""The whole machine. A pair that is not here cannot happen."""


_GOES_ON = frozenset(state for state, _ in TRANSITIONS)


def is_over(kind: OrderKind, state: OrderState) -> bool:
    """Whether nothing moves such an order any more; one that holds nothing ends when fed back."""
    if state is OrderState.FED_BACK:
        return KINDS[kind].begins is None
    return state not in _GOES_ON


def display_state(state: OrderState) -> str:
    """Return the word of the scenario format: ACTIVE, EXPIRED, RELEASED; else the state's own."""
    return "ACTIVE" if state.is_live else state.value.upper()


class Reason(StrEnum):
    """Why an order was refused; the first three are words of the scenario format."""

    DUPLICATE = "DUPLICATE"
    MAX_TWO_STOPS = "MAX_TWO_STOPS"
    NOT_SIGNED_BY_TWO = "NOT_SIGNED_BY_TWO"
    NAME_MISMATCH = "NAME_MISMATCH"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    TIME_MISMATCH = "TIME_MISMATCH"
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    SAME_OFFICER = "SAME_OFFICER"
    WRONG_TIER = "WRONG_TIER"
    UNKNOWN_SIGNER = "UNKNOWN_SIGNER"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOTHING_TO_END = "NOTHING_TO_END"
    NOT_NOW = "NOT_NOW"
    """The order's state does not allow it."""
    TOO_LATE = "TOO_LATE"
    MALFORMED = "MALFORMED"
    BANK_REFUSED = "BANK_REFUSED"


class OrderRefusedError(Exception):
    """An order, or a step of one, that is refused: nothing changed."""

    def __init__(
        self, reason: Reason, detail: str, *, hint: str = "", return_code: str = ""
    ) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.hint = hint
        """Code of the order that is the way on."""
        self.return_code = return_code
