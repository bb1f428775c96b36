"""Officers, a central and ready-made signed orders for the tests of every room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.accounts import CardRef, card_ref
from contract.clock import ClockQuality, MonoMicros, UnixMicros
from contract.cosign import FindOrderKey, OrderKey, sign_order
from contract.envelope import NO_PREVIOUS, seal
from contract.keys import KeySigner, PrivateKey, key_id, public_pem
from contract.messages import OrderDelivery, content_id
from contract.orders import (
    RULES,
    AccountHold,
    AccountRelease,
    CallVanOff,
    Configuration,
    CrossAtmLink,
    CrossAtmLinkEnd,
    EndNotice,
    Officer,
    Officers,
    Order,
    OrderBody,
    ReportHealth,
    RestartPart,
    SealedKeys,
    SendVan,
    ShowNotice,
)
from contract.words import OrderType, Signatory

TENANT = "demo"
NOW = UnixMicros(1_767_322_800_000_000)  # 2026-01-02T03:00:00Z
HOUR_US = 3600 * 1_000_000
CENTRAL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
OFFICERS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate(("li", "wang", "zhao"), start=101)
}
CARD: CardRef = card_ref("6222021234567894", b"k" * 32)


def officers(*names: str, bundle: int = 1) -> Officers:
    return Officers(
        bundle=bundle,
        officers=tuple(
            Officer(
                officer=name,
                public_pem=public_pem(OFFICERS[name].public_key()),
                valid_from=UnixMicros(NOW - 1000 * HOUR_US),
                valid_until=UnixMicros(NOW + 1000 * HOUR_US),
            )
            for name in names or tuple(OFFICERS)
        ),
    )


def find_order_key(kid: bytes) -> OrderKey | None:
    """All officers and the central, which is its own root here."""
    for name, key in OFFICERS.items():
        if key_id(key.public_key()) == kid:
            return OrderKey(name, frozenset({Signatory.OFFICER}), key.public_key())
    if kid == key_id(CENTRAL_KEY.public_key()):
        return OrderKey("central", frozenset({Signatory.CENTRAL}), CENTRAL_KEY.public_key())
    return None


FIND: FindOrderKey = find_order_key


def an_order(type_: OrderType, number: int = 1, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "version": 1,
        "order_id": content_id("test order", type_.value, number),
        "type": type_,
        "issuer": "central",
        "counter": number,
        "issued_at": NOW,
        "not_before": NOW,
        "expires": UnixMicros(NOW + 24 * HOUR_US),
    }
    return Order(**(fields | changes))


def a_body(type_: OrderType) -> OrderBody:
    """The least body of a type."""
    until = UnixMicros(NOW + 48 * HOUR_US)
    bodies: dict[type, OrderBody] = {
        AccountHold: AccountHold(account=CARD, until=until, application_id="A-1", case="C-1"),
        AccountRelease: AccountRelease(account=CARD, releases=(b"\x01" * 16,)),
        CrossAtmLink: CrossAtmLink(case="C-1", until=until, accounts=(CARD,)),
        CrossAtmLinkEnd: CrossAtmLinkEnd(ends=(b"\x01" * 16,)),
        ReportHealth: ReportHealth(),
        RestartPart: RestartPart(part="sensor modem0"),
        Officers: officers(),
        Configuration: Configuration(bundle=1, settings={"health.period_s": 7.0}),
        SendVan: SendVan(dispatch=b"\x05" * 16, case="C-1", lat=25.0, lon=102.7),
        CallVanOff: CallVanOff(dispatch=b"\x05" * 16),
        SealedKeys: SealedKeys(bundle=1, sealed=b"sealed"),
        ShowNotice: ShowNotice(notice=b"\x06" * 16, zh="谨防诈骗", en="Beware.", until=until),
        EndNotice: EndNotice(notice=b"\x06" * 16),
    }
    return bodies[RULES[type_].body]


def signed(
    type_: OrderType = OrderType.STOP_PAYMENT,
    number: int = 1,
    *,
    body: OrderBody | None = None,
    by: Sequence[PrivateKey] | None = None,
    tenant: str = TENANT,
    **changes: Any,
) -> bytes:
    """An order signed by those who have to, or by the named keys."""
    if by is None:
        is_by_two = RULES[type_].signatory is Signatory.OFFICER
        by = [OFFICERS["li"], OFFICERS["wang"]] if is_by_two else [CENTRAL_KEY]
    return sign_order(
        an_order(type_, number, **changes),
        body or a_body(type_),
        tenant=tenant,
        signers=[KeySigner(key) for key in by],
    )


def delivered(
    raw: bytes,
    *,
    device: str = "atm-1",
    attempt: int = 1,
    key: PrivateKey = CENTRAL_KEY,
    wall: int = NOW,
    mono: int = 5_000_000,
) -> bytes:
    """An order in a delivery of the central."""
    return seal(
        OrderDelivery(device=device, attempt=attempt, order=raw),
        tenant=TENANT,
        device="central",
        boot_id=b"\x09" * 16,
        seq=0,
        wall=UnixMicros(wall),
        mono=MonoMicros(mono),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=KeySigner(key),
    )
