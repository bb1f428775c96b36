"""What the transport's tests lean on: outbox in memory, cuttable cable, brokers with papers."""

from __future__ import annotations

import contextlib
import getpass
import json
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from central.authority import Authority
from contract.envelope import EnvelopeError, Refusal
from contract.topics import Lane
from contract.words import Presence
from mqtt_bridge.backoff import Backoff
from mqtt_bridge.brokers import Broker, DeviceGrant, Listener, MosquittoBroker, NatsBroker
from mqtt_bridge.brokers.nats import nats_users
from mqtt_bridge.connection import Connection, Protocol, Session
from mqtt_bridge.events import Ended, Event, Opened
from mqtt_bridge.intake import Intake
from mqtt_bridge.ports import BrokerAddress, Delivery, OutboxRow, TlsFiles
from mqtt_bridge.uplink import Uplink, UplinkSettings

every_broker = pytest.mark.parametrize(
    "broker_kind",
    [
        "nats",
        "nats-deployed",
        pytest.param("mosquitto", marks=pytest.mark.mosquitto),
        pytest.param("mosquitto-deployed", marks=pytest.mark.mosquitto),
    ],
    indirect=True,
)
"""Brokers as the central runs them, and as an operator runs them with the files of deploy/."""

TENANT = "demo"
DEVICES = ("van-1", "atm-1")
PATIENCE_S = 30.0


def eventually(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Poll until something holds; False when patience is over."""
    until = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def quick_backoff() -> Backoff:
    return Backoff(base_s=0.05, cap_s=0.2, random=random.Random(1).random)


class MemoryOutbox:
    """An outbox without a disk; its receipts are the text ``up_to N`` or ``only N``."""

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}
        self._changed = threading.Lock()
        self._top_seq = 0
        self.failures: list[Exception] = []
        self.aside: dict[int, str] = {}
        self._tell: Callable[[], None] | None = None

    def put(self, count: int = 1, lane: Lane = Lane.EVIDENCE) -> None:
        with self._changed:
            for _ in range(count):
                self._top_seq += 1
                row = OutboxRow(self._top_seq, lane, b"message %d" % self._top_seq)
                self._rows[row.seq] = row
        if self._tell is not None:
            self._tell()

    @property
    def seqs(self) -> list[int]:
        with self._changed:
            return sorted(self._rows)

    def forget(self, seq: int) -> None:
        with self._changed:
            del self._rows[seq]

    def unreceipted(self, after_seq: int, limit: int) -> Sequence[OutboxRow]:
        with self._changed:
            if self.failures:
                raise self.failures.pop()
            waiting = sorted(seq for seq in self._rows if seq > after_seq)
            return [self._rows[seq] for seq in waiting[:limit]]

    def lane_rows(
        self, lane: Lane, after_seq: int, up_to_seq: int, limit: int
    ) -> Sequence[OutboxRow]:
        rows = self.unreceipted(after_seq, len(self._rows))
        return [r for r in rows if r.lane is lane and r.seq <= up_to_seq][:limit]

    def top_seq(self) -> int:
        with self._changed:
            return max(self._rows, default=0)

    def held(self, seqs: Collection[int]) -> set[int]:
        with self._changed:
            return self._rows.keys() & set(seqs)

    def apply_receipt(self, raw: bytes) -> int:
        words = raw.split()
        if len(words) != 2 or words[0] not in {b"up_to", b"only"}:
            raise EnvelopeError(Refusal.BAD_SIGNATURE, "no receipt")
        last = int(words[1])
        first = last if words[0] == b"only" else 0
        with self._changed:
            covered = [seq for seq in self._rows if first <= seq <= last]
            for seq in covered:
                del self._rows[seq]
            return len(covered)

    def put_aside(self, seq: int, why: str) -> bool:
        with self._changed:
            self.aside[seq] = why
            return self._rows.pop(seq, None) is not None

    def tell_of_rows(self, tell: Callable[[], None] | None) -> None:
        self._tell = tell


def a_state(presence: Presence) -> bytes:
    return presence.value.encode()


@dataclass(frozen=True)
class Site:
    """A broker under mutual TLS with an authority, the central's papers and two devices."""

    broker: Broker
    authority: Authority
    folder: Path

    @property
    def central(self) -> TlsFiles:
        return self.authority.issue_client(self.folder / "central")

    def papers(self, device: str) -> TlsFiles:
        return enrolled(self.authority, self.folder / device, device)

    def address(self, device: str) -> BrokerAddress:
        return self.broker.address(self.papers(device))

    def intake(self, **changes: int | Protocol) -> Intake:
        options: dict[str, object] = {
            "client_id": "central-1",
            "has_replay_session": not isinstance(self.broker, MosquittoBroker),
            **changes,
        }
        return Intake(
            self.broker.address(self.central),
            TENANT,
            backoff=quick_backoff,
            **options,  # type: ignore[arg-type]
        )

    def uplink(
        self,
        outbox: MemoryOutbox,
        device: str = "van-1",
        address: BrokerAddress | None = None,
        settings: UplinkSettings | None = None,
    ) -> Uplink:
        return Uplink(
            address or self.address(device),
            TENANT,
            device,
            outbox,
            a_state,
            settings=settings or UplinkSettings(resend_min_s=0.5, resend_max_s=2.0),
            backoff=quick_backoff(),
        )


@contextlib.contextmanager
def running(*links: Intake | Uplink) -> Iterator[None]:
    """Start links in turn, each connected before the next; stop them in reverse."""
    try:
        for link in links:
            link.start()
            assert eventually(lambda link=link: link.is_connected), link.problem  # type: ignore[misc]
        yield
    finally:
        for link in reversed(links):
            assert link.stop()


def make_broker(kind: str, folder: Path, authority: Authority | None, port: int = 0) -> Broker:
    tls = authority.issue_server(folder / "tls") if authority else None
    grants = [DeviceGrant(TENANT, device) for device in DEVICES]
    listener = Listener(tls=tls, grants=grants, port=port)
    if kind.endswith("-deployed"):
        return make_deployed(kind.removesuffix("-deployed"), folder, listener, authority)
    if kind == "mosquitto":
        return MosquittoBroker(folder, listener)
    return NatsBroker(folder, listener, ack_wait_s=2)


def make_deployed(
    kind: str, folder: Path, listener: Listener, authority: Authority | None
) -> Broker:
    """A broker that runs with the files of deploy/; only their places and the port are changed."""
    assert authority is not None
    etc = folder / "etc"
    etc.mkdir(parents=True)
    tls = authority.issue_server(etc)
    for name, source in (("ca.pem", tls.ca), ("crl.pem", authority.publish_crl([]))):
        (etc / name).write_bytes(source.read_bytes())
    if kind == "mosquitto":
        return DeployedMosquitto(folder, listener)
    return DeployedNats(folder, listener)


DEPLOY = Path(__file__).parents[2] / "deploy"


def _moved(text: str, folder: Path, port: int) -> str:
    places = {
        "/etc/qianshao/broker": str(folder / "etc"),
        "/var/lib/qianshao/jetstream": str(folder / "jetstream"),
        "/var/lib/mosquitto/": f"{folder}/",
        "/var/log/qianshao": str(folder),
        "/var/log/mosquitto": str(folder),
        "0.0.0.0:8883": f"127.0.0.1:{port}",
        "listener 8883": f"listener {port} 127.0.0.1",
        "127.0.0.1:4222": "127.0.0.1:-1",
        "TENANT": TENANT,
    }
    for old, new in places.items():
        text = text.replace(old, new)
    return text


class DeployedMosquitto(MosquittoBroker):
    def _files(self) -> dict[Path, str]:
        config = (DEPLOY / "mosquitto/qianshao.conf").read_text(encoding="utf-8")
        access = (DEPLOY / "mosquitto/qianshao.acl").read_text(encoding="utf-8")
        user = f"user {getpass.getuser()}\n"  # Debian's own file drops root; here nobody is root
        return {
            self._folder / "etc/qianshao.acl": _moved(access, self._folder, self._port),
            self._config: user + _moved(config, self._folder, self._port),
        }


class DeployedNats(NatsBroker):
    def _port_of(self, config: str) -> int:
        mqtt = config.partition("mqtt {")[2]  # its own port comes before
        return int(mqtt.partition('listen: "127.0.0.1:')[2].partition('"')[0] or 0)

    def _files(self) -> dict[Path, str]:
        config = (DEPLOY / "nats/nats.conf").read_text(encoding="utf-8")
        users = json.dumps({"users": nats_users("central", self._grants)}, indent=2)
        return {
            self._folder / "users.conf": users[1:-1],
            self._config: _moved(config, self._folder, self._port),
        }


def enrolled(authority: Authority, folder: Path, device: str) -> TlsFiles:
    """Papers as a device gets them: its own key, and a certificate for its request."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(
        ca=authority.certificate_path,
        certificate=folder / "device.pem",
        private_key=folder / "device.key",
    )
    pem = request.public_bytes(serialization.Encoding.PEM)
    files.certificate.write_bytes(authority.issue_from_csr(pem, device))
    files.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def take(intake: Intake, count: int, *, is_acked: bool = True) -> list[Delivery]:
    """The next ``count`` deliveries that are no births or wills."""
    taken: list[Delivery] = []
    until = time.monotonic() + PATIENCE_S
    while len(taken) < count and time.monotonic() < until:
        for delivery in intake.batch(count, 0.1):
            if "/up/" in delivery.topic:
                taken.append(delivery)
            if is_acked:
                delivery.ack()
    return taken


def receipt_everything(intake: Intake, device: str, seen: list[bytes], count: int) -> None:
    """Play the central: take, acknowledge, receipt what is complete, until ``count`` are in."""
    until = time.monotonic() + 2 * PATIENCE_S
    while time.monotonic() < until:
        for delivery in intake.batch(50, 0.1):
            if "/up/" in delivery.topic:
                seen.append(delivery.payload)
            delivery.ack()
        numbers = {int(payload.split()[1]) for payload in seen}
        up_to = next(n for n in range(len(numbers) + 1) if n + 1 not in numbers)
        intake.publish(f"v1/{TENANT}/down/{device}/rcpt", b"up_to %d" % up_to)
        if up_to >= count:
            return


def opened(session: Session) -> Connection:
    """A bare connection that is up."""
    connection = Connection(session)
    connection.start()
    event = connection.events.get(timeout=PATIENCE_S)
    assert isinstance(event, Opened), event
    return connection


def next_event(
    connection: Connection, kind: type[Event] | tuple[type[Event], ...], patience_s: float = 30.0
) -> Event | None:
    """The next event of one kind (others are passed over), None if it does not come."""
    until = time.monotonic() + patience_s
    while (rest_s := until - time.monotonic()) > 0:
        try:
            event = connection.events.get(timeout=rest_s)
        except Empty:
            return None
        if isinstance(event, kind):
            return event
        if isinstance(event, Ended):
            return None
    return None
