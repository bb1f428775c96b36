"""A licensed frequency that is suddenly received otherwise than before: another transmitter?

Of each carrier the level of the last spell, as long as the dwell, is compared with that of the
spell before. What all others changed by in the median is taken off: gain, rain and tunnels act on
all alike. What remains is a step if it reaches STEP_DB and both spells were steady. It accuses
nobody: a station changes its power or its antenna now and then.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hardware.readings import Position
from rf_watch.broadcast.geo import distance_m
from rf_watch.broadcast.tracks import UNMEASURED_DB, Track

STEP_DB = 10.0
"""Choice: three times the fading of a single carrier, and what 300 W on the next hill make."""
STEADY_DB = 4.0
SAMPLE_US = 30_000_000
SAMPLES_MIN, SAMPLES_MAX = 6, 128
OTHERS_MIN = 3
MOVED_MAX_M = 300.0


@dataclass(frozen=True, slots=True)
class LevelStep:
    """Levels before and after, and what the others changed by meanwhile."""

    before_db: float
    after_db: float
    others_db: float
    others: int


@dataclass(slots=True)
class LevelBook:
    """How strong one carrier was, every half minute at most."""

    samples: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    place: Position | None = None
    spells: tuple[float, float] | None = None
    """Median levels of the spell before and of the last one; None while one is unsteady."""

    def note(self, track: Track, now_us: int, dwell_s: float) -> None:
        """Take the level now; a receiver that has moved, or whose clock was set, begins anew."""
        spell_us = max(dwell_s * 1e6, SAMPLES_MIN * SAMPLE_US)
        every_us = max(SAMPLE_US, 3 * spell_us / SAMPLES_MAX)
        if track.level_db == UNMEASURED_DB:
            return
        if self.samples and 0 <= now_us - self.samples[-1][0] < every_us:
            return
        here = track.last.position
        has_moved = (
            here is not None
            and self.place is not None
            and distance_m(here, self.place) > MOVED_MAX_M
        )
        if has_moved or (self.samples and now_us < self.samples[-1][0]):
            self.samples.clear()
        if not self.samples:
            self.place = here
        self.samples.append((now_us, track.level_db))
        self.spells = self._spells(now_us, spell_us)

    def _spells(self, now_us: int, spell_us: float) -> tuple[float, float] | None:
        after = [level for at, level in self.samples if now_us - at <= spell_us]
        before = [level for at, level in self.samples if spell_us < now_us - at <= 2 * spell_us]
        if len(after) < SAMPLES_MIN or len(before) < SAMPLES_MIN:
            return None
        was, now = statistics.median(before), statistics.median(after)
        for levels, middle in ((before, was), (after, now)):
            if 1.4826 * statistics.median(abs(level - middle) for level in levels) > STEADY_DB:
                return None
        return was, now


def level_step(book: LevelBook, others: Iterable[LevelBook]) -> LevelStep | None:
    """The step of one carrier against all others; None without one, or without enough others."""
    if book.spells is None:
        return None
    was, now = book.spells
    changes = [o.spells[1] - o.spells[0] for o in others if o is not book and o.spells is not None]
    if len(changes) < OTHERS_MIN:
        return None
    common = statistics.median(changes)
    if abs(now - was - common) < STEP_DB:
        return None
    return LevelStep(round(was, 1), round(now, 1), round(common, 1), len(changes))
