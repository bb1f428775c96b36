"""Si4730/31/32/34/35: commands and responses, level in dBuV, SNR, multipath, offset, RDS.

Facts: Silicon Labs AN332 by way of pu2clr/SI4735 and rtreichl/msp430radio.
"""

from sniffer.drivers.bus import BusFault, TunerError
from sniffer.drivers.tuner import AFC_RAIL, STEREO, VALID, Tuner

ADDRESSES = (0x63, 0x11)  # SEN high, SEN low
_POWER_UP = 0x01
_GET_REV = 0x10
_SET_PROPERTY = 0x12
_GET_INT_STATUS = 0x14
_TUNE_FREQ = 0x20
_TUNE_STATUS = 0x22
_RSQ_STATUS = 0x23
_RDS_STATUS = 0x24
_CTS = 0x80
_ERR = 0x40
_STC = 0x01
_PARTS = (30, 31, 32, 34, 35)  # last two digits of the part number
_STARTS = 3
_SETTLE_MS = 500  # from power-up to the first tune, for the crystal
_PROPERTIES = (
    (0x1100, 1),  # de-emphasis 50 us, as in China and Europe
    (0x1500, 1),  # an interrupt for a received group
    (0x1501, 1),  # from the first group in the FIFO on
    (0x1502, 0xFF01),  # RDS on; groups with errors too, since each block says how many
    (0x4000, 0),  # volume
)


class Si4735(Tuner):
    """The family of the Si4735; best evidence for its price, so the first choice."""

    KIND = 1

    def __init__(self, bus, address, clock, has_crystal=True):
        super().__init__(bus, address, clock)
        self._has_crystal = has_crystal
        self._status = bytearray(1)
        self._response = bytearray(13)
        self._tune_status = bytearray(8)
        self.part = 0

    def start(self):
        """Power up, identify, set up. A first power-up that fails is tried again."""
        for attempt in range(_STARTS):
            try:
                yield from self._power_up()
                break
            except (TunerError, BusFault):
                if attempt == _STARTS - 1:
                    raise
                yield from self.wait(50)
        for number, value in _PROPERTIES:
            yield from self._set(number, value)

    def _power_up(self):
        function = 0x10 if self._has_crystal else 0x00
        yield from self._command(bytes((_POWER_UP, function, 0x05)), limit_ms=1000)
        yield from self.wait(_SETTLE_MS)
        yield from self._command(bytes((_GET_REV,)))
        self._bus.read_into(self._address, self._tune_status)
        self.part = self._tune_status[1]
        if self.part not in _PARTS:
            raise TunerError("part number %d" % self.part)

    def tune(self, khz):
        """Tune, and measure: the tune status carries level and SNR."""
        if not 64000 <= khz <= 108000 or khz % 10:
            raise ValueError("frequency")
        # What the FIFO holds belongs to the station that was tuned before.
        ten_khz = khz // 10
        yield from self._command(bytes((_TUNE_FREQ, 0, ten_khz >> 8, ten_khz & 0xFF, 0)))
        yield from self._until_tuned()
        yield from self._command(bytes((_TUNE_STATUS, 0x01)))
        status = self._tune_status
        self._bus.read_into(self._address, status)
        if (status[2] << 8 | status[3]) != ten_khz:
            tuned = (status[2] << 8 | status[3]) * 10
            raise TunerError("tuned to %d instead of %d kHz" % (tuned, khz))
        self.khz = khz
        self.level = status[4]
        self.snr_db = status[5]
        self.multipath = status[6]
        self.flags = (VALID if status[1] & 0x01 else 0) | (AFC_RAIL if status[1] & 0x02 else 0)
        yield from self._command(bytes((_RDS_STATUS, 0x03)))  # empty the FIFO

    def _until_tuned(self):
        for _ in self.wait(400):
            yield from self._command(bytes((_GET_INT_STATUS,)))
            if self._status[0] & _STC:
                return
            yield
        raise TunerError("tuning does not end")

    def measure(self):
        """Received signal quality of the tuned channel."""
        yield from self._command(bytes((_RSQ_STATUS, 0x01)))
        response = self._tune_status
        self._bus.read_into(self._address, response)
        self.level = response[4]
        self.snr_db = response[5]
        self.multipath = response[6]
        self.offset_khz = response[7] - 256 if response[7] > 127 else response[7]
        self.flags = (
            (VALID if response[2] & 0x01 else 0)
            | (AFC_RAIL if response[2] & 0x02 else 0)
            | (STEREO if response[3] & 0x80 else 0)
        )

    def read_rds(self):
        """Take a group from the FIFO; True when there was a usable one."""
        yield from self._command(bytes((_RDS_STATUS, 0x01)))
        response = self._response
        self._bus.read_into(self._address, response)
        if response[3] == 0:
            return False
        blocks = [response[4 + 2 * i] << 8 | response[5 + 2 * i] for i in range(4)]
        return self.take_group(blocks, response[12])

    def set_volume(self, volume):
        """Audio level, 0-15."""
        yield from self._set(0x4000, volume * 63 // 15)

    def _set(self, number, value):
        data = (_SET_PROPERTY, 0, number >> 8, number & 0xFF, value >> 8, value & 0xFF)
        yield from self._command(bytes(data))

    def _command(self, data, limit_ms=100):
        """Send a command and wait until the chip is clear to send; TunerError when it refuses."""
        self._bus.write(self._address, data)
        yield from self.until(self._is_clear, limit_ms, "command 0x%02x" % data[0])
        if self._status[0] & _ERR:
            raise TunerError("command 0x%02x refused" % data[0])

    def _is_clear(self):
        self._bus.read_into(self._address, self._status)
        return self._status[0] & _CTS
