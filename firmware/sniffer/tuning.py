"""What the tuner is doing: nothing, one channel, or a sweep; found again when it is lost."""

from struct import pack_into

from sniffer import messages as m
from sniffer.clock import since
from sniffer.drivers import detect
from sniffer.drivers.bus import BusFault, TunerError
from sniffer.drivers.tuner import BOTTOM_KHZ, TOP_KHZ
from sniffer.link import TELEMETRY

IDLE = 0
STARTING = 1
TUNED = 2
SWEEPING = 3

FAULT_BUS = 1
FAULT_LOST = 2
FAULT_BACK = 3

_RETRY_MS = 2000
_QUALITY_MS = 200
_RDS_MS = 35  # a group lasts 88 ms
CHANNELS_A_PART = (m.MAX_PAYLOAD - 10) // 3  # 76


class Tuning:
    """Drives one tuner by a generator that is resumed once per turn of the main loop.

    What was wanted is kept while a tuner is away, and taken up again when it is back.
    """

    def __init__(self, bus, clock, link, report):
        self._bus = bus
        self._clock = clock
        self._link = link
        self._report = report  # (code, detail, text)
        self.tuner = None
        self.is_lost = False
        self.job = STARTING
        self.khz = 0
        self._wanted = (IDLE,)
        self._volume = -1
        self.sweep_no = 0
        self._sweep = bytearray(m.MAX_PAYLOAD)
        self._quality = bytearray(9)
        self._group = bytearray(17)
        self.on_quality = None  # second listener: the text dialect
        self.on_group = None
        self.on_sweep = None
        self._work = self._run()

    @property
    def kind(self):
        """Number of the tuner's family as HELLO says it."""
        return 0 if self.tuner is None else self.tuner.KIND

    def step(self):
        """Go on until the next wait."""
        next(self._work)

    def tune(self, khz):
        """Stay on a channel."""
        self._wanted = (TUNED, khz)

    def sweep(self, start_khz, stop_khz, step_khz, repeats):
        """Sweep; 0 repeats: for ever."""
        self._wanted = (SWEEPING, start_khz, stop_khz, step_khz, repeats)

    def stop(self):
        """End what is running."""
        self._wanted = (IDLE,)

    def set_volume(self, volume):
        """Applied at the next turn of the tuner's work."""
        self._volume = volume

    @property
    def is_sweeping(self):
        """A sweep is wanted or running."""
        return self._wanted[0] == SWEEPING

    def _run(self):
        told = False
        while True:
            try:
                self.job = STARTING
                yield from self._find()
                if told or self.is_lost:
                    self._report(FAULT_BACK, self.kind, "")
                told = False
                self.is_lost = False
                while True:
                    yield from self._do(self._wanted)
            except (BusFault, TunerError) as error:
                if not told:
                    self._report(FAULT_LOST, self.kind, str(error))
                    told = True
                self.is_lost = True
                self._bus.recover()
            start = self._clock.ms()
            while since(self._clock, start) < _RETRY_MS:
                yield

    def _find(self):
        tuner = detect.find(self._bus, self._clock)
        if tuner is None:
            raise TunerError("no tuner answers")
        yield from tuner.start()
        self.tuner = tuner

    def _do(self, wanted):
        self.job = wanted[0]
        if wanted[0] == TUNED:
            yield from self._stay(wanted)
        elif wanted[0] == SWEEPING:
            yield from self._sweep_all(wanted)
        else:
            yield from self._apply_volume()
            yield

    def _apply_volume(self):
        if self._volume >= 0:
            volume = self._volume
            self._volume = -1
            yield from self.tuner.set_volume(volume)

    def _stay(self, wanted):
        tuner = self.tuner
        yield from tuner.tune(wanted[1])
        self.khz = wanted[1]
        yield from tuner.measure()
        self._send_quality()
        quality_at = rds_at = self._clock.ms()
        while self._wanted is wanted:
            yield from self._apply_volume()
            if since(self._clock, rds_at) >= _RDS_MS:
                rds_at = self._clock.ms()
                is_new = yield from tuner.read_rds()
                if is_new:
                    self._send_group()
            if since(self._clock, quality_at) >= _QUALITY_MS:
                quality_at = self._clock.ms()
                yield from tuner.measure()
                self._send_quality()
            yield

    def _send_quality(self):
        tuner = self.tuner
        pack_into(
            m.QUALITY_LAYOUT,
            self._quality,
            0,
            self.khz,
            tuner.level,
            tuner.snr_db,
            tuner.multipath,
            tuner.offset_khz,
            tuner.flags,
        )
        self._link.put(TELEMETRY, m.QUALITY, self._quality, 9)
        if self.on_quality is not None:
            self.on_quality(tuner)

    def _send_group(self):
        tuner = self.tuner
        group = tuner.group
        pack_into(
            m.RDS_GROUP_LAYOUT,
            self._group,
            0,
            0,
            self.khz,
            group[0],
            group[1],
            group[2],
            group[3],
            tuner.group_errors,
        )
        self._link.put_event(m.RDS_GROUP, self._group, 17)
        if self.on_group is not None:
            self.on_group(tuner)

    def _sweep_all(self, wanted):
        _, start, stop, step, repeats = wanted
        done = 0
        while self._wanted is wanted and (repeats == 0 or done < repeats):
            done += 1
            yield from self._sweep_once(wanted, start, stop, step, done == repeats)
            yield

    def _sweep_once(self, wanted, start, stop, step, is_last):
        """One sweep. A command that comes during it ends it between two channels, not within."""
        tuner = self.tuner
        channels = (stop - start) // step + 1
        parts = (channels + CHANNELS_A_PART - 1) // CHANNELS_A_PART
        self.sweep_no = (self.sweep_no + 1) & 0xFFFF
        for part in range(parts):
            first = start + part * CHANNELS_A_PART * step
            count = min(CHANNELS_A_PART, channels - part * CHANNELS_A_PART)
            pack_into(m.SWEEP_LAYOUT, self._sweep, 0, self.sweep_no, part, parts, first, step)
            for i in range(count):
                yield from tuner.tune(first + i * step)
                if self._wanted is not wanted:
                    return
                at = 10 + 3 * i
                self._sweep[at] = tuner.level
                self._sweep[at + 1] = tuner.snr_db
                self._sweep[at + 2] = tuner.flags
                if self.on_sweep is not None:
                    self.on_sweep(first + i * step, tuner.level, tuner.flags)
            if is_last and part == parts - 1:
                self._wanted = (IDLE,)  # before it is said: who has the last part may sweep again
            self._link.put(TELEMETRY, m.SWEEP, self._sweep, 10 + 3 * count)
        if self.on_sweep is not None:
            self.on_sweep(0, 0, 0)


def is_range(start_khz, stop_khz, step_khz):
    """A sweep that a tuner can do, in at most 255 parts."""
    return (
        BOTTOM_KHZ <= start_khz <= stop_khz <= TOP_KHZ
        and step_khz >= 50
        and step_khz % 50 == 0
        and start_khz % 50 == 0
    )
