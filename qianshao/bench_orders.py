"""Orders to many ATMs: from the second officer's signature to the receipts at the central.

A real central process, a real broker, real orders drawn up and signed over the pages' addresses;
each ATM is a station of the fleet with its own order store, outbox and connection. Only the bank
and the machines behind the stations are simulated.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.actor import Role
from central.config import CentralSettings
from central.orders.bank import SCHEMA
from central.orders.officers import OfficersDesk
from central.orders.signing import read_signing_file, signatures_file
from central.own_key import central_signer
from central.people.desk import WHOLE_COUNTRY, PeopleDesk
from central.store import open_sqlite
from central.store.sql import SqlStore
from contract.clock import SystemClock
from contract.cosign import sign_content
from contract.files import replace_durably
from contract.keys import KeySigner, public_pem
from contract.words import DeviceKind, OrderOutcome
from qianshao.demo.site import free_port
from qianshao.fleet.run import FleetRun
from qianshao.fleet.simulate import MEMORY, plans_of
from qianshao.fleet.site import TENANT, FleetSite, prepare
from qianshao.fleet.station import Station
from qianshao.fleet.traffic import Arrivals

ATMS = 1000
AWAY = 3
"""Machines that are off line when the order is signed, and come back one after the other."""
OFFICERS = ("first", "second")
_NUMBER, _NAME = "6217000000000000012", "Bench 张"
_PATIENCE_S = 240.0
_POLL_S = 0.1
_CONNECTS_PER_S = 8.0
"""Of each process: the machines are there before anything is signed."""


@dataclass
class Figures:
    """What was measured, seconds."""

    atms: int
    stop_s: list[float] = field(default_factory=list)
    """Of each machine that was there, until the central had its receipt."""
    release_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    """Of each machine that was away, from its connection to its receipt."""
    pending: tuple[str, ...] = ()
    """Whom the order's page listed as pending while they were away."""
    away: tuple[str, ...] = ()


def measure(atms: int = ATMS, away: int = AWAY, processes: int = 8) -> Figures:
    """Run the whole; raises TimeoutError where a receipt does not come."""
    folder = Path(tempfile.mkdtemp(prefix="qianshao-bench-"))
    memory = None
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        memory = Path(tempfile.mkdtemp(prefix="qianshao-bench-", dir=MEMORY))
    try:
        with _town(folder, memory, atms, away, processes) as town:
            return town.measure()
    finally:
        for path in (folder, memory):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _town(
    folder: Path, memory: Path | None, atms: int, away: int, processes: int
) -> Iterator[_Town]:
    port = free_port()
    bank = folder / "bank.json"
    moment = "2026-01-02T10:00:00+08:00"
    incoming = [{"amount_fen": 4_600_000, "at": moment}]
    account = {"number": _NUMBER, "name": _NAME, "balance_fen": 5_000_000, "incoming": incoming}
    replace_durably(bank, json.dumps({"schema": SCHEMA, "accounts": [account]}).encode())
    stations = [f"atm-{number:04d}" for number in range(1, atms + away + 1)]
    lines = [f'[orders]\nbank = "simulated"\naccounts = {json.dumps(str(bank))}']
    site = prepare(
        folder / "site", stations, "nats", memory, kind=DeviceKind.ATM, settings_lines=lines
    )
    config = site.central_config.read_text(encoding="utf-8").replace(
        "port = 0", f"port = {port}", 1
    )
    replace_durably(site.central_config, config.encode())
    there = FleetSite(
        site.folder, site.stations_folder, site.stations[:atms], site.broker
    )  # the others come later
    traffic = {
        "backlog": 0,
        "messages": 0,
        "rate_per_s": 0.001,
        "arrivals": Arrivals.STEADY,
        "takes_orders": True,
        "connects_per_s": _CONNECTS_PER_S,
    }
    plans = plans_of(there, processes, **traffic)
    run = FleetRun(there, plans)
    settings = CentralSettings(tenant=TENANT, folder=site.central_folder)
    store = open_sqlite(settings.store_path)
    late = [
        Station(plan, device)
        for device in site.stations[atms:]
        for plan in plans_of(site, 1, **traffic)
    ]
    try:
        yield _Town(run, store, settings, port, late)
    finally:
        for station in late:
            station.close()
        run.stop()
        store.close()


@dataclass
class _Town:
    run: FleetRun
    store: SqlStore
    settings: CentralSettings
    port: int
    late: Sequence[Station]

    def __post_init__(self) -> None:
        self.keys = {name: Ed25519PrivateKey.generate() for name in OFFICERS}
        self.clients: dict[str, httpx.Client] = {}

    def measure(self) -> Figures:
        """Officers first, then a stop, those who were away, and the release."""
        people = PeopleDesk(self.store, SystemClock(), self.settings.folder)
        officers = OfficersDesk(self.store, SystemClock(), central_signer(self.settings), TENANT)
        for name, key in self.keys.items():
            people.create(name, [Role.COMMANDER], [WHOLE_COUNTRY])
            bearer = {"authorization": f"Bearer {people.make_key(name, 'bench', 1)}"}
            url = f"http://127.0.0.1:{self.port}"
            self.clients[name] = httpx.Client(base_url=url, headers=bearer, timeout=60)
            bundle = officers.add("bench", name, public_pem(key.public_key()))
        self.run.central.start()
        for member in self.run.members:
            member.start()
        try:
            count = len(self.run.site.stations)
            self._until(lambda: self._applied(bundle.order_id) >= count, "officers' bundle")
            return self._orders(count)
        finally:
            for client in self.clients.values():
                client.close()

    def _orders(self, count: int) -> Figures:
        figures = Figures(atms=count, away=tuple(station.device for station in self.late))
        typed = {
            "kind": "stop_payment", "number": _NUMBER, "name": _NAME, "amount": "46000",
            "transfer_at": "2026-01-02 10:00:00", "case": "BENCH", "area": "140500",
        }  # fmt: skip
        stop = self._draft("/orders", typed)
        figures.stop_s = self._signed(stop, count)
        page = self.clients["first"].get(f"/orders/{stop}").text
        figures.pending = tuple(s.device for s in self.late if s.device in page)
        for station in self.late:
            figures.back_s.append(self._comes_back(station, stop))
        ends = {"kind": "release_stop", "ground": "wrong_account"}
        release = self._draft(f"/orders/{stop}/follow", ends)
        figures.release_s = self._signed(release, count + len(self.late))
        return figures

    def _draft(self, path: str, typed: dict[str, str]) -> str:
        answer = self.clients["first"].post(path, data=typed)
        if answer.status_code != 303:
            raise RuntimeError(f"the draft was answered with {answer.status_code}")
        return answer.headers["location"].rpartition("/")[2]

    def _signed(self, order: str, count: int) -> list[float]:
        """Sign twice; returns the seconds from the second signature to each receipt."""
        for name in OFFICERS:
            client = self.clients[name]
            tenant, contents = read_signing_file(client.get(f"/orders/{order}/to-sign").content)
            signer = KeySigner(self.keys[name])
            parts = {n: sign_content(c, tenant=tenant, signer=signer) for n, c in contents.items()}
            files = {"file": ("signatures.json", signatures_file(parts))}
            began = time.monotonic()
            # The page that comes back is awaited beside the receipts: the clock runs meanwhile.
            sending = threading.Thread(
                target=client.post, args=(f"/orders/{order}/sign",), kwargs={"files": files}
            )
            sending.start()
            if name != OFFICERS[-1]:
                sending.join()
        times: list[float] = []
        deadline = began + _PATIENCE_S
        while len(times) < count and time.monotonic() < deadline:
            applied = self._applied(bytes.fromhex(order))
            times += [time.monotonic() - began] * (applied - len(times))
            time.sleep(_POLL_S)
        sending.join()
        if len(times) < count:
            raise TimeoutError(f"{len(times)} of {count} receipts came")
        return times

    def _comes_back(self, station: Station, order: str) -> float:
        station.on_order(lambda one: None if one.orders is None else one.orders.step())
        began = time.monotonic()
        station.connect()
        self._until(lambda: self._has(bytes.fromhex(order), station.device), station.device)
        return time.monotonic() - began

    def _applied(self, order_id: bytes) -> int:
        return sum(a.outcome is OrderOutcome.APPLIED for a in self.store.answers(order_id))

    def _has(self, order_id: bytes, device: str) -> bool:
        return any(
            a.device == device and a.outcome is OrderOutcome.APPLIED
            for a in self.store.answers(order_id)
        )

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: nothing after {_PATIENCE_S:.0f} s")
            time.sleep(_POLL_S)


def p95(times: Sequence[float]) -> float:
    """Time by which 95 of 100 had answered."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
