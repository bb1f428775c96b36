"""Levels as devices write them: numbers, and what some print instead of numbers."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL_MIN, LEVEL_MAX = -250.0, 60.0
"""dB(m) outside of these are no levels of any receiver: a torn number, -inf, an overflow."""


def usable(levels: NDArray[np.floating]) -> tuple[array[float], int]:
    """Return levels as readings carry them, NaN where unusable, and how many those are."""
    values = np.asarray(levels, dtype=np.float32)
    if values.size and values.min() >= LEVEL_MIN and values.max() <= LEVEL_MAX:  # NaN: neither
        return array("f", values.tobytes()), 0
    is_bad = ~((values >= LEVEL_MIN) & (values <= LEVEL_MAX))
    rejected = int(np.count_nonzero(is_bad))
    if rejected:
        values = np.where(is_bad, np.float32(np.nan), values)
    return array("f", values.tobytes()), rejected


def parse_levels(cells: Sequence[bytes]) -> NDArray[np.float64]:
    """Parse numbers as text; NaN for what is none, such as ``-:.000000e+01`` of old tinySA."""
    try:
        return np.array(cells, dtype="S32").astype(np.float64)
    except ValueError:
        return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: bytes) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def columns(levels: array[float], width: int) -> list[float]:
    """Return at most ``width`` values, each the loudest of its part; NaN where there is none."""
    values = np.frombuffer(levels, dtype=np.float32)
    if values.size <= width:
        return [float(v) for v in values]
    edges = np.linspace(0, values.size, width + 1).astype(int)[:-1]
    loudest = np.maximum.reduceat(np.where(np.isnan(values), -np.inf, values), edges)
    return [float(v) if np.isfinite(v) else float("nan") for v in loudest]
