"""The day's visits: sealed, erased with their term, linked only under an order of two officers."""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.day_visits import DEFAULT_RETENTION, VISITS_MAX, DayVisits, Retention
from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from atm_face.templates import StoreError
from atm_face.visit_parcels import MAX_FACES, LinkError, ParcelError
from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.orders import ComparingMachine, CrossAtmLink
from contract.words import OrderType
from tests.orders import CARD, FIND, HOUR_US, NOW, OFFICERS, TENANT, signed

LINK = OrderType.CROSS_ATM_LINK
DEVICE_KEY, OTHER_CARD = b"k" * 32, b"o" * 32
A_KEY = X25519PrivateKey.generate().public_key().public_bytes_raw()
B = X25519PrivateKey.generate()
MACHINES = (
    ComparingMachine(device="atm-1", key=A_KEY),
    ComparingMachine(device="atm-2", key=B.public_key().public_bytes_raw()),
)


def link(
    number: int = 1,
    *,
    accounts: tuple[CardRef, ...] = (CARD,),
    machines: tuple[ComparingMachine, ...] = MACHINES,
    **changes: Any,
) -> bytes:
    """An order that lets both machines compare."""
    until = UnixMicros(NOW + 48 * HOUR_US)
    body = CrossAtmLink(case="C-1", until=until, accounts=accounts, machines=machines)
    return signed(LINK, number, body=body, **changes)


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
    order, now = link(), NOW + HOUR_US
    made = first.parcels(order, ["atm-2"], now_us=now)
    assert (made.faces, made.up_to, made.is_last) == (1, 2, True)
    found = second.compare(order, made.raw["atm-2"], B, sender="atm-1", now_us=now)
    (alike,) = found.alike
    assert (alike.captured_us, alike.visit) == (NOW + 60_000_000, 2)
    assert alike.similarity == pytest.approx(1.0)
    assert (found.faces, found.compared) == (1, 2)
    assert first.parcels(order, ["atm-2"], now_us=now, after=1).raw == {}
    accounts = (CardRef(hmac=b"n" * 32, last4="0000"),)
    assert first.parcels(link(2, accounts=accounts), ["atm-2"], now_us=now).raw == {}


def test_nobody_links_without_an_order_in_force(machines: tuple[DayVisits, DayVisits]) -> None:
    first, second = machines
    order, now = link(), NOW + HOUR_US
    parcel = first.parcels(order, ["atm-2"], now_us=now).raw["atm-2"]
    refused: list[tuple[bytes, int, str]] = [
        (b"", now, "does not hold"),
        (link(by=[OFFICERS["li"]]), now, "does not hold"),
        (link(tenant="other"), now, "does not hold"),
        (signed(OrderType.FREEZE), now, "links nothing"),
        (link(targets=("atm-9",)), now, "for other machines"),
        (order, NOW + 48 * HOUR_US, "not in force"),
        (order, NOW - 1, "not in force"),
    ]
    for raw, at, words in refused:
        with pytest.raises(LinkError, match=words):
            first.parcels(raw, ["atm-2"], now_us=at)
        with pytest.raises(LinkError, match=words) as caught:
            second.compare(raw, parcel, B, sender="atm-1", now_us=at)
        assert not isinstance(caught.value, ParcelError)  # the parcel itself is not to blame


def test_only_a_machine_that_the_order_names_gets_and_opens_a_parcel(
    machines: tuple[DayVisits, DayVisits],
) -> None:
    first, second = machines
    now = NOW + HOUR_US
    for to in ("atm-9", "atm-1"):
        with pytest.raises(LinkError, match=f"sends nothing to atm-2, {to}"):
            first.parcels(link(), ["atm-2", to], now_us=now)
    with pytest.raises(LinkError, match="sends nothing"):
        first.parcels(signed(LINK), ["atm-2"], now_us=now)  # it names no machine at all
    parcel = first.parcels(link(), ["atm-2"], now_us=now).raw["atm-2"]
    with pytest.raises(LinkError, match="lets others compare"):
        second.compare(
            link(machines=(ComparingMachine(device="atm-1", key=A_KEY),)),
            parcel, B, sender="atm-1", now_us=now,
        )  # fmt: skip


def test_a_parcel_of_another_order_machine_or_sender_does_not_open(
    machines: tuple[DayVisits, DayVisits],
) -> None:
    first, second = machines
    now = NOW + HOUR_US
    parcel = first.parcels(link(), ["atm-2"], now_us=now).raw["atm-2"]
    wrong = [
        (link(2), B, "atm-1", parcel),
        (link(), X25519PrivateKey.generate(), "atm-1", parcel),
        (link(), B, "atm-3", parcel),
        *((link(), B, "atm-1", cut) for cut in (b"", parcel[:40], parcel + b"x")),
        (link(), B, "atm-1", bytes(2 * 1024 * 1024 + 1)),
    ]
    for raw, own, sender, body in wrong:
        with pytest.raises(ParcelError):
            second.compare(raw, body, own, sender=sender, now_us=now)


def test_many_visits_go_in_several_parcels_each_once(tmp_path: Path, engine: SFaceEngine) -> None:
    store = a_store(tmp_path, engine, "atm-1")
    template = made_up_template(engine, "mule")
    for _ in range(MAX_FACES + 3):
        store.add(template, CARD.hmac, NOW)
    first = store.parcels(link(), ["atm-2"], now_us=NOW)
    assert (first.faces, first.up_to, first.is_last) == (MAX_FACES, MAX_FACES, False)
    second = store.parcels(link(), ["atm-2"], now_us=NOW, after=first.up_to)
    assert (second.faces, second.up_to, second.is_last) == (3, MAX_FACES + 3, True)
    third = store.parcels(link(), ["atm-2"], now_us=NOW, after=second.up_to)
    assert (third.faces, third.up_to, third.raw) == (0, MAX_FACES + 3, {})
    assert store.forget(NOW + 30 * HOUR_US) == MAX_FACES + 3
    assert store.last_number() == MAX_FACES + 3  # numbers are not given twice
    store.close()


def test_customers_are_sealed_while_parcels_are_made_and_compared(
    tmp_path: Path, engine: SFaceEngine
) -> None:
    store = a_store(tmp_path, engine, "atm-1")
    template, stop = made_up_template(engine, "mule"), threading.Event()
    problems: list[Exception] = []

    def serve() -> None:
        try:
            while not stop.is_set():
                store.add(template, CARD.hmac, NOW)
        except (sqlite3.Error, StoreError) as error:
            problems.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    for _ in range(30):
        store.parcels(link(), ["atm-2"], now_us=NOW)
    stop.set()
    thread.join(30)
    assert problems == []
    store.close()


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
    # Another device's key shows nobody.
    assert other.parcels(link(), ["atm-2"], now_us=NOW).raw == {}
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
