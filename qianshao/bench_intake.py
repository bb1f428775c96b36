"""Alarms of 110 to open cases: over HTTP to a running central, and as signed messages to ingest."""

from __future__ import annotations

import datetime as dt
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.actor import Role
from central.case_work import CHINA
from central.config import CentralSettings
from central.hub import Hub
from central.ingest import Ingest
from central.intake.box import seal_alarm
from central.intake.door import AlarmDoor
from central.people.desk import WHOLE_COUNTRY, PeopleDesk
from central.store import open_sqlite
from central.store.case_tables import cases
from central.store.sql import SqlStore
from central.web import WebServer, create_app
from contract import ClockQuality, seal
from contract.clock import SystemClock, UnixMicros
from contract.codec import rfc3339
from contract.envelope import NO_PREVIOUS, message_digest
from contract.keys import KeySigner, public_pem
from contract.messages import AlarmReport
from contract.topics import Lane, up
from contract.words import DeviceKind
from mqtt_bridge.ports import Delivery

ALARMS = 200
CASES = 20_000
"""Cases of the same day that the store holds already."""
TARGET_MS = 1000.0
_TENANT, _GATE = "bench", "gate-110"


def _alarm(number: int) -> dict[str, object]:
    at = rfc3339(UnixMicros(SystemClock().wall()))
    account = {
        "number": f"62220212345{number:08}", "holder": "李四", "bank": "bank",
        "amount_fen": 2_800_000, "transfer_at": at,
    }  # fmt: skip
    return {
        "number": f"A-{number:06}", "area": "370832", "alarm_at": at, "amount_fen": 2_800_000,
        "victim": {"name": "王五", "phone": "13805550123"}, "accounts": [account], "brief": "bench",
    }  # fmt: skip


def _p95(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=20)[18] * 1000


class _Line:
    """A broker's side in memory."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, bytes]] = []
        self.is_connected = True

    def batch(self, limit: int, wait_s: float) -> list[Delivery]:
        found, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return [Delivery(topic, payload, False, lambda: None) for topic, payload in found]

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        return True


def figures() -> tuple[float, float, float]:
    """Return p95 of the webhook and of a signed message, and the slowest of both, in ms."""
    with tempfile.TemporaryDirectory(prefix="qianshao-bench-intake-") as folder:
        settings = CentralSettings(tenant=_TENANT, folder=Path(folder), area="370800")
        store = open_sqlite(settings.store_path)
        try:
            _fill(store)
            by_http = _by_http(store, settings)
            by_message = _by_message(store, settings)
        finally:
            store.close()
    return _p95(by_http), _p95(by_message), max(*by_http, *by_message) * 1000


def _fill(store: SqlStore) -> None:
    now = int(SystemClock().wall())
    day = dt.datetime.fromtimestamp(now / 1e6, CHINA).strftime("%Y%m%d")
    row = {
        "kind": "FRAUD_ALARM", "severity": "high", "area": "370832", "state": "LEAD",
        "owner": "bench", "subject": {}, "opened_by": "bench", "opened_at": now,
        "first_seen": now, "state_at": now, "updated_at": now, "version": 1,
    }  # fmt: skip
    rows = [{**row, "number": f"370832-{day}-{n:04}"} for n in range(1, CASES + 1)]
    columns = [c for c in cases.c if c.name in rows[0]]
    names = ", ".join(c.name for c in columns)
    marks = ", ".join(f":{c.name}" for c in columns)
    statement = sa.text(f"INSERT INTO cases ({names}) VALUES ({marks})")  # noqa: S608
    with store.transaction() as tx:
        plain = [{**r, "subject": "{}"} for r in rows]
        tx._connection.execute(statement, plain)  # type: ignore[attr-defined]


def _by_http(store: SqlStore, settings: CentralSettings) -> list[float]:
    people = PeopleDesk(store, SystemClock(), settings.folder)
    people.create("gate", [Role.DUTY_OFFICER], [WHOLE_COUNTRY])
    key = people.make_key("gate", "bench", 1)
    hub = Hub()
    server = WebServer(create_app(store, hub, settings), hub, "127.0.0.1", 0)
    server.start()
    times = []
    try:
        for number in range(ALARMS):
            request = urllib.request.Request(  # noqa: S310 - this machine's own server
                f"{server.url}api/alarms",
                data=json.dumps(_alarm(number)).encode(),
                headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
            )
            began = time.perf_counter()
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                assert json.load(answer)["results"][0]["outcome"] == "opened"
            times.append(time.perf_counter() - began)
    finally:
        server.stop()
    return times


def _by_message(store: SqlStore, settings: CentralSettings) -> list[float]:
    signer = KeySigner(Ed25519PrivateKey.generate())
    now = SystemClock().wall()
    store.enrol(
        _GATE, tenant=_TENANT, kind=DeviceKind.FIXED_SITE, name="110",
        public_pem=public_pem(signer.public), at=int(now),
    )  # fmt: skip
    door, line = AlarmDoor.at(settings.folder, frozenset({_GATE})), _Line()
    ingest = Ingest(
        store, line, tenant=_TENANT, signer=signer, clock=SystemClock(),
        on_events=lambda events: None, take_alarm=door.take, area="370800",
    )  # fmt: skip
    times, prev = [], NO_PREVIOUS
    for seq in range(1, ALARMS + 1):
        report = AlarmReport(number="x", box=seal_alarm(door.public, _alarm(10**5 + seq)), at=now)
        raw = seal(
            report, tenant=_TENANT, device=_GATE, boot_id=b"\x01" * 16, seq=seq,
            wall=SystemClock().wall(), mono=SystemClock().mono(),
            quality=ClockQuality(is_synced=True, estimated_error_ms=1), prev=prev, signer=signer,
        )  # fmt: skip
        prev = message_digest(raw)
        line.waiting.append((up(_TENANT, _GATE, Lane.EVIDENCE), raw))
        began = time.perf_counter()
        ingest.step()
        times.append(time.perf_counter() - began)
    opened = sum(a.via == "mqtt" for a in store.latest_alarms(frozenset({WHOLE_COUNTRY}), 10**6))
    assert opened == ALARMS
    return times
