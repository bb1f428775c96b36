"""Time since the board started, from tick counters that wrap at 2^30."""

_WRAP = 65536


class Clock:
    """Microseconds and milliseconds since start, wrap-extended.

    ``ticks_us`` and ``ticks_diff`` are those of the ``time`` module: on the boards they wrap every
    17.9 minutes, so :meth:`update` must be called at least every 8 minutes; the main loop does so
    thousands of times a second. The milliseconds are kept in two halves of 16 bits, because a
    32-bit number is an object on the heap of a 32-bit board.
    """

    def __init__(self, ticks_us, ticks_diff):
        self._ticks_us = ticks_us
        self._ticks_diff = ticks_diff
        self._last = ticks_us()
        self._rest_us = 0
        self.low = 0
        self.high = 0

    def update(self):
        """Take in what has passed; allocates nothing."""
        now = self._ticks_us()
        rest = self._rest_us + self._ticks_diff(now, self._last)
        self._last = now
        if rest < 0:  # a tick counter that steps back by a little must not undo a millisecond
            rest = 0
        passed = rest // 1000
        self._rest_us = rest - passed * 1000
        low = self.low + passed
        if low >= _WRAP:
            self.high = (self.high + low // _WRAP) % _WRAP
            low %= _WRAP
        self.low = low

    def ms(self):
        """Milliseconds since start, below 2^32."""
        self.update()
        return self.high * _WRAP + self.low

    def us(self):
        """Microseconds since start; wraps with the milliseconds, after 49.7 days."""
        return self.ms() * 1000 + self._rest_us

    def write_ms(self, buffer, at):
        """Write the milliseconds as 4 little-endian bytes; allocates nothing."""
        self.update()
        buffer[at] = self.low & 0xFF
        buffer[at + 1] = self.low >> 8
        buffer[at + 2] = self.high & 0xFF
        buffer[at + 3] = self.high >> 8


def since(clock, start_ms):
    """Milliseconds from ``start_ms`` to now, across the wrap."""
    return (clock.ms() - start_ms) & 0xFFFFFFFF
