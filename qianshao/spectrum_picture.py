"""Spectrum and waterfall of a recording as one SVG: evidence that a person can look at.

Written by hand rather than with a plotting library: a van needs none, and the same sweeps give the
same bytes (law 4). The waterfall is a PNG inside the SVG; texts stay texts.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from hardware.readings import SweepReading

WIDTH, SPECTRUM_H, WATERFALL_H = 1000, 260, 320
_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 70, 20, 54, 34, 46
HEIGHT = _TOP + SPECTRUM_H + _GAP + WATERFALL_H + _BOTTOM
ROWS_MAX = 400
SWEEPS_MAX = 20_000
_GREY, _INK, _LISTED, _ODD = "#c9ced6", "#1f2933", "#2f6f4f", "#b3261e"
_STOPS = ((0.0, (8, 16, 48)), (0.35, (28, 84, 140)), (0.65, (60, 170, 150)), (1.0, (250, 230, 90)))


@dataclass(frozen=True, slots=True)
class Mark:
    """A carrier to be named in the picture."""

    mhz: float
    text: str
    is_listed: bool


class SpectrumPicture:
    """Collects sweeps of one range; :meth:`svg` draws what was collected."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[NDArray[np.float32]] = []
        self._times: list[int] = []
        self._axis: tuple[float, float, int] | None = None
        self._unit = "dB"
        self.left_out = 0
        """Sweeps of another range, or beyond SWEEPS_MAX."""

    def add(self, sweep: SweepReading) -> None:
        """Take a sweep; those of another range than the first are counted and left out."""
        axis = (sweep.start_hz, sweep.step_hz, len(sweep.levels_dbm))
        if self._axis is None:
            self._axis = axis
            self._unit = "dBm" if sweep.is_calibrated else "dB"
        if axis != self._axis or len(self._rows) >= SWEEPS_MAX:
            self.left_out += 1
            return
        self._rows.append(np.frombuffer(sweep.levels_dbm, dtype=np.float32).copy())
        self._times.append(sweep.stamp.at_us)

    def svg(self, marks: Sequence[Mark]) -> str:
        """Return the picture; ValueError without a sweep."""
        if self._axis is None:
            raise ValueError("no sweep to draw")
        table = np.stack(self._rows)
        finite = table[np.isfinite(table)]
        if not finite.size:
            raise ValueError("no level to draw")
        low, high = float(np.percentile(finite, 1)) - 3, float(finite.max()) + 3
        start, step, count = self._axis
        mhz: NDArray[np.float64] = (start + step * np.arange(count)).astype(np.float64) / 1e6
        height = HEIGHT
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
            f'<text x="{_LEFT}" y="22" font-size="15" fill="{_INK}">{escape(self._title)}</text>',
        ]
        parts += self._spectrum(table, mhz, low, high, marks)
        parts += self._waterfall(table, mhz, low, high)
        parts.append("</svg>\n")
        return "\n".join(parts)

    def _spectrum(
        self,
        table: NDArray[np.float32],
        mhz: NDArray[np.float64],
        low: float,
        high: float,
        marks: Sequence[Mark],
    ) -> list[str]:
        inner = WIDTH - _LEFT - _RIGHT
        parts: list[str] = []
        for level in _ticks(low, high, 6):
            y = _TOP + (high - level) / (high - low) * SPECTRUM_H
            parts.append(_line(_LEFT, y, WIDTH - _RIGHT, y, _GREY))
            parts.append(_text(_LEFT - 6, y + 4, f"{level:g}", anchor="end"))
        parts.append(_text(8, _TOP - 8, self._unit))
        held, mean = _columns(np.nanmax, table, inner), _columns(np.nanmean, table, inner)
        for values, colour, width in ((held, "#9aa5b1", 1), (mean, "#1c548c", 1.4)):
            per_db = SPECTRUM_H / (high - low)
            points = " ".join(
                f"{_LEFT + i},{_TOP + (high - min(high, max(low, v))) * per_db:.1f}"
                for i, v in enumerate(values.tolist())
                if np.isfinite(v)
            )
            parts.append(
                f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" '
                f'points="{points}"/>'
            )
        parts.append(_text(WIDTH - _RIGHT, _TOP - 8, "grey: peak, blue: mean", anchor="end"))
        span = float(mhz[-1] - mhz[0]) or 1.0
        rows_used: list[float] = []
        for mark in sorted(marks, key=lambda m: m.mhz):
            if not mhz[0] <= mark.mhz <= mhz[-1]:
                continue
            x = _LEFT + (mark.mhz - float(mhz[0])) / span * inner
            colour = _LISTED if mark.is_listed else _ODD
            row = next((i for i, end in enumerate(rows_used) if end < x), len(rows_used))
            rows_used[row : row + 1] = [x + 7.2 * len(mark.text) + 8]
            y = _TOP + 14 + 15 * (row % 8)
            parts.append(_line(x, _TOP, x, _TOP + SPECTRUM_H, colour, dash="3,3"))
            is_right = x + 7.2 * len(mark.text) > WIDTH - _RIGHT
            anchor = "end" if is_right else "start"
            parts.append(
                _text(x - 4 if is_right else x + 4, y, mark.text, anchor=anchor, colour=colour)
            )
        return parts

    def _waterfall(
        self, table: NDArray[np.float32], mhz: NDArray[np.float64], low: float, high: float
    ) -> list[str]:
        inner = WIDTH - _LEFT - _RIGHT
        top = _TOP + SPECTRUM_H + _GAP
        rows = min(ROWS_MAX, len(table))
        edges = np.linspace(0, len(table), rows + 1).astype(int)
        image = np.stack(
            [_columns(np.nanmax, table[a:b], inner) for a, b in itertools.pairwise(edges)]
        )
        data = base64.b64encode(_png(_colours(image, low, high))).decode()
        parts = [
            f'<image x="{_LEFT}" y="{top}" width="{inner}" height="{WATERFALL_H}" '
            f'preserveAspectRatio="none" image-rendering="pixelated" '
            f'href="data:image/png;base64,{data}"/>'
        ]
        for at in _ticks(float(mhz[0]), float(mhz[-1]), 10):
            x = _LEFT + (at - float(mhz[0])) / (float(mhz[-1] - mhz[0]) or 1.0) * inner
            parts.append(_line(x, top + WATERFALL_H, x, top + WATERFALL_H + 5, _INK))
            parts.append(_text(x, top + WATERFALL_H + 18, f"{at:g}", anchor="middle"))
        parts.append(_text(WIDTH - _RIGHT, top + WATERFALL_H + 36, "MHz", anchor="end"))
        for share in (0.0, 0.5, 1.0):
            at_us = self._times[min(len(self._times) - 1, int(share * (len(self._times) - 1)))]
            y = top + share * WATERFALL_H
            parts.append(
                _text(_LEFT - 6, y + (10 if share == 0 else 4), _clock(at_us), anchor="end")
            )
        first, last = _moment(self._times[0]), _moment(self._times[-1])
        about = f"{len(table)} sweeps, {first} to {last} UTC, newest below"
        parts.append(_text(_LEFT, top + WATERFALL_H + 36, about))
        return parts


def _columns(reduce: object, table: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Reduce over time, then to at most one value a pixel; the loudest bin of a pixel stays."""
    is_empty = ~np.isfinite(table).any(axis=0)
    filled = np.where(np.isfinite(table), table, -np.inf)
    if reduce is np.nanmean:
        power = np.where(np.isfinite(table), 10.0 ** (table / 10), np.nan)
        power[:, is_empty] = 0.0
        line = 10 * np.log10(np.maximum(np.nanmean(power, axis=0), 1e-30))
    else:
        line = filled.max(axis=0)
    line = np.where(is_empty, -np.inf, line).astype(np.float64)
    edges = np.linspace(0, len(line), width + 1)
    if len(line) <= width:
        picked: NDArray[np.float64] = line[np.minimum(edges[:-1].astype(int), len(line) - 1)]
        return picked
    return np.asarray(np.maximum.reduceat(line, edges[:-1].astype(int)))


def _colours(image: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    share = np.clip((np.where(np.isfinite(image), image, low) - low) / (high - low), 0, 1)
    at = [stop for stop, _ in _STOPS]
    channels = [np.interp(share, at, [rgb[c] for _, rgb in _STOPS]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture as PNG (ISO/IEC 15948), without any text or time in it."""
    height, width, _ = pixels.shape
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows.tobytes(), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def _ticks(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / max(1, about)
    scale = 10.0 ** np.floor(np.log10(raw))
    step = float(next(s * scale for s in (1, 2, 2.5, 5, 10) if s * scale >= raw))
    first = np.ceil(low / step) * step
    return [round(float(first + i * step), 6) for i in range(int((high - first) / step) + 1)]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {where} fill="{colour}">{escape(text)}</text>'


def _moment(at_us: int) -> str:
    return dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _clock(at_us: int) -> str:
    return _moment(at_us)[11:]
