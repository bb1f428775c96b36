"""The desk at which a followed carrier is judged and its case written."""

from __future__ import annotations

from collections.abc import Callable

from contract.messages import Detection
from hardware.readings import Stamp
from rf_watch.broadcast.dossier import BroadcastDossier
from rf_watch.broadcast.findings import Judge, subject_of
from rf_watch.broadcast.licensed import Licensed
from rf_watch.broadcast.listening import Listener, clip_evidence
from rf_watch.broadcast.roster import Case, Roster
from rf_watch.broadcast.schedule import local_minute
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.steps import level_step
from rf_watch.broadcast.tracks import CaseState, Track, Watching
from rf_watch.dossier import Blobs

EVALUATE_US = 5_000_000
"""A carrier that does nothing new is judged so often: its dwell is counted in minutes."""
FIX_NEWS_SHARE = 0.5
"""A position is told again once its ellipse is half as long."""


class CaseDesk:
    """Opens dossiers, asks the judge, and issues revisions when there is news."""

    def __init__(
        self,
        device: str,
        settings: BroadcastSettings,
        judge: Judge,
        licensed: Licensed,
        roster: Roster,
        blobs: Blobs,
        listener: Listener,
        watching: Callable[[str], Watching],
    ) -> None:
        self._device, self._settings = device, settings
        self._judge, self._licensed, self._listener = judge, licensed, listener
        self._roster, self._blobs, self._watching = roster, blobs, watching

    def state(self, track: Track) -> CaseState:
        """State of a carrier's case."""
        dossier = self._roster.cases[track].dossier
        if not track.is_on:
            return CaseState.DORMANT
        is_alerted = dossier is not None and dossier.is_suspected
        return CaseState.DISCOVERED if is_alerted else CaseState.CANDIDATE

    def evaluate(self, track: Track, stamp: Stamp, *, is_last: bool = False) -> list[Detection]:
        """Judge a carrier now; returns what is new about it."""
        case = self._roster.cases[track]
        case.evaluated_us = stamp.at_us
        if not track.is_candidate:
            return []
        self._note_hours(track, stamp, case.step_khz)
        gap_us = self._watching(track.sensor).gap_us(self._settings.lost_after_s)
        self._listener.take_bearings(track, stamp.at_us, gap_us)
        group = self._roster.groups.get(track.sensor, [])
        watching = self._watching(track.sensor)
        if not is_last:
            case.levels.note(track, stamp.at_us, self._settings.continuous_s)
        books = (self._roster.cases[t].levels for t in group if t.is_on and t.is_candidate)
        step = level_step(case.levels, books)
        opinion = self._judge.opinion(track, group, watching, case.step_khz, step)
        if opinion is None:
            if is_last and case.dossier is not None:
                return self.issue(case)
            return []
        if opinion.is_accused or not case.rivals or is_last:
            case.rivals = self._judge.rivals(track, group, case.device, case.step_khz)
        is_suspected = opinion.is_accused and not self._judge.is_blocked(case.rivals)
        if case.dossier is None:
            subject = subject_of(track, opinion.nominal_mhz)
            case.dossier = BroadcastDossier(
                device=self._device,
                kind=opinion.kind,
                subject=subject,
                track_id="/".join(["fm", *(str(v) for v in list(subject.values())[1:])]),
                first=track.first,
            )
        is_new = case.dossier.update(
            opinion.findings, stamp, subkind=opinion.subkind, is_suspected=is_suspected
        )
        case.dossier.note_state(self.state(track).value)
        is_new = self._has_better_fix(case, track) or is_new
        return self.issue(case) if is_new or is_last else []

    def _has_better_fix(self, case: Case, track: Track) -> bool:
        """The first position, or one that is much surer than the one told last."""
        fix = track.fix
        if fix is None or not fix.semi_major_m <= FIX_NEWS_SHARE * case.told_fix_m:
            return False
        case.told_fix_m = fix.semi_major_m
        return True

    def issue(self, case: Case) -> list[Detection]:
        """Write the next revision of a case that has a dossier."""
        assert case.dossier is not None
        if case.clip is not None:
            case.dossier.clip = clip_evidence(case.clip)
            self._blobs[case.dossier.clip.sha256] = case.clip
        return case.dossier.issue(case.rivals, case.raw)

    def _note_hours(self, track: Track, stamp: Stamp, step_khz: float) -> None:
        """Licensed hours are local; without a date of its own a recording has no hour."""
        if stamp.time_basis == "synthetic" or not track.is_on:
            return
        rows = [row for row in self._licensed.listed(track, step_khz) if row.hours is not None]
        if not rows:
            return
        minute = local_minute(stamp.at_us, self._settings.utc_offset_min)
        if any(row.hours is not None and row.hours.contain(minute) for row in rows):
            track.hours_dwell.clear()
        else:
            gap = self._watching(track.sensor).gap_us(self._settings.lost_after_s)
            track.hours_dwell.note(stamp.at_us, max(gap, 2 * EVALUATE_US))
