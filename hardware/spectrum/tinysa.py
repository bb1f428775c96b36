"""tinySA and tinySA Ultra: the console of their USB port, without I/O.

Facts of the firmware (erikkaashoek/tinySA, 2026): the device echoes a command, a command ends with
``\\r`` alone, the prompt is ``ch> `` without a line end, and after an abort there is none. Numbers
are sent as plain integers: ``2e6`` is read as 2.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hardware.modems.interface import Arrival
from hardware.readings import Item, Stamp, SweepDevice, SweepReading, Unreadable
from hardware.spectrum.levels import parse_levels, usable

ZERO_BASIC_DB, ZERO_ULTRA_DB = 128, 174
"""Offset of a raw level where the device has not been asked (``zero``)."""
POINTS_MAX = 65_536
"""More points than any scan of ours; a larger count is a torn echo."""

_POINT_BYTES = 3
_POINTS = np.dtype([("mark", "u1"), ("raw", "<u2")])
_MARK, _END = b"x", b"}"
_PROMPT = b"ch> "
_TEXT_MAX = 64 * 1024
_RAW_KEPT = 512

_SCANRAW = re.compile(rb"(?:ch> )?scanraw\s+(\d{1,11})\s+(\d{1,11})(?:\s+(\d{1,6}))?(?:\s+(\d))?")
_SCAN = re.compile(rb"(?:ch> )?scan\s+(\d{1,11})\s+(\d{1,11})\s+(\d{1,6})\s+(\d{1,2})")
_DATA = re.compile(rb"(?:ch> )?data\s+[012]")
_SWEEP_STATE = re.compile(rb"(\d{1,11}) (\d{1,11}) (\d{1,6})")
_ATTENUATE = re.compile(rb"(?:ch> )?attenuate (\d{1,2}|auto)")
_ZERO = re.compile(rb"(\d{1,3})dBm")
_VERSION = re.compile(rb"(?:.*Version: ?)?(tinySA4?)_\S+.*")
_POINTS_DEFAULT = 450  # firmware: without a count the device's own number of points


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the echoed command asked for."""

    start_hz: int
    stop_hz: int
    points: int
    columns: int = 0
    """Mask of a text scan: 1 frequency, 2 actual level, 4 stored, 8 temporary."""

    @property
    def step_hz(self) -> int:
        """Point i stands at start + i * floor(span / points): the last one below ``stop_hz``."""
        return (self.stop_hz - self.start_hz) // self.points


def scanraw(start_hz: int, stop_hz: int, points: int) -> bytes:
    """One binary sweep; plain integers, ``\\r`` at the end."""
    return b"scanraw %d %d %d\r" % (start_hz, stop_hz, points)


def attenuate(decibel: int) -> bytes:
    """Set the attenuator; the levels are corrected by the device."""
    return b"attenuate %d\r" % decibel


ASK_VERSION, ASK_ZERO, ABORT = b"version\r", b"zero\r", b"abort\r"


class TinySa:
    """Codec of one device. Everything it needs to know stands in the echo of the commands."""

    def __init__(self, *, sensor: str, file: str, zero_db: int | None = None) -> None:
        self._sensor = sensor
        self._file = file
        self._zero_db = zero_db
        self._model: str | None = None
        self._attenuation_db: float | None = None
        self._buffer = bytearray()
        self._offset = 0
        """Bytes taken out of the buffer since the beginning."""
        self._plan: _Plan | None = None
        self._is_binary = False
        self._is_resyncing = False
        self._rows: list[list[bytes]] = []
        self._range: _Plan | None = None

    @property
    def is_ultra(self) -> bool | None:
        """Which of the two it is; None: it has not been asked."""
        return None if self._model is None else self._model == "tinySA4"

    @property
    def zero_db(self) -> int:
        """Offset in force: read back, else the model's, else the Ultra's."""
        if self._zero_db is not None:
            return self._zero_db
        return ZERO_BASIC_DB if self.is_ultra is False else ZERO_ULTRA_DB

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return the sweeps that they complete. Never raises."""
        self._buffer += data
        items: list[Item] = []
        while (step := self._step(arrival)) is not None:
            items += step
        return items

    def close(self) -> list[Item]:
        """The stream breaks here: tell of a sweep that was under way."""
        items: list[Item] = []
        if self._is_binary and self._plan is not None:
            got = max(0, len(self._buffer)) // _POINT_BYTES
            items = [self._bad(f"the stream ends after {got} of {self._plan.points} points")]
        self._offset += len(self._buffer)
        self._buffer.clear()
        self._plan, self._is_binary, self._is_resyncing = None, False, False
        self._rows.clear()
        return items

    # -- one step: None while more bytes are needed -------------------------------------------

    def _step(self, arrival: Arrival) -> list[Item] | None:
        if self._is_resyncing:
            return self._resync()
        if self._is_binary and self._plan is not None:
            return self._binary(self._plan, arrival)
        return self._text(arrival)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._offset += count
        return taken

    def _resync(self) -> list[Item] | None:
        """After a torn sweep nothing is believed before the next prompt."""
        end = self._buffer.find(_PROMPT)
        if end < 0:
            self._take(max(0, len(self._buffer) - len(_PROMPT) + 1))
            return None
        self._take(end + len(_PROMPT))
        self._is_resyncing = False
        return []

    def _binary(self, plan: _Plan, arrival: Arrival) -> list[Item] | None:
        """Points are counted, never searched for: 0x7B, 0x7D and ``ch>`` occur inside them."""
        have = min(len(self._buffer) // _POINT_BYTES, plan.points)
        marks = self._buffer[0 : have * _POINT_BYTES : _POINT_BYTES]
        if marks.count(_MARK) != have:
            good = len(marks) - len(marks.lstrip(_MARK))
            return self._torn(plan, good)
        full = plan.points * _POINT_BYTES
        if len(self._buffer) <= full:
            rest = self._buffer[have * _POINT_BYTES :]
            if have < plan.points and rest[:1] == _END:
                return self._torn(plan, have)
            return None
        raw = self._take(full)
        if self._buffer[:1] != _END:
            return self._torn(plan, plan.points)
        self._take(1)
        # ``}{``: the device repeats the sweep until it is aborted
        self._is_binary = False
        points = np.frombuffer(raw, dtype=_POINTS)
        levels, rejected = usable(points["raw"] * np.float32(1 / 32) - np.float32(self.zero_db))
        return [self._sweep(plan, raw, levels, rejected, arrival)]

    def _torn(self, plan: _Plan, good: int) -> list[Item]:
        is_aborted = self._buffer[good * _POINT_BYTES : good * _POINT_BYTES + 1] == _END
        how = "was ended" if is_aborted and good < plan.points else "lost a byte"
        item = self._bad(f"the sweep {how} after {good} of {plan.points} points")
        self._take(min(len(self._buffer), good * _POINT_BYTES + 1))
        self._is_binary, self._is_resyncing, self._plan = False, True, None
        return [item]

    def _text(self, arrival: Arrival) -> list[Item] | None:
        if self._plan is not None and not self._plan.columns and self._buffer[:1] == b"{":
            self._take(1)
            self._is_binary = True
            return []
        if self._buffer.startswith(_PROMPT):
            self._take(len(_PROMPT))
            return self._prompt(arrival)
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) <= _TEXT_MAX:
                return None
            item = self._bad(f"{len(self._buffer)} bytes without a line end")
            self._is_resyncing = True
            return [item]
        return self._line(self._take(end + 1).strip())

    def _line(self, line: bytes) -> list[Item]:
        if (echo := _SCANRAW.fullmatch(line)) is not None:
            points = int(echo[3]) if echo[3] else _POINTS_DEFAULT
            return self._expect(int(echo[1]), int(echo[2]), points, 0)
        if (echo := _SCAN.fullmatch(line)) is not None:
            return self._expect(int(echo[1]), int(echo[2]), int(echo[3]), int(echo[4]) or 2)
        if _DATA.fullmatch(line) and self._range is not None:
            return self._expect(*self._range_of_data(), 2)
        if self._plan is not None and self._plan.columns:
            self._rows.append(line.split())
            if len(self._rows) > POINTS_MAX:
                self._rows.clear()
                self._plan = None
            return []
        if (state := _SWEEP_STATE.fullmatch(line)) is not None:
            self._range = _Plan(int(state[1]), int(state[2]), max(1, int(state[3])))
        elif (zero := _ZERO.fullmatch(line)) is not None:
            self._zero_db = int(zero[1])
        elif (attenuate := _ATTENUATE.fullmatch(line)) is not None:
            self._attenuation_db = None if attenuate[1] == b"auto" else float(attenuate[1])
        elif (version := _VERSION.fullmatch(line)) is not None:
            self._model = version[1].decode()
        elif line.endswith((b"Command timeout", b"?")) and len(line) < 80:
            self._plan = None
            return [self._bad(f"the device says {line.decode('ascii', 'backslashreplace')!r}")]
        return []

    def _range_of_data(self) -> tuple[int, int, int]:
        assert self._range is not None
        return self._range.start_hz, self._range.stop_hz, self._range.points

    def _expect(self, start: int, stop: int, points: int, columns: int) -> list[Item]:
        self._rows.clear()
        self._plan = None
        if not 1 <= points <= POINTS_MAX or stop <= start:
            return [self._bad(f"a scan from {start} to {stop} Hz in {points} points")]
        self._plan = _Plan(start, stop, points, columns)
        return []

    def _prompt(self, arrival: Arrival) -> list[Item]:
        """The command is over: a text scan is complete, or one point short of it is not."""
        plan, self._plan = self._plan, None
        if plan is None or not plan.columns:
            return []
        rows, self._rows = self._rows, []
        column = plan.columns & 1
        cells = [row[column] if len(row) > column else b"" for row in rows]
        if len(cells) != plan.points:
            return [self._bad(f"{len(cells)} lines for {plan.points} points")]
        if plan.columns & 1:
            plan = _as_listed(plan, parse_levels([row[0] for row in rows]))
        levels, rejected = usable(parse_levels(cells))
        raw = b"\n".join(cells)
        return [self._sweep(plan, raw, levels, rejected, arrival)]

    def _sweep(
        self, plan: _Plan, raw: bytes, levels: array[float], rejected: int, arrival: Arrival
    ) -> SweepReading:
        return SweepReading(
            stamp=Stamp(
                at_us=arrival.at_us,
                time_basis=arrival.time_basis,
                sensor=self._sensor,
                file=self._file,
                place=f"offset {self._offset - len(raw)}",
                received_us=arrival.received_us,
            ),
            raw=raw,
            device=SweepDevice.TINYSA,
            start_hz=float(plan.start_hz),
            step_hz=float(plan.step_hz),
            levels_dbm=levels,
            is_calibrated=self._zero_db is not None or self._model is not None,
            rejected=rejected,
            attenuation_db=self._attenuation_db,
        )

    def _bad(self, reason: str) -> Unreadable:
        return Unreadable(
            file=self._file,
            place=f"offset {self._offset}",
            reason=reason,
            raw=bytes(self._buffer[:_RAW_KEPT]),
        )


def _as_listed(plan: _Plan, hz: NDArray[np.float64]) -> _Plan:
    """A text scan may name its frequencies; they are believed where they ascend evenly."""
    if len(hz) < 2 or not np.all(np.isfinite(hz)) or np.diff(hz).min() <= 0:
        return plan
    step = round((hz[-1] - hz[0]) / (len(hz) - 1))
    return replace(plan, start_hz=int(hz[0]), stop_hz=int(hz[0]) + max(1, step) * plan.points)
