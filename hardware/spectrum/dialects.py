"""The spectrum devices that can be attached: codecs with what they are asked.

A further device is one codec and one class here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hardware.modems.interface import Arrival
from hardware.readings import Item, SweepReading, Unreadable
from hardware.spectrum import fmdx, rf_explorer, tinysa
from hardware.spectrum.csv_rows import CsvSweeps
from hardware.spectrum.fmdx import FmDxTuner
from hardware.spectrum.interface import SpectrumDialect
from hardware.spectrum.rf_explorer import RfExplorer
from hardware.spectrum.tinysa import TinySa

TINYSA_POINTS = 450
ATTENUATOR_STEP_DB, ATTENUATOR_EVERY = 10, 8
"""Every eighth sweep sees the band through 10 dB more: what the mixer makes itself sinks by 20."""
TUNER_LISTEN_LINES = 24
"""Tuner lines heard on one station before the next scan: two to three seconds, a whole PS."""
TUNER_LEVEL_MIN_DBM = -90.0


@dataclass(frozen=True, slots=True)
class SweepRange:
    """What is to be swept."""

    low_hz: int = 87_000_000
    high_hz: int = 108_000_000


class TinySaDialect(TinySa):
    """tinySA: one ``scanraw`` after the other; version and zero are read back after each opening.

    A device that stops answering (a known defect of long series of scans, and what a touch on its
    screen does) gets a line end and ``abort``; its prompt brings the codec back.
    """

    name = "tinysa"

    def __init__(self, *, sensor: str, file: str, sweep: SweepRange) -> None:
        super().__init__(sensor=sensor, file=file)
        self._sweep_range = sweep
        self._polls = 0

    def wake(self) -> bytes:
        """Ask what it is."""
        return b"\r" + tinysa.ASK_VERSION + tinysa.ASK_ZERO

    def poll(self) -> bytes | None:
        """Ask for one sweep."""
        self._polls += 1
        phase = self._polls % ATTENUATOR_EVERY
        before = b""
        if phase < 2:
            before = tinysa.attenuate(ATTENUATOR_STEP_DB if phase == 0 else 0)
        low, high = self._sweep_range.low_hz, self._sweep_range.high_hz
        return before + tinysa.scanraw(low, high, TINYSA_POINTS)

    def recover(self) -> bytes:
        """End whatever it does."""
        return b"\r" + tinysa.ABORT + b"\r"

    def is_answer(self, item: Item) -> bool:
        """A sweep, or a torn one."""
        return isinstance(item, SweepReading | Unreadable)


class RfExplorerDialect(RfExplorer):
    """RF Explorer: set the range once, then it sweeps by itself."""

    name = "rf_explorer"

    def __init__(self, *, sensor: str, file: str, sweep: SweepRange) -> None:
        super().__init__(sensor=sensor, file=file)
        self._sweep_range = sweep

    def wake(self) -> bytes:
        """Ask what it is, then set the range."""
        low, high = self._sweep_range.low_hz // 1000, self._sweep_range.high_hz // 1000
        return rf_explorer.ask_configuration() + rf_explorer.set_range(low, high)

    def poll(self) -> bytes | None:
        """It talks by itself."""
        return None

    def recover(self) -> bytes:
        """Ask it to begin again."""
        return self.wake()

    def is_answer(self, item: Item) -> bool:
        """Everything it says."""
        return True


class TunerDialect(FmDxTuner):
    """FM-DX tuner: a scan of the band, then the stations one after another for their RDS."""

    name = "fm_tuner"

    def __init__(self, *, sensor: str, file: str, sweep: SweepRange) -> None:
        super().__init__(sensor=sensor, file=file)
        self._sweep_range = sweep
        self._stations: list[int] = []
        self._next = 0
        self._is_scanning = False
        self._lines = 0

    def wake(self) -> bytes:
        """Let it talk."""
        self._is_scanning = False
        return fmdx.start()

    def poll(self) -> bytes | None:
        """Scan and listen by turns."""
        self._is_scanning = not self._is_scanning or not self._stations
        self._lines = 0
        if self._is_scanning:
            low, high = self._sweep_range.low_hz // 1000, self._sweep_range.high_hz // 1000
            return fmdx.scan(max(low, 87_500), high)
        self._next = (self._next + 1) % len(self._stations)
        return fmdx.tune(self._stations[self._next])

    def recover(self) -> bytes:
        """Begin again."""
        return b"X\n" + self.wake()

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes; a scan gives the stations to listen to."""
        items = super().feed(data, arrival)
        for item in items:
            if isinstance(item, SweepReading):
                self._stations = _stations(item)
        return items

    def is_answer(self, item: Item) -> bool:
        """A scan line ends a scan; some lines end a listening."""
        if self._is_scanning:
            return isinstance(item, SweepReading)
        self._lines += 1
        return self._lines >= TUNER_LISTEN_LINES


def _stations(sweep: SweepReading) -> list[int]:
    """Channels (kHz) that are local maxima above what a tuner can make use of."""
    levels = np.nan_to_num(np.frombuffer(sweep.levels_dbm, dtype=np.float32), nan=-200.0)
    inner = levels[1:-1]
    is_top = (inner >= levels[:-2]) & (inner > levels[2:]) & (inner >= TUNER_LEVEL_MIN_DBM)
    return [
        round((sweep.start_hz + int(i + 1) * sweep.step_hz) / 1000) for i in np.flatnonzero(is_top)
    ]


class CsvDialect:
    """Rows of rtl_power, hackrf_sweep or soapy_power through a pipe, a socket or a file."""

    name = "sweep_csv"

    def __init__(self, *, sensor: str, file: str, sweep: SweepRange) -> None:
        self._sensor = sensor
        self._file = file
        self._codec = self._fresh()

    def _fresh(self) -> CsvSweeps:
        return CsvSweeps(sensor=self._sensor, file=self._file, time_basis="recorded")

    def wake(self) -> bytes:
        """Nothing can be asked."""
        return b""

    def poll(self) -> bytes | None:
        """It talks by itself."""
        return None

    def recover(self) -> bytes:
        """Nothing helps."""
        return b""

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes; the rows bring their own time."""
        return self._codec.feed(data, arrival.received_us)

    def is_answer(self, item: Item) -> bool:
        """Everything it says."""
        return True

    def close(self) -> list[Item]:
        """The last sweep is complete as it is."""
        items = self._codec.close()
        self._codec = self._fresh()
        return items


DIALECTS: dict[str, Callable[..., SpectrumDialect]] = {
    TinySaDialect.name: TinySaDialect,
    RfExplorerDialect.name: RfExplorerDialect,
    TunerDialect.name: TunerDialect,
    CsvDialect.name: CsvDialect,
}
"""By the name that a configuration gives; each takes sensor, file and sweep."""
