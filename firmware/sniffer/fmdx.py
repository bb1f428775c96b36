"""The FM-DX / XDR text lines, so that third-party tuner software can read the board.

Spoken since ``x`` and a line feed came, until a zero byte comes: no line holds one, and each frame
ends with one. Levels are dBf (dBuV at 50 ohm + 10.875 dB, written with one decimal); of a chip
that knows no unit the number is as relative as the chip's.
"""

from sniffer.drivers.tuner import BOTTOM_KHZ, RELATIVE, STEREO, TOP_KHZ
from sniffer.tuning import is_range

_LINE = 32
_OUT = 8192


def decibels_f(level, flags):
    """Level as text in dBf."""
    if flags & RELATIVE:
        return "%d.0" % level
    tenths = level * 10 + 109
    return "%d.%d" % (tenths // 10, tenths % 10)


class TextDialect:
    """Lines in, lines out; ``port`` as of the link."""

    def __init__(self, port, tuning):
        self._port = port
        self._tuning = tuning
        self._line = bytearray(_LINE)
        self._length = 0
        self._out = bytearray()
        self._sweep = None
        self.is_on = False
        self.dropped = 0
        self._start = 87500
        self._stop = 108000
        self._step = 100

    def begin(self):
        """Say hello as such tuners do."""
        self.is_on = True
        self._length = 0
        self._out = bytearray()
        self._tuning.on_quality = self._quality
        self._tuning.on_group = self._group
        self._tuning.on_sweep = self._channel
        self._say("OK")
        if self._tuning.khz:
            self._say("T%d" % self._tuning.khz)

    def end(self):
        """Stop talking."""
        self.is_on = False
        self._tuning.on_quality = self._tuning.on_group = self._tuning.on_sweep = None
        self._sweep = None

    def take_byte(self, byte):
        """Take a byte; False when it ends the dialect."""
        if byte == 0:
            self.end()
            return False
        if byte == 10 or byte == 13:
            self._command(bytes(self._line[: self._length]))
            self._length = 0
        elif self._length < _LINE:
            self._line[self._length] = byte
            self._length += 1
        return True

    def _command(self, line):
        if line == b"x":
            self.begin()
        elif line == b"X":
            self._tuning.stop()
            self._say("X")
        elif line == b"S" or line == b"Sm":
            self._scan(0 if line == b"Sm" else 1)
        elif len(line) > 1:
            number = _number(line[2:] if line[:1] == b"S" else line[1:])
            if number >= 0:
                self._set(line, number)

    def _set(self, line, number):
        if line[:1] == b"T" and BOTTOM_KHZ <= number <= TOP_KHZ and number % 50 == 0:
            self._tuning.tune(number)
            self._say("T%d" % number)
        elif line[:2] == b"Sa":
            self._start = number
        elif line[:2] == b"Sb":
            self._stop = number
        elif line[:2] == b"Sc":
            self._step = number
        elif line[:1] == b"Y" and number <= 100:
            self._tuning.set_volume(number * 15 // 100)
            self._say("Y%d" % number)
        elif line[:1] in (b"M", b"W", b"Q", b"D", b"A", b"B", b"Z", b"G", b"F", b"V"):
            # what these tuners cannot set is taken as said, so that such software goes on
            self._say(line.decode())

    def _scan(self, repeats):
        if is_range(self._start, self._stop, self._step):
            self._sweep = []
            self._tuning.sweep(self._start, self._stop, self._step, repeats)

    def _quality(self, tuner):
        word = "s" if tuner.flags & STEREO else "m"
        multipath = -1 if tuner.multipath == 255 else tuner.multipath
        self._say("S%s%s,%d,-1,0" % (word, decibels_f(tuner.level, tuner.flags), multipath))

    def _group(self, tuner):
        group = tuner.group
        if tuner.group_errors >> 6 == 0:
            self._say("P%04X" % group[0])
        numbers = (group[0], group[1], group[2], group[3], tuner.group_errors)
        self._say("R%04X%04X%04X%04X%02X" % numbers)

    def _channel(self, khz, level, flags):
        if self._sweep is None:
            self._sweep = []
        if khz:
            self._sweep.append("%d=%s" % (khz, decibels_f(level, flags)))
        else:
            self._say("U" + ",".join(self._sweep))
            self._sweep = []

    def _say(self, line):
        """A whole line or none: a torn line would be read as another."""
        if len(self._out) + len(line) + 1 > _OUT:
            self.dropped += 1
            return
        self._out.extend(line.encode())
        self._out.append(10)

    def pump_out(self):
        """Move what is there to the port."""
        while self._out:
            took = self._port.write(self._out, 0, len(self._out))
            if took <= 0:
                return True
            self._out = self._out[took:]
        return False


def _number(digits):
    value = 0
    if not digits or len(digits) > 7:
        return -1
    for digit in digits:
        if not 48 <= digit <= 57:
            return -1
        value = value * 10 + digit - 48
    return value
