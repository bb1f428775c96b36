"""What takes bytes from outside, each as a function for a coverage-guided fuzzer.

A target raises nothing, or AssertionError where something altered was accepted. Anything else that
escapes is a crash.
"""

from __future__ import annotations

import atexit
import functools
import io
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import numpy as np

from central.admission import Admitted, admit
from central.orders.passkeys import read_attestation
from contract import envelope as sealing
from contract.codec import DecodeError, decode, encode, to_map
from contract.cosign import (
    OrderError,
    assemble,
    officer_header,
    open_order,
    read_order,
    sign_content,
    signing_input,
)
from contract.envelope import EnvelopeError, message_digest, open_envelope
from contract.keys import KeySigner, KnownKey
from contract.messages import Health, OrderResult, Receipt, SeqRange, State
from contract.orders import RULES
from contract.topics import TopicError, parse_down, parse_state, parse_up
from contract.webauthn import Passkey, WebAuthnError, check_assertion, unpack
from contract.words import DeviceKind, OrderOutcome, OrderType, Presence
from edge_agent.outbox import Outbox
from hardware.board import messages as board
from hardware.board.frames import FrameReader
from hardware.board.frames import encode as encode_frame
from hardware.board.interface import Received
from hardware.board.readings import BoardReadings
from hardware.board.table import MAX_PAYLOAD
from hardware.captures.diag_framing import encode as encode_diag
from hardware.captures.reader import CaptureReader
from hardware.finders.kraken import KrakenReader
from hardware.gnss.gpsd import GpsdReader
from hardware.gnss.nmea import NmeaReader
from hardware.modems import DIALECTS
from hardware.modems.diag import DiagReader
from hardware.modems.interface import Arrival
from hardware.readings import Stamp
from hardware.simulators.diag import gsm_log, lte_log, nas_log
from hardware.simulators.nas import attack_capture
from hardware.spectrum.dialects import DIALECTS as SPECTRUM_DIALECTS
from hardware.spectrum.dialects import SweepRange
from hardware.spectrum.named_columns import read_named
from hardware.spectrum.pcm import PcmReader, wav_bytes
from hardware.spectrum.qttinysa import read_npy
from hardware.spectrum.rds import RdsDecoder
from hardware.spectrum.rds_json import read_rds_json
from mqtt_bridge.packets import (
    Kind,
    MalformedPacketError,
    packet,
    puback,
    publish,
    read_puback,
    read_publish,
    span_at,
)
from mqtt_bridge.ports import Delivery
from tests import orders, samples
from tests.authenticator import ORIGIN, RP_ID, Authenticator
from tests.edge_agent import outboxes

SIGNER = KeySigner(samples.ED25519)
OWNER = KnownKey("van-1", SIGNER.public)
CENTRAL = KnownKey("central", orders.CENTRAL_KEY.public_key())
PASSKEY = Authenticator("chen", orders.OFFICERS["li"])
PASSKEY_HEADER = officer_header(PASSKEY.entry)
ASSERTIONS = (PASSKEY.sign(b"an order").value,)
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
RECEIPTS = (
    outboxes.receipt_bytes(ranges=[(2, 3)]),
    outboxes.receipt_bytes(ranges=[(1, 1), (5, 6)]),
    outboxes.receipt_bytes(),
)


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
    said = cbor2.loads(data)
    assert encode(said) == data, "an encoding that is not the deterministic one was taken"
    taken = {**to_map(found.payload), sealing._BODY_KEY: to_map(found.body)}
    assert _agree(said, taken), "something else was taken than was said"


def _agree(said: Any, taken: Any) -> bool:
    """Whether all that was taken was said: newer fields are passed over, older ones absent."""
    if isinstance(said, dict) and isinstance(taken, dict):
        return all(_agree(said[key], taken[key]) for key in said.keys() & taken.keys())
    if isinstance(said, list) and isinstance(taken, list):
        return len(said) == len(taken) and all(map(_agree, said, taken))
    return type(said) is type(taken) and bool(said == taken)


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


def assertion(data: bytes) -> None:
    """A passkey's signature of an order: only what its authenticator gave is taken."""
    public = PASSKEY.key.public_key()
    place = Passkey(credential_id=PASSKEY.credential_id, rp_id=RP_ID, origins=(ORIGIN,))
    signed = signing_input(b"an order", tenant=orders.TENANT, signer_header=PASSKEY_HEADER)
    try:
        check_assertion(unpack(data), signed, public, place)
    except (DecodeError, WebAuthnError):
        return
    assert data in ASSERTIONS, "an altered signature was taken"


def new_passkey(data: bytes) -> None:
    """A credential that a browser has made: read or refused."""
    try:
        read_attestation(data, RP_ID)
    except WebAuthnError:
        return


@functools.cache
def _custody() -> tuple[Outbox, dict[int, bytes]]:
    """An outbox in a folder of its own, and the hash of each of its messages by number."""
    folder = tempfile.TemporaryDirectory()
    outbox = outboxes.Bench(Path(folder.name)).open()
    atexit.register(folder.cleanup)
    atexit.register(outbox.close)  # the last registered goes first
    return outbox, {}


def _waiting() -> tuple[Outbox, dict[int, bytes], set[int]]:
    """The outbox with at least six messages that wait, all hashes, and what waits."""
    outbox, digests = _custody()
    if outbox.depth < 6:
        outboxes.fill(outbox, 6, first=len(digests))
    rows = outboxes.rows_of(outbox)
    digests |= {row.seq: message_digest(row.cose) for row in rows}
    return outbox, digests, {row.seq for row in rows}


def receipt(data: bytes) -> None:
    """Bytes on the topic of receipts: only what the central signed is applied."""
    outbox, _, waiting = _waiting()
    try:
        outbox.apply_receipt(data)
    except EnvelopeError:
        assert {row.seq for row in outboxes.rows_of(outbox)} == waiting
        return
    assert data in RECEIPTS, "an altered receipt was taken"


def packets(data: bytes) -> None:
    """What a broker sends; the first byte says which MQTT it speaks."""
    version, stream, at = 4 + data[0] % 2 if data else 4, data[1:], 0
    try:
        while (span := span_at(stream, at)) is not None:
            start, end = span
            assert at < start <= end <= len(stream)
            body = stream[start:end]
            if stream[at] >> 4 == Kind.PUBLISH:
                found = read_publish(stream[at], body, version)
                assert found.topic
                assert body.endswith(found.payload)
            elif stream[at] >> 4 == Kind.PUBACK:
                mid, reason = read_puback(body)
                assert 0 <= mid <= 0xFFFF
                assert 0 <= reason <= 0xFF
            at = end
    except MalformedPacketError:
        return


def signed_receipt(data: bytes) -> None:
    """Content that the central's key signed: what goes is what it names, by the right hash."""
    outbox, digests, waiting = _waiting()
    signer = KeySigner(outboxes.CENTRAL_KEY)
    protected = sealing._protected(int(signer.algorithm), signer.kid)
    signature = signer.sign(sealing._to_be_signed(protected, outboxes.TENANT, data))
    raw = encode(cbor2.CBORTag(18, [protected, {}, data, signature]))
    try:
        gone = outbox.apply_receipt(raw)
    except EnvelopeError:
        assert {row.seq for row in outboxes.rows_of(outbox)} == waiting
        return
    body = cbor2.loads(data)[sealing._BODY_KEY]
    up_to, head, ranges = body[1], body[2], body.get(3, [])
    covered = {seq for seq in waiting if seq <= up_to or any(r[0] <= seq <= r[1] for r in ranges)}
    assert gone == len(covered)
    assert {row.seq for row in outboxes.rows_of(outbox)} == waiting - covered
    assert up_to not in waiting or head == digests[up_to], "a wrong hash was taken"


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


def _codec(make: Callable[[], object]) -> Callable[[bytes], None]:
    """Any bytes on the line of one codec, in chunks of the first byte's size."""

    def run(data: bytes) -> None:
        codec: Any = make()
        step = 1 + (data[0] % 64 if data else 0)
        for at in range(0, len(data), step):
            codec.feed(data[at : at + step], ARRIVAL)
        codec.close()

    return run


def _spectrum(kind: str) -> Callable[[bytes], None]:
    make = SPECTRUM_DIALECTS[kind]
    return _codec(lambda: make(sensor="sa0", file="fuzz", sweep=SweepRange()))


def _an_array() -> bytes:
    """Two sweeps of three points as QtTinySA keeps them."""
    file = io.BytesIO()
    np.save(file, np.array([[87.0e6, 87.1e6, 87.2e6], [-90.0, -40.0, -91.0]]))
    return file.getvalue()


def _content(
    read: Callable[[bytes, str, str, int | None], Iterator[object]],
) -> Callable[[bytes], None]:
    """Any bytes as the whole content of a recorded file."""

    def run(data: bytes) -> None:
        for _ in read(data, "fuzz", "sa0", None):
            pass

    return run


def rds(data: bytes) -> None:
    """Any groups, eight bytes each; a ninth says which blocks are missing."""
    decoder = RdsDecoder()
    stamp = Stamp(at_us=1, time_basis="live", sensor="r", file="fuzz", place="line 1")
    for at in range(0, len(data) - 8, 9):
        words = [int.from_bytes(data[at + i : at + i + 2], "big") for i in (0, 2, 4, 6)]
        missing = data[at + 8]
        blocks = [None if missing >> i & 1 else word for i, word in enumerate(words)]
        decoder.decode(blocks, stamp, b"", is_clean=not missing & 15)


def board_link(data: bytes) -> None:
    """Any bytes on a board's line: what is taken for a frame is one, and reads or is refused."""
    reader = FrameReader()
    readings = BoardReadings(sensor="board0", file="fuzz")
    step = 1 + (data[0] % 64 if data else 0)
    for at in range(0, len(data), step):
        for frame in reader.feed(data[at : at + step]):
            kind = board.MESSAGE_TYPES.get(frame.type)
            if kind is None:
                continue
            try:
                message = kind.unpack(frame.payload)
            except struct.error:
                continue
            said = Received(message=message, board_ms=frame.board_ms, at_us=None, error_us=None)
            readings.take(said, 1)


def _frames(*messages: board.Message) -> bytes:
    """Messages as a board sends them."""
    return b"".join(encode_frame(m.TYPE, n, m.pack()) for n, m in enumerate(messages))


def board_message(data: bytes) -> None:
    """Messages with right checksums and any content: type, length, content, again."""
    wire = bytearray()
    at = 0
    while at + 2 <= len(data):
        payload = data[at + 2 : at + 2 + data[at + 1]][:MAX_PAYLOAD]
        wire += encode_frame(data[at], at, payload)
        at += 2 + data[at + 1]
    board_link(bytes(wire))


def diag(data: bytes) -> None:
    """Any bytes on a DIAG port, and the same as the content of a right frame."""
    for wire in (data, encode_diag(data)):
        reader = DiagReader(sensor="diag0", file="fuzz")
        for at in range(0, len(wire), 11):
            reader.feed(wire[at : at + 11], ARRIVAL)
        reader.close()


@dataclass(frozen=True, slots=True)
class Target:
    """A function and inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _payload_of(raw: bytes) -> bytes:
    return bytes(cbor2.loads(raw).value[2])


_BOARD_LINE = _frames(
    board.Sweep(
        sweep_no=1, part=0, parts=1, start_khz=87_000, step_khz=100, channels=bytes(range(30))
    ),
    board.Quality(frequency_khz=89_300, level=62, snr_db=38, multipath=3, offset_khz=-1, flags=3),
    board.RdsGroup(
        event_no=1,
        frequency_khz=89_300,
        block_a=0x2010,
        block_b=0x0540,
        block_c=0xE0CD,
        block_d=0x4142,
        errors=0,
    ),
)

TARGETS = {
    "envelope": Target(envelope, MESSAGES),
    "signed_payload": Target(signed_payload, [_payload_of(raw) for raw in MESSAGES]),
    "order": Target(order, ORDERS),
    "signed_order": Target(signed_order, [_payload_of(raw) for raw in ORDERS]),
    "assertion": Target(assertion, ASSERTIONS),
    "new_passkey": Target(new_passkey, [PASSKEY.attestation()]),
    "receipt": Target(receipt, RECEIPTS),
    "signed_receipt": Target(signed_receipt, [_payload_of(raw) for raw in RECEIPTS]),
    "packets": Target(
        packets,
        [
            bytes((version,))
            + publish("v1/demo/down/van-1/rcpt", b"x" * 40, 7, 4 + version)
            + puback(7, 4 + version, 0x10 * version)
            + packet(Kind.PINGRESP)
            for version in (0, 1)
        ],
    ),
    "admission": Target(
        admission, [b"v1/demo/up/van-1/evt\0" + MESSAGES[0], b"v1/demo/state/van-1\0" + MESSAGES[2]]
    ),
    "topics": Target(topics, [b"v1/demo/up/van-1/evt", b"v1/demo/down/van-1/rcpt"]),
    "cbor": Target(cbor, [*MESSAGES, b"\xa1\x01\x82\x02\xf5", bytes.fromhex("a1d81cd2d81d0040")]),
    "capture": Target(capture, [attack_capture()]),
    "tinysa": Target(
        _spectrum("tinysa"),
        [b"scanraw 87000000 108000000 3\r\n{x\x10\x0ax\x20\x0bx\x30\x0c}ch> ", b"version\r\nch> "],
    ),
    "rf_explorer": Target(
        _spectrum("rf_explorer"),
        [
            b"#C2-M:003,255,03.39\r\n#C2-F:0087000,0187500,-010,-120,0004,0,000,0000050,0960000,"
            b"0959950,00110,0000,000\r\n$S\x04\x64\x65\x66\x67\r\n$z\x00\x04abcd\r\n"
        ],
    ),
    "fm_tuner": Target(
        _spectrum("fm_tuner"),
        [
            b"OK\nT98500\nSs55.2,3,4,97\nP3A1B?\nR0400E0CD4142 00\nR3A1B0400E0CD414200\n",
            b"U87500 = 45, 87600 = 12, \nU87500=45.20,87600=12.10\n",
        ],
    ),
    "sweep_csv": Target(
        _spectrum("sweep_csv"),
        [b"2026-11-25, 12:00:00, 87000000, 88000000, 250000.00, 8, -50.1, -60.2, nan, -70.0\n"] * 2,
    ),
    "named_columns": Target(
        _content(read_named),
        [
            b"time,frequency,power,latitude,longitude\n2026-11-25T12:00:00Z,92.3e6,-41.5,25.04,102.7\n"
            b"2026-11-25T12:00:00Z,92.4e6,-80,25.04,102.7\n",
            b"Timestamp;87.5;87.6;87.7\n2026-11-25 12:00:00;-90;-91,5;-40\n",
        ],
    ),
    "rds_json": Target(
        _content(read_rds_json),
        [b'{"pi":"0x3A1B","group":"0A","ps":"TRAFFIC ","raw_data":"3A1B 0400 E0CD 4142"}\n'],
    ),
    "qttinysa": Target(_content(read_npy), [_an_array()]),
    "pcm": Target(
        _codec(lambda: PcmReader(sensor="a0", file="fuzz", mhz=92.3, rate_hz=16_000)),
        [wav_bytes(np.zeros(64, dtype=np.int16), 16_000), b"\x00\x01" * 64],
    ),
    "nmea": Target(
        _codec(lambda: NmeaReader(sensor="gnss0", file="fuzz")),
        [
            b"$GNGGA,120000.00,2502.40000,N,10242.60000,E,1,09,0.9,1890.0,M,-30.0,M,,*7B\r\n",
            b"$GNRMC,120000.00,A,2502.40000,N,10242.60000,E,0.0,0.0,251126,,,A*6B\r\n",
        ],
    ),
    "gpsd": Target(
        _codec(lambda: GpsdReader(sensor="gnss0", file="fuzz")),
        [b'{"class":"TPV","mode":3,"time":"2026-11-25T12:00:00.000Z","lat":25.04,"lon":102.71}\n'],
    ),
    "kraken": Target(
        _codec(lambda: KrakenReader(sensor="df0", file="fuzz")),
        [b"1795579200000, 045, 42.5, -31.0, 92300000, UCA, 9, V, 25.04, 102.71, 0, 1, GPS, R\n"],
    ),
    "rds": Target(rds, [b"\x20\x10\x05\x40\xe0\xcdAB\0" * 4, b"\x20\x10\x20\x40textabcd\3" * 4]),
    "board_link": Target(board_link, [_BOARD_LINE]),
    "board_message": Target(board_message, [b"\x04\x0f\1\0\0\1\xd8\x53\1\0\x64\0abcdefghi\5\x05"]),
    "diag": Target(
        diag,
        [
            gsm_log(bytes(23))
            + lte_log(bytes(12), 3, 1650)
            + nas_log(b"\x07\x44\x14", is_uplink=False)
        ],
    ),
    "modem": Target(
        modem,
        [
            b'+QENG: "servingcell","NOCONN","LTE","FDD",460,01,ABCDEF0,123,1650,3,5,5,1A2B,-95,'
            b"-11,-65,12,33\r\nOK\r\n",
            b'+QENG: "neighbourcell intra","LTE",1650,123,-11,-95,-65,0,22,7,16,6,44\r\n',
        ],
    ),
}
