"""From a delivery to a verified message with its sender, or to a refusal. No database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from contract import (
    Detection,
    Envelope,
    EnvelopeError,
    Gap,
    Health,
    OrderResult,
    Refusal,
    State,
    WithdrawalDecision,
)
from contract.envelope import Signed, open_signed, take_apart
from contract.keys import FindKey
from contract.messages import AlarmReport, CrewReport, FeedReport, MachineAlarm, VisitLinkReport
from contract.topics import VERSION, TopicError, parse_state, parse_up
from mqtt_bridge.ports import Delivery

_CHAINED = (
    Detection
    | WithdrawalDecision
    | MachineAlarm
    | OrderResult
    | CrewReport
    | VisitLinkReport
    | AlarmReport
    | FeedReport
    | Gap
)
"""What has a place in a device's chain, besides its health."""
_MAX_TOPIC_CHARS = 200
_MAX_DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message that verified and came on its sender's own topic."""

    envelope: Envelope
    topic: str
    is_retained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that is not taken."""

    device: str
    """As the topic claims; empty if it names none."""
    topic: str
    reason: Refusal
    detail: str
    sha256: bytes
    size_bytes: int
    signer: str = ""
    """Owner of the key that really signed it, where that is known."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A message on its way to its verification."""

    delivery: Delivery
    claimed: str
    is_state_topic: bool
    message: Signed


def prepare(delivery: Delivery, *, tenant: str, find_key: FindKey) -> Unchecked | Refused:
    """Find out who claims to speak; whatever bytes and topic are, it raises nothing of its own."""
    claimed = ""
    try:
        claimed, is_state_topic = _sender_of(delivery.topic, tenant)
        message = take_apart(delivery.payload, tenant=tenant, find_key=find_key)
    except EnvelopeError as error:
        return refused(delivery.topic, delivery.payload, claimed, error)
    return Unchecked(delivery, claimed, is_state_topic, message)


def conclude(unchecked: Unchecked, *, is_good: bool) -> Admitted | Refused:
    """Open what was prepared, once its signature was checked."""
    topic, claimed = unchecked.delivery.topic, unchecked.claimed
    try:
        envelope = open_signed(unchecked.message, is_good=is_good)
        _check_sender(envelope, claimed, unchecked.is_state_topic)
    except EnvelopeError as error:
        return refused(topic, unchecked.delivery.payload, claimed, error)
    return Admitted(envelope, topic, unchecked.delivery.is_retained)


def admit(delivery: Delivery, *, tenant: str, find_key: FindKey) -> Admitted | Refused:
    """Verify one delivery; whatever its bytes and topic are, it raises nothing of its own."""
    item = prepare(delivery, tenant=tenant, find_key=find_key)
    if isinstance(item, Refused):
        return item
    return conclude(item, is_good=item.message.is_good())


def faulty(delivery: Delivery, tenant: str) -> Refused:
    """Refuse what the central itself failed on."""
    try:
        claimed, _ = _sender_of(delivery.topic, tenant)
    except EnvelopeError:
        claimed = ""
    error = EnvelopeError(Refusal.CENTRAL_FAULT, "the central failed on it; its log says where")
    return refused(delivery.topic, delivery.payload, claimed, error)


def refused(topic: str, payload: bytes, claimed: str, error: EnvelopeError) -> Refused:
    """Describe a refusal without the content of the message."""
    return Refused(
        device=claimed,
        topic=topic[:_MAX_TOPIC_CHARS],
        reason=error.refusal,
        detail=error.detail[:_MAX_DETAIL_CHARS],
        sha256=hashlib.sha256(payload).digest(),
        size_bytes=len(payload),
        signer=error.signer,
    )


def _sender_of(topic: str, tenant: str) -> tuple[str, bool]:
    """Return (device, whether it is the state topic)."""
    is_state = topic.startswith(f"{VERSION}/{tenant}/state/")
    try:
        if is_state:
            found, device = parse_state(topic)
        else:
            up = parse_up(topic)
            found, device = up.tenant, up.device
    except TopicError as error:
        raise EnvelopeError(Refusal.MALFORMED, f"topic: {error}") from error
    if found != tenant:
        raise EnvelopeError(Refusal.WRONG_SENDER, f"topic of tenant {found!r}")
    return device, is_state


def _check_sender(envelope: Envelope, claimed: str, is_state_topic: bool) -> None:
    payload, body = envelope.payload, envelope.body
    if payload.device != claimed:
        raise EnvelopeError(
            Refusal.WRONG_SENDER,
            f"{payload.device} spoke on the topic of {claimed}",
            payload.device,
        )
    if is_state_topic != isinstance(body, State):
        raise EnvelopeError(Refusal.MALFORMED, f"a {payload.type} does not belong on this topic")
    if not isinstance(body, _CHAINED | Health | State):
        raise EnvelopeError(Refusal.MALFORMED, f"a {payload.type} is no message of a device")
    if isinstance(body, _CHAINED) and payload.seq == 0:
        raise EnvelopeError(Refusal.MALFORMED, f"a {payload.type} needs a place in the chain")
    if isinstance(body, Gap) and body.spans[-1].last >= payload.seq:
        raise EnvelopeError(Refusal.MALFORMED, "a gap names only what was numbered before it")
    if isinstance(body, State) and payload.seq != 0:
        raise EnvelopeError(Refusal.MALFORMED, "a state stands outside the chain, at seq 0")
