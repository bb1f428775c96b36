"""Sightings of carriers: what comes, stays, falls silent and returns, and when it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contract.messages import Detection
from hardware.readings import Stamp
from rf_watch.broadcast.cases import EVALUATE_US, CaseDesk
from rf_watch.broadcast.findings import Judge
from rf_watch.broadcast.licensed import Licensed
from rf_watch.broadcast.roster import Roster
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import CaseState, Track, TrackEvent, Watching

EVENTS_MAX = 256


@dataclass(frozen=True, slots=True)
class BandEvent:
    """Something a crew wants to see at once."""

    at_us: int
    event: TrackEvent
    mhz: float
    is_listed: bool


class Following:
    """Counts each sighting and each silence of a carrier, and asks the desk when it is due."""

    def __init__(
        self,
        settings: BroadcastSettings,
        judge: Judge,
        licensed: Licensed,
        roster: Roster,
        desk: CaseDesk,
        watching: Callable[[str], Watching],
    ) -> None:
        self._settings, self._judge, self._licensed = settings, judge, licensed
        self._roster, self._desk, self._watching = roster, desk, watching
        self._evaluate_us = min(EVALUATE_US, settings.continuous_s * 0.5e6)
        self.events: list[BandEvent] = []
        """The newest EVENTS_MAX, oldest first."""

    def see(
        self,
        track: Track,
        stamp: Stamp,
        mhz: float,
        level_db: float | None,
        above_db: float,
        gap_us: float,
        *,
        is_resolved: bool,
    ) -> TrackEvent | None:
        """Count a sighting; the first one of a carrier says whether the watch saw it come on."""
        if not track.sightings:
            track.sensor, track.first = stamp.sensor, stamp
            first_us = self._watching(stamp.sensor).first_us
            track.began_watched = first_us is not None and stamp.at_us - first_us > gap_us
        return track.see(stamp, mhz, level_db, above_db, gap_us, is_resolved=is_resolved)

    def known(
        self,
        track: Track,
        stamp: Stamp,
        raw: bytes,
        event: TrackEvent | None,
        *,
        is_candidate: bool,
    ) -> list[Detection]:
        """A sighting was counted: becomes it a candidate, and is it time to judge it?"""
        case = self._roster.cases[track]
        is_new = is_candidate and not track.is_candidate
        if is_new:
            track.is_candidate = True
            event = TrackEvent.NEW
        if not track.is_candidate:
            return []
        if event is not None:
            self._tell(stamp.at_us, event, track)
        is_due = event is not None or abs(stamp.at_us - case.evaluated_us) >= self._evaluate_us
        if is_due:
            is_quiet = self._judge.is_quiet(track, case.step_khz)
            case.is_quiet = is_quiet and case.dossier is None
        if not case.is_quiet:
            case.raw.add(raw)
        return self._desk.evaluate(track, stamp) if is_due else []

    def absent(self, track: Track, now_us: int, gap_us: float) -> list[Detection]:
        """It was looked for and not seen."""
        event = track.silence(now_us, gap_us, self._settings.dormant_after_s * 1e6)
        if event is None or not track.is_candidate:
            return []
        self._tell(now_us, event, track)
        case = self._roster.cases[track]
        if case.dossier is None or event is not TrackEvent.QUIETED:
            return []
        case.dossier.note_state(CaseState.DORMANT.value)
        return self._desk.issue(case)

    def sweep_out(self, sensor: str, now_us: int, gap_us: float) -> list[Detection]:
        """Carriers measured one by one fall silent without a sweep that misses them."""
        out: list[Detection] = []
        for track in self._roster.groups.get(sensor, []):
            if not track.is_dormant and now_us - track.last.at_us > gap_us:
                out += self.absent(track, now_us, gap_us)
        return out

    def _tell(self, now_us: int, event: TrackEvent, track: Track) -> None:
        self.events.append(BandEvent(now_us, event, round(track.mhz, 3), self._is_listed(track)))
        del self.events[:-EVENTS_MAX]

    def _is_listed(self, track: Track) -> bool:
        return bool(self._licensed.listed(track, self._roster.cases[track].step_khz))
