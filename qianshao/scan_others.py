"""What ``rf scan`` does with devices that are no modem: how they are driven, and their readings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from contract.clock import Clock
from hardware.board.client import BoardLink
from hardware.board.poller import BoardPoller
from hardware.board.readings import BoardReadings
from hardware.finders.kraken import KrakenReader
from hardware.gnss.gpsd import WATCH, GpsdReader
from hardware.gnss.nmea import NmeaReader
from hardware.modems.interface import Arrival
from hardware.modems.poller import EventPort
from hardware.readings import (
    BearingReading,
    FixReading,
    Item,
    RdsReading,
    SweepReading,
    TunerReading,
    UplinkReading,
)
from hardware.serial.port import PortData, PortEvent, PortOpened
from hardware.spectrum.uplink import UplinkMeter, is_uplink

_READERS: dict[str, Callable[..., NmeaReader | KrakenReader | GpsdReader]] = {
    "nmea": NmeaReader,
    "kraken": KrakenReader,
    "gpsd": GpsdReader,
}
LISTENERS = frozenset({*_READERS, "sweep_csv"})
"""Kinds that talk by themselves: nothing is written to them (gpsd: one line to its socket)."""


class _Begun:
    """A port whose opening was taken already, for those who want to see it."""

    def __init__(self, port: EventPort) -> None:
        self._port = port
        self._is_first = True

    @property
    def name(self) -> str:
        return self._port.name

    async def next_event(self) -> PortEvent | None:
        if self._is_first:
            self._is_first = False
            return PortOpened(port=self.name)
        return await self._port.next_event()

    async def write(self, data: bytes) -> None:
        await self._port.write(data)


def other_items(kind: str, port: EventPort, url: str, clock: Clock) -> AsyncIterator[Item]:
    """Drive an open device of a kind and yield what it says."""
    file = url.rpartition("/")[2] or url
    begun = _Begun(port)
    if kind == "board":
        readings = BoardReadings(sensor="scan", file=file)
        return BoardPoller(BoardLink(begun, clock=clock), readings, clock=clock).items()
    if kind in _READERS:
        return _listened(kind, begun, file)
    from hardware.spectrum.dialects import DIALECTS, SweepRange
    from hardware.spectrum.poller import SpectrumPoller

    dialect = DIALECTS[kind](sensor="scan", file=file, sweep=SweepRange())
    return _metered(SpectrumPoller(begun, dialect).items())


async def _listened(kind: str, port: EventPort, file: str) -> AsyncIterator[Item]:
    reader = _READERS[kind](sensor="scan", file=file)
    while (event := await port.next_event()) is not None:
        if isinstance(event, PortData):
            at_us = event.received_us
            arrival = Arrival(at_us=at_us, time_basis="live", received_us=at_us)
            items = reader.feed(event.data, arrival)
        else:
            items = reader.close()
            if isinstance(event, PortOpened) and kind == "gpsd":
                await port.write(WATCH)
        for item in items:
            yield item


async def _metered(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Sweeps over an uplink band also become bursts a minute."""
    meter = UplinkMeter()
    async for item in items:
        yield item
        if isinstance(item, SweepReading) and is_uplink(item):
            for reading in meter.feed(item):
                yield reading


def other_text(item: Item) -> tuple[str, str] | None:
    """Name of the thing read (its newest words replace the last) and the words; None: a cell."""
    match item:
        case SweepReading():
            return f"sweep {item.device.value}", _sweep(item)
        case TunerReading():
            at = "?" if item.mhz is None else f"{item.mhz:.2f}"
            return f"tuner {at} MHz", _tuner(item)
        case RdsReading() if item.ps or item.radiotext:
            at = "?" if item.mhz is None else f"{item.mhz:.2f}"
            pi = "----" if item.pi is None else f"{item.pi:04X}"
            return f"rds {at} MHz", f"PI {pi} {item.ps or item.radiotext or ''}"
        case FixReading():
            return "fix", _fix(item)
        case BearingReading():
            return f"bearing {item.mhz:.3f} MHz", f"{item.bearing_deg:.0f} degrees true"
        case UplinkReading():
            words = f"{item.bursts_per_min:.0f} bursts a minute, up to {item.level_dbm:.0f} dBm"
            return f"uplink {item.centre_mhz} MHz", words
        case _:
            return None


def _sweep(item: SweepReading) -> str:
    levels = [(level, i) for i, level in enumerate(item.levels_dbm) if level > -999]  # no NaN
    words = f"{item.start_hz / 1e6:.1f}-{item.stop_hz / 1e6:.1f} MHz, {len(item.levels_dbm)} points"
    if not levels:
        return words
    level, index = max(levels)
    unit = "dBm" if item.is_calibrated else "dBm (uncalibrated)"
    at_mhz = (item.start_hz + index * item.step_hz) / 1e6
    return f"{words}, strongest {at_mhz:.2f} MHz {level:.0f} {unit}"


def _tuner(item: TunerReading) -> str:
    parts = [
        ("level", item.level_dbf, "dBf"),
        ("SNR", item.snr_db, "dB"),
        ("multipath", item.multipath_percent, "%"),
        ("co-channel", item.cochannel_percent, "%"),
    ]
    words = [f"{name} {value:.0f} {unit}" for name, value, unit in parts if value is not None]
    words += ["stereo"] if item.is_stereo else []
    words += [] if item.pi is None else [f"PI {item.pi:04X}{'?' * item.pi_doubt}"]
    return ", ".join(words)


def _fix(item: FixReading) -> str:
    if item.position is None:
        return "no position"
    seen = "" if item.satellites is None else f", {item.satellites} satellites"
    hdop = "" if item.hdop is None else f", HDOP {item.hdop:g}"
    at = f"{item.position.lat:.6f} {item.position.lon:.6f}"
    return f"{at} ({item.quality.value}{seen}{hdop})"
