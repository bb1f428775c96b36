"""The place of a message in its device's hash chain. Pure."""

from __future__ import annotations

from enum import Enum, auto

from central.store.interface import Link
from contract import Envelope, EnvelopeError, Refusal
from contract.envelope import NO_PREVIOUS


class Place(Enum):
    """What the chain says of a message that may be taken."""

    FRESH = auto()
    DUPLICATE = auto()


def check_place(
    envelope: Envelope, *, same: Link | None, before: Link | None, after: Link | None
) -> Place:
    """Compare a message with its stored neighbours; raises EnvelopeError.

    Messages come out of order (lanes have priorities), so a missing neighbour is no fault: the
    hole stays visible until it is filled. A stored neighbour must fit by hash on both sides. A
    message whose ``prev`` is zeros begins a chain: at seq 1, or above a hole where a device lost
    its store; what came before it may still arrive late.
    """
    payload = envelope.payload
    if same is not None:
        if same.digest == envelope.digest:
            return Place.DUPLICATE
        raise EnvelopeError(
            Refusal.SEQUENCE_REUSED, f"seq {payload.seq} is stored with another content"
        )
    is_start = payload.prev == NO_PREVIOUS
    if payload.seq == 1 and not is_start:
        raise EnvelopeError(Refusal.BROKEN_CHAIN, "seq 1 names a message before it")
    if before is not None and payload.prev != before.digest:
        raise EnvelopeError(
            Refusal.BROKEN_CHAIN,
            f"seq {payload.seq} does not name the stored seq {before.seq} as the one before it",
        )
    if after is not None and after.prev not in {envelope.digest, NO_PREVIOUS}:
        raise EnvelopeError(
            Refusal.BROKEN_CHAIN,
            f"the stored seq {after.seq} names another message than this seq {payload.seq}",
        )
    return Place.FRESH
