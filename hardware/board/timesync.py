"""The board's clock on the host's time line, with its error.

Four readings an exchange, as NTP does (RFC 5905 section 8); the exchange with the shortest round
trip is the best one, and over a minute the two clocks' difference in rate is fitted too.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_KEPT = 48
_BEST = 8
_FIT_SPAN_US = 60_000_000
_DRIFT_PPM = 60
"""Of two crystals, before the rate is known."""
_FITTED_PPM = 5
_MS_WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange, in microseconds: host sent, board received, board replied, host received."""

    host_sent: int
    board_received: int
    board_replied: int
    host_received: int

    @property
    def round_trip(self) -> int:
        """Time on the line, both ways."""
        return (self.host_received - self.host_sent) - (self.board_replied - self.board_received)

    @property
    def offset(self) -> int:
        """Host's clock minus board's, in the middle of the exchange."""
        there = self.host_sent - self.board_received
        back = self.host_received - self.board_replied
        return (there + back) // 2


@dataclass(frozen=True, slots=True)
class HostTime:
    """A moment on the host's monotonic clock."""

    at_us: int
    error_us: int
    """The true moment lies within this of ``at_us``."""


class TimeSync:
    """Translates the board's milliseconds."""

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """The board started anew: its clock too."""
        self._exchanges.clear()

    def add(self, exchange: Exchange) -> None:
        """Take an exchange; one whose times contradict each other is none."""
        if exchange.round_trip >= 0 and exchange.board_replied >= exchange.board_received:
            self._exchanges.append(exchange)

    def translate(self, board_ms: int) -> HostTime | None:
        """The host's time of a frame's milliseconds; None before the first exchange."""
        if not self._exchanges:
            return None
        last = self._exchanges[-1]
        # the milliseconds wrap after 49.7 days: take the moment nearest to the last exchange
        near_ms = last.board_replied // 1000
        ms = near_ms + (board_ms - near_ms + _MS_WRAP // 2) % _MS_WRAP - _MS_WRAP // 2
        board_us = ms * 1000 + 500
        best = sorted(self._exchanges, key=lambda e: e.round_trip)[:_BEST]
        anchor = best[0]
        rate, ppm = self._rate(best)
        age = abs(board_us - anchor.board_replied)
        at_us = board_us + anchor.offset + round(rate * (board_us - anchor.board_replied))
        error = anchor.round_trip // 2 + 500 + age * ppm // 1_000_000 + 1
        return HostTime(at_us, error)

    def _rate(self, best: list[Exchange]) -> tuple[float, int]:
        """Host microseconds gained per board microsecond, and how far to trust it.

        Each offset may be wrong by half its round trip; the fitted rate is as wrong as the worst
        choice of all of them would make it.
        """
        xs = [e.board_replied for e in best]
        if len(best) < _BEST or max(xs) - min(xs) < _FIT_SPAN_US:
            return 0.0, _DRIFT_PPM
        mean_x = sum(xs) / len(xs)
        mean_y = sum(e.offset for e in best) / len(best)
        upper = sum((e.board_replied - mean_x) * (e.offset - mean_y) for e in best)
        lower = sum((x - mean_x) ** 2 for x in xs)
        doubt = sum(abs(e.board_replied - mean_x) * e.round_trip / 2 for e in best) / lower
        ppm = _FITTED_PPM + math.ceil(doubt * 1e6)
        return (upper / lower, ppm) if ppm < _DRIFT_PPM else (0.0, _DRIFT_PPM)
