"""An outbox with its keys and a central that receipts, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract import (
    Body,
    ClockQuality,
    Detection,
    Envelope,
    Health,
    MonoMicros,
    Receipt,
    SeqRange,
    UnixMicros,
    VirtualClock,
    open_envelope,
    seal,
)
from contract.envelope import NO_PREVIOUS
from contract.keys import FindKey, KeySigner, KnownKey, PrivateKey
from contract.messages import detection_id
from contract.topics import Lane
from edge_agent.outbox import Outbox, Quota
from mqtt_bridge.ports import OutboxRow
from tests.samples import BOOT, ED25519, SUBJECT, a_detection

CENTRAL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
TENANT, DEVICE = "demo", "van-1"
NOON = UnixMicros(1_700_000_000_000_000)


def finds(key: PrivateKey, owner: str) -> FindKey:
    known, kid = KnownKey(owner, key.public_key()), KeySigner(key).kid
    return lambda wanted: known if wanted == kid else None


def numbered_detection(number: int, **changes: Any) -> Detection:
    """A detection of its own: the window tells them apart."""
    name = detection_id(DEVICE, "modem0", SUBJECT, UnixMicros(number))
    return a_detection(detection_id=name, **changes)


def a_health(uptime_s: int = 1) -> Health:
    return Health(uptime_s=uptime_s, version="1", parts=())


def opened(row: OutboxRow) -> Envelope:
    return open_envelope(row.cose, tenant=TENANT, find_key=finds(ED25519, DEVICE))


def assert_chained(rows: Sequence[OutboxRow], prev: bytes = NO_PREVIOUS, first: int = 1) -> None:
    for seq, row in enumerate(rows, start=first):
        envelope = opened(row)
        assert (row.seq, envelope.payload.seq) == (seq, seq)
        assert envelope.payload.prev == prev
        prev = envelope.digest


@dataclass
class Bench:
    """A folder in which outboxes are opened again and again."""

    folder: Path
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOON))

    @property
    def path(self) -> Path:
        return self.folder / "outbox.db"

    def open(self, **changes: Any) -> Outbox:
        arguments: dict[str, Any] = {
            "tenant": TENANT,
            "device": DEVICE,
            "signer": KeySigner(ED25519),
            "clock": self.clock,
            "boot_id": BOOT,
            "central_keys": finds(CENTRAL_KEY, "central"),
            "quota": Quota(min_free_bytes=0),
        }
        return Outbox.open(self.path, **(arguments | changes))


def fill(outbox: Outbox, count: int, first: int = 0) -> list[int]:
    messages = [(numbered_detection(n), Lane.EVIDENCE) for n in range(first, first + count)]
    return [future.result(30).seq for future in outbox.put_many(messages)]


def rows_of(outbox: Outbox) -> Sequence[OutboxRow]:
    return outbox.unreceipted(0, 1_000_000)


def receipt_bytes(
    up_to: int = 0,
    head: bytes = b"",
    ranges: Sequence[tuple[int, int]] = (),
    *,
    device: str = DEVICE,
    sender: str = "central",
    tenant: str = TENANT,
    key: PrivateKey = CENTRAL_KEY,
    body: Body | None = None,
) -> bytes:
    receipt = Receipt(
        device=device,
        up_to=up_to,
        head=head,
        ranges=tuple(SeqRange(first=first, last=last) for first, last in ranges),
    )
    return seal(
        body or receipt,
        tenant=tenant,
        device=sender,
        boot_id=BOOT,
        seq=0,
        wall=NOON,
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=KeySigner(key),
    )
