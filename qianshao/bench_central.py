"""The central full of a city's years: 100,000 alerts and 5 million observations in its store.

Measured are the server's time for list pages (the whole application: routing, permission, store,
template), the bytes of the first page, and what ingest keeps of its rate while pages are asked for.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from central.actor import Role
from central.app import spare_the_collector
from central.config import CentralSettings
from central.hub import Hub
from central.ingest import Ingest
from central.people.desk import SECOND_US, hash_token
from central.store.opening import open_store
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
from qianshao.bench_fill import fill_postgresql, fill_sqlite
from qianshao.bench_postgresql import PostgresServer
from qianshao.bench_stream import Listeners, measure_in

REQUESTS = 40
PAGES_A_SECOND = 10.0
"""How often a page is asked for while ingest works: a hundred officers, each every ten seconds."""
MESSAGES = 3000
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
    heard: Listeners
    """Alerts to 200 open pages, beside the full store."""


SQLITE = "sqlite"
POSTGRESQL = "postgresql"
"""A server of its own, in a temporary folder, durable and otherwise as it comes."""


@contextmanager
def full_store(where: str) -> Iterator[tuple[CentralSettings, SqlStore]]:
    """Fill and open a store: ``sqlite``, ``postgresql``, or the URL of an empty database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = CentralSettings(tenant="bench", folder=folder)
        if where == SQLITE:
            open_store(settings.store_path).close()
            fill_sqlite(settings.store_path)
        else:
            if where == POSTGRESQL:
                where = stack.enter_context(PostgresServer(is_durable=True)).new_database()
            settings = replace(settings, store_url=where)
            open_store(settings.store_path, where).close()
            fill_postgresql(where)
        store = open_store(settings.store_path, settings.store_url)
        stack.callback(store.close)
        yield settings, store


def measure(where: str = SQLITE) -> Figures:
    """Fill a store and measure; a few minutes and 4 GB of disk."""
    with full_store(where) as (settings, store):
        app = create_app(store, Hub(), settings)
        _sign_in(app, store)
        spare_the_collector()  # as the central itself does when it starts
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
        heard = measure_in(settings, store)
        largest = max((p for p in sizes if not p.startswith(_NO_PAGES)), key=lambda p: sizes[p])
        return Figures(
            p95[slowest], slowest, largest, sizes[largest], p95, alone, meanwhile, heard
        )  # fmt: skip


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
