"""What the transport's tests lean on: outbox in memory, cuttable cable, brokers with papers."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty

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
from mqtt_bridge.connection import Connection, Ended, Event, Opened, Protocol, Session
from mqtt_bridge.intake import Intake
from mqtt_bridge.ports import BrokerAddress, Delivery, OutboxRow, TlsFiles
from mqtt_bridge.uplink import Uplink, UplinkSettings

TENANT = "demo"
DEVICES = ("van-1", "atm-1")
PATIENCE_S = 10.0


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
    """An outbox without a disk; its receipts are the text ``up_to N``."""

    def __init__(self) -> None:
        self._rows: dict[int, OutboxRow] = {}
        self._changed = threading.Condition()
        self._top_seq = 0
        self.failures: list[Exception] = []

    def put(self, count: int = 1, lane: Lane = Lane.EVIDENCE) -> None:
        with self._changed:
            for _ in range(count):
                self._top_seq += 1
                row = OutboxRow(self._top_seq, lane, b"message %d" % self._top_seq)
                self._rows[row.seq] = row
            self._changed.notify_all()

    @property
    def seqs(self) -> list[int]:
        with self._changed:
            return sorted(self._rows)

    def unreceipted(self, after_seq: int, limit: int) -> Sequence[OutboxRow]:
        with self._changed:
            if self.failures:
                raise self.failures.pop()
            waiting = sorted(seq for seq in self._rows if seq > after_seq)
            return [self._rows[seq] for seq in waiting[:limit]]

    def apply_receipt(self, raw: bytes) -> int:
        words = raw.split()
        if len(words) != 2 or words[0] != b"up_to":
            raise EnvelopeError(Refusal.BAD_SIGNATURE, "no receipt")
        with self._changed:
            covered = [seq for seq in self._rows if seq <= int(words[1])]
            for seq in covered:
                del self._rows[seq]
            return len(covered)

    def held(self, seqs: Sequence[int]) -> set[int]:
        with self._changed:
            return self._rows.keys() & set(seqs)

    def top_seq(self) -> int:
        with self._changed:
            return max(self._rows, default=0)

    def wait_for_rows(self, after_seq: int, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: any(seq > after_seq for seq in self._rows), min(timeout_s, 0.1)
            )


def a_state(presence: Presence) -> bytes:
    return presence.value.encode()


class Cable:
    """A TCP proxy in front of a broker: cut it, and both ends see the line go dead."""

    def __init__(self, target: BrokerAddress) -> None:
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._spawn(self._accept)

    @property
    def address(self) -> BrokerAddress:
        return BrokerAddress(
            host="127.0.0.1", port=self._server.getsockname()[1], tls=self._target.tls
        )

    def cut(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for end in (self._server, *self._ends):
            end.close()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection((self._target.host, self._target.port), 5.0)
            self._ends += [near, far]
            self._spawn(_copy, near, far)
            self._spawn(_copy, far, near)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


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
        options: dict[str, object] = {"client_id": "central-1", **changes}
        return Intake(
            self.broker.address(self.central),
            TENANT,
            backoff=quick_backoff(),
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
    if kind == "mosquitto":
        return MosquittoBroker(folder, listener)
    return NatsBroker(folder, listener, ack_wait_s=2)


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


def next_event(connection: Connection, kind: type[Event], patience_s: float = 5.0) -> Event | None:
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
