"""Register-level models of the tuners, with the faults the field has met.

Facts are those of the drivers' sources; the models were written apart from the drivers and know
only registers and time.
"""


class Station:
    """A transmitter as a tuner sees it."""

    def __init__(self, khz, level, snr_db=30, is_stereo=True, groups=(), offset_khz=0, multipath=5):
        self.khz = khz
        self.level = level
        self.snr_db = snr_db
        self.is_stereo = is_stereo
        self.groups = groups  # tuples of 4 blocks and an error byte, sent in turn
        self.offset_khz = offset_khz
        self.multipath = multipath


class Air:
    """The stations, and the time."""

    NOISE = 8

    def __init__(self, stations, ticks_ms, tune_ms=60):
        self.stations = stations
        self.ticks_ms = ticks_ms
        self.tune_ms = tune_ms

    def at(self, khz):
        for station in self.stations:
            if station.khz == khz:
                return station
        return None

    def next_above(self, khz):
        above = [s.khz for s in self.stations if s.khz > khz]
        return min(above) if above else min(s.khz for s in self.stations)

    def group(self, khz, since_ms):
        """The group that station sends now and its number, None between stations."""
        station = self.at(khz)
        if station is None or not station.groups:
            return None, -1
        number = (self.ticks_ms() - since_ms) // 88  # 104 bits at 1187.5 bit/s
        return station.groups[number % len(station.groups)], number


class SimulatedI2C:
    """A bus with chips on it. ``is_stuck``: SDA is held low until nine clocks free it."""

    def __init__(self, *chips):
        self.chips = chips
        self.is_gone = False
        self.is_all_ones = False
        self.is_stuck = False
        self.transfers = 0

    def clock_free(self):
        self.is_stuck = False

    def _chip(self, address):
        self.transfers += 1
        if self.is_gone or self.is_stuck:
            raise OSError(5)
        for chip in self.chips:
            if address in chip.ADDRESSES:
                return chip
        raise OSError(5)

    def writeto(self, address, data):
        self._chip(address).write(address, bytes(data))
        return len(data)

    def readfrom_into(self, address, buffer):
        chip = self._chip(address)
        if self.is_all_ones:
            for i in range(len(buffer)):
                buffer[i] = 0xFF
        else:
            chip.read(address, buffer)

    def readfrom_mem_into(self, address, register, buffer):
        self._chip(address).write(address, bytes((register,)))
        self.readfrom_into(address, buffer)

    def scan(self):
        if self.is_gone or self.is_stuck:
            return []
        return sorted(a for chip in self.chips for a in chip.ADDRESSES)


class Registers:
    """Sixteen 16-bit registers, a tuner of 50/100/200/25 kHz raster behind them."""

    def __init__(self, air):
        self.air = air
        self.registers = [0] * 16
        self.khz = 87500
        self.tuned_at = 0
        self.busy_until = None
        self.tunes = 0
        self.seeks = 0
        self.shown_group = None
        self.shown_number = -1
        self.is_rds_on = False

    def begin(self, khz):
        self.busy_until = self.air.ticks_ms() + self.air.tune_ms
        self.khz = khz

    def is_done(self):
        if self.busy_until is not None and self.air.ticks_ms() >= self.busy_until:
            self.busy_until = None
            self.tuned_at = self.air.ticks_ms()
            return True
        return False

    def hear(self):
        """The group on show. It stays when the chip is retuned, as in the field."""
        if self.is_rds_on and self.busy_until is None:
            group, number = self.air.group(self.khz, self.tuned_at)
            if group is not None and number > 0 and (number, self.khz) != self.shown_number:
                self.shown_group = group
                self.shown_number = (number, self.khz)
        return self.shown_group
