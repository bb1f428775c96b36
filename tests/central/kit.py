"""A device that really seals, a broker's side in memory, and a central over a real file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.config import CentralSettings
from central.ingest import Ingest
from central.store import Event, open_sqlite
from central.store.sql import SqlStore
from contract import (
    ClockQuality,
    Envelope,
    FaceEvidence,
    Health,
    PartHealth,
    Receipt,
    State,
    UnixMicros,
    VirtualClock,
    WithdrawalDecision,
    open_envelope,
    seal,
)
from contract.accounts import card_ref
from contract.clock import MonoMicros
from contract.envelope import NO_PREVIOUS, message_digest
from contract.keys import KeySigner, KnownKey, public_pem
from contract.topics import Lane, state, up
from contract.words import (
    Decision,
    DecisionReason,
    DeviceKind,
    Pad,
    PartState,
    PinVerdict,
    Presence,
)
from mqtt_bridge.ports import Delivery

TENANT = "demo"
START = UnixMicros(1_767_322_800_000_000)  # 2026-01-02T03:00:00Z
CENTRAL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


class Crash(BaseException):
    """The process dies here; nothing that catches Exception may survive it."""


class MemoryIntake:
    """The broker's side: keeps what is not acknowledged, as a persistent session does."""

    def __init__(self) -> None:
        self.unacknowledged: dict[int, tuple[str, bytes, bool]] = {}
        self.published: list[tuple[str, bytes]] = []
        self.is_connected = True
        self.on_ack: Callable[[], None] = lambda: None
        self.on_publish: Callable[[], None] = lambda: None
        self._next = 0
        self._handed: set[int] = set()

    def arrive(self, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        self.unacknowledged[self._next] = (topic, payload, is_retained)
        self._next += 1

    def reconnect(self) -> None:
        """The broker redelivers what was not acknowledged."""
        self._handed.clear()

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        fresh = [n for n in self.unacknowledged if n not in self._handed][:limit]
        self._handed.update(fresh)
        return [self._delivery(n) for n in fresh]

    def _delivery(self, number: int) -> Delivery:
        topic, payload, is_retained = self.unacknowledged[number]

        def ack() -> None:
            self.on_ack()
            self.unacknowledged.pop(number, None)

        return Delivery(topic, payload, is_retained, ack)

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        self.on_publish()
        if not self.is_connected:
            return False
        self.published.append((topic, payload))
        return True

    def receipts(self) -> list[Receipt]:
        """Every receipt, verified with the central's key."""
        return [open_receipt(raw) for _, raw in self.published]


def open_receipt(raw: bytes) -> Receipt:
    kid = KeySigner(CENTRAL_KEY).kid
    known = KnownKey("central", CENTRAL_KEY.public_key())
    envelope = open_envelope(raw, tenant=TENANT, find_key=lambda k: known if k == kid else None)
    assert isinstance(envelope.body, Receipt)
    assert envelope.payload.seq == 0
    return envelope.body


@dataclasses.dataclass
class Station:
    """A device that seals its chain, one message after the other."""

    device: str = "van-1"
    kind: DeviceKind = DeviceKind.VAN
    seed: int = 7
    seq: int = 0
    prev: bytes = NO_PREVIOUS
    mono: int = 1_000_000
    boot_id: bytes = b"\x07" * 16

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed]) * 32)

    def seal(self, body: Any, **changes: Any) -> bytes:
        self.mono += 1000
        arguments: dict[str, Any] = {
            "tenant": TENANT,
            "device": self.device,
            "boot_id": self.boot_id,
            "seq": self.seq + 1,
            "wall": START,
            "mono": MonoMicros(self.mono),
            "quality": ClockQuality(is_synced=True, estimated_error_ms=3),
            "prev": self.prev,
            "signer": KeySigner(self.key),
        }
        arguments.update(changes)
        return seal(body, **arguments)

    def next(self, body: Any) -> bytes:
        """Seal the next message of the chain."""
        raw = self.seal(body)
        self.seq += 1
        self.prev = message_digest(raw)
        return raw

    def lose_store(self, next_seq: int) -> None:
        """Begin a new chain above a hole, as a device does whose outbox was destroyed."""
        self.seq, self.prev = next_seq - 1, NO_PREVIOUS

    def outside(self, body: Any) -> bytes:
        """Seal a message outside the chain."""
        return self.seal(body, seq=0, prev=NO_PREVIOUS)

    def topic(self, lane: Lane = Lane.EVIDENCE) -> str:
        return up(TENANT, self.device, lane)

    @property
    def state_topic(self) -> str:
        return state(TENANT, self.device)

    def state(self, presence: Presence, session: bytes = b"s" * 8) -> bytes:
        return self.outside(
            State(presence=presence, session=session, kind=self.kind, version="0.1.0")
        )


class Central:
    """Store, ingest and clock of one central, ready to be fed."""

    def __init__(
        self, folder: Path, intake: MemoryIntake | None = None, store: SqlStore | None = None
    ) -> None:
        self.path = folder / "central.sqlite3"
        self.store: SqlStore = store or open_sqlite(self.path, busy_timeout_s=0.1)
        self.intake = intake or MemoryIntake()
        self.clock = VirtualClock(START, MonoMicros(5_000_000))
        self.events: list[Event] = []
        self.ingest = self.new_ingest()

    def new_ingest(self, **changes: Any) -> Ingest:
        arguments: dict[str, Any] = {
            "tenant": TENANT,
            "signer": KeySigner(CENTRAL_KEY),
            "clock": self.clock,
            "on_events": self.events.extend,
        }
        arguments.update(changes)
        return Ingest(self.store, self.intake, **arguments)

    def enrol(self, station: Station) -> Station:
        self.store.enrol(
            station.device,
            tenant=TENANT,
            kind=station.kind,
            name=f"Station {station.device}",
            public_pem=public_pem(station.key.public_key()),
            at=START,
        )
        return station

    def take(self, topic: str, *payloads: bytes, is_retained: bool = False) -> None:
        """Deliver messages and let one second pass after them, so that receipts go out."""
        for payload in payloads:
            self.intake.arrive(topic, payload, is_retained=is_retained)
        self.ingest.step()
        self.clock.advance(1_000_000)
        self.ingest.step()


def settings(folder: Path, **changes: Any) -> CentralSettings:
    return CentralSettings(tenant=TENANT, folder=folder, **changes)


def opened(station: Station, raw: bytes) -> Envelope:
    known = KnownKey(station.device, station.key.public_key())
    return open_envelope(raw, tenant=TENANT, find_key=lambda kid: known)


def a_decision(**changes: Any) -> WithdrawalDecision:
    decision = WithdrawalDecision(
        visit="000017",
        business="withdraw",
        amount_fen=123_450,
        card=card_ref("6222021234567894", b"k" * 32),
        pin=PinVerdict.OK,
        face=FaceEvidence(
            engine="yunet+sface",
            model_sha256=b"\x05" * 32,
            similarity=0.71,
            threshold=0.363,
            pad=Pad.CHALLENGE,
            is_simulated=True,
        ),
        decision=Decision.ALLOW,
        policy_version="2026-01",
        started_at=START,
        decided_at=UnixMicros(START + 4_000_000),
    )
    return dataclasses.replace(decision, **changes)


def an_attack(**changes: Any) -> WithdrawalDecision:
    return a_decision(
        decision=Decision.DENY, reason=DecisionReason.LIVENESS_FAILED, visit="000018", **changes
    )


def a_health(depth: int = 3, state: PartState = PartState.OK) -> Health:
    return Health(
        uptime_s=61,
        version="0.1.0",
        parts=(
            PartHealth(name="sensor modem0", state=state, detail="", counters={"losses": 1}),
            PartHealth(name="outbox", state=PartState.OK, counters={"depth": depth}),
        ),
    )
