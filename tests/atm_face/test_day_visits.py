"""The day's visits: sealed, erased with their term, linked only under an order of two officers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atm_face.day_visits import (
    DEFAULT_RETENTION,
    VISITS_MAX,
    DayVisits,
    LinkError,
    Retention,
    _packed,
    _unpacked,
)
from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.orders import CrossAtmLink
from contract.words import OrderType
from tests.orders import CARD, FIND, HOUR_US, NOW, OFFICERS, TENANT, an_order, signed

LINK = OrderType.CROSS_ATM_LINK
DEVICE_KEY, OTHER_CARD = b"k" * 32, b"o" * 32
B = X25519PrivateKey.generate()


def a_store(folder: Path, engine: SFaceEngine, name: str, **changes: Any) -> DayVisits:
    fields: dict[str, Any] = {"device": name, "tenant": TENANT, "find_key": FIND} | changes
    return DayVisits(folder / name, DEVICE_KEY, engine, **fields)


@pytest.fixture
def machines(tmp_path: Path, engine: SFaceEngine) -> Iterator[tuple[DayVisits, DayVisits]]:
    first, second = (a_store(tmp_path, engine, name) for name in ("atm-1", "atm-2"))
    first.add(made_up_template(engine, "mule"), CARD.hmac, NOW)
    first.add(made_up_template(engine, "customer"), OTHER_CARD, NOW)
    second.add(made_up_template(engine, "somebody"), OTHER_CARD, NOW)
    second.add(made_up_template(engine, "mule"), b"x" * 32, NOW + 60_000_000)
    yield first, second
    first.close()
    second.close()


def test_an_order_links_the_visits_of_its_cards_and_no_others(
    machines: tuple[DayVisits, DayVisits],
) -> None:
    first, second = machines
    order, now = signed(LINK), NOW + HOUR_US
    parcel = first.parcel(order, B.public_key(), now_us=now)
    (found,) = second.linked(order, parcel, B, now_us=now)
    assert (found.case, found.captured_us, found.visit) == ("C-1", NOW + 60_000_000, 2)
    assert found.similarity == pytest.approx(1.0)
    accounts = (CardRef(hmac=b"n" * 32, last4="0000"),)
    body = CrossAtmLink(case="C-2", until=UnixMicros(NOW + 48 * HOUR_US), accounts=accounts)
    with pytest.raises(LinkError, match="no visit of the cards"):
        first.parcel(signed(LINK, 2, body=body), B.public_key(), now_us=now)


def test_nobody_links_without_an_order_in_force(machines: tuple[DayVisits, DayVisits]) -> None:
    first, second = machines
    order, now = signed(LINK), NOW + HOUR_US
    parcel = first.parcel(order, B.public_key(), now_us=now)
    refused: list[tuple[bytes, dict[str, Any], str]] = [
        (b"", {}, "does not hold"),
        (signed(LINK, by=[OFFICERS["li"]]), {}, "does not hold"),
        (signed(LINK, tenant="other"), {}, "does not hold"),
        (signed(OrderType.FREEZE), {}, "links nothing"),
        (signed(LINK, targets=("atm-9",)), {}, "for other machines"),
        (order, {"now_us": NOW + 48 * HOUR_US}, "not in force"),
        (order, {"now_us": NOW - 1}, "not in force"),
        (order, {"ended": (an_order(LINK).order_id,)}, "was ended"),
    ]
    for raw, changes, words in refused:
        fields: dict[str, Any] = {"now_us": now} | changes
        with pytest.raises(LinkError, match=words):
            first.parcel(raw, B.public_key(), **fields)
        with pytest.raises(LinkError, match=words):
            second.linked(raw, parcel, B, **fields)


def test_a_parcel_of_another_order_or_for_another_machine_does_not_open(
    machines: tuple[DayVisits, DayVisits],
) -> None:
    first, second = machines
    now = NOW + HOUR_US
    parcel = first.parcel(signed(LINK), B.public_key(), now_us=now)
    for raw, own in ((signed(LINK, 2), B), (signed(LINK), X25519PrivateKey.generate())):
        with pytest.raises(LinkError, match="another machine, order or engine"):
            second.linked(raw, parcel, own, now_us=now)
    for cut in (b"", parcel[:40], parcel + b"x"):
        with pytest.raises(LinkError, match="another machine"):
            second.linked(signed(LINK), cut, B, now_us=now)


def test_visits_are_sealed_and_erased_with_their_hour(tmp_path: Path, engine: SFaceEngine) -> None:
    store = a_store(tmp_path, engine, "atm-1")
    template = made_up_template(engine, "mule")
    store.add(template, CARD.hmac, NOW)
    raw = (tmp_path / "atm-1").read_bytes()
    assert struct.pack(">d", template.vector[0]) not in raw
    assert CARD.hmac not in raw
    (salt,) = store._db.execute("SELECT salt FROM hour").fetchone()
    assert salt in raw
    assert store.forget(NOW + 23 * HOUR_US) == 0
    assert store.forget(NOW + 24 * HOUR_US) == 1
    assert store.count() == 0
    assert salt not in (tmp_path / "atm-1").read_bytes()
    other = DayVisits(
        tmp_path / "atm-1", b"x" * 32, engine, device="atm-1", tenant=TENANT, find_key=FIND
    )
    store.add(template, CARD.hmac, NOW)
    with pytest.raises(LinkError, match="no visit"):  # another device's key shows nobody
        other.parcel(signed(LINK), B.public_key(), now_us=NOW)
    other.close()
    store.close()


def test_the_term_is_a_dated_row(tmp_path: Path, engine: SFaceEngine) -> None:
    rows = (
        *DEFAULT_RETENTION,
        Retention(in_force_from=date(2026, 1, 2), hours=2, basis="a later rule"),
    )
    store = a_store(tmp_path, engine, "atm-1", retention=rows)
    store.add(made_up_template(engine, "one"), CARD.hmac, NOW)
    assert store.forget(NOW + 2 * HOUR_US) == 1
    store.add(made_up_template(engine, "one"), CARD.hmac, NOW - 30 * HOUR_US)
    assert store.forget(NOW - 10 * HOUR_US) == 0
    store.close()
    with pytest.raises(ValueError, match="0 to 72 hours"):
        Retention(in_force_from=date(2026, 1, 1), hours=1000, basis="none")
    with pytest.raises(ValueError, match="legal basis"):
        Retention(in_force_from=date(2026, 1, 1), hours=24, basis=" ")
    assert VISITS_MAX == 10_000


@given(st.binary(max_size=100))
def test_any_bytes_are_vectors_or_an_error(raw: bytes) -> None:
    try:
        vectors = _unpacked(raw)
    except (ValueError, struct.error):
        return
    assert struct.pack(">H", len(vectors)) + b"".join(map(_packed, vectors)) == raw or any(
        value != value for vector in vectors for value in vector
    )
