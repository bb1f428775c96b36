"""The link: frames, lanes, the event ring, and no allocation on its paths."""

import binascii

import micropython
from kit import Random, Ticks, Wire, raises, run
from sniffer import cobs
from sniffer import messages as m
from sniffer.clock import Clock
from sniffer.link import CONTROL, EVENT, TELEMETRY, Link, make_lanes


def make(telemetry_slots=24):
    ticks = Ticks()
    wire = Wire()
    return Link(wire, Clock(ticks.us, ticks.diff), make_lanes(telemetry_slots)), wire, ticks


def frames(data):
    """Bodies of the good frames in ``data``."""
    found = []
    for part in bytes(data).split(b"\x00"):
        buffer = bytearray(part)
        length = cobs.decode(buffer, len(buffer))
        if length >= 12:
            body = bytes(buffer[: length - 4])
            if binascii.crc32(body).to_bytes(4, "little") == bytes(buffer[length - 4 : length]):
                found.append(body)
    return found


def framed(body):
    body = body + binascii.crc32(body).to_bytes(4, "little")
    target = bytearray(len(body) + 2)
    return bytes(target[: cobs.encode(body, len(body), target)]) + b"\x00"


def fed(link, data):
    return [bytes(link.frame[: link.length]) for byte in data if link.take_byte(byte)]


def test_a_frame_has_version_type_sequence_and_time():
    link, wire, ticks = make()
    ticks.advance(70_000_000)
    link.put(CONTROL, m.PING, b"abc", 3)
    link.put(CONTROL, m.PING, b"", 0)
    link.pump_out()
    first, second = frames(wire.out)
    assert first == bytes([0x10, m.PING, 0, 0]) + (70_000).to_bytes(4, "little") + b"abc"
    assert second[2] == 1
    assert link.sent == link.offered == 2


def test_order_of_lanes():
    link, wire, _ = make()
    event = bytearray(4)
    link.put(TELEMETRY, m.SWEEP, b"t", 1)
    link.put_event(m.FAULT, event, 4)
    link.put(CONTROL, m.HELLO, b"c", 1)
    link.pump_out()
    assert [f[1] for f in frames(wire.out)] == [m.HELLO, m.FAULT, m.SWEEP]


def test_each_lane_drops_its_own_oldest_and_everything_is_accounted():
    link, wire, _ = make(4)
    wire.room = 0
    event = bytearray(4)
    for i in range(10):
        link.put(TELEMETRY, m.SWEEP, bytes([i]), 1)
    for _ in range(70):
        link.put_event(m.FAULT, event, 4)
    for i in range(9):
        link.put(CONTROL, m.HELLO, bytes([i]), 1)
    # nothing has left for the wire: 6 control, 64 events and 4 telemetry messages are held
    assert link.dropped == [3, 6, 6]
    assert link.offered == 89 == sum(link.dropped) + link.queued
    wire.room = 1 << 20
    link.pump_out()
    assert link.offered == link.sent + sum(link.dropped)
    assert len(frames(wire.out)) == link.sent


def test_pause_holds_telemetry_only():
    link, wire, _ = make()
    link.is_paused = True
    link.put(TELEMETRY, m.SWEEP, b"t", 1)
    link.put(CONTROL, m.HELLO, b"c", 1)
    link.pump_out()
    assert [f[1] for f in frames(wire.out)] == [m.HELLO]


def test_events_are_sent_again_while_they_are_held():
    link, wire, ticks = make()
    event = bytearray(5)
    for i in range(80):
        event[4] = i
        ticks.advance(1000)
        link.put_event(m.FAULT, event, 5)
        link.pump_out()
    assert link.dropped[EVENT] == 0
    wire.out = bytearray()
    link.resend(0, 20)
    link.pump_out()
    again = frames(wire.out)
    assert [int.from_bytes(f[8:12], "little") for f in again] == [16, 17, 18, 19, 20]
    assert [f[12] for f in again] == [16, 17, 18, 19, 20]
    assert [int.from_bytes(f[4:8], "little") for f in again] == [17, 18, 19, 20, 21]  # its own time
    assert link.resent == 5
    assert link.offered == link.sent == 85


def test_a_resend_of_what_was_never_there_sends_nothing():
    link, wire, _ = make()
    link.resend(0, 0xFFFFFFFF)
    link.resend(5, 2)
    link.pump_out()
    assert not wire.out


def test_a_port_that_takes_little_gets_every_byte_once():
    link, wire, _ = make()
    for i in range(5):
        link.put(CONTROL, m.HELLO, bytes(range(i, i + 100)), 100)
    while True:
        wire.room = 7
        if not link.pump_out():
            break
    assert len(frames(wire.out)) == 5


def test_longest_payload_and_one_more():
    link, wire, _ = make()
    link.put(CONTROL, m.HELLO, bytes(range(1, 239)), 238)
    link.pump_out()
    assert len(wire.out) == 1 + 8 + 238 + 4 + 2  # after a silence a zero goes first
    assert frames(wire.out)[0][8:] == bytes(range(1, 239))
    raises(ValueError, link.put, CONTROL, m.HELLO, bytes(239), 239)
    raises(ValueError, link.put, EVENT, m.FAULT, bytes(161), 161)


def test_received_frames_and_damage():
    link, _, _ = make()
    good = framed(bytes([0x10, m.PING, 5, 0, 0, 0, 0, 0]) + b"\x00\x03\x00")
    assert fed(link, b"\x00" + good)[0][8:] == b"\x00\x03\x00"
    assert link.bad_frames == 0
    for position in range(len(good) - 1):
        torn = bytearray(good)
        torn[position] = (torn[position] + 1) & 0xFF or 1
        assert fed(link, torn) == []
    assert fed(link, b"\x01" * 3000 + b"\x00") == []  # far too long: one bad frame
    assert fed(link, good)[0][8:] == b"\x00\x03\x00"


def test_random_bytes_are_never_a_frame():
    link, _, _ = make()
    random = Random(3)
    for _ in range(400):
        assert fed(link, random.bytes(200)) == []
    assert link.received == 0
    assert link.bad_frames > 100


def test_the_paths_allocate_nothing():
    link, _, ticks = make()

    class Sink:
        def __init__(self):
            self.bytes = bytearray(600)
            self.length = 0

        def write(self, buffer, offset, length):
            for i in range(length):
                self.bytes[self.length + i] = buffer[offset + i]
            self.length += length
            return length

    sink = Sink()
    link._port = sink
    payload = bytearray(200)
    event = bytearray(20)
    good = framed(bytes([0x10, m.PING, 5, 0, 0, 0, 0, 0]) + bytes(100))
    ticks.advance(123_456)
    seen = 0
    micropython.heap_lock()
    try:
        link.put(TELEMETRY, m.SWEEP, payload, 200)
        link.put_event(m.RDS_GROUP, event, 20)
        link.pump_out()
        link.resend(0, 0)
        link.pump_out()
        for byte in good:
            if link.take_byte(byte):
                seen += 1
    finally:
        micropython.heap_unlock()
    assert seen == 1
    assert len(frames(sink.bytes[: sink.length])) == 3


def test_the_lock_is_real():
    micropython.heap_lock()
    try:
        failed = False
        try:
            bytearray(10)
        except MemoryError:
            failed = True
    finally:
        micropython.heap_unlock()
    assert failed


run(globals())
