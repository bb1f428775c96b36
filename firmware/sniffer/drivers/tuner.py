"""What every tuner has: the last measurement, the last RDS group, and bounded waiting."""

from sniffer.clock import since
from sniffer.drivers.bus import TunerError

UNKNOWN = 255
UNKNOWN_OFFSET = -128
VALID = 1
STEREO = 2
AFC_RAIL = 4
RELATIVE = 8

BOTTOM_KHZ = 76000
TOP_KHZ = 108000
_SPACE_KHZ = 50
_POLLS_AT_LEAST = 8


class Tuner:
    """One tuner; ``start``, ``tune``, ``measure`` and ``read_rds`` are generators."""

    KIND = 0

    def __init__(self, bus, address, clock):
        self._bus = bus
        self._address = address
        self._clock = clock
        self.khz = 0
        self.level = 0
        self.snr_db = UNKNOWN
        self.multipath = UNKNOWN
        self.offset_khz = UNKNOWN_OFFSET
        self.flags = 0
        self.group = [0, 0, 0, 0]
        self.group_errors = 0xFF

    def take_group(self, blocks, errors):
        """Keep a group, its unusable blocks zeroed; False when nothing in it is usable.

        A block that the chip could not correct is noise: radios that print it show stations that
        do not exist (pu2clr/SI470X issue 2).
        """
        usable = False
        for i in range(4):
            if (errors >> (6 - 2 * i)) & 3 == 3:
                self.group[i] = 0
            else:
                self.group[i] = blocks[i]
                usable = True
        self.group_errors = errors
        return usable

    def wait(self, ms):
        """Yield for at least that long."""
        start = self._clock.ms()
        while since(self._clock, start) < ms:
            yield

    def until(self, is_done, limit_ms, what):
        """Yield until ``is_done()``; TunerError after the limit, never a hang."""
        start = self._clock.ms()
        polls = 0
        while not is_done():
            polls += 1
            # a turn of the main loop that took long must not look like a chip that hangs
            if polls > _POLLS_AT_LEAST and since(self._clock, start) > limit_ms:
                raise TunerError(what + " does not end")
            yield


def channel_of(khz):
    """Channel number on the 50 kHz raster from 76 MHz; ValueError outside the band."""
    if not BOTTOM_KHZ <= khz <= TOP_KHZ or khz % _SPACE_KHZ:
        raise ValueError("frequency")
    return (khz - BOTTOM_KHZ) // _SPACE_KHZ


def khz_of(channel):
    """Frequency of a channel number; TunerError where the number is above the band."""
    khz = BOTTOM_KHZ + channel * _SPACE_KHZ
    if khz > TOP_KHZ:
        raise TunerError("channel %d is outside the band" % channel)
    return khz
