"""One face, many cards: recent visits of this machine, in memory alone; only a count leaves.

A run on many people's cards by one person is seen as one face with several cards within a short
time. The window holds vectors without names; they are wiped at the first visit after their time,
and gone with the process.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atm_face.engines.interface import FaceEngine, Template, TemplateMismatchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_S = 30 * 60
CARDS_MIN = 3
CAPACITY = 10_000
"""More visits than any machine has in a day; the oldest gives way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyCards:
    """What one visit adds up to. Holds no card, no vector, no picture."""

    cards: int
    """Different cards with this face within the window, this visit included."""
    is_alert: bool
    is_reached: bool = False
    """It is this visit that reached the number: the alert belongs to it, and there is one."""


class RecentVisits:
    """Sliding window of one machine, searched exactly. Safe to call from several threads.

    Only engines that compare by cosine can be searched this way. The same card used again counts
    once; a card is known by its HMAC.
    """

    def __init__(
        self,
        engine: FaceEngine,
        *,
        threshold: float,
        window_s: float = WINDOW_S,
        cards_min: int = CARDS_MIN,
        capacity: int = CAPACITY,
    ) -> None:
        if engine.name == "face_recognition":
            raise TemplateMismatchError("face_recognition compares by distance, not by cosine")
        self._engine, self._model = engine.name, engine.model_sha256
        self._threshold = threshold
        self._window_us = int(window_s * 1e6)
        self._cards_min = cards_min
        self._capacity = capacity
        self._vectors: NDArray[np.float32] | None = None
        self._times: NDArray[np.int64] | None = None
        self._cards: list[bytes] = [b""] * capacity
        self._next = 0
        self._lock = threading.Lock()

    def add(self, template: Template, card: bytes, mono_us: int) -> ManyCards:
        """Count the cards that this face used, then remember the visit.

        ``mono_us`` is monotonic time: a clock set back must not stretch or empty the window.
        """
        import numpy as np

        if (template.engine, template.model_sha256) != (self._engine, self._model):
            raise TemplateMismatchError(f"a visit of {template.engine} in {self._engine}'s window")
        probe = np.array(template.vector, dtype=np.float32)
        with self._lock:
            before = self._cards_of(probe, mono_us)
            self._remember(probe, card, mono_us)
        cards = len(before | {card})
        return ManyCards(
            cards=cards,
            is_alert=cards >= self._cards_min,
            is_reached=len(before) < self._cards_min <= cards,
        )

    def _cards_of(self, probe: NDArray[np.float32], mono_us: int) -> set[bytes]:
        import numpy as np

        if self._vectors is None or self._times is None:
            return set()
        is_like = self._vectors @ probe >= self._threshold
        is_recent = self._times >= mono_us - self._window_us
        return {self._cards[int(place)] for place in np.flatnonzero(is_like & is_recent)}

    def _remember(self, probe: NDArray[np.float32], card: bytes, mono_us: int) -> None:
        import numpy as np

        if self._vectors is None or self._times is None:
            self._vectors = np.zeros((self._capacity, len(probe)), np.float32)
            self._times = np.full(self._capacity, np.iinfo(np.int64).min, np.int64)
        # Wiped once it has left the window, not when its place is needed.
        is_past = self._times < mono_us - self._window_us
        self._vectors[is_past] = 0.0
        place = self._next % self._capacity
        self._vectors[place], self._times[place], self._cards[place] = probe, mono_us, card
        self._next += 1
