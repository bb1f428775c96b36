"""The Si4703 as registers."""

from sim.air import Registers


class Si4703Model(Registers):
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
