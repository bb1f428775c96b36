"""Orders that are none, put on the machines' topics by somebody: refused, fed back, audited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from central.audit import AuditLog
from central.orders.officers import kid_of
from contract.cosign import Signature, assemble, sign_content
from contract.keys import KeySigner, PrivateKey
from contract.topics import Channel
from contract.words import AlertKind, OrderRefusal
from tests.central.office import KEYS, NUMBER, OfficeTown
from tests.orders import HOUR_US, TENANT


@pytest.fixture
def town(tmp_path: Path) -> OfficeTown:
    return OfficeTown(tmp_path)


def content(town: OfficeTown) -> bytes:
    """What a real draft says; nobody has signed it yet."""
    return town.office.desk.content(town.draft().application.order_id)


def parts(raw: bytes, *keys: PrivateKey, tenant: str = TENANT) -> Sequence[Signature]:
    return [sign_content(raw, tenant=tenant, signer=KeySigner(key)) for key in keys]


LI, WANG, ZHAO = KEYS["li.wei"], KEYS["wang"], KEYS["zhao"]
FORGERIES: dict[str, tuple[Callable[[bytes], bytes], OrderRefusal]] = {
    "unsigned": (lambda raw: assemble(raw, []), OrderRefusal.NOT_SIGNED),
    "once": (lambda raw: assemble(raw, parts(raw, LI)), OrderRefusal.NOT_SIGNED_BY_TWO),
    "one officer twice": (
        lambda raw: assemble(raw, parts(raw, LI, LI)),
        OrderRefusal.NOT_SIGNED_BY_TWO,
    ),
    "a stranger": (lambda raw: assemble(raw, parts(raw, LI, ZHAO)), OrderRefusal.UNKNOWN_SIGNER),
    "of another tenant": (
        lambda raw: assemble(raw, parts(raw, LI, WANG, tenant="other")),
        OrderRefusal.BAD_SIGNATURE,
    ),
    "altered": (
        lambda raw: assemble(raw.replace(b"C-1", b"C-2"), parts(raw, LI, WANG)),
        OrderRefusal.BAD_SIGNATURE,
    ),
    "no order": (lambda raw: b"\x80" + raw, OrderRefusal.MALFORMED),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_order_changes_nothing_and_is_told(town: OfficeTown, what: str) -> None:
    forge, reason = FORGERIES[what]
    refused_everywhere(town, forge(content(town)), reason)


def test_an_expired_order_a_replay_and_a_removed_officers(town: OfficeTown) -> None:
    stop = town.order()
    raw = town.office.desk.signed_bytes(stop.application.order_id)
    town.order(kind=stop.application.kind.RELEASE_STOP, ground="wrong_account")
    for desk in town.desks.values():  # the very bytes again, after their release
        desk.take(Channel.ORDERS, raw)
        desk.step()
    assert reasons(town) == {"replayed"}
    assert holds(town) == {None}
    bundle = town.office.officers.newest()
    assert bundle is not None
    late = content(town)
    signed_before = assemble(late, parts(late, LI, WANG))
    gone = next(entry for entry in bundle.officers if entry.officer == "wang")
    town.office.officers.remove("admin", kid_of(gone))
    town.carry()
    refused_everywhere(town, signed_before, OrderRefusal.UNKNOWN_SIGNER)


def test_an_order_whose_time_is_over_is_refused(town: OfficeTown) -> None:
    raw = content(town)
    signed = assemble(raw, parts(raw, LI, WANG))
    town.central.clock.advance(48 * HOUR_US)
    refused_everywhere(town, signed, OrderRefusal.EXPIRED)


def refused_everywhere(town: OfficeTown, raw: bytes, reason: OrderRefusal) -> None:
    for desk in town.desks.values():
        desk.take(Channel.ORDERS, raw)
        desk.step()
    assert holds(town) == {None}
    assert reason.value in reasons(town)
    assert AlertKind.ORDER_REJECTED in {kind for kind, _ in town.alerts()}
    assert AuditLog(town.central.store, town.central.clock).verify().is_intact


def holds(town: OfficeTown) -> set[object]:
    return {desk.hold_on(town.office.ref(NUMBER)) for desk in town.desks.values()}


def reasons(town: OfficeTown) -> set[str]:
    rows = town.central.store.audit_rows(50, action="order.refused_at_device")
    assert {row.actor for row in rows} <= set(town.desks)
    assert {row.outcome for row in rows} <= {"refused"}
    return {row.detail["reason"] for row in rows}
