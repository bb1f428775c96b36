"""Texts of the centre on the idle screen: signed orders bring them, and their end takes them off.

They lie in a file, so that a restart shows what still holds; one that is over is never shown, with
or without a word of the central.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from atm_face.screens import Text
from contract.clock import UnixMicros
from contract.files import replace_durably
from contract.orders import EndNotice, ShowNotice

MAX_KEPT = 20

log = structlog.get_logger("notices")


@dataclass(frozen=True, slots=True)
class Notice:
    """One text and its end."""

    id: str
    text: Text
    until: int


class Notices:
    """What may be shown now. May be called from any thread."""

    def __init__(self, path: Path, *, now: Callable[[], UnixMicros]) -> None:
        """Read what was kept; a damaged file is as none."""
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._notices = _read(path)

    def take(self, body: ShowNotice | EndNotice) -> None:
        """Keep or drop a notice, durably; raises OSError."""
        with self._lock:
            kept = [n for n in self._valid() if n.id != body.notice.hex()]
            if isinstance(body, ShowNotice):
                text = Text(body.en.strip(), body.zh.strip())
                kept = [*kept, Notice(body.notice.hex(), text, int(body.until))][-MAX_KEPT:]
            rows = [{"id": n.id, "en": n.text.en, "zh": n.text.zh, "until": n.until} for n in kept]
            replace_durably(self._path, json.dumps(rows, ensure_ascii=False).encode())
            self._notices = kept

    def current(self) -> Text | None:
        """The newest text that holds now; None: nothing is to be said."""
        with self._lock:
            valid = self._valid()
        return valid[-1].text if valid else None

    def _valid(self) -> list[Notice]:
        now = int(self._now())
        return [notice for notice in self._notices if now < notice.until]


def _read(path: Path) -> list[Notice]:
    if not path.exists():
        return []
    try:
        rows: Any = json.loads(path.read_bytes())
        return [
            Notice(str(row["id"]), Text(str(row["en"]), str(row["zh"])), int(row["until"]))
            for row in rows
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("notices_unreadable", problem=type(error).__name__)
        return []
