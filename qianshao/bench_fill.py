"""A city's years for a store: the rows with which ``bench central`` fills SQLite or PostgreSQL."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

ALERTS = int(os.environ.get("QIANSHAO_BENCH_ALERTS", "100000"))
OBSERVATIONS = int(os.environ.get("QIANSHAO_BENCH_OBSERVATIONS", "5000000"))
_DEVICES = 50
_DECISIONS = 20_000
_COSE = bytes(340)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one table; the types are PostgreSQL's, for its binary copy."""

    table: str
    columns: dict[str, str]
    rows: Iterator[tuple[Any, ...]]

    @property
    def insert(self) -> str:
        """Statement of SQLite that adds one row."""
        marks = ",".join("?" * len(self.columns))
        return f"INSERT INTO {self.table} ({','.join(self.columns)}) VALUES ({marks})"  # noqa: S608


_COUNT = (
    "UPDATE tallies SET number = (SELECT COUNT(*) FROM messages) WHERE what = 'messages'",
    "UPDATE tallies SET number = (SELECT COUNT(*) FROM detections) WHERE what = 'detections'",
    "UPDATE tallies SET number = (SELECT COUNT(*) FROM decisions) WHERE what = 'decisions'",
)


def fill_sqlite(path: Path) -> None:
    """Fill an empty store whose schema is there already."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        with connection:
            for table in _tables():
                connection.executemany(table.insert, table.rows)
            for statement in _COUNT:
                connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_postgresql(url: str) -> None:
    """The same for a PostgreSQL database; its autovacuum's work is done at the end, not awaited."""
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            for table in _tables():
                _copy(connection, table)
            for statement in _COUNT:
                connection.execute(statement)
            connection.execute(
                "SELECT setval(pg_get_serial_sequence('alerts', 'id'), %s)", [ALERTS]
            )
        connection.execute("VACUUM ANALYZE")


def _copy(connection: psycopg.Connection[Any], table: _Rows) -> None:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(table.table), sql.SQL(",").join(map(sql.Identifier, table.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(list(table.columns.values()))
        for row in table.rows:
            copy.write_row(row)


def _columns(text: str, **others: str) -> dict[str, str]:
    """Names of columns: text where nothing else is said, numbers otherwise by keyword."""
    return {name: others.get(name, "text") for name in text.split()}


_ALERT = _columns(
    "id key kind level severity state subject summary device seq count first_seen last_seen"
    " time_basis raised_at risen_at updated_at is_technical area version escalation",
    **dict.fromkeys(
        ("id", "seq", "count", "first_seen", "last_seen", "raised_at", "risen_at", "updated_at",
         "version", "escalation"),
        "int8",
    ),
    is_technical="bool",
)  # fmt: skip
_DEVICE = _columns(
    "device tenant kind name version enrolled_at duplicates refused area health",
    **dict.fromkeys(("enrolled_at", "duplicates", "refused"), "int8"),
)
_DETECTION = _columns(
    "device detection_id revision seq kind level alert_kind severity score first_seen last_seen"
    " time_basis body received_at alert_id",
    **dict.fromkeys(
        ("revision", "seq", "first_seen", "last_seen", "received_at", "alert_id"), "int8"
    ),
    detection_id="bytea",
    score="float8",
)
_OBSERVATION = _columns(
    "device seq detection_id revision last_seen",
    **dict.fromkeys(("seq", "revision", "last_seen"), "int8"),
    detection_id="bytea",
)
_DECISION = _columns(
    "device seq visit decision reason decided_at received_at body alert_id",
    **dict.fromkeys(("seq", "decided_at", "received_at", "alert_id"), "int8"),
)
_MESSAGE = _columns(
    "device seq message_id type boot_id wall mono is_clock_synced received_at digest prev kid cose",
    **dict.fromkeys(("seq", "wall", "mono", "received_at"), "int8"),
    **dict.fromkeys(("message_id", "boot_id", "digest", "prev", "kid", "cose"), "bytea"),
    is_clock_synced="bool",
)


def _tables() -> Iterator[_Rows]:
    yield _Rows("devices", _DEVICE, _devices())
    yield _Rows("alerts", _ALERT, _alerts())
    yield _Rows("detections", _DETECTION, _detections())
    yield _Rows("observations", _OBSERVATION, _observations())
    yield _Rows("decisions", _DECISION, _decisions())
    yield _Rows("messages", _MESSAGE, _messages())


def _devices() -> Iterator[tuple[Any, ...]]:
    for n in range(_DEVICES):
        yield f"van-{n}", "bench", "van", "", "", 0, 0, 0, f"53{n % 9 + 1:02}02", _health(n)


def _health(device: int) -> str | None:
    """Last report of a van; one in five has none, and so no position."""
    if device % 5 == 4:
        return None
    where = {"lat_e7": 250_400_000 + device * 10_000, "lon_e7": 1_027_100_000 - device * 10_000}
    parts = [
        {"name": "gnss", "state": "ok", "detail": "", "counters": where},
        {"name": "outbox", "state": "ok", "detail": "", "counters": {"depth": device}},
    ]
    return json.dumps({"uptime_s": 3600, "parts": parts})


_KINDS = ("FAKE_BTS_SUSPECTED", "FAKE_BTS_CONFIRMED", "BLACK_BROADCAST_SUSPECTED", "CLOCK_SKEW")
_SEVERITIES = ("high", "critical", "high", "warning")
_STATES = ("NEW", "ACKNOWLEDGED", "CONFIRMED", "DISMISSED", "CLOSED", "CLOSED", "DISMISSED")
_BEGAN_US = 1_700_000_000_000_000
_PER_DETECTION = 10


def _alerts() -> Iterator[tuple[Any, ...]]:
    summary = json.dumps(
        {"rules": ["LAC_NOT_IN_PLAN", "CRO_EXTREME"], "sensor": "modem0", "source_file": "ttyUSB2",
         "source_place": "line 40"}
    )  # fmt: skip
    for n in range(1, ALERTS + 1):
        at = _BEGAN_US + n * 60_000_000
        subject = json.dumps(
            {"plmn": "460-00", "arfcn": n % 1024, "lac": n, "cell_id": n, **_position(n, 0)}
        )
        kind = n % len(_KINDS)
        yield (
            n, f"FAKE_BTS:{n:08x}", _KINDS[kind], "suspected", _SEVERITIES[kind],
            _STATES[n % len(_STATES)], subject, summary, f"van-{n % _DEVICES}", n, 50, at, at,
            "live", at, at, at, kind == 3, f"53{n % _DEVICES % 9 + 1:02}02", 0, 0,
        )  # fmt: skip


def _position(alert: int, moved: int) -> dict[str, float]:
    """Every second subject was located, and moves; of the others its station is known."""
    if alert % 2:
        return {}
    return {"lat": 25.0 + alert % 997 / 5000 + moved / 10_000, "lon": 102.7 + alert % 991 / 5000}


def _detection_id(n: int) -> bytes:
    return hashlib.blake2s(n.to_bytes(8, "big"), digest_size=16).digest()


def _detections() -> Iterator[tuple[Any, ...]]:
    for n in range(OBSERVATIONS // _PER_DETECTION):
        at = _BEGAN_US + n * 12_000_000
        device = f"van-{n % _DEVICES}"
        alert = n % ALERTS + 1
        subject = {"plmn": "460-00", "lac": alert, **_position(alert, n // ALERTS)}
        body = json.dumps({"subject": subject, "reasons": [], "rivals": []})
        seq = n // _DEVICES * _PER_DETECTION + 1
        yield (
            device, _detection_id(n), 9, seq, "fake_base_station", "suspected",
            "FAKE_BTS_SUSPECTED", "high", 3.5, 1, 1, "live", body, at, alert,
        )  # fmt: skip


def _observations() -> Iterator[tuple[Any, ...]]:
    for n in range(OBSERVATIONS // _PER_DETECTION):
        name, device, first = _detection_id(n), f"van-{n % _DEVICES}", n // _DEVICES
        for revision in range(_PER_DETECTION):
            yield device, first * _PER_DETECTION + revision + 1, name, revision, _BEGAN_US


def _decisions() -> Iterator[tuple[Any, ...]]:
    face = {"similarity": 0.31, "threshold": 0.6, "is_simulated": True}
    body = json.dumps(
        {"business": "withdrawal", "amount_fen": 500_000, "card": {"last4": "4821"}, "face": face,
         "pin": "ok", "policy_version": 1, "started_at": "2026-11-25T08:00:00Z"}
    )  # fmt: skip
    for n in range(1, _DECISIONS + 1):
        at = _BEGAN_US + n * 1_000_000
        yield (
            f"van-{n % _DEVICES}", n, f"visit-{n:08}", "DENY", "FACE_MISMATCH", at, at, body,
            n % ALERTS + 1,
        )  # fmt: skip


def _messages() -> Iterator[tuple[Any, ...]]:
    for device in range(_DEVICES):
        name = f"van-{device}"
        for seq in range(1, OBSERVATIONS // _DEVICES + 1):
            at = _BEGAN_US + seq * 1_000_000
            digest = seq.to_bytes(16, "big") + device.to_bytes(16, "big")
            yield (
                name, seq, digest[:16], "detection", b"\0", at, seq, True, at, digest, digest,
                b"\0", _COSE,
            )  # fmt: skip
