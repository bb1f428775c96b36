"""What an agent's spectrum sensors need besides their port: licence list, and positions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import structlog

from contract.words import PartState
from edge_agent.config import BroadcastConfig, SensorConfig, SensorKind
from edge_agent.health import HealthBook
from hardware.finders.kraken import KrakenReader
from hardware.gnss.gpsd import WATCH, GpsdReader
from hardware.gnss.nmea import NmeaReader
from hardware.modems.interface import Arrival
from hardware.readings import Item
from hardware.serial.port import PortData, PortEnded, PortLost, PortOpened, SerialPort

if TYPE_CHECKING:
    from rf_watch.bearings import BearingBook
    from rf_watch.broadcast import BroadcastWatch, LicenceList

LICENCES_PART = "licence list"

SPECTRUM_KINDS = frozenset(
    {SensorKind.TINYSA, SensorKind.RF_EXPLORER, SensorKind.FM_TUNER, SensorKind.SWEEP_CSV}
)
_LISTENERS: dict[SensorKind, Callable[..., NmeaReader | GpsdReader | KrakenReader]] = {
    SensorKind.NMEA: NmeaReader,
    SensorKind.GPSD: GpsdReader,
    SensorKind.KRAKEN: KrakenReader,
}
LISTENED_KINDS = frozenset(_LISTENERS)
"""Devices that talk line by line, unasked."""

log = structlog.get_logger("broadcast")


def broadcast_maker(
    config: BroadcastConfig | None,
    device: str,
    book: HealthBook,
    bearings: BearingBook | None = None,
) -> Callable[[], BroadcastWatch]:
    """Return what makes a sensor's watch; the list is read when it is made.

    ``bearings`` is shared by all sensors of the agent: a direction finder serves them all.
    """

    def make() -> BroadcastWatch:
        from rf_watch.broadcast import BroadcastSettings, BroadcastWatch

        if config is None:
            return BroadcastWatch(device, bearings=bearings)
        settings = BroadcastSettings(
            utc_offset_min=config.utc_offset_min, continuous_s=config.continuous_s
        )
        return BroadcastWatch(device, settings, _read_list(config, book), bearings=bearings)

    return make


def _read_list(config: BroadcastConfig, book: HealthBook) -> LicenceList | None:
    """Read the list; None, and nobody is suspected, where it cannot be read."""
    from rf_watch.broadcast import read_licences

    try:
        text = config.licences.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        book.report(LICENCES_PART, PartState.FAILED, f"cannot be read: {error.strerror}")
        log.warning("licences_unreadable", file=config.licences.name, problem=error.strerror)
        return None
    licences, problems = read_licences(text)
    for row in problems[:20]:
        log.warning("licence_row", file=config.licences.name, line=row.line, problem=row.reason)
    state, detail = PartState.OK, ""
    if not len(licences):
        state, detail = PartState.FAILED, "no usable row"
    elif problems:
        first = problems[0]
        state = PartState.DEGRADED
        detail = f"{len(problems)} unusable rows, line {first.line}: {first.reason}"
    gauges: dict[str, bool | int | float | str] = {
        "rows": len(licences),
        "unusable": len(problems),
    }
    book.report(LICENCES_PART, state, detail, gauges)
    return licences if len(licences) else None


async def listened_items(kind: SensorKind, name: str, port: SerialPort) -> AsyncIterator[Item]:
    """Read what talks by itself; only gpsd is asked, once."""
    reader = _LISTENERS[kind](sensor=name, file=port.name)
    async for event in port:
        items: list[Item] = []
        match event:
            case PortOpened():
                items = reader.close()
                if kind is SensorKind.GPSD:
                    await port.write(WATCH)
            case PortData():
                arrival = Arrival(
                    at_us=event.received_us, time_basis="live", received_us=event.received_us
                )
                items = reader.feed(event.data, arrival)
            case PortLost() | PortEnded():
                items = reader.close()
        for item in items:
            yield item


def load_analysis() -> None:
    """Load what only spectra and audio need; takes a second or more on a small machine."""
    import rf_watch.broadcast
    import rf_watch.broadcast.spectrum  # noqa: F401


async def audio_items(config: SensorConfig, file: str, port: SerialPort) -> AsyncIterator[Item]:
    """Read the loudspeaker of a receiver that stands on one frequency."""
    from hardware.spectrum.pcm import PcmReader

    assert config.mhz is not None
    reader = PcmReader(sensor=config.name, file=file, mhz=config.mhz, rate_hz=config.rate_hz)
    async for event in port:
        items: list[Item] = []
        match event:
            case PortData():
                arrival = Arrival(
                    at_us=event.received_us, time_basis="live", received_us=event.received_us
                )
                items = reader.feed(event.data, arrival)
            case PortOpened() | PortLost() | PortEnded():
                items = reader.close()
        for item in items:
            yield item
