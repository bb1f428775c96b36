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
from dataclasses import dataclass
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
from qianshao.bench_raw import make_client, publish_for
from qianshao.fleet.site import TENANT, FleetSite, prepare
from qianshao.fleet.traffic import made_up

Pair = tuple[float, float]
"""Ours and the peer's."""


@dataclass(frozen=True, slots=True)
class Way:
    """The whole way: messages a second, and what one costs each process."""

    rate: Pair
    cpu_us: dict[str, Pair]
    """Processor time a message, microseconds: of the sender, the broker and the receiver."""


PROCESSES = ("sender", "broker", "receiver")

SECONDS = 20.0
"""Length of a steady state."""
_WARM_UP_S = 4.0
_WAITING = 7000
"""Kept in the outbox: more than goes in a second and the way there and back, or the wait for the
next receipt would be what is measured."""
_HAND_OVER = 100
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

    def cpu_s(self, *, is_peer: bool) -> dict[str, float]:
        """Processor time so far of the sender (this process), the broker and the receiver.

        The receiver's includes the process that checks signatures for it.
        """
        receiver = self._processes[1 if is_peer else 0].pid
        return {
            "sender": _cpu_s(os.getpid()),
            "broker": _cpu_s(self.fleet.broker.pid),
            "receiver": sum(_cpu_s(pid) for pid in (receiver, *_children_of(receiver))),
        }

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

    def rate(self, seconds: float, run: int) -> float:
        """Receipted messages a second, from one receipt to another some seconds later.

        The outbox is kept filled, so that neither end waits for work. What is on its way at both
        moments cancels out.
        """
        number, began, ends = (run + 1) * 10_000_000, None, None
        last = self.uplink.status().rows_receipted
        until = time.perf_counter() + _PATIENCE_S + seconds
        while time.perf_counter() < until:
            if self.outbox.depth < _WAITING:
                for done in self.outbox.put_many(observations(_HAND_OVER, number)):
                    done.result(_PATIENCE_S)
                number += _HAND_OVER
            else:
                time.sleep(0.01)
            now, receipted = time.perf_counter(), self.uplink.status().rows_receipted
            if receipted == last:
                continue
            last = receipted
            began = began or (now + _WARM_UP_S, 0)
            if began[1] == 0 and now > began[0]:
                began, ends = (now, receipted), now + seconds
            elif ends is not None and now > ends:
                return (receipted - began[1]) / (now - began[0])
        raise TimeoutError("no receipts come")

    def await_central(self) -> None:
        """Wait until it listens: what is sent before its first subscription has to go again."""
        for done in self.outbox.put_many(observations(_HAND_OVER, 1)):
            done.result(_PATIENCE_S)
        self.drain()

    def drain(self) -> None:
        """Wait until everything is receipted."""
        until = time.perf_counter() + _PATIENCE_S
        while depth := self.outbox.depth:
            if time.perf_counter() > until:
                raise TimeoutError(f"{depth} messages are without a receipt")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop sending and close the store."""
        self.uplink.stop()
        self.outbox.close()


def _no_state(presence: Presence) -> bytes:
    return presence.value.encode()


def _cpu_s(pid: int | None) -> float:
    """Processor time of a process, all its threads; 0 where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children_of(pid: int) -> list[int]:
    """Processes that a process started; none where the system does not tell."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text(encoding="ascii").split())
    return found


def _each_us(site: Site, *, is_peer: bool, since: dict[str, float], count: float) -> list[float]:
    now = site.cpu_s(is_peer=is_peer)
    return [(now[name] - since[name]) / count * 1e6 for name in PROCESSES]


def sustained(broker: str = "nats", seconds: float = SECONDS, runs: int = RUNS) -> Way:
    """Messages a second: sign, enqueue, publish, receipt; and raw paho QoS 1 of the same size.

    Both in a steady state of the same length, one after the other.
    """
    ours, peer = [], []
    ours_us: list[list[float]] = []
    peer_us: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = Site(folder, broker)
        try:
            sender = Sender(site, folder / "outbox.sqlite3")
            sender.await_central()
            files = site.papers("peer-1")
            payload = os.urandom(_WIRE_BYTES)
            for run in range(runs):
                since, before = site.cpu_s(is_peer=False), sender.uplink.status().rows_receipted
                ours.append(sender.rate(seconds, run))
                sender.drain()
                sent = sender.uplink.status().rows_receipted - before
                ours_us.append(_each_us(site, is_peer=False, since=since, count=sent))
                since = site.cpu_s(is_peer=True)
                raw = make_client("peer-1", files.ca, files.certificate, files.private_key)
                peer.append(publish_for(raw, site.fleet.broker.port, site.topic, payload, seconds))
                count = peer[-1] * seconds
                peer_us.append(_each_us(site, is_peer=True, since=since, count=count))
            sender.close()
        finally:
            site.close()
    costs = {
        name: (
            statistics.median(run[at] for run in ours_us),
            statistics.median(run[at] for run in peer_us),
        )
        for at, name in enumerate(PROCESSES)
    }
    return Way((statistics.median(ours), statistics.median(peer)), costs)


def observations(count: int, first: int) -> list[tuple[Body, Lane]]:
    """Different detections that raise no alert, as most of what a station says."""
    return [(made_up("station-1", first + n), Lane.EVIDENCE) for n in range(count)]


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
            raws = _chain(key, [body for body, _ in observations(messages, run * messages)])
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
