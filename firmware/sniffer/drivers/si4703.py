"""Si4702/03: sixteen registers, reads from 0Ah on, writes from 02h on; level in dBuV, RDS.

Facts: Silicon Labs AN230 by way of pu2clr/SI470X.
"""

from sniffer.drivers.bus import BusFault, TunerError
from sniffer.drivers.tuner import AFC_RAIL, STEREO, UNKNOWN, VALID, Tuner, channel_of, khz_of

ADDRESS = 0x10
DEVICE_ID = 0x1242
_POWERCFG = 0xC801 & ~0x8000  # mute off, verbose RDS (which carries block errors), enable
_SYSCONFIG1 = 0x0800  # de-emphasis 50 us
_RDS = 0x1000
_SYSCONFIG2 = 0x0060  # 76-108 MHz in steps of 50 kHz
_XOSCEN = 0x8100
_STARTS = 3


class Si4703(Tuner):
    """The driver writes its own copy of 02h-07h and never copies what it read back into it.

    A copy that keeps a SEEK or TUNE bit starts a seek with the next change of volume
    (mathertel/Radio issue 5).
    """

    KIND = 2

    def __init__(self, bus, address, clock):
        super().__init__(bus, address, clock)
        self._settings = [0, 0, 0, 0, 0, 0]  # 02h-07h
        self._out = bytearray(12)
        self._all = bytearray(32)
        self._status = bytearray(12)
        self._last_group = bytearray(8)
        self._was_ready = False

    def start(self):
        """Oscillator, half a second, enable, verify: and again, since the first can fail."""
        for attempt in range(_STARTS):
            try:
                yield from self._power_up()
                return
            except (TunerError, BusFault):
                if attempt == _STARTS - 1:
                    raise
                yield from self.wait(50)

    def _power_up(self):
        self._settings = [0, 0, 0, 0, 0, _XOSCEN]
        self._write(6)
        yield from self.wait(500)
        self._settings[0] = _POWERCFG
        self._write(1)
        yield from self.wait(110)
        self._bus.read_into(self._address, self._all)
        # reads begin at 0Ah and wrap: 00h is the seventh word, 01h the eighth
        if (self._all[12] << 8 | self._all[13]) != DEVICE_ID:
            raise TunerError("device id %02x%02x" % (self._all[12], self._all[13]))
        if not self._all[14] << 8 & 0x03C0 and not self._all[15] & 0xC0:
            raise TunerError("not powered up")
        self._settings[2] = _SYSCONFIG1 | _RDS
        self._settings[3] = _SYSCONFIG2
        self._write(4)

    def _write(self, words):
        for i in range(words):
            self._out[2 * i] = self._settings[i] >> 8
            self._out[2 * i + 1] = self._settings[i] & 0xFF
        self._bus.write(self._address, bytes(self._out[: 2 * words]))

    def _is_complete(self):
        self._bus.read_into(self._address, self._status)
        return self._status[0] & 0x40

    def _is_idle(self):
        return not self._is_complete()

    def tune(self, khz):
        """Tune with RDS off, so that no group of the station before comes after it."""
        channel = channel_of(khz)
        self._settings[2] = _SYSCONFIG1
        self._settings[1] = 0x8000 | channel
        self._write(3)
        yield from self.until(self._is_complete, 200, "tuning")
        self._settings[1] = channel  # TUNE must be cleared before the chip tunes again
        self._settings[2] = _SYSCONFIG1 | _RDS
        self._write(3)
        yield from self.until(self._is_idle, 200, "clearing of STC")
        self._was_ready = False
        yield from self.measure()
        if self.khz != khz:
            raise TunerError("tuned to %d instead of %d kHz" % (self.khz, khz))

    def measure(self):
        """Level, pilot, AFC rail; the chip has no SNR to read."""
        status = self._status
        self._bus.read_into(self._address, status)
        self.khz = khz_of((status[2] << 8 | status[3]) & 0x3FF)
        self.level = status[1]
        self.snr_db = UNKNOWN
        is_rail = status[0] & 0x10
        self.flags = (
            (STEREO if status[0] & 0x01 else 0)
            | (AFC_RAIL if is_rail else 0)
            | (VALID if not is_rail and not status[0] & 0x20 else 0)
        )
        return
        yield

    def read_rds(self):
        """True when a new usable group was ready."""
        status = self._status
        self._bus.read_into(self._address, status)
        is_ready = bool(status[0] & 0x80)
        is_new = is_ready and (not self._was_ready or status[4:12] != self._last_group)
        self._was_ready = is_ready
        if not is_new:
            return False
        self._last_group[:] = status[4:12]
        errors = (status[0] >> 1 & 3) << 6 | status[2] >> 2
        blocks = [status[4 + 2 * i] << 8 | status[5 + 2 * i] for i in range(4)]
        return self.take_group(blocks, errors)
        yield

    def set_volume(self, volume):
        """Audio level, 0-15."""
        self._settings[3] = _SYSCONFIG2 | volume
        self._write(4)
        return
        yield
