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


class _Registers:
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


class Rda5807Model(_Registers):
    """RDA5807M. A write to 02h with SEEK set seeks; the chip clears its bit by itself."""

    ADDRESSES = (0x10, 0x11, 0x60)

    def __init__(self, air):
        super().__init__(air)
        self.registers[0] = 0x5804
        self.is_complete = False
        self.pointer = 0

    def write(self, address, data):
        if address == 0x10:
            register = 2
            words = data
        elif address == 0x11:
            self.pointer = register = data[0]
            words = data[1:]
        else:
            return
        for i in range(0, len(words) - 1, 2):
            self._set(register, words[i] << 8 | words[i + 1])
            register += 1

    def _set(self, register, value):
        if register == 2:
            self._set_power(value)
        elif register == 3 and value & 0x10:
            self.tunes += 1
            self.is_complete = False
            base = (87000, 76000, 76000, 65000)[value >> 2 & 3]
            self.begin(base + (value >> 6) * (100, 200, 50, 25)[value & 3])
            self.base = base
            self.space = (100, 200, 50, 25)[value & 3]
        if 2 <= register < 8:
            self.registers[register] = value & ~0x10 if register == 3 else value

    def _set_power(self, value):
        if value & 0x02:
            self.shown_group = None
            self.is_complete = False
        was_on = self.is_rds_on
        self.is_rds_on = bool(value & 0x08)
        if was_on and not self.is_rds_on:
            self.shown_group = None
        if value & 0x100:
            self.seeks += 1
            self.begin(self.air.next_above(self.khz))

    def read(self, address, buffer):
        if self.is_done():
            self.is_complete = True
            self.registers[2] &= ~0x100
        if address == 0x11:
            start = self.pointer
        else:
            start = 0x0A
        words = self._status() if start >= 0x0A else self.registers
        offset = 0x0A if start >= 0x0A else 0
        for i in range(len(buffer) // 2):
            word = words[(start - offset + i) % len(words)]
            buffer[2 * i] = word >> 8
            buffer[2 * i + 1] = word & 0xFF

    def _status(self):
        station = self.air.at(self.khz)
        group = self.hear()
        base = getattr(self, "base", 87000)
        space = getattr(self, "space", 100)
        a = (0x8000 if group else 0) | (0x4000 if self.is_complete else 0)
        a |= (0x0400 if station and station.is_stereo else 0) | (self.khz - base) // space & 0x3FF
        level = station.level if station else self.air.NOISE
        b = level << 9 | (0x0100 if station else 0) | 0x80
        if group:
            b |= (group[4] >> 6 & 3) << 2 | group[4] >> 4 & 3
        return [a, b] + (list(group[:4]) if group else [0, 0, 0, 0])


class Si4703Model(_Registers):
    """Si4703. ``bad_starts`` power-ups leave it reading all ones; STC waits to be cleared."""

    ADDRESSES = (0x10,)

    def __init__(self, air, bad_starts=0):
        super().__init__(air)
        self.registers[0] = 0x1242
        self.bad_starts = bad_starts
        self.is_dead = False
        self.is_on = False
        self.oscillator_at = None
        self.is_complete = False

    def write(self, _address, data):
        for i in range(0, len(data) - 1, 2):
            self._set(2 + i // 2, data[i] << 8 | data[i + 1])

    def _set(self, register, value):
        before = self.registers[register]
        self.registers[register] = value
        if register == 7 and value & 0x8000 and self.oscillator_at is None:
            self.oscillator_at = self.air.ticks_ms()
        if register == 2:
            if value & 0x01 and not self.is_on:
                self._power_up()
            elif not value & 0x01:
                self.is_on = self.is_dead = False
            if value & 0x100 and self.is_on:
                self.seeks += 1
                self.begin(self.air.next_above(self.khz))
        if register == 3 and self.is_on:
            if value & 0x8000 and not before & 0x8000 and not self.is_complete:
                self.tunes += 1
                space = (200, 100, 50, 25)[self.registers[5] >> 4 & 3]
                base = (87500, 76000, 76000, 76000)[self.registers[5] >> 6 & 3]
                self.begin(base + (value & 0x3FF) * space)
            elif not value & 0x8000:
                self.is_complete = False
        if register == 4:
            if before & 0x1000 and not value & 0x1000:
                self.shown_group = None
            self.is_rds_on = bool(value & 0x1000)

    def _power_up(self):
        settled = self.oscillator_at is not None
        settled = settled and self.air.ticks_ms() - self.oscillator_at >= 500
        if self.bad_starts or not settled:
            self.bad_starts = max(0, self.bad_starts - 1)
            self.is_dead = True
        else:
            self.is_on = True

    def read(self, _address, buffer):
        if self.is_done():
            self.is_complete = True
            self.registers[2] &= ~0x100
        words = [0xFFFF] * 16 if self.is_dead else self._words()
        for i in range(len(buffer) // 2):
            word = words[(0x0A + i) % 16]
            buffer[2 * i] = word >> 8
            buffer[2 * i + 1] = word & 0xFF

    def _words(self):
        words = list(self.registers)
        station = self.air.at(self.khz)
        group = self.hear() if self.is_on else None
        errors = group[4] if group else 0
        words[1] = 0x1253 if self.is_on else 0x1200
        space = (200, 100, 50, 25)[self.registers[5] >> 4 & 3]
        base = (87500, 76000, 76000, 76000)[self.registers[5] >> 6 & 3]
        words[0x0A] = (
            (0x8000 if group else 0)
            | (0x4000 if self.is_complete else 0)
            | (errors >> 6 & 3) << 9
            | (0x0100 if station and station.is_stereo else 0)
            | (station.level if station else self.air.NOISE)
        )
        words[0x0B] = (errors & 0x3F) << 10 | (self.khz - base) // space & 0x3FF
        words[0x0C:0x10] = list(group[:4]) if group else [0, 0, 0, 0]
        return words


class Si4735Model:
    """Si4735. Answers "busy" for a while after a command; refuses what comes too early."""

    def __init__(self, air, part=35, bad_starts=0, address=0x63):
        self.ADDRESSES = (address,)
        self.air = air
        self.part = part
        self.bad_starts = bad_starts
        self.is_on = False
        self.on_at = 0
        self.khz = 0
        self.tuned_at = 0
        self.done_at = None
        self.is_complete = False
        self.is_error = False
        self.response = bytes(13)
        self.busy_reads = 0
        self.properties = {}
        self.fifo = []
        self.heard = -1
        self.tunes = 0

    def write(self, _address, data):
        self._hear()
        self.is_error = False
        self.response = bytes(13)
        self.busy_reads = 2
        command = data[0]
        if command == 0x01:
            self._power_up()
        elif not self.is_on:
            self.is_error = True
        elif command == 0x10:
            self.response = bytes((0, self.part, 0x36, 0x30, 0, 0, 0x41, 0x43)) + bytes(5)
        elif command == 0x12:
            self.properties[data[2] << 8 | data[3]] = data[4] << 8 | data[5]
        elif command == 0x20:
            self._tune((data[2] << 8 | data[3]) * 10)
        elif command == 0x22:
            self._tune_status(data[1])
        elif command == 0x23:
            self._rsq_status()
        elif command == 0x24:
            self._rds_status(data[1])
        elif command != 0x14:
            self.is_error = True

    def _power_up(self):
        if self.bad_starts:
            self.bad_starts -= 1
            self.is_error = True
        else:
            self.is_on = True
            self.on_at = self.air.ticks_ms()

    def _tune(self, khz):
        if self.air.ticks_ms() - self.on_at < 500 or not 64000 <= khz <= 108000:
            self.is_error = True
            return
        self.tunes += 1
        self.khz = khz
        self.is_complete = False
        self.done_at = self.air.ticks_ms() + self.air.tune_ms

    def _tune_status(self, flags):
        station = self.air.at(self.khz)
        ten = self.khz // 10
        level = station.level if station else self.air.NOISE
        snr = station.snr_db if station else 0
        path = station.multipath if station else 0
        valid = 1 if station else 0
        self.response = bytes((0, valid, ten >> 8, ten & 0xFF, level, snr, path, 0)) + bytes(5)
        if flags & 1:
            self.is_complete = False

    def _rsq_status(self):
        station = self.air.at(self.khz)
        if station is None:
            self.response = bytes((0, 0, 0, 0, self.air.NOISE, 0, 0, 0)) + bytes(5)
            return
        pilot = 0x80 | 100 if station.is_stereo else 0
        self.response = bytes(
            (
                0,
                0,
                1,
                pilot,
                station.level,
                station.snr_db,
                station.multipath,
                station.offset_khz & 0xFF,
            )
        ) + bytes(5)

    def _hear(self):
        if self.done_at is not None and self.air.ticks_ms() >= self.done_at:
            self.done_at = None
            self.is_complete = True
            self.tuned_at = self.air.ticks_ms()
            self.heard = 0
        if self.done_at is None and self.properties.get(0x1502, 0) & 1:
            group, number = self.air.group(self.khz, self.tuned_at)
            if group is not None and number > self.heard:
                self.heard = number
                self.fifo.append(group)
                self.fifo = self.fifo[-25:]

    def _rds_status(self, flags):
        if flags & 2:
            self.fifo = []
        if not self.fifo:
            return
        count = len(self.fifo)
        group = self.fifo.pop(0)
        blocks = b"".join(bytes((w >> 8, w & 0xFF)) for w in group[:4])
        self.response = bytes((0, 1, 1, count)) + blocks + bytes((group[4],))

    def read(self, _address, buffer):
        self._hear()
        if self.busy_reads:
            self.busy_reads -= 1
            status = 0
        else:
            status = 0x80 | (0x40 if self.is_error else 0) | (0x01 if self.is_complete else 0)
        for i in range(len(buffer)):
            buffer[i] = status if i == 0 else self.response[i] if i < 13 else 0
