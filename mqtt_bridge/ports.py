"""The seams of the transport: what the two ends bring, and what they get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    def unreceipted(self, after_seq: int, limit: int) -> Sequence[OutboxRow]:
        """Oldest rows with seq > after_seq that no receipt covers yet, in order of seq."""

    def held(self, seqs: Sequence[int]) -> set[int]:
        """Those of the rows that still wait for a receipt."""

    def top_seq(self) -> int:
        """Newest waiting row, 0 where none waits."""

    def apply_receipt(self, raw: bytes) -> int:
        """Verify a signed receipt, delete what it covers; returns how many rows went."""

    def wait_for_rows(self, after_seq: int, timeout_s: float) -> bool:
        """Block until a row with seq > after_seq is durable, or the time is over."""


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
