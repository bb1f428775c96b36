"""One sniffer from its port to the outbox: bytes, readings, detections, health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

import structlog

from contract.clock import Clock
from contract.codec import Values
from contract.messages import Detection
from contract.words import PartState
from edge_agent.config import MODEM_KINDS, BroadcastConfig, SensorConfig, SensorKind
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.rf.alive import Liveness
from edge_agent.rf.board import board_gauges, board_poller, board_problem
from edge_agent.rf.broadcast import (
    LISTENED_KINDS,
    SPECTRUM_KINDS,
    audio_items,
    broadcast_maker,
    listened_items,
    load_analysis,
)
from hardware.board.poller import BoardPoller
from hardware.captures.reader import CaptureReader
from hardware.devices import keep_away
from hardware.gnss import FixTracker
from hardware.modems import DIALECTS
from hardware.modems.diag import DiagLink, DiagReader
from hardware.modems.poller import ModemPoller
from hardware.readings import FixReading, Item, Reading, SweepReading, Unreadable
from hardware.serial.port import PortData, PortEnded, PortLost, PortOpened, SerialPort
from hardware.serial.transport import LineSettings
from hardware.spectrum.poller import SpectrumPoller
from hardware.spectrum.uplink import UplinkMeter, is_uplink
from rf_watch.bearings import BearingBook
from rf_watch.context import CellContext
from rf_watch.watch import RadioWatch

SILENT_AFTER_S = 30.0
"""A port that is open but says nothing for so long is degraded: "alive but no data"."""

LONGEST_SURVEY_S = 360.0
"""AT+QSCAN; a modem may be silent for so long while it surveys."""

log = structlog.get_logger("survey")


_POLLED = ("rounds", "errors", "timeouts", "surveys", "surveys_cut")


class Survey:
    """Runs one sniffer until its recording ends or the agent stops."""

    def __init__(
        self,
        config: SensorConfig,
        *,
        device: str,
        clock: Clock,
        desk: Desk,
        book: HealthBook,
        evidence: EvidenceStore,
        broadcast: BroadcastConfig | None = None,
        fixes: FixTracker | None = None,
        bearings: BearingBook | None = None,
        context: CellContext | None = None,
    ) -> None:
        """``fixes`` and ``bearings`` are shared by all sensors of the agent.

        One receiver places them all, one direction finder serves them all.
        """
        self._config = config
        self._desk = desk
        self._book = book
        self._evidence = evidence
        self._part = f"sensor {config.name}"
        # a capture is silent when the air is
        is_talkative = config.kind in {*MODEM_KINDS, SensorKind.DIAG, SensorKind.BOARD}
        limit_s = 2 * SILENT_AFTER_S if is_talkative else None
        if config.survey_every_s is not None:
            limit_s = LONGEST_SURVEY_S + SILENT_AFTER_S
        line = LineSettings(baudrate=config.baudrate, backend=config.backend)
        self._port = SerialPort(config.url, clock=clock, settings=line, silence_limit_s=limit_s)
        self._watch = RadioWatch(
            device, context=context, broadcast=broadcast_maker(broadcast, device, book, bearings)
        )
        self._fixes = fixes or FixTracker()
        self._counts = {"readings": 0, "unreadable": 0, "passed_over": 0, "detections": 0}
        self._diag: DiagReader | None = None
        self._poller: ModemPoller | None = None
        self._board: BoardPoller | None = None
        self._spectrum: SpectrumPoller | None = None
        self._clock = clock
        self._alive = Liveness(config.kind, clock, limit_s=limit_s)
        self._uplink = UplinkMeter()
        self._has_ended = False
        self._failure: str | None = None
        book.register(self._part)

    async def run(self) -> None:
        """Read, watch and report; returns at the end of a recording."""
        # Before the port opens: what it says while a library is loaded might not fit its queue.
        items = self._items()
        if self._config.kind in {*SPECTRUM_KINDS, SensorKind.AUDIO}:
            load_analysis()
        async with self._port:
            timer = asyncio.create_task(self._ask_for_surveys())
            try:
                async for item in items:
                    await self._take(item)
            finally:
                timer.cancel()
        for detection in self._watch.close():
            await self._send(detection)
        self._has_ended = True
        log.info("sensor_ended", sensor=self._config.name, **self._counts)

    async def _ask_for_surveys(self) -> None:
        """A round hears what the serving cell announces; only a survey hears everybody."""
        every_s = self._config.survey_every_s
        while every_s is not None and self._poller is not None:
            await asyncio.sleep(every_s)
            self._poller.request_survey()

    async def _take(self, item: Item) -> None:
        self._alive.note(item)
        if isinstance(item, Unreadable):
            self._note_unreadable(item)
            return
        self._counts["readings"] += 1
        if isinstance(item, FixReading):
            self._fixes.note(item)
            self._report_position(item)
            return
        item = self._fixes.placed(item)
        if isinstance(item, SweepReading) and is_uplink(item):
            uplink = self._uplink.feed(item)
            self._counts["readings"] += len(uplink)
            for reading in uplink:
                await self._watch_for(reading)
            return
        await self._watch_for(item)

    async def _watch_for(self, item: Reading) -> None:
        for detection in self._watch.feed(item):
            await self._send(detection)

    async def _send(self, detection: Detection) -> None:
        self._counts["detections"] += 1
        await asyncio.to_thread(self._keep_evidence, self._watch.raw_evidence(detection))
        await self._desk.send_evidence(detection)

    def _keep_evidence(self, blobs: list[bytes]) -> None:
        """Write what the message will name; a full disk is told, and the message still goes."""
        try:
            for blob in blobs:
                self._evidence.keep(blob)
        except OSError as error:
            self._book.report("evidence", PartState.FAILED, f"cannot be written: {error.strerror}")
            log.warning("evidence_not_kept", sensor=self._config.name, problem=str(error))
        else:
            self._book.report("evidence", PartState.OK)
            self._book.count("evidence", "kept", len(blobs))

    def _report_position(self, fix: FixReading) -> None:
        """Write where the station is into its health: the central sends the nearest van by it.

        A receiver without a fix keeps the last place, which tells its own time.
        """
        position = fix.position
        if position is None:
            if self._book.state("gnss") is not PartState.DEGRADED:
                self._book.report("gnss", PartState.DEGRADED, "no fix")
        elif self._fixes.is_newest(fix):
            where = {
                "lat_e7": round(position.lat * 1e7),
                "lon_e7": round(position.lon * 1e7),
                "fix_unix_s": self._clock.wall() // 1_000_000,
            }
            self._book.report("gnss", PartState.OK, "", where)

    def _note_unreadable(self, item: Unreadable) -> None:
        if not item.is_damage:
            self._counts["passed_over"] += 1
            return
        self._counts["unreadable"] += 1
        log.warning(
            "unreadable",
            sensor=self._config.name,
            file=item.file,
            place=item.place,
            reason=item.reason,
        )

    def _items(self) -> AsyncIterator[Item]:
        if self._config.kind is SensorKind.CAPTURE:
            return self._capture_items()
        if self._config.kind is SensorKind.DIAG:
            self._diag = DiagReader(sensor=self._config.name, file=port_name(self._config.url))
            return DiagLink(self._port, self._diag).items()
        if self._config.kind is SensorKind.BOARD:
            self._board = board_poller(
                self._port,
                config=self._config,
                file=port_name(self._config.url),
                clock=self._clock,
            )
            return self._board.items()
        if self._config.kind in LISTENED_KINDS:
            return listened_items(self._config.kind, self._config.name, self._port)
        if self._config.kind is SensorKind.AUDIO:
            return audio_items(self._config, port_name(self._config.url), self._port)
        if self._config.kind in SPECTRUM_KINDS:
            return self._spectrum_items()
        dialect = DIALECTS[self._config.kind.value](
            sensor=self._config.name, file=port_name(self._config.url)
        )
        period_s = self._config.poll_s if self._config.poll_s is not None else 1.0
        self._poller = ModemPoller(self._port, dialect, period_s=period_s)
        return self._poller.items()

    def _spectrum_items(self) -> AsyncIterator[Item]:
        from hardware.spectrum.dialects import DIALECTS as SPECTRUM_DIALECTS
        from hardware.spectrum.dialects import SweepRange

        dialect = SPECTRUM_DIALECTS[self._config.kind.value](
            sensor=self._config.name, file=port_name(self._config.url), sweep=SweepRange()
        )
        self._spectrum = SpectrumPoller(self._port, dialect)
        return self._spectrum.items()

    async def _capture_items(self) -> AsyncIterator[Item]:
        """A capture has a header of its own: after each loss a new reader begins."""
        name = port_name(self._config.url)
        reader = CaptureReader(self._config.name, name)
        async for event in self._port:
            match event:
                case PortData():
                    items = reader.feed(event.data, event.received_us)
                case PortOpened():
                    reader, items = CaptureReader(self._config.name, name), []
                case PortLost() | PortEnded():
                    items = reader.close()
            for item in items:
                yield item

    # -- health ----------------------------------------------------------------------------------

    def fail(self, problem: str) -> None:
        """Note that this run died of a defect; the next one starts with a clean line."""
        self._failure = problem

    def _is_silent(self, last_data_age_s: float | None) -> bool:
        """Nothing came for long, and no survey explains it: a modem answers that at its end."""
        if self._poller is not None and self._poller.is_surveying:
            return False
        return last_data_age_s is None or last_data_age_s > SILENT_AFTER_S

    def report_health(self) -> None:
        """Write this sniffer's line into the book."""
        counters = self._port.counters()
        state, detail = PartState.OK, ""
        if self._failure is not None:
            state, detail = PartState.FAILED, self._failure
        elif self._has_ended:
            detail = "end of the recording"
        elif not counters.is_open:
            problem = counters.problem or "not open yet"
            state, detail = PartState.FAILED, f"{self._config.url}: {problem}"
        elif self._is_silent(counters.last_data_age_s):
            state, detail = PartState.DEGRADED, "the port is open but says nothing"
        elif counters.other_readers:
            names = ", ".join(counters.other_readers)
            hint = keep_away(counters.other_readers)
            detail = f"another program reads the port too: {names}{'. ' if hint else ''}{hint}"
            state = PartState.DEGRADED
        gauges: Values = {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in asdict(counters).items()
            if isinstance(value, int | float)
        }
        if self._poller is not None:
            polled = asdict(self._poller.counters)
            gauges |= {f"poll_{name}": polled[name] for name in _POLLED}
        if self._spectrum is not None:
            gauges |= {f"poll_{name}": n for name, n in asdict(self._spectrum.counters).items()}
        if self._board is not None:
            gauges |= board_gauges(self._board)
            if state is PartState.OK and (told := board_problem(self._board)) is not None:
                state, detail = PartState.DEGRADED, told
        if self._diag is not None:
            gauges |= {f"diag_{name}": n for name, n in asdict(self._diag.counters).items()}
            if state is PartState.OK and self._diag.counters.foreign:
                state, detail = PartState.DEGRADED, "another program talks to this DIAG port"
        if state is PartState.OK and not self._has_ended:
            told = self._alive.problem(counters, self._poller, self._spectrum)
            if told is not None:
                state, detail = PartState.DEGRADED, told
        self._book.report(self._part, state, detail, {**gauges, **self._counts})


def port_name(url: str) -> str:
    """Name of a port or recording without its folder and options."""
    return PurePath(unquote(urlsplit(url).path) or url).name or url
