"""The central full of a city's years: 100,000 alerts and 5 million observations in its store.

Measured are the server's time for list pages (the whole application: routing, permission, store,
template), the bytes of the first page, and what ingest keeps of its rate while pages are asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from central.actor import Role
from central.config import CentralSettings
from central.hub import Hub
from central.ingest import Ingest
from central.people.desk import SECOND_US, hash_token
from central.store import open_sqlite
from central.store.people import Session, add_session
from central.store.sql import SqlStore
from central.store.write import SqlTransaction
from central.web import create_app
from contract import seal
from contract.clock import SystemClock
from contract.codec import Values
from contract.envelope import NO_PREVIOUS, message_digest
from contract.keys import KeySigner, public_pem
from contract.messages import Detection, Reason, Source, detection_id
from contract.topics import Lane, up
from contract.words import (
    AlertKind,
    DetectionKind,
    DeviceKind,
    Level,
    Severity,
    TimeBasis,
)
from mqtt_bridge.ports import Delivery

ALERTS = int(os.environ.get("QIANSHAO_BENCH_ALERTS", "100000"))
OBSERVATIONS = int(os.environ.get("QIANSHAO_BENCH_OBSERVATIONS", "5000000"))
REQUESTS = 40
PAGES_A_SECOND = 10.0
"""How often a page is asked for while ingest works: a hundred officers, each every ten seconds."""
MESSAGES = 3000
_DEVICES = 50
_DECISIONS = 20_000
_COSE_BYTES = 340
_COOKIE = "bench"
PAGES = (
    "/alerts",
    "/alerts?group=all&severity=critical",
    "/alerts?group=closed",
    "/alerts?group=all&kind=BLACK_BROADCAST_SUSPECTED",
    "/alerts?group=all&text=arfcn",
    "/alerts?group=all&text=nothing-is-like-this",
    "/alerts?technical=true",
    "/cases",
    "/",
    "/overview",
    "/devices",
    "/map",
    "/map/data",
    "/api/features/collections/alerts/items",
    "/api/features/collections/alerts/items?bbox=0,0,1,1",
    "/api/features/collections/devices/items",
)
_NO_PAGES = ("/map", "/api/features")
"""What the limit of bytes leaves aside: a map is as large as what it shows."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    page_p95_ms: float
    slowest_page: str
    largest_page: str
    largest_page_bytes: int
    """Of all pages but the map."""
    p95_ms: dict[str, float]
    """Of every page."""
    ingest_alone: float
    """Messages a second with nobody at the pages."""
    ingest_meanwhile: float


def measure() -> Figures:
    """Fill a store and measure; a few minutes and 4 GB of disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = CentralSettings(tenant="bench", folder=folder)
        open_sqlite(settings.store_path).close()
        _fill(settings.store_path)
        store = open_sqlite(settings.store_path)
        app = create_app(store, Hub(), settings)
        _sign_in(app, store)
        times: dict[str, list[float]] = {}
        sizes: dict[str, int] = {}
        for path in PAGES:
            for _ in range(REQUESTS):
                began = time.perf_counter()
                status, body = _get(app, path)
                times.setdefault(path, []).append((time.perf_counter() - began) * 1000)
                if status != 200:
                    raise RuntimeError(f"{path}: {status}")
                sizes[path] = len(body)
        p95 = {path: statistics.quantiles(found, n=20)[18] for path, found in times.items()}
        slowest = max(p95, key=lambda path: p95[path])
        alone, meanwhile = _ingest_rates(store, app)
        store.close()
        largest = max((p for p in sizes if not p.startswith(_NO_PAGES)), key=lambda p: sizes[p])
        return Figures(
            p95[slowest], slowest, largest, sizes[largest], p95, alone, meanwhile
        )  # fmt: skip


# -- a full store ---------------------------------------------------------------------------------


def _fill(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        with connection:
            for device in range(_DEVICES):
                connection.execute(
                    "INSERT INTO devices (device, tenant, kind, name, version, enrolled_at,"
                    " duplicates, refused, area, health)"
                    " VALUES (?, 'bench', 'van', '', '', 0, 0, 0, ?, ?)",
                    (f"van-{device}", f"53{device % 9 + 1:02}02", _health(device)),
                )
            for sql, rows in (
                (_INSERT_ALERT, _alerts()),
                (_INSERT_DETECTION, _detections()),
                (_INSERT_OBSERVATION, _observations()),
                (_INSERT_DECISION, _decisions()),
                (_INSERT_MESSAGE, _messages()),
            ):
                connection.executemany(sql, rows)
            for table in ("messages", "detections", "decisions"):
                connection.execute(
                    f"UPDATE tallies SET number = (SELECT COUNT(*) FROM {table})"  # noqa: S608
                    " WHERE what = ?",
                    (table,),
                )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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


_INSERT_ALERT = (
    "INSERT INTO alerts (id, key, kind, level, severity, state, subject, summary, device, seq,"
    " count, first_seen, last_seen, time_basis, raised_at, risen_at, updated_at, is_technical,"
    " area, version, escalation) VALUES (?,?,?,'suspected',?,?,?,?,?,?,50,?,?,'live',?,?,?,?,?,0,0)"
)
_INSERT_DETECTION = (
    "INSERT INTO detections (device, detection_id, revision, seq, kind, level, alert_kind,"
    " severity, score, first_seen, last_seen, time_basis, body, received_at, alert_id)"
    " VALUES (?,?,9,?,'fake_base_station','suspected','FAKE_BTS_SUSPECTED','high',3.5,1,1,'live',"
    "?,?,?)"
)
_INSERT_OBSERVATION = "INSERT INTO observations VALUES (?,?,?,?,?)"
_INSERT_MESSAGE = (
    "INSERT INTO messages VALUES (?,?,?,'detection',x'00',?,?,1,NULL,?,?,?,x'00',zeroblob(?))"
)
_INSERT_DECISION = (
    "INSERT INTO decisions (device, seq, visit, decision, reason, decided_at, received_at, body,"
    " alert_id) VALUES (?,?,?,'DENY','FACE_MISMATCH',?,?,?,?)"
)
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
            n, f"FAKE_BTS:{n:08x}", _KINDS[kind], _SEVERITIES[kind], _STATES[n % len(_STATES)],
            subject, summary, f"van-{n % _DEVICES}", n, at, at, at, at, at, int(kind == 3),
            f"53{n % _DEVICES % 9 + 1:02}02",
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
        yield device, _detection_id(n), n // _DEVICES * _PER_DETECTION + 1, body, at, alert


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
        yield f"van-{n % _DEVICES}", n, f"visit-{n:08}", at, at, body, n % ALERTS + 1


def _messages() -> Iterator[tuple[Any, ...]]:
    for device in range(_DEVICES):
        name = f"van-{device}"
        for seq in range(1, OBSERVATIONS // _DEVICES + 1):
            at = _BEGAN_US + seq * 1_000_000
            digest = seq.to_bytes(16, "big") + device.to_bytes(16, "big")
            yield name, seq, digest[:16], at, seq, at, digest, digest, _COSE_BYTES


# -- pages ----------------------------------------------------------------------------------------


def _sign_in(app: FastAPI, store: SqlStore) -> None:
    people = app.state.site.people
    people.create("bench", [Role.COMMANDER], ["000000"])
    now = int(SystemClock().wall())
    session = Session(
        hashed=hash_token(_COOKIE), person="bench", csrf="", created_at=now, seen_at=now,
        expires_at=now + 3600 * SECOND_US, is_strong=True, client="bench",
    )  # fmt: skip
    with store.transaction() as tx:
        assert isinstance(tx, SqlTransaction)
        add_session(tx._connection, session)


def _get(app: FastAPI, path: str) -> tuple[int, bytes]:
    """Ask the application itself, as its server would."""
    route, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": route, "raw_path": route.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8470),
        "headers": [(b"host", b"127.0.0.1:8470"), (b"cookie", f"session={_COOKIE}".encode())],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


# -- ingest meanwhile -----------------------------------------------------------------------------


class _Arriving:
    is_connected = True

    def __init__(self, device: str, raws: Sequence[bytes]) -> None:
        topic = up("bench", device, Lane.EVIDENCE)
        self._waiting = [Delivery(topic, raw, False, _nothing) for raw in raws]

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        return True


def _nothing(*_: object) -> None:
    return None


def _ingest_rates(store: SqlStore, app: FastAPI) -> tuple[float, float]:
    """Messages a second alone and with pages asked for; medians of runs in turn."""
    alone, meanwhile = [], []
    for run in range(3):
        alone.append(_ingest_rate(store, f"bench-{run}-a"))
        stop = threading.Event()
        reader = threading.Thread(target=_read_pages, args=(app, stop))
        reader.start()
        try:
            meanwhile.append(_ingest_rate(store, f"bench-{run}-b"))
        finally:
            stop.set()
            reader.join()
    return statistics.median(alone), statistics.median(meanwhile)


def _read_pages(app: FastAPI, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(1 / PAGES_A_SECOND):
        _get(app, PAGES[number % 3])
        number += 1


def _ingest_rate(store: SqlStore, device: str) -> float:
    key = Ed25519PrivateKey.generate()
    own = KeySigner(Ed25519PrivateKey.generate())
    store.enrol(
        device, tenant="bench", kind=DeviceKind.VAN, name="",
        public_pem=public_pem(key.public_key()), at=0,
    )  # fmt: skip
    raws = _chain(KeySigner(key), device)
    clock = SystemClock()
    done: Callable[[Any], None] = _nothing
    work = Ingest(
        store, _Arriving(device, raws), tenant="bench", signer=own,
        clock=clock, on_events=done,
    )  # fmt: skip
    began = time.perf_counter()
    while work.step():
        pass
    return MESSAGES / (time.perf_counter() - began)


def _chain(signer: KeySigner, device: str) -> list[bytes]:
    clock, prev, raws = SystemClock(), NO_PREVIOUS, []
    for seq in range(1, MESSAGES + 1):
        raw = seal(
            _detection(device, seq), tenant="bench", device=device, boot_id=bytes(16), seq=seq,
            wall=clock.wall(), mono=clock.mono(), quality=clock.quality(), prev=prev, signer=signer,
        )  # fmt: skip
        raws.append(raw)
        prev = message_digest(raw)
    return raws


def _detection(device: str, seq: int) -> Detection:
    """One in ten opens a new subject; the others are further sightings."""
    subject: Values = {"plmn": "460-00", "arfcn": seq // 10, "station": device}
    now = SystemClock().wall()
    reason = Reason(rule="CRO_EXTREME", family="reselection", weight=2.0, values={"cro_db": 120})
    return Detection(
        detection_id=detection_id(device, f"modem0/{seq}", subject, now), revision=0,
        sensor="modem0", kind=DetectionKind.FAKE_BASE_STATION, level=Level.SUSPECTED,
        severity=Severity.HIGH, alert=AlertKind.FAKE_BTS_SUSPECTED, score=3.5, reasons=(reason,),
        first_seen=now, last_seen=now, time_basis=TimeBasis.LIVE, track_id=f"t{seq}",
        subject=subject, source=Source(file="ttyUSB2", place=f"line {seq}"),
    )  # fmt: skip
