"""What delivery costs: durable enqueue, the whole way to the receipt, and ingest, against peers."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.app import GC_THRESHOLD
from central.ingest import Ingest
from central.store import open_sqlite
from contract import open_envelope, seal, topics
from contract.clock import SystemClock, machine_boot_id
from contract.envelope import NO_PREVIOUS, message_digest
from contract.keys import KeySigner, KnownKey, public_pem
from contract.messages import Body
from contract.topics import Lane
from contract.words import DeviceKind, Presence
from edge_agent.identity import Identity, find_central
from edge_agent.outbox import Outbox
from mqtt_bridge.ports import BrokerAddress, Delivery, TlsFiles
from mqtt_bridge.uplink import Uplink
from qianshao.bench import DELIVERY_RUNS as RUNS
from qianshao.bench_raw import make_client, publish_all
from qianshao.bench_samples import open_outbox, sample_bodies
from qianshao.fleet.site import TENANT, FleetSite, prepare
from qianshao.fleet.traffic import made_up

Pair = tuple[float, float]
"""Ours and the peer's."""

MESSAGES = 6000
_HAND_OVER = 200
_GROUP = 100
_WIRE_BYTES = 500
"""Length of these observations, signed."""
_PATIENCE_S = 120.0


class Site:
    """A broker under mutual TLS with a real central and a raw consumer, each its own process."""

    def __init__(self, folder: Path, broker: str = "nats") -> None:
        self.fleet: FleetSite = prepare(folder / "site", ["station-1", "peer-1"], broker)
        self.topic = f"v1/{TENANT}/up/peer-1/raw/x"  # the central takes nothing of this depth
        tls = self.fleet.folder / "central-tls"
        files = [self.fleet.ca, *sorted(tls.glob("*.pem")), *sorted(tls.glob("*.key"))]
        self._log = (folder / "central.log").open("wb")
        config = str(self.fleet.central_config)
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "qianshao", "central", "--config", config],
                stdout=self._log,
                stderr=self._log,
            )
        ]
        command = [sys.executable, "-m", "qianshao.bench_raw", str(self.fleet.broker.port)]
        consumer = subprocess.Popen(
            [*command, self.topic, *map(str, files)], stdout=subprocess.PIPE
        )
        self._processes.append(consumer)
        assert consumer.stdout is not None
        if consumer.stdout.readline() != b"ready\n":
            raise OSError("the raw consumer did not come up")

    def papers(self, device: str) -> TlsFiles:
        """TLS files of a device."""
        identity = Identity.load_or_create(self.fleet.folder / device, device)
        certificate = self.fleet.folder / device / "tls.pem"
        return identity.tls_files(ca=self.fleet.ca, certificate=certificate)

    def close(self) -> None:
        """End every process."""
        for process in self._processes:
            process.terminate()
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
        self.fleet.broker.stop()
        self._log.close()


class Sender:
    """A real outbox and uplink, as an agent has them."""

    def __init__(self, site: Site, path: Path) -> None:
        fleet, device = site.fleet, "station-1"
        identity = Identity.load_or_create(fleet.folder / device, device)
        self.outbox = Outbox.open(
            path,
            tenant=TENANT,
            device=device,
            signer=identity.signer,
            clock=SystemClock(),
            boot_id=machine_boot_id(),
            central_keys=find_central(fleet.central_key),
        )
        self.uplink = Uplink(
            BrokerAddress(host="127.0.0.1", port=fleet.broker.port, tls=site.papers(device)),
            TENANT,
            device,
            self.outbox,
            _no_state,
        )
        self.uplink.start()

    def send(self, bodies: Sequence[tuple[Body, Lane]]) -> float:
        """Hand everything over; seconds until the last receipt is in."""
        started = time.perf_counter()
        for first in range(0, len(bodies), _HAND_OVER):
            for done in self.outbox.put_many(bodies[first : first + _HAND_OVER]):
                done.result(_PATIENCE_S)
        while depth := self.outbox.stats().depth:
            if time.perf_counter() - started > _PATIENCE_S:
                raise TimeoutError(f"{depth} messages are without a receipt")
            time.sleep(0.01)
        return time.perf_counter() - started

    def close(self) -> None:
        """Stop sending and close the store."""
        self.uplink.stop()
        self.outbox.close()


def _no_state(presence: Presence) -> bytes:
    return presence.value.encode()


def sustained(broker: str = "nats", messages: int = MESSAGES, runs: int = RUNS) -> Pair:
    """Messages a second: sign, enqueue, publish, receipt; and raw paho QoS 1 of the same size."""
    ours, peer = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = Site(folder, broker)
        try:
            sender = Sender(site, folder / "outbox.sqlite3")
            sender.send(observations(200, run=-1))
            files = site.papers("peer-1")
            payloads = [os.urandom(_WIRE_BYTES)] * messages
            for run in range(runs):
                ours.append(messages / sender.send(observations(messages, run)))
                raw = make_client("peer-1", files.ca, files.certificate, files.private_key)
                took = publish_all(raw, site.fleet.broker.port, site.topic, payloads)
                peer.append(messages / took)
            sender.close()
        finally:
            site.close()
    return statistics.median(ours), statistics.median(peer)


def observations(count: int, run: int) -> list[tuple[Body, Lane]]:
    """Different detections that raise no alert, as most of what a station says."""
    first = (run + 2) * 1_000_000
    return [(made_up("station-1", first + n), Lane.EVIDENCE) for n in range(count)]


def enqueue_groups(messages: int = 1000, singles: int = 100, runs: int = RUNS) -> Pair:
    """Microseconds a message: durably enqueued a hundred together, and each by itself."""
    ours, peer = [], []
    for run in range(runs):
        with tempfile.TemporaryDirectory() as name:
            outbox = open_outbox(Path(name) / "outbox.sqlite3")
            bodies = sample_bodies(messages + singles, run)
            started = time.perf_counter()
            for first in range(0, messages, _GROUP):
                for done in outbox.put_many(bodies[first : first + _GROUP]):
                    done.result(_PATIENCE_S)
            middle = time.perf_counter()
            for body, lane in bodies[messages:]:
                outbox.put(body, lane).result(_PATIENCE_S)
            peer.append((time.perf_counter() - middle) / singles * 1e6)
            ours.append((middle - started) / messages * 1e6)
            outbox.close()
    return statistics.median(ours), statistics.median(peer)


def fsync_us() -> float:
    """Microseconds that this disk takes to make 4 KiB durable."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


class _Arriving:
    """An intake that has everything already."""

    is_connected = True

    def __init__(self, raws: Sequence[bytes]) -> None:
        topic = topics.up("demo", "station-1", Lane.EVIDENCE)
        self._deliveries = [Delivery(topic, raw, False, _nothing) for raw in raws]

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Return the next deliveries at once."""
        taken, self._deliveries = self._deliveries[:limit], self._deliveries[limit:]
        return taken

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        """Take a receipt."""
        return True


def ingest(messages: int = 2000, runs: int = RUNS) -> Pair:
    """Messages a second of processor time: verified and stored with receipts; verified alone."""
    key = Ed25519PrivateKey.generate()
    known = KnownKey("station-1", key.public_key())
    ours, peer = [], []
    former = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLD)  # as in the central
    try:
        for run in range(runs):
            raws = _chain(key, [body for body, _ in observations(messages, run)])
            started = time.process_time()
            for raw in raws:
                open_envelope(raw, tenant="demo", find_key=lambda kid: known)
            peer.append(messages / (time.process_time() - started))
            ours.append(messages / _ingest_s(key, raws))
    finally:
        gc.set_threshold(*former)
    return statistics.median(ours), statistics.median(peer)


def _ingest_s(key: Ed25519PrivateKey, raws: Sequence[bytes]) -> float:
    with tempfile.TemporaryDirectory() as name:
        store = open_sqlite(Path(name) / "central.sqlite3")
        pem = public_pem(key.public_key())
        store.enrol("station-1", tenant="demo", kind=DeviceKind.VAN, name="", public_pem=pem, at=0)
        work = Ingest(
            store,
            _Arriving(raws),
            tenant="demo",
            signer=KeySigner(Ed25519PrivateKey.generate()),
            clock=SystemClock(),
            on_events=_nothing,
        )
        started = time.process_time()
        while work.step():
            pass
        took = time.process_time() - started
        stored = store.totals().messages
        store.close()
    if stored != len(raws):
        raise RuntimeError(f"{stored} of {len(raws)} messages were stored")
    return took


def _chain(key: Ed25519PrivateKey, bodies: Sequence[Body]) -> list[bytes]:
    raws, prev, clock, signer = [], NO_PREVIOUS, SystemClock(), KeySigner(key)
    for seq, body in enumerate(bodies, start=1):
        raw = seal(
            body,
            tenant="demo",
            device="station-1",
            boot_id=bytes(16),
            seq=seq,
            wall=clock.wall(),
            mono=clock.mono(),
            quality=clock.quality(),
            prev=prev,
            signer=signer,
        )
        raws.append(raw)
        prev = message_digest(raw)
    return raws


def _nothing(*_: object) -> None:
    return None
