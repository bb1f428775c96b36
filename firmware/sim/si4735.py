"""The Si4735 as commands and responses."""


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
