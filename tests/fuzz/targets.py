"""What takes bytes from outside, each as a function for a coverage-guided fuzzer.

A target raises nothing, or AssertionError where something altered was accepted. Anything else that
escapes is a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cbor2

from central.admission import Admitted, admit
from contract import envelope as sealing
from contract.codec import DecodeError, decode, encode, to_map
from contract.cosign import OrderError, assemble, open_order, read_order, sign_content
from contract.envelope import EnvelopeError, open_envelope
from contract.keys import KeySigner, KnownKey
from contract.messages import Health, OrderResult, Receipt, SeqRange, State
from contract.orders import RULES
from contract.topics import TopicError, parse_down, parse_state, parse_up
from contract.words import DeviceKind, OrderOutcome, OrderType, Presence
from hardware.captures.reader import CaptureReader
from hardware.modems import DIALECTS
from hardware.modems.interface import Arrival
from hardware.simulators.nas import attack_capture
from mqtt_bridge.ports import Delivery
from tests import orders, samples

SIGNER = KeySigner(samples.ED25519)
OWNER = KnownKey("van-1", SIGNER.public)
CENTRAL = KnownKey("central", orders.CENTRAL_KEY.public_key())
ARRIVAL = Arrival(at_us=1_700_000_000_000_000, time_basis="live", received_us=1)

MESSAGES = (
    samples.sealed(),
    samples.sealed(
        Receipt(device="van-1", up_to=3, head=bytes(32), ranges=(SeqRange(first=5, last=9),))
    ),
    samples.sealed(
        State(presence=Presence.ONLINE, session=b"s" * 8, kind=DeviceKind.VAN, version="1")
    ),
    samples.sealed(Health(uptime_s=1, version="1", parts=())),
    samples.sealed(
        OrderResult(
            digest=bytes(32),
            order_id=bytes(16),
            type="stop_payment",
            outcome=OrderOutcome.APPLIED,
            at=orders.NOW,
            attempt=1,
        )
    ),
)
ORDERS = tuple(orders.signed(type_) for type_ in OrderType if type_ in RULES)


def _find(kid: bytes) -> KnownKey | None:
    return OWNER if kid == SIGNER.kid else None


def envelope(data: bytes) -> None:
    """Bytes as they arrive: only what the key's owner sealed is taken."""
    try:
        open_envelope(data, tenant="demo", find_key=_find)
    except EnvelopeError:
        return
    assert data in MESSAGES, "an altered envelope was taken"


def signed_payload(data: bytes) -> None:
    """Content that an enrolled but hostile device signs: taken only in its one encoding."""
    protected = sealing._protected(int(SIGNER.algorithm), SIGNER.kid)
    signature = SIGNER.sign(sealing._to_be_signed(protected, "demo", data))
    raw = encode(cbor2.CBORTag(18, [protected, {}, data, signature]))
    try:
        found = open_envelope(raw, tenant="demo", find_key=_find)
    except EnvelopeError:
        return
    again = encode({**to_map(found.payload), sealing._BODY_KEY: to_map(found.body)})
    assert again == data, "two encodings of one message were taken"


def order(data: bytes) -> None:
    """An order as it arrives: only what two officers, or the central, signed is taken."""
    try:
        open_order(data, tenant=orders.TENANT, find_key=orders.FIND)
    except OrderError:
        return
    assert data in ORDERS, "an altered order was taken"


def signed_order(data: bytes) -> None:
    """Content that both officers signed: taken or refused, never a crash."""
    signers = [KeySigner(orders.OFFICERS[name]) for name in ("li", "wang")]
    parts = [sign_content(data, tenant=orders.TENANT, signer=signer) for signer in signers]
    try:
        raw = assemble(data, parts)
    except ValueError:
        return
    try:
        found = open_order(raw, tenant=orders.TENANT, find_key=orders.FIND)
    except OrderError:
        return
    assert len(found.signers) == 2
    assert read_order(raw) == found.order


def admission(data: bytes) -> None:
    """A delivery with any topic and any bytes, cut at the first zero byte."""
    topic, _, payload = data.partition(b"\0")
    delivery = Delivery(topic.decode("utf-8", "replace"), payload, False, lambda: None)
    found = admit(delivery, tenant="demo", find_key=_find)
    if isinstance(found, Admitted):
        assert payload in MESSAGES
        assert parse_topic_device(delivery.topic) == "van-1"


def parse_topic_device(topic: str) -> str:
    """Device that an upward or state topic names."""
    try:
        return parse_up(topic).device
    except TopicError:
        return parse_state(topic)[1]


def topics(data: bytes) -> None:
    """Any topic."""
    text = data.decode("utf-8", "replace")
    for parse in (parse_up, parse_down, parse_state):
        try:
            parse(text)
        except TopicError:
            continue


def cbor(data: bytes) -> None:
    """Any CBOR: what is taken has this one encoding."""
    try:
        value = decode(data)
    except DecodeError:
        return
    assert encode(value) == data, "an encoding that is not the deterministic one was taken"


def capture(data: bytes) -> None:
    """A capture in pieces of any length."""
    reader = CaptureReader("nas0", "fuzz.pcap")
    step = 1 + (data[0] if data else 0)
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step], 1)
    reader.close()


def modem(data: bytes) -> None:
    """Any bytes on every modem's line."""
    for make in DIALECTS.values():
        dialect = make(sensor="modem0", file="fuzz")
        for at in range(0, len(data), 7):
            dialect.feed(data[at : at + 7], ARRIVAL)
        dialect.close()


@dataclass(frozen=True, slots=True)
class Target:
    """A function and inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _payload_of(raw: bytes) -> bytes:
    return bytes(cbor2.loads(raw).value[2])


TARGETS = {
    "envelope": Target(envelope, MESSAGES),
    "signed_payload": Target(signed_payload, [_payload_of(raw) for raw in MESSAGES]),
    "order": Target(order, ORDERS),
    "signed_order": Target(signed_order, [_payload_of(raw) for raw in ORDERS]),
    "admission": Target(
        admission, [b"v1/demo/up/van-1/evt\0" + MESSAGES[0], b"v1/demo/state/van-1\0" + MESSAGES[2]]
    ),
    "topics": Target(topics, [b"v1/demo/up/van-1/evt", b"v1/demo/down/van-1/rcpt"]),
    "cbor": Target(cbor, [*MESSAGES, b"\xa1\x01\x82\x02\xf5"]),
    "capture": Target(capture, [attack_capture()]),
    "modem": Target(
        modem,
        [
            b'+QENG: "servingcell","NOCONN","LTE","FDD",460,01,ABCDEF0,123,1650,3,5,5,1A2B,-95,'
            b"-11,-65,12,33\r\nOK\r\n",
            b'+QENG: "neighbourcell intra","LTE",1650,123,-11,-95,-65,0,22,7,16,6,44\r\n',
        ],
    ),
}
