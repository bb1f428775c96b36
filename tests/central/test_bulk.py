"""Rows of a batch: the driver gets what SQLAlchemy's types would give it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.store import open_sqlite
from central.store import tables as t
from central.store.alert_tables import observations
from central.store.bulk import Bulk
from central.store.interface import DetectionRow, Message
from central.store.sql import SqlStore
from central.store.write import columns
from contract.keys import public_pem
from contract.words import DetectionKind, DeviceKind, Level, Severity, TimeBasis

PEMS = [public_pem(Ed25519PrivateKey.generate().public_key()) for _ in range(4)]
MESSAGE = Message(
    device="van-1",
    seq=1,
    message_id=bytes(16),
    type="detection",
    boot_id=bytes(16),
    wall=1,
    mono=2,
    is_clock_synced=True,
    clock_error_ms=None,
    received_at=3,
    digest=bytes(32),
    prev=bytes(32),
    kid=b"k",
    cose=b"c",
)
DETECTION = DetectionRow(
    device="van-1",
    detection_id=bytes(16),
    revision=0,
    seq=1,
    kind=DetectionKind.FAKE_BASE_STATION,
    level=Level.OBSERVED,
    alert_kind=None,
    severity=Severity.WARNING,
    score=0.25,
    first_seen=1,
    last_seen=2,
    time_basis=TimeBasis.LIVE,
    body={"b": "伪基站", "a": [1, None, True]},
    received_at=3,
    alert_id=None,
)


@pytest.mark.parametrize(("table", "row"), [(t.messages, MESSAGE), (t.detections, DETECTION)])
def test_a_row_is_stored_as_sqlalchemy_would(
    tmp_path: Path, table: sa.Table, row: Message | DetectionRow
) -> None:
    store = open_sqlite(tmp_path / "central.sqlite3")
    assert isinstance(store, SqlStore)
    store.enrol("van-1", tenant="demo", kind=DeviceKind.VAN, name="", public_pem=PEMS.pop(), at=0)
    store.enrol("van-2", tenant="demo", kind=DeviceKind.VAN, name="", public_pem=PEMS.pop(), at=0)
    with store._engine.connect() as connection, connection.begin():
        Bulk(table).run(connection, [row])
        connection.execute(table.insert(), [columns(replace(row, device="van-2"))])
        names = ", ".join(c.name for c in table.columns if c.name != "device")
        types = ", ".join(f"typeof({c.name})" for c in table.columns)
        kept = connection.exec_driver_sql(f"SELECT {names}, {types} FROM {table.name}").all()
    store.close()
    assert len(kept) == 2
    assert kept[0] == kept[1]


def test_every_table_that_goes_this_way_has_only_forms_that_are_known() -> None:
    known = {"BigInteger", "Text", "LargeBinary", "Boolean", "Double", "Json", "Word"}
    for table in (t.messages, t.detections, observations):
        assert {type(column.type).__name__ for column in table.columns} <= known
