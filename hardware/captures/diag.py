"""Recorded Qualcomm DIAG streams: QMDL and .mi2log files; the time is the modem's own.

Written after public descriptions of the format (QCSuper's and SCAT's parsers); no real recording of
it was at hand, so that it is verified only against streams of our own making. Sans-I/O. Frames and
logs are read by the same code as a port's (:mod:`hardware.modems.diag`). A frame whose check fails
is told as damage and counted; it is the sensor's health and never evidence.
"""

from __future__ import annotations

from hardware.captures.diag_framing import END, Frame, FrameDecoder
from hardware.captures.diag_logs import LOG, decode_log, parse_log, unwrapped
from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Item, Stamp

_KNOWN_COMMANDS = frozenset(
    {0x10, 0x00, 0x0C, 0x1D, 0x4B, 0x60, 0x73, 0x79, 0x7D, 0x92, 0x98, 0x99}
)

_EPOCH_1980_US = 315_964_800 * 1_000_000
_LEAP_US = 18 * 1_000_000  # the modem counts GPS time, which is ahead of UTC since 2017
_YEAR_2000_US = 946_684_800 * 1_000_000


class DiagReader:
    """Bytes of a DIAG stream in any chunks; one item for each log that names something, and each
    bad frame."""

    def __init__(self, sensor: str, file: str, *, start_us: int | None = None) -> None:
        self._sensor = sensor
        self._file = file
        self._start_us = start_us
        self._first_us: int | None = None
        self._decoder = FrameDecoder()
        self._frames = 0
        self._broadcast = BroadcastReader()

    def feed(self, data: bytes, received_us: int | None = None) -> list[Item]:
        """Take the next bytes."""
        return [self._item(frame, received_us) for frame in self._decoder.feed(data)]

    def close(self, received_us: int | None = None) -> list[Item]:
        """Say that no more bytes come; an unfinished frame is damage."""
        return [self._item(frame, received_us) for frame in self._decoder.close()]

    def _item(self, frame: Frame, received_us: int | None) -> Item:
        self._frames += 1
        try:
            if frame.problem is not None:
                raise Refused(frame.problem)
            payload = unwrapped(frame.payload)
            if payload[0] != LOG:
                raise passed_over("DIAG message other than a log")
            log = parse_log(payload)
            return decode_log(log, self._stamp(log.ticks, received_us), self._broadcast)
        except Refused as refused:
            return refused.item(self._file, f"frame {self._frames}", frame.payload)

    def _stamp(self, ticks: int, received_us: int | None) -> Stamp:
        at_us = _EPOCH_1980_US - _LEAP_US + (ticks >> 16) * 1_250  # units of 1.25 ms
        has_date = at_us >= _YEAR_2000_US
        if not has_date and self._start_us is not None:
            if self._first_us is None:
                self._first_us = at_us
            at_us, has_date = self._start_us + at_us - self._first_us, True
        return Stamp(
            at_us=at_us,
            time_basis="recorded" if has_date else "synthetic",
            sensor=self._sensor,
            file=self._file,
            place=f"frame {self._frames}",
            is_checked=True,
            received_us=received_us,
        )


def looks_like_diag(head: bytes) -> bool:
    """Whether a file begins with a DIAG frame whose check is right."""
    first, end, _ = head.partition(bytes((END,)))
    frames = FrameDecoder().feed(first + end)
    return any(frame.problem is None and frame.payload[0] in _KNOWN_COMMANDS for frame in frames)
