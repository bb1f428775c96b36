"""The RDA5807M as registers."""

from sim.air import Registers


class Rda5807Model(Registers):
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
