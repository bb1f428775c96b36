"""The SQLite store: its history, its file, and that Core and SQL mean the same tables."""

from __future__ import annotations

import re
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.store import (
    EventKind,
    MigrationError,
    StoreUnavailableError,
    open_sqlite,
    unit_tables,
)
from central.store.migrations import Migration, migrate, migrations, version_of
from central.store.tables import metadata
from contract.keys import KeySigner, public_pem
from contract.words import DeviceKind
from tests.central.kit import START, TENANT, Central, Station

OLD_ALERT = (
    "INSERT INTO alerts (id, key, kind, level, severity, state, subject, summary, device, seq,"
    " count, first_seen, last_seen, time_basis, raised_at, risen_at, updated_at)"
    " VALUES ({id}, 'k{id}', '{kind}', 'suspected', 'high', 'NEW', '{{}}', '{{}}', 'van-1', 1, 1,"
    " 1, 1, 'live', 1, 1, 1)"
)


def test_the_core_tables_agree_with_the_migrated_file(tmp_path: Path) -> None:
    open_sqlite(tmp_path / "store").close()
    dialect = sa.create_engine("sqlite://").dialect
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'store'}")
    inspector = sa.inspect(engine)
    assert unit_tables.feeds.metadata is metadata  # a room of its own, that nothing else here loads
    assert set(inspector.get_table_names()) == set(metadata.tables)
    for name, table in metadata.tables.items():
        found = {
            column["name"]: (column["type"].compile(dialect), column["nullable"])
            for column in inspector.get_columns(name)
        }
        wanted = {c.name: (c.type.compile(dialect), bool(c.nullable)) for c in table.columns}
        assert found == wanted, name
        primary = inspector.get_pk_constraint(name)["constrained_columns"]
        assert primary == [c.name for c in table.primary_key], name
        links = {
            (tuple(f["constrained_columns"]), f["referred_table"])
            for f in inspector.get_foreign_keys(name)
        }
        assert links == {((f.parent.name,), f.column.table.name) for f in table.foreign_keys}, name
        indexes = {(i["name"], tuple(i["column_names"])) for i in inspector.get_indexes(name)}
        assert indexes == {(i.name, tuple(c.name for c in i.columns)) for i in table.indexes}, name
    engine.dispose()


def test_an_empty_file_is_brought_to_the_last_version_once(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        assert version_of(connection) == 0
        assert migrate(connection) == len(migrations())
        assert migrate(connection) == len(migrations())
        assert version_of(connection) == len(migrations())


@pytest.mark.parametrize("old", range(1, len(migrations())))
def test_each_old_version_is_brought_to_the_last_with_its_rows(tmp_path: Path, old: int) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        assert migrate(connection, migrations()[:old]) == old
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            connection.execute(OLD_ALERT.format(id=1, kind="FAKE_BTS_SUSPECTED"))
            connection.execute(OLD_ALERT.format(id=2, kind="CLOCK_SKEW"))
            connection.execute("INSERT INTO events (at, kind, data) VALUES (1, 'device', '{}')")
    store = open_sqlite(tmp_path / "store")
    assert store.last_event_id() == 1
    skew, fake = store.alerts(10)
    assert (fake.is_technical, fake.state, fake.version, fake.area) == (False, "NEW", 0, "")
    assert skew.is_technical is (old < 6)  # what is stored since says it itself
    store.close()


def test_a_step_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    steps = (
        Migration(1, "CREATE TABLE a (x);"),
        Migration(2, "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);"),
    )
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        with pytest.raises(MigrationError, match=r"schema/0002\.sql: no such table: nowhere"):
            migrate(connection, steps)
        assert version_of(connection) == 1
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert tables == [("a",)]


def test_a_store_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(MigrationError, match="schema 99"):
        open_sqlite(tmp_path / "store")


def test_a_hole_in_the_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "0001.sql").write_text("SELECT 1;")
    (tmp_path / "0003.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match="without a hole"):
        migrations(tmp_path)


def test_the_file_is_the_owners_and_survives_a_power_cut_by_setting(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "folder" / "store")
    with store.transaction() as tx:
        tx.add_event(1, EventKind.DEVICE, {})
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    for file in (tmp_path / "folder").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    store.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"no database at all" * 100)
    with pytest.raises((StoreUnavailableError, MigrationError), match="not a database"):
        open_sqlite(tmp_path / "store")
    with pytest.raises(StoreUnavailableError):
        open_sqlite(tmp_path / "store" / "below")


def test_a_transaction_that_raises_changes_nothing(central: Central, van: Station) -> None:
    def write_and_fail() -> None:
        with central.store.transaction() as tx:
            tx.add_event(1, EventKind.DEVICE, {})
            tx.update_device("van-1", name="changed")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert central.store.last_event_id() == 0
    assert central.store.device("van-1").name == "Station van-1"  # type: ignore[union-attr]


def test_readers_are_not_held_up_by_a_writer(central: Central, van: Station) -> None:
    seen: list[int] = []
    with central.store.transaction() as tx:
        tx.add_event(1, EventKind.DEVICE, {})
        reader = threading.Thread(target=lambda: seen.append(central.store.last_event_id()))
        reader.start()
        reader.join(30)
    assert seen == [0]
    assert central.store.last_event_id() == 1


def test_event_numbers_are_never_given_twice(central: Central) -> None:
    with central.store.transaction() as tx:
        first = tx.add_event(1, EventKind.DEVICE, {}).id
    with central.store._engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM events")
        connection.commit()
    with central.store.transaction() as tx:
        assert tx.add_event(1, EventKind.DEVICE, {}).id == first + 1


def test_a_device_may_have_a_further_key_but_not_anothers(central: Central, van: Station) -> None:
    new = Ed25519PrivateKey.from_private_bytes(b"\x42" * 32)

    def enrol(device: str, key: Ed25519PrivateKey) -> None:
        central.store.enrol(
            device,
            tenant=TENANT,
            kind=DeviceKind.VAN,
            name="renamed",
            public_pem=public_pem(key.public_key()),
            at=START,
        )

    enrol("van-1", new)
    enrol("van-1", new)
    for key in (van.key, new):
        known = central.store.find_key(KeySigner(key).kid)
        assert known is not None
        assert known.owner == "van-1"
    with pytest.raises(ValueError, match="already belongs to van-1"):
        enrol("van-2", van.key)
    for name in ("central", "Van 2", "a/b"):
        with pytest.raises(ValueError, match=r"is no device|1 to 40"):
            enrol(name, new)
    assert [d.device for d in central.store.devices()] == ["van-1"]
    assert central.store.find_key(b"nobody") is None


def test_pages_look_at_no_whole_table(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "store")
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(store._engine, "before_cursor_execute")
    def _note(connection: Any, cursor: Any, sql: str, values: Any, *_: Any) -> None:
        asked.append((sql, values))

    store.snapshot(100, 30)
    store.totals()
    store.alert_kinds(frozenset({"000000"}), ("NEW", "ACKNOWLEDGED"))
    store.detections_of(1)
    store.detections_of_each([1, 2, 3])
    asked = [(sql, values) for sql, values in asked if sql.startswith("SELECT")]
    assert len(asked) > 8
    with closing(sqlite3.connect(tmp_path / "store")) as connection:
        for sql, values in asked:
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values):
                whole = re.fullmatch(r"SCAN (alerts|messages|detections|decisions)", step)
                assert whole is None, sql
                is_sorted = step == "USE TEMP B-TREE FOR ORDER BY"
                assert not is_sorted or re.search("detections|decisions", sql), sql
    store.close()
