"""What each card drew at this machine today (UTC+8), kept over restarts.

The host knows all of a card's machines and has the last word; this limit is one machine's own. A
card is known by its HMAC. A file that cannot be read means that nobody knows: then every card has
drawn all it may until the day is over (law 2).
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Final

import structlog

from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.files import replace_durably

UNKNOWN_FEN: Final = 10**12
"""More than any limit."""
FILE_NAME: Final = "spent-today.json"
_DAY_US: Final = 24 * 3600 * 1_000_000
_CHINA_US: Final = 8 * 3600 * 1_000_000

log = structlog.get_logger("atm")


class SpentToday:
    """Sums by card of one day; any thread may ask."""

    def __init__(self, file: Path | None = None) -> None:
        """``file``: where the sums are kept; None: in memory alone."""
        self._file = file
        self._lock = threading.Lock()
        self._day = -1
        self._fen: dict[str, int] = {}
        self._is_lost = False
        if file is not None:
            self._read(file)

    def of(self, card: CardRef, at: UnixMicros) -> int:
        """Return the sum of the day so far."""
        with self._lock:
            if self._is_lost and self._day == -1:
                self._day = _china_day(at)  # the day on which it was found unreadable
            if self._day != _china_day(at):
                return 0
            return UNKNOWN_FEN if self._is_lost else self._fen.get(card.hmac.hex(), 0)

    def add(self, card: CardRef, amount_fen: int, at: UnixMicros) -> None:
        """Count an amount that was allowed; on disk when this returns. Raises OSError."""
        with self._lock:
            if self._day != _china_day(at):
                self._day, self._fen, self._is_lost = _china_day(at), {}, False
            name = card.hmac.hex()
            self._fen[name] = self._fen.get(name, 0) + amount_fen
            if self._file is not None and not self._is_lost:
                text = json.dumps({"day": self._day, "fen": self._fen})
                replace_durably(self._file, text.encode())

    def _read(self, file: Path) -> None:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            self._day = int(found["day"])
            self._fen = {str(name): int(fen) for name, fen in found["fen"].items()}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._day, self._fen, self._is_lost = -1, {}, True
            log.warning("spent_unreadable", file=file.name, problem=type(error).__name__)


def _china_day(at: UnixMicros) -> int:
    return (at + _CHINA_US) // _DAY_US
