"""What the files here need of a test runner: run inside MicroPython, one interpreter a file."""

import sys


def run(namespace):
    """Run every ``test_*`` function; exit status 1 when one fails."""
    names = [n for n in namespace if n.startswith("test_")]
    failed = 0
    for name in sorted(names):
        try:
            namespace[name]()
            print("ok", name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failed test
            failed += 1
            print("FAILED", name)
            sys.print_exception(error)
    print(len(names) - failed, "passed,", failed, "failed")
    sys.exit(1 if failed or not names else 0)


def raises(kind, function, *arguments):
    """Call and demand an exception; returns it."""
    try:
        function(*arguments)
    except kind as error:
        return error
    raise AssertionError(str(kind) + " not raised")


class Random:
    """A small generator with a seed (xorshift32): the same bytes in every run."""

    def __init__(self, seed):
        self._state = seed

    def bits(self):
        x = self._state
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        self._state = x
        return x

    def below(self, limit):
        return self.bits() % limit

    def bytes(self, length):
        return bytes(self.below(256) for _ in range(length))


class Ticks:
    """A tick counter that wraps at 2^30, as those of the boards do."""

    PERIOD = 1 << 30

    def __init__(self, start=PERIOD - 5_000_000):
        self.now = start

    def us(self):
        return self.now

    def diff(self, a, b):
        return ((a - b + self.PERIOD // 2) & (self.PERIOD - 1)) - self.PERIOD // 2

    def advance(self, us):
        self.now = (self.now + us) & (self.PERIOD - 1)


class Wire:
    """A port in memory: what is written can be taken, what is given can be read."""

    def __init__(self):
        self.out = bytearray()
        self.incoming = bytearray()
        self.room = 1 << 20

    def write(self, buffer, offset, length):
        took = min(length, self.room)
        self.room -= took
        self.out += bytes(buffer[offset : offset + took])
        return took

    def read(self):
        if not self.incoming:
            return -1
        byte = self.incoming[0]
        self.incoming = self.incoming[1:]
        return byte
