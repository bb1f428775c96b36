"""COBS: golden vectors, edges, and garbage from a seeded generator."""

from kit import Random, run
from sniffer import cobs


def stuffed(payload):
    target = bytearray(len(payload) + len(payload) // 254 + 1)
    return bytes(target[: cobs.encode(payload, len(payload), target)])


def unstuffed(data):
    buffer = bytearray(data)
    length = cobs.decode(buffer, len(buffer))
    return None if length < 0 else bytes(buffer[:length])


def test_examples_of_the_paper():
    for payload, wire in (
        (b"", b"\x01"),
        (b"\x00", b"\x01\x01"),
        (b"\x00\x00", b"\x01\x01\x01"),
        (b"\x11\x22\x00\x33", b"\x03\x11\x22\x02\x33"),
        (bytes(range(1, 255)), b"\xff" + bytes(range(1, 255))),
        (bytes(range(255)), b"\x01\xff" + bytes(range(1, 255))),
        (bytes(range(1, 256)), b"\xff" + bytes(range(1, 255)) + b"\x02\xff"),
    ):
        assert stuffed(payload) == wire, payload
        assert unstuffed(wire) == payload, wire


def test_any_payload_comes_back_and_holds_no_zero():
    random = Random(1)
    for _ in range(2000):
        payload = random.bytes(random.below(40))
        if random.below(4) == 0:
            payload = payload * 9
        wire = stuffed(payload)
        assert 0 not in wire
        assert unstuffed(wire) == payload


def test_garbage_is_refused_or_short_never_an_error():
    random = Random(2)
    for _ in range(5000):
        data = random.bytes(random.below(60))
        payload = unstuffed(data)
        assert payload is None or len(payload) <= len(data)


run(globals())
