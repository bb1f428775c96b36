"""What officers sign: for an order to machines the very bytes they get, else a list of its own."""

from __future__ import annotations

from typing import Any

from central.orders.book import Application
from central.orders.kinds import KINDS, OrderKind
from contract.clock import UnixMicros
from contract.codec import DecodeError, decode, encode
from contract.cosign import order_content
from contract.orders import (
    VERSION,
    AccountHold,
    AccountRelease,
    CrossAtmLink,
    CrossAtmLinkEnd,
    Order,
    OrderBody,
)

OWN_SCHEMA = "qianshao/central-order/1"
_OWN = (
    *("issuer", "kind", "order_id", "counter", "drafted_at", "case", "account", "until"),
    *("targets", "ground"),
)
"""What follows the schema in the list that is signed, in this order."""
CLOCK_BEHIND_US = 24 * 3600 * 1_000_000
"""So far a machine's clock may be behind: one that refuses an order as too early stops nothing."""
DELIVERY_US = 200 * 24 * 3600 * 1_000_000
"""A release is delivered as long as what it ends could still hold: longer than any freeze."""


def body_of(application: Application) -> OrderBody:
    """Return what the machines are told; raises ValueError for what they are never told."""
    account, until = application.account, application.until
    kind = application.kind
    if kind is OrderKind.CROSS_ATM_LINK and until is not None:
        accounts = () if account is None else (account,)
        return CrossAtmLink(
            case=application.case,
            until=until,
            accounts=accounts,
            machines=application.machines or None,
        )
    if kind is OrderKind.END_CROSS_ATM_LINK:
        return CrossAtmLinkEnd(ends=application.targets)
    if account is None:
        raise ValueError("it names no account")
    if KINDS[kind].ends is not None:
        return AccountRelease(account=account, releases=application.targets, case=application.case)
    if until is None:
        raise ValueError("a hold has an end")
    return AccountHold(
        account=account,
        until=until,
        application_id=application.application_id,
        case=application.case,
        amount_fen=application.limit_fen,
        is_urgent=application.is_urgent,
        tier=application.tier,
        parent=None,
    )


def content_of(application: Application, issuer: str) -> bytes:
    """Return the bytes that are signed; raises ValueError."""
    wire = KINDS[application.kind].wire
    if wire is None:
        return encode(_own(application, issuer))
    until = application.until
    is_hold = KINDS[application.kind].begins is not None and until is not None
    expires = until if is_hold else application.drafted_at + DELIVERY_US
    assert expires is not None
    order = Order(
        version=VERSION,
        order_id=application.order_id,
        type=wire,
        issuer=issuer,
        counter=application.counter,
        issued_at=application.drafted_at,
        not_before=UnixMicros(application.drafted_at - CLOCK_BEHIND_US),
        expires=UnixMicros(expires),
    )
    return order_content(order, body_of(application))


def _own(application: Application, issuer: str) -> list[Any]:
    """Everything that an order within the centre says."""
    account = application.account
    return [
        OWN_SCHEMA,
        issuer,
        application.kind.value,
        application.order_id,
        application.counter,
        int(application.drafted_at),
        application.case,
        b"" if account is None else account.hmac,
        int(application.until or 0),
        list(application.targets),
        application.ground,
    ]


def read_own_content(content: bytes) -> dict[str, Any] | None:
    """Say what an order within the centre says; None for one that goes to machines.

    Raises ValueError for bytes that are neither.
    """
    try:
        values: Any = decode(content, "order")
    except DecodeError as error:
        raise ValueError(str(error)) from None
    if isinstance(values, dict):
        return None
    if not (isinstance(values, list) and len(values) == len(_OWN) + 1 and values[0] == OWN_SCHEMA):
        raise ValueError("these bytes are no order")
    shown = dict(zip(_OWN, values[1:], strict=True))
    return {
        name: value.hex()
        if isinstance(value, bytes)
        else [one.hex() if isinstance(one, bytes) else one for one in value]
        if isinstance(value, list)
        else value
        for name, value in shown.items()
    }
