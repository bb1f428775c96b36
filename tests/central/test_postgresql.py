"""PostgreSQL as the store: the same history, the same tables, the same promises as SQLite."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from central.store import EventKind, MigrationError, StoreUnavailableError, unit_tables
from central.store.migrations import Migration, migrations
from central.store.opening import check_store_url, open_store
from central.store.postgresql import migrate_postgresql, version_of
from central.store.tables import metadata
from contract.topics import Lane
from contract.words import AlertKind, Presence, Severity
from qianshao.bench_postgresql import PostgresServer
from tests.central.kit import START, Central, Station, a_decision, a_health, an_attack
from tests.samples import a_detection

pytestmark = pytest.mark.postgresql


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))


def test_the_core_tables_agree_with_the_migrated_database(
    postgresql: PostgresServer, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    open_store(tmp_path, url).close()
    engine = engine_of(url)
    inspector = sa.inspect(engine)
    assert unit_tables.feeds.metadata is metadata  # a room of its own, that nothing else here loads
    assert set(inspector.get_table_names()) == {*metadata.tables, "schema_version"}
    for name, table in metadata.tables.items():
        found = {
            column["name"]: (column["type"].python_type, column["nullable"])
            for column in inspector.get_columns(name)
        }
        wanted = {c.name: (_python_type(c.type), bool(c.nullable)) for c in table.columns}
        assert found == wanted, name
        primary = inspector.get_pk_constraint(name)["constrained_columns"]
        assert primary == [c.name for c in table.primary_key], name
        uniques = {u["name"] for u in inspector.get_unique_constraints(name)}
        indexes = {
            (i["name"], tuple(i["column_names"]))
            for i in inspector.get_indexes(name)
            if i["name"] not in uniques
        }
        assert indexes == {(i.name, tuple(c.name for c in i.columns)) for i in table.indexes}, name
    engine.dispose()


def _python_type(kind: sa.types.TypeEngine[object]) -> type:
    plain: sa.types.TypeEngine[object] = kind
    if isinstance(kind, sa.types.TypeDecorator):
        plain = kind.impl_instance
    return plain.python_type


@pytest.mark.parametrize("old", range(len(migrations())))
def test_each_old_version_is_brought_to_the_last(postgresql: PostgresServer, old: int) -> None:
    url = postgresql.new_database()
    engine = engine_of(url)
    assert migrate_postgresql(engine, migrations()[:old]) == old
    if old:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO events (at, kind, data) VALUES (1, 'device', '{}')"
            )
    engine.dispose()
    store = open_store(Path(), url)
    with store._engine.connect() as connection:
        assert version_of(connection) == len(migrations())
    assert store.last_event_id() == (1 if old else 0)
    store.close()


def test_a_step_that_fails_leaves_no_trace(postgresql: PostgresServer) -> None:
    engine = engine_of(postgresql.new_database())
    steps = (
        Migration(1, "CREATE TABLE a (x BIGINT);"),
        Migration(2, "CREATE TABLE b (x BIGINT); INSERT INTO nowhere VALUES (1);"),
    )
    with pytest.raises(MigrationError, match=r"schema/0002\.sql: .*nowhere"):
        migrate_postgresql(engine, steps)
    assert set(sa.inspect(engine).get_table_names()) == {"a", "schema_version"}
    with pytest.raises(MigrationError, match="the store has schema 1, this program knows 0"):
        migrate_postgresql(engine, ())
    engine.dispose()


def test_two_programs_that_start_together_migrate_once(postgresql: PostgresServer) -> None:
    url = postgresql.new_database()
    problems: list[Exception] = []

    def start() -> None:
        try:
            open_store(Path(), url).close()
        except (StoreUnavailableError, MigrationError) as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def test_messages_alerts_and_receipts_are_as_in_sqlite(either: Central) -> None:
    van = either.enrol(Station())
    attack = an_attack()
    either.take(van.topic(), van.next(a_detection()), van.next(a_health()), van.next(a_decision()))
    either.take(van.topic(Lane.DECISIONS), van.next(attack))
    either.take(van.state_topic, van.state(Presence.ONLINE))
    again = van.seal(a_health(), seq=2)
    either.take(van.topic(), again)
    kinds = {row.kind: row for row in either.store.alerts(10)}
    assert AlertKind.PRESENTATION_ATTACK in kinds
    assert kinds[AlertKind.PRESENTATION_ATTACK].severity is Severity.HIGH
    assert either.intake.receipts()[-1].up_to == 4
    totals = either.store.totals()
    assert (totals.messages, totals.detections, totals.decisions) == (4, 1, 2)
    snapshot = either.store.snapshot(10, 10)
    assert snapshot.last_event_id == either.events[-1].id
    assert [event.id for event in either.events] == sorted(event.id for event in either.events)


def test_a_nul_in_a_text_from_outside_does_not_stop_the_store(either: Central) -> None:
    with either.store.transaction() as tx:
        tx.add_event(START, EventKind.DEVICE, {"text": "a\x00b"})
        tx.update_device("nobody", name="a\x00b")
    either.enrol(Station())
    with either.store.transaction() as tx:
        tx.update_device("van-1", name="a\x00b")
    device = either.store.device("van-1")
    assert device is not None
    assert device.name in {"a\x00b", "a\N{REPLACEMENT CHARACTER}b"}


def test_events_become_visible_in_the_order_of_their_numbers(
    postgresql: PostgresServer, tmp_path: Path
) -> None:
    """A second writer waits, so that no reader ever skips an event that comes later."""
    store = open_store(tmp_path, postgresql.new_database())
    order: list[str] = []

    def second() -> None:
        with store.transaction() as tx:
            order.append("second")
            tx.add_event(2, EventKind.DEVICE, {})

    with store.transaction() as tx:
        tx.add_event(1, EventKind.DEVICE, {})
        other = threading.Thread(target=second)
        other.start()
        other.join(0.3)
        assert other.is_alive()
        order.append("first")
        assert store.last_event_id() == 0  # readers are not held up, and see nothing yet
    other.join(30)
    assert order == ["first", "second"]
    assert [event.at for event in store.events_after(0, 10)] == [1, 2]
    store.close()


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="PostgreSQL"):
        open_store(tmp_path, f"postgresql://qianshao@/nowhere?host={tmp_path}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mysql://root@host/db", "only postgresql"),
        ("postgresql://user:secret@host/db", "password file"),
        ("no url", "it is no URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_store_url(text)
