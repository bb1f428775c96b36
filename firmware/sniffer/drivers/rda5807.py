"""RDA5807M: cheapest, level without a unit, no SNR; RDS with block errors of A and B only.

Facts: pu2clr/RDA5807 and dawsonjon/101Things.
"""

from sniffer.drivers.bus import BusFault, TunerError
from sniffer.drivers.tuner import (
    RELATIVE,
    STEREO,
    UNKNOWN,
    VALID,
    Tuner,
    channel_of,
    khz_of,
)

SEQUENTIAL = 0x10
INDEXED = 0x11
CHIP_ID = 0x58
_POWER = 0xC005  # audio out, mute off, new demodulator, enable
_RDS_EN = 0x0008
_RESET = 0x0003
_BAND = 0x000A  # 76-108 MHz in steps of 50 kHz
_TUNE = 0x0010
_DE_50US = 0x0800
_SYSTEM = 0x8880  # seek threshold 8, LNA on LNAP
_STARTS = 3


class Rda5807(Tuner):
    """SEEK is never set, and each write is of one register from the driver's own values."""

    KIND = 3

    def __init__(self, bus, address, clock):
        super().__init__(bus, address, clock)
        self._word = bytearray(3)
        self._id = bytearray(2)
        self._status = bytearray(12)
        self._last_group = bytearray(8)
        self._was_ready = False

    def start(self):
        """Reset, which also ends a seek that another program left, and set up."""
        for attempt in range(_STARTS):
            try:
                yield from self._power_up()
                return
            except (TunerError, BusFault):
                if attempt == _STARTS - 1:
                    raise
                self._bus.recover()
                yield from self.wait(50)

    def _power_up(self):
        self._bus.read_register_into(INDEXED, 0x00, self._id)
        if self._id[0] != CHIP_ID:
            raise TunerError("chip id 0x%02x" % self._id[0])
        self._write(0x02, _RESET)
        yield from self.wait(10)
        self._write(0x02, _POWER)
        yield from self.wait(50)
        self._write(0x04, _DE_50US)
        self._write(0x05, _SYSTEM)

    def _write(self, register, value):
        self._word[0] = register
        self._word[1] = value >> 8
        self._word[2] = value & 0xFF
        self._bus.write(INDEXED, self._word)

    def _read(self):
        self._bus.read_into(SEQUENTIAL, self._status)  # 0Ah-0Fh

    def _is_complete(self):
        self._read()
        return self._status[0] & 0x40

    def tune(self, khz):
        """Tune with RDS off, so that no group of the station before comes after it."""
        channel = channel_of(khz)
        self._write(0x02, _POWER)
        self._write(0x03, channel << 6 | _TUNE | _BAND)
        yield from self.until(self._is_complete, 300, "tuning")
        self._write(0x02, _POWER | _RDS_EN)
        self._was_ready = False
        yield from self.measure()
        if self.khz != khz:
            raise TunerError("tuned to %d instead of %d kHz" % (self.khz, khz))

    def measure(self):
        """Relative level and pilot."""
        self._read()
        status = self._status
        self.khz = khz_of((status[0] << 8 | status[1]) & 0x3FF)
        self.level = status[2] >> 1
        self.snr_db = UNKNOWN
        self.flags = (
            RELATIVE | (STEREO if status[0] & 0x04 else 0) | (VALID if status[2] & 0x01 else 0)
        )
        return
        yield

    def read_rds(self):
        """True when a new usable group was ready.

        The chip says the errors of blocks A and B; C and D are given the worse of the two, and
        never better than "1-2 bits corrected".
        """
        self._read()
        status = self._status
        is_ready = bool(status[0] & 0x80)
        is_new = is_ready and (not self._was_ready or status[4:12] != self._last_group)
        self._was_ready = is_ready
        if not is_new:
            return False
        self._last_group[:] = status[4:12]
        a = status[3] >> 2 & 3
        b = status[3] & 3
        rest = max(a, b, 1)
        blocks = [status[4 + 2 * i] << 8 | status[5 + 2 * i] for i in range(4)]
        return self.take_group(blocks, a << 6 | b << 4 | rest << 2 | rest)
        yield

    def set_volume(self, volume):
        """Audio level, 0-15."""
        self._write(0x05, _SYSTEM | volume)
        return
        yield
