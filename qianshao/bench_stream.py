"""Alerts to many open pages: from the commit at the central to the frame in each of 200 browsers.

Server and listeners share this process and its interpreter lock, which makes the figure worse than
it is between machines.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from central.actor import Role
from central.config import CentralSettings
from central.hub import Hub
from central.people.desk import WHOLE_COUNTRY, PeopleDesk
from central.store import EventKind, open_sqlite
from central.store.interface import AlertRow
from central.store.sql import SqlStore
from central.views import alert_json
from central.web import WebServer, create_app
from contract.clock import SystemClock
from contract.words import AlertKind, Level, Severity, TimeBasis

BROWSERS = 200
ALERTS = 50
EVERY_S = 0.2
_READY_S = 60.0
_DRAIN_S = 10.0
_LONGEST_LINE = 2**20
"""Bytes: a snapshot of a full store is one line."""


@dataclass
class Listeners:
    """What all pages together have heard."""

    delays_s: list[float] = field(default_factory=list)
    open: int = 0


def _alert(number: int) -> AlertRow:
    now = int(SystemClock().wall())
    return AlertRow(
        id=number,
        key=str(number),
        kind=AlertKind.FAKE_BTS_SUSPECTED,
        level=Level.SUSPECTED,
        severity=Severity.HIGH,
        state="NEW",
        subject={"rat": "GSM", "plmn": "460-00", "arfcn": 62, "lac": 9999},
        summary={
            "rules": ["CRO_EXTREME", "NO_NEIGHBOURS"],
            "sensor": "modem0",
            "source_file": "ttyUSB2",
            "source_place": "line 40",
        },
        device="van-1",
        seq=number,
        count=1,
        first_seen=now,
        last_seen=now,
        time_basis=TimeBasis.LIVE,
        fired_at=now,
        raised_at=now,
        risen_at=now,
        updated_at=now,
    )


def measure(browsers: int = BROWSERS, alerts: int = ALERTS) -> Listeners:
    """Do so over an empty store of its own."""
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-") as folder:
        settings = CentralSettings(tenant="bench", folder=Path(folder))
        store = open_sqlite(settings.store_path)
        try:
            return measure_in(settings, store, browsers, alerts)
        finally:
            store.close()


def measure_in(
    settings: CentralSettings, store: SqlStore, browsers: int = BROWSERS, alerts: int = ALERTS
) -> Listeners:
    """Open the pages, raise the alerts, and return how long each took to each page."""
    hub = Hub(settings.stream_queue_events)
    server = WebServer(create_app(store, hub, settings), hub, "127.0.0.1", 0)
    desk = PeopleDesk(store, SystemClock(), settings.folder)
    desk.create("listener", [Role.DUTY_OFFICER], [WHOLE_COUNTRY])
    key = desk.make_key("listener", "listener", 1)
    server.start()
    try:
        return asyncio.run(_listen(store, hub, server.port, key, browsers, alerts))
    finally:
        server.stop()


async def _listen(
    store: SqlStore, hub: Hub, port: int, key: str, browsers: int, alerts: int
) -> Listeners:
    heard = Listeners()
    sent: dict[int, float] = {}
    tasks = [asyncio.create_task(_page(port, key, heard, sent)) for _ in range(browsers)]
    deadline = time.monotonic() + _READY_S
    while hub.listeners < browsers or heard.open < browsers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {hub.listeners} of {browsers} pages listen")
        await asyncio.sleep(0.1)
    raiser = threading.Thread(target=_raise, args=(store, hub, sent, alerts))
    raiser.start()
    await asyncio.to_thread(raiser.join)
    for _ in range(int(_DRAIN_S / 0.05)):
        if len(heard.delays_s) >= browsers * alerts:
            break
        await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return heard


def _raise(store: SqlStore, hub: Hub, sent: dict[int, float], alerts: int) -> None:
    for number in range(1, alerts + 1):
        view = alert_json(_alert(number))
        with store.transaction() as tx:
            event = tx.add_event(1, EventKind.ALERT, {"change": "raised", "alert": view})
        sent[event.id] = time.monotonic()
        hub.publish([event])
        time.sleep(EVERY_S)


async def _page(port: int, key: str, heard: Listeners, sent: dict[int, float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LONGEST_LINE)
    head = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Language: zh\r\n"
    writer.write(f"{head}Authorization: Bearer {key}\r\n\r\n".encode())
    await writer.drain()
    try:
        while line := await reader.readline():
            if line.startswith(b"event: snapshot"):
                heard.open += 1
            elif line.startswith(b"id: ") and (at := sent.get(int(line[4:]))) is not None:
                heard.delays_s.append(time.monotonic() - at)
    finally:
        writer.close()


def p95_ms(heard: Listeners) -> float:
    """Return how long nineteen of twenty frames took at most."""
    return statistics.quantiles(heard.delays_s, n=20, method="inclusive")[18] * 1000


def missing(heard: Listeners) -> int:
    """Return how many frames did not come."""
    return BROWSERS * ALERTS - len(heard.delays_s)
