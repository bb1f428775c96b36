"""The log of orders in a real database: nothing changed, nothing lost, each step in the audit."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from central.audit import AuditLog
from central.orders.book import Application, Book
from central.orders.desk import OrderDesk
from central.orders.kinds import OrderKind, OrderRefusedError, OrderState
from central.orders.log import (
    SqlOrderLog,
    application_json,
    read_application,
    released_orders,
)
from central.orders.wrongly_held import wrongly_held
from central.reports import INDICATORS, Counter
from central.store.interface import StoreUnavailableError
from central.store.migrations import migrate, migrations
from central.store.sqlite import open_sqlite
from contract.accounts import CardRef
from contract.clock import UnixMicros
from tests.central.kit import Central
from tests.central.test_order_desk import AREA, LAW, NUMBERS, Office, officer
from tests.orders import HOUR_US

ids = st.binary(min_size=16, max_size=16)
moments = st.integers(1, 2**62).map(UnixMicros)
digests = st.binary(min_size=32, max_size=32)
words = st.text(max_size=20)


def with_log(central: Central) -> Office:
    """An office whose log is in the store."""
    office = Office()
    office.log = SqlOrderLog(central.store, office.clock)  # type: ignore[assignment]
    office.desk = office.open(counter=central.store.take_order_counter)
    return office


@given(
    st.builds(
        Application,
        order_id=ids,
        kind=st.sampled_from(OrderKind),
        sender=words,
        application_id=words,
        case=words,
        area=words,
        account=st.none() | st.builds(CardRef, hmac=digests, last4=st.just("0012")),
        amount_fen=st.integers(0, 2**60),
        transfer_at=moments,
        limit_fen=st.none() | st.integers(1, 2**60),
        is_urgent=st.booleans(),
        parent=st.none() | digests,
        tier=st.integers(1, 9),
        targets=st.lists(ids, max_size=3).map(tuple),
        ground=words,
        drafted_by=words,
        drafted_at=moments,
        until=st.none() | moments,
        counter=st.integers(1, 2**60),
    )
)
def test_an_application_is_kept_as_it_was(application: Application) -> None:
    assert read_application(application_json(application)) == application


def test_a_central_that_starts_again_has_the_same_book(either: Central) -> None:
    office = with_log(either)
    stop = office.order()
    office.draft(OrderKind.WATCH, until=UnixMicros(office.clock.wall() + 10**9))
    with pytest.raises(OrderRefusedError, match="DUPLICATE"):
        office.draft(application_id=stop.application.application_id)
    again = Book(LAW, office.log.load())
    assert list(again) == list(office.desk.book)
    assert again.get(stop.application.order_id).state is OrderState.FED_BACK
    opened = OrderDesk(again, office.log, office.desk._with).open_sealed(stop.application.order_id)
    assert opened.number == NUMBERS[0]
    actions = [row.action for row in reversed(either.store.audit_rows(50))]
    assert actions == [
        *("order.draft", "order.sign", "order.complete", "order.send", "order.match"),
        *("order.execute", "order.feed_back", "order.draft", "order.refused"),
    ]
    newest = either.store.audit_rows(1)[0]
    assert (newest.actor, newest.outcome) == ("li", "refused")
    assert newest.detail["reason"] == "DUPLICATE"
    assert AuditLog(either.store, either.clock).verify().is_intact


def test_wrongly_held_minutes_come_out_of_the_store_alone(either: Central) -> None:
    office = with_log(either)
    office.order()
    office.clock.advance(47 * HOUR_US)
    office.order(OrderKind.EXTEND_STOP)
    office.order(number=NUMBERS[1])
    office.clock.advance(13 * HOUR_US)
    now = office.clock.wall()
    office.order(OrderKind.RELEASE_STOP, ground="wrong_account")
    office.order(OrderKind.RELEASE_STOP, number=NUMBERS[1], ground="no_longer_needed")
    found = released_orders(either.store, LAW, now, now + 1)
    assert [r.application.kind for r in found].count(OrderKind.RELEASE_STOP) == 2
    assert wrongly_held(found, now, now + 1).total_minutes == 60 * 60
    assert wrongly_held(found, now, now + 1) == wrongly_held(office.desk.book, now, now + 1)
    assert released_orders(either.store, LAW, now + 1, now + HOUR_US) == []
    own = Counter(either.store, AREA, AREA, int(now))
    day = int(now), int(now) + 1
    figures = {i.name: i.count(own, *day) for i in INDICATORS}
    assert (figures["wrong_holds"], figures["wrongly_held"]) == (1, 60 * 60)
    elsewhere = Counter(either.store, "110000", AREA, int(now))
    assert elsewhere.wrong_holds(*day).holds == ()


def test_no_number_and_no_name_stands_in_the_file(central: Central) -> None:
    office = with_log(central)
    office.order()
    central.store.close()
    raw = b"".join(p.read_bytes() for p in central.path.parent.iterdir() if p.is_file())
    for secret in (NUMBERS[0].encode(), "张三".encode(), NUMBERS[0].encode().hex().encode()):
        assert secret not in raw


def test_what_happened_cannot_be_changed_in_the_database(either: Central) -> None:
    with_log(either).order()
    for sql in ("UPDATE order_events SET actor = 'x'", "DELETE FROM order_events"):
        with (
            pytest.raises(sa.exc.DatabaseError, match="append-only"),
            either.store._engine.begin() as connection,
        ):
            connection.exec_driver_sql(sql)


def test_a_step_that_cannot_be_kept_is_not_taken(central: Central) -> None:
    office = with_log(central)
    draft = office.draft()
    name = draft.application.order_id
    signature = office.signature(name, "li")

    def broken(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("disk full")

    append, office.log.append = office.log.append, broken  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        office.desk.sign(officer("li"), name, signature)
    assert office.desk.book.get(name).signers == ()
    office.log.append = append  # type: ignore[method-assign]
    assert office.sign(name).state is OrderState.FED_BACK


def test_counters_go_on_from_those_of_an_older_store(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        migrate(connection, migrations()[:8])
        with connection:
            connection.execute("INSERT INTO orders VALUES (x'01', 'officers', 41, 1, 2, '[]', x'')")
    store = open_sqlite(tmp_path / "store")
    assert [store.take_order_counter(), store.take_order_counter()] == [42, 43]
    store.close()


def test_a_draft_and_what_the_central_signs_itself_never_share_a_counter(central: Central) -> None:
    office = with_log(central)
    first = office.draft().application.counter
    between = central.store.take_order_counter()
    second = office.draft().application.counter
    assert first < between < second
