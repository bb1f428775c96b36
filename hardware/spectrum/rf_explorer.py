"""RF Explorer: its UART protocol (500,000 baud, 8N1), without I/O.

``#C2-F:`` tells how the following sweeps are to be read; ``$S``, ``$s`` and ``$z`` are sweeps with
a counted payload, one byte a point, dBm = -b / 2. Generator and sniffer frames are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hardware.modems.interface import Arrival
from hardware.readings import Item, Stamp, SweepDevice, SweepReading, Unreadable
from hardware.spectrum.levels import usable

_LINE_MAX = 512
_RAW_KEPT = 512
_EARLY_END = b"\xff\xfe\xff\xfe\x00"
_NEEDED = 4


def ask_configuration() -> bytes:
    """``C0``: tell the configuration and start to sweep."""
    return b"#\x04C0"


def hold() -> bytes:
    """``CH``: stop sweeping."""
    return b"#\x04CH"


def set_range(start_khz: int, stop_khz: int, top_dbm: int = -10, bottom_dbm: int = -120) -> bytes:
    """``C2-F``: what to sweep; the device answers with the configuration it took."""
    body = b"C2-F:%07d,%07d,%04d,%04d" % (start_khz, stop_khz, top_dbm, bottom_dbm)
    return b"#" + bytes([len(body) + 2]) + body


@dataclass(frozen=True, slots=True)
class _Configuration:
    start_khz: float
    step_hz: float
    points: int
    rbw_khz: float | None
    offset_db: float


class RfExplorer:
    """Codec of one device."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._buffer = bytearray()
        self._offset = 0
        self._configuration: _Configuration | None = None
        self._last_us: int | None = None

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return the sweeps that they complete. Never raises."""
        self._buffer += data
        items: list[Item] = []
        while (step := self._step(arrival)) is not None:
            items += step
        return items

    def close(self) -> list[Item]:
        """The stream breaks here; what is unfinished goes."""
        items: list[Item] = []
        if self._buffer.startswith(b"$"):
            items = [self._bad("the stream ends inside a sweep")]
        self._offset += len(self._buffer)
        self._buffer.clear()
        return items

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._offset += count
        return taken

    def _step(self, arrival: Arrival) -> list[Item] | None:
        if len(self._buffer) < 2:
            return None
        if self._buffer[:1] == b"$" and bytes(self._buffer[1:2]) in {b"S", b"s", b"z"}:
            return self._sweep(arrival)
        end = self._buffer.find(b"\n")
        start = self._buffer.find(b"$", 1)
        if end < 0 or (0 < start < end and not self._buffer.startswith(b"#")):
            if start > 0 and not self._buffer.startswith(b"#"):
                self._take(start)  # noise before a sweep
                return []
            if len(self._buffer) > _LINE_MAX:
                item = self._bad(f"{len(self._buffer)} bytes without a line end")
                self._take(start if start > 0 else len(self._buffer))
                return [item]
            return None
        return self._line(self._take(end + 1).strip())

    def _line(self, line: bytes) -> list[Item]:
        if not line.upper().startswith(b"#C2-F:"):
            return []
        cells = line[6:].split(b",")
        try:
            rbw = float(cells[10]) if len(cells) > 10 else None
            offset = float(cells[11]) if len(cells) > 11 else 0.0
            new = _Configuration(float(cells[0]), float(cells[1]), int(cells[4]), rbw, offset)
        except (ValueError, IndexError):
            return [self._bad("a configuration with unreadable fields", line)]
        if new.step_hz <= 0 or new.start_khz < 0 or not 0 < new.points <= 0xFFFF:
            return [self._bad("a configuration that makes no sense", line)]
        self._configuration = new
        return []

    def _header(self) -> tuple[int, int] | None:
        """Bytes of the header and points that follow; None while it is incomplete."""
        if self._buffer[1:2] == b"z":
            if len(self._buffer) < _NEEDED:
                return None
            return 4, int.from_bytes(self._buffer[2:4], "big")
        if len(self._buffer) < 3:
            return None
        if self._buffer[1:2] == b"s":
            return 3, (self._buffer[2] or 256) * 16
        return 3, self._buffer[2]

    def _sweep(self, arrival: Arrival) -> list[Item] | None:
        header = self._header()
        if header is None:
            return None
        size, points = header
        early = self._buffer.find(_EARLY_END, size, size + points + len(_EARLY_END))
        if early >= 0:
            item = self._bad(f"the sweep was ended after {early - size} of {points} points")
            self._take(early + len(_EARLY_END))
            return [item]
        if len(self._buffer) < size + points + 2:
            return None
        if self._buffer[size + points : size + points + 2] != b"\r\n":
            item = self._bad(f"no line end after {points} points")
            self._take(2)
            return [item]
        raw = self._take(size + points + 2)[size:-2]
        setting = self._configuration
        if setting is None:
            return [self._bad("a sweep before its configuration", raw)]
        if setting.points != points:
            return [self._bad(f"{points} points; the configuration says {setting.points}", raw)]
        values = np.frombuffer(raw, dtype=np.uint8)
        levels, rejected = usable(values / np.float32(-2) + np.float32(setting.offset_db))
        took = 0.0 if self._last_us is None else max(0.0, (arrival.at_us - self._last_us) / 1e6)
        self._last_us = arrival.at_us
        return [
            SweepReading(
                stamp=Stamp(
                    at_us=arrival.at_us,
                    time_basis=arrival.time_basis,
                    sensor=self._sensor,
                    file=self._file,
                    place=f"offset {self._offset - len(raw) - 2}",
                    received_us=arrival.received_us,
                ),
                raw=raw,
                device=SweepDevice.RF_EXPLORER,
                start_hz=setting.start_khz * 1000,
                step_hz=setting.step_hz,
                levels_dbm=levels,
                rbw_hz=setting.rbw_khz * 1000 if setting.rbw_khz else None,
                is_calibrated=True,
                rejected=rejected,
                duration_s=took,
            )
        ]

    def _bad(self, reason: str, raw: bytes | None = None) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"offset {self._offset}",
            reason=reason,
            raw=(bytes(self._buffer) if raw is None else raw)[:_RAW_KEPT],
        )
