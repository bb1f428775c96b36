"""The carriers that are followed: which peak belongs to which, and which are let go."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.messages import Rival
from hardware.readings import Stamp, SweepDevice
from rf_watch.broadcast.dossier import BroadcastDossier
from rf_watch.broadcast.identity import Scroll
from rf_watch.broadcast.steps import LevelBook
from rf_watch.broadcast.tracks import Track
from rf_watch.dossier import Blobs, RawEvidence

if TYPE_CHECKING:
    from rf_watch.broadcast.spectrum import Peak

STRAY_KHZ = 100.0
COARSE_KHZ = 60.0
MERGE_KHZ = 60.0
MATCH_KHZ = 70.0
"""A programme shifts the centre of single sweeps by 40 kHz; one sweep shows no two carriers nearer
than 100 kHz."""
_SKIRT_DB = ((150.0, 4.0), (250.0, 25.0))
"""A tuner of 100 kHz bandwidth hears a neighbour so far below its own level."""
NEVER_US = -(10**15)


@dataclass(slots=True)
class Case:
    """What belongs to a track and is not the track itself."""

    raw: RawEvidence
    scroll: Scroll = field(default_factory=Scroll)
    clip: bytes | None = None
    dossier: BroadcastDossier | None = None
    rivals: list[Rival] = field(default_factory=list)
    evaluated_us: int = NEVER_US
    is_quiet: bool = False
    step_khz: float = 0.0
    device: SweepDevice = SweepDevice.FM_TUNER
    levels: LevelBook = field(default_factory=LevelBook)
    told_fix_m: float = math.inf
    """Longer half axis of the position told last."""


class Roster:
    """Tracks by sensor, and what belongs to each."""

    def __init__(self, blobs: Blobs, tracks_max: float) -> None:
        self.groups: dict[str, list[Track]] = {}
        self.cases: dict[Track, Case] = {}
        self._blobs = blobs
        self._tracks_max = tracks_max
        self._count = 0

    def match(
        self, tracks: list[Track], peaks: Sequence[Peak], step_khz: float
    ) -> dict[Track, Peak]:
        """Give each peak to the nearest track, or begin a new one."""
        # a coarse sweep takes the next point for the loudest now and then
        tolerance = max(MATCH_KHZ, 1.1 * step_khz if step_khz > COARSE_KHZ else 0.0) / 1000
        seen: dict[Track, Peak] = {}
        ordered = sorted((t for t in tracks if not t.is_pi_alone), key=lambda t: t.mhz)
        at = 0
        fresh: list[Peak] = []
        for peak in peaks:
            while at < len(ordered) and ordered[at].mhz < peak.mhz - tolerance:
                at += 1
            near = [t for t in ordered[at : at + 3] if abs(t.mhz - peak.mhz) <= tolerance]
            near = [t for t in near if t not in seen]
            if near:
                seen[min(near, key=lambda t: abs(t.mhz - peak.mhz))] = peak
            else:
                fresh.append(peak)
        for peak in fresh:
            track = _strayed(ordered, peak, seen) or self.begin(tracks, peak.mhz)
            seen[track] = peak
        return seen

    def begin(self, tracks: list[Track], mhz: float) -> Track:
        """Follow something new; its first sighting fills it in."""
        placeholder = Stamp(at_us=0, time_basis="live", sensor="", file="", place="")
        self._count += 1
        track = Track(self._count, "", mhz, placeholder, placeholder)
        tracks.append(track)
        self.cases[track] = Case(RawEvidence("SPECTRUM", self._blobs))
        return track

    def merge(self, tracks: list[Track]) -> None:
        """Two tracks that have drifted together were one carrier all along: the older stays."""
        ordered = sorted((t for t in tracks if not t.is_pi_alone), key=lambda t: t.mhz)
        for low, high in itertools.pairwise(ordered):
            if (high.mhz - low.mhz) * 1000 < MERGE_KHZ:
                younger = min(low, high, key=lambda t: (t.sightings, -t.number))
                if younger in tracks and self.cases[younger].dossier is None:
                    tracks.remove(younger)
                    del self.cases[younger]

    def forget(self, tracks: list[Track]) -> None:
        """Drop what was no carrier, and above the bound the one silent for the longest time."""
        for track in [t for t in tracks if not t.is_candidate and t.recent == 0 and t.looks]:
            tracks.remove(track)
            del self.cases[track]
        while len(tracks) > self._tracks_max:
            oldest = min(tracks, key=lambda t: t.last.at_us)
            tracks.remove(oldest)
            del self.cases[oldest]

    def at(self, sensor: str, mhz: float) -> Track:
        """The carrier at a frequency, a new one if there is none."""
        tracks = self.groups.setdefault(sensor, [])
        near = [t for t in tracks if not t.is_pi_alone and abs(t.mhz - mhz) * 1000 <= MATCH_KHZ]
        if near:
            return min(near, key=lambda t: abs(t.mhz - mhz))
        self.forget(tracks)
        return self.begin(tracks, mhz)

    def station(self, sensor: str, mhz: float | None) -> Track | None:
        """The carrier a tuner stands on; without a frequency the one it said last."""
        tracks = self.groups.get(sensor, [])
        if mhz is None:
            return next((t for t in reversed(tracks) if t.is_pi_alone), None)
        near = [t for t in tracks if not t.is_pi_alone and abs(t.mhz - mhz) * 1000 <= 60]
        return min(near, key=lambda t: abs(t.mhz - mhz)) if near else None

    def is_skirt(self, sensor: str, mhz: float, level_db: float) -> bool:
        """Whether a tuner that stands here hears the skirt of a stronger carrier beside it."""
        for track in self.groups.get(sensor, []):
            apart_khz = abs(track.mhz - mhz) * 1000
            skirt = next((db for reach, db in _SKIRT_DB if apart_khz <= reach), None)
            is_other = apart_khz > MATCH_KHZ - 1 and track.is_on and track.is_candidate
            if is_other and skirt is not None and track.level_db - level_db >= skirt:
                return True
        return False


def _strayed(tracks: Sequence[Track], peak: Peak, seen: Mapping[Track, Peak]) -> Track | None:
    """A carrier seen in the look before and not in this one, whose programme moved it so far."""
    near = [
        t
        for t in tracks
        if t.recent & 1 and t not in seen and abs(t.mhz - peak.mhz) * 1000 <= STRAY_KHZ
    ]
    return min(near, key=lambda t: abs(t.mhz - peak.mhz)) if near else None
