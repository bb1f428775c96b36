"""A modem's DIAG port: bytes to readings, and the link that asks for the logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import structlog

from hardware.captures.diag_framing import Frame, FrameDecoder, encode
from hardware.captures.diag_logs import (
    LOG,
    LOG_CONFIG,
    decode_log,
    is_mask_accepted,
    mask_commands,
    parse_log,
    unwrapped,
)
from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.refusal import Refused
from hardware.modems.interface import Arrival
from hardware.modems.poller import EventPort
from hardware.readings import Item, Stamp, Unreadable
from hardware.serial.port import PortData, PortEnded, PortOpened
from hardware.serial.transport import PortError

log = structlog.get_logger(__name__)

_RETRY_S = 10.0
"""A modem that has not confirmed its masks, or fell silent, is asked again so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagCounters:
    """What a link has been through."""

    logs: int = 0
    damaged: int = 0
    """Frames with a wrong checksum, torn or cut short."""
    masks_accepted: int = 0
    masks_refused: int = 0
    foreign: int = 0
    """Answers to questions that we did not ask: another program has the port."""
    requests: int = 0
    write_failures: int = 0


class DiagReader:
    """Sans-I/O: bytes of the port in, one item for every log packet and every bad frame out."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._frames = FrameDecoder()
        self._counters = DiagCounters()
        self._broadcast = BroadcastReader()

    @property
    def counters(self) -> DiagCounters:
        """Counters as of now, for the health report."""
        return self._counters

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks. Never raises. Times are those of arrival."""
        items = [self._read(frame, arrival) for frame in self._frames.feed(data)]
        return [item for item in items if item is not None]

    def close(self) -> list[Item]:
        """The stream breaks here; return what was left as damage."""
        return [self._damaged(frame, frame.problem or "") for frame in self._frames.close()]

    def count(self, **increments: int) -> None:
        """Add to the counters."""
        now = self._counters
        self._counters = replace(now, **{k: getattr(now, k) + v for k, v in increments.items()})

    def _read(self, frame: Frame, arrival: Arrival) -> Item | None:
        if frame.problem is not None:
            return self._damaged(frame, frame.problem)
        place = f"offset {frame.offset}"
        stamp = Stamp(
            at_us=arrival.at_us,
            time_basis=arrival.time_basis,
            sensor=self._sensor,
            file=self._file,
            place=place,
            is_checked=True,  # the frame's checksum, and the air interface's before it
            received_us=arrival.received_us,
        )
        payload = unwrapped(frame.payload)
        try:
            if payload[0] == LOG_CONFIG:
                is_good = is_mask_accepted(payload)
                self.count(masks_accepted=int(is_good), masks_refused=int(not is_good))
                return None if is_good else self._refused_mask(place)
            if payload[0] != LOG:
                self.count(foreign=1)
                return None
            packet = parse_log(payload)
            self.count(logs=1)
            return decode_log(packet, stamp, self._broadcast)
        except Refused as refused:
            if refused.is_damage:
                self.count(damaged=1)
            return refused.item(self._file, place, frame.payload)

    def _refused_mask(self, place: str) -> Unreadable:
        return Unreadable(
            file=self._file, place=place, reason="the modem refuses a log mask of this system"
        )

    def _damaged(self, frame: Frame, reason: str) -> Unreadable:
        """The bytes are not kept: a frame of paging holds the temporary identities of strangers."""
        self.count(damaged=1)
        return Unreadable(file=self._file, place=f"offset {frame.offset}", reason=reason)


class DiagLink:
    """Asks a port for the logs, as often as it takes, and yields what comes."""

    def __init__(
        self,
        port: EventPort,
        reader: DiagReader,
        *,
        retry_s: float = _RETRY_S,
        is_open: bool = False,
    ) -> None:
        """``is_open``: somebody has taken the port's opening already."""
        self._port = port
        self._reader = reader
        self._retry_s = retry_s
        self._is_open = is_open

    @property
    def counters(self) -> DiagCounters:
        """Counters as of now, for the health report."""
        return self._reader.counters

    async def items(self) -> AsyncIterator[Item]:
        """Yield readings until the port ends or is stopped; a lost port only interrupts them."""
        await self._ask()
        while True:
            try:
                async with asyncio.timeout(self._retry_s):
                    event = await self._port.next_event()
            except TimeoutError:
                await self._ask()
                continue
            if event is None or isinstance(event, PortEnded):
                break
            if isinstance(event, PortData):
                items = self._reader.close() if event.dropped_before else []
                at_us = event.received_us
                arrival = Arrival(at_us=at_us, time_basis="live", received_us=at_us)
                items += self._reader.feed(event.data, arrival)
            else:
                items = self._reader.close()
                self._is_open = isinstance(event, PortOpened)
                await self._ask()
            for item in items:
                yield item
        for item in self._reader.close():
            yield item

    async def _ask(self) -> None:
        """Send the masks: at the opening, and again whenever the port was silent."""
        if not self._is_open:
            return
        self._reader.count(requests=1)
        try:
            # an end first: it closes whatever half frame the modem holds
            await self._port.write(b"\x7e" + b"".join(map(encode, mask_commands())))
        except PortError as error:
            self._reader.count(write_failures=1)
            log.warning("diag_write_failed", port=self._port.name, problem=error.problem)
