"""The seams of the transport: what the two ends bring, and what they get."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.topics import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files of a mutual TLS connection (PEM)."""

    ca: Path
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker listens and how to prove who one is."""

    host: str
    port: int
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One signed message that waits for its receipt."""

    seq: int
    lane: Lane
    cose: bytes


class OutboxPort(Protocol):
    """What the uplink needs of an outbox. All calls may come from the uplink's own thread."""

    def lane_rows(
        self, lane: Lane, after_seq: int, up_to_seq: int, limit: int
    ) -> Sequence[OutboxRow]:
        """Oldest waiting rows of a lane with after_seq < seq <= up_to_seq, in order of seq."""

    def top_seq(self) -> int:
        """Newest waiting row, 0 where none waits; all rows below it can be read."""

    def held(self, seqs: Collection[int]) -> set[int]:
        """Those of some rows that still wait for a receipt."""

    def apply_receipt(self, raw: bytes) -> int:
        """Verify a signed receipt, delete what it covers; returns how many rows went."""

    def put_aside(self, seq: int, why: str) -> bool:
        """Send a message no more that is refused again and again; False if it goes on waiting."""

    def tell_of_rows(self, tell: Callable[[], None] | None) -> None:
        """Call ``tell``, which does not wait, whenever newer rows are durable; None: nobody."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message from the broker that the receiver has yet to acknowledge."""

    topic: str
    payload: bytes
    is_retained: bool
    ack: Callable[[], None]
    """Tell the broker that the message is safe (PUBACK). May be called from any thread."""


class IntakePort(Protocol):
    """The central's side of the broker."""

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Up to ``limit`` deliveries, waiting ``wait_s`` seconds for the first; maybe none."""

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        """Publish QoS 1 without waiting for the PUBACK; False while there is no connection."""

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there now."""
