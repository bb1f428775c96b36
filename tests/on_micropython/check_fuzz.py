"""The board's reader behind a line that damages bytes: nothing wrong is taken for a command."""

import binascii

from kit import Random, Ticks, Wire, run
from sniffer import cobs
from sniffer import messages as m
from sniffer.clock import Clock
from sniffer.link import Link, make_lanes

FRAMES = 8000


def frame(number, target):
    body = bytes([0x10, m.PING, number & 0xFF, number >> 8, 0, 0, 0, 0]) + bytes(
        [number % 251] * 11
    )
    body += binascii.crc32(body).to_bytes(4, "little")
    used = cobs.encode(body, len(body), target)
    target[used] = 0
    return used + 1


def campaign(rate, seed):
    """Frames through a line that hits one byte in ``rate``; (taken, wrong)."""
    link = Link(Wire(), Clock(Ticks().us, Ticks().diff), make_lanes(4))
    random = Random(seed)
    target = bytearray(40)
    taken = wrong = 0

    def feed(byte):
        nonlocal taken, wrong
        if link.take_byte(byte):
            number = link.frame[2] | link.frame[3] << 8
            taken += 1
            good = link.length == 19 and link.frame[1] == m.PING and number < FRAMES
            for i in range(8, link.length):
                good = good and link.frame[i] == number % 251
            if not good:
                wrong += 1

    left = 1 + random.below(2 * rate)
    for number in range(FRAMES):
        for i in range(frame(number, target)):
            byte = target[i]
            left -= 1
            if left:
                feed(byte)
                continue
            left = 1 + random.below(2 * rate)
            kind = random.below(5)
            if kind == 0:
                feed(byte ^ (1 << random.below(8)))
            elif kind == 1:
                feed(random.below(256))
            elif kind == 2:
                feed(byte)
                feed(byte)
            elif kind == 3:
                for _ in range(1 + random.below(19)):
                    feed(random.below(256))
    return taken, wrong


def test_one_byte_in_a_thousand():
    taken, wrong = campaign(1000, 7)
    assert wrong == 0
    assert FRAMES * 95 // 100 < taken < FRAMES


def test_one_byte_in_a_hundred():
    taken, wrong = campaign(100, 8)
    assert wrong == 0
    assert FRAMES * 70 // 100 < taken < FRAMES * 90 // 100


run(globals())
