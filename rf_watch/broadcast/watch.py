"""Watches the broadcast band (and the aviation band above it) of one device.

Pure: no clock, no file, no thread. Memory is bounded by ``fm.tracks_max`` carriers; of each the
last hundred levels, 64 episodes and 8 KiB of raw sweeps are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.messages import Detection, Rival
from hardware.readings import (
    CarrierReading,
    RdsReading,
    SpectrumReading,
    Stamp,
    SweepDevice,
    SweepReading,
    TunerReading,
)
from rf_watch.broadcast.aviation import AviationWatch
from rf_watch.broadcast.dossier import BroadcastDossier
from rf_watch.broadcast.findings import Judge, subject_of
from rf_watch.broadcast.geo import bearing_deg, turn_deg
from rf_watch.broadcast.identity import Scroll, correlation
from rf_watch.broadcast.licences import Licence, LicenceList
from rf_watch.broadcast.schedule import hour_of_week, local_minute
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import CaseState, Track, TrackEvent, Watching
from rf_watch.dossier import Blobs, RawEvidence

if TYPE_CHECKING:
    from rf_watch.broadcast.spectrum import Peak, Spectrum

AVIATION_LOW_MHZ, AVIATION_HIGH_MHZ = 108.0, 137.0
EVALUATE_US = 5_000_000
"""A carrier that does nothing new is judged so often: its dwell is counted in minutes."""
TUNER_LEVEL_MIN_DBF = 25.0
"""Below this a tuner hears noise; 25 dBf is about the level of mono reception."""
OVERLOAD_RISE_DB = 6.0
EVENTS_MAX = 256
STRAY_KHZ = 100.0
MERGE_KHZ = 60.0
MATCH_KHZ = 70.0
"""A programme shifts the centre of single sweeps by 40 kHz; one sweep shows no two carriers nearer
than 100 kHz."""


@dataclass(frozen=True, slots=True)
class BandEvent:
    """Something a crew wants to see at once."""

    at_us: int
    event: TrackEvent
    mhz: float
    is_listed: bool


@dataclass(slots=True)
class _Case:
    """What belongs to a track and is not the track itself."""

    raw: RawEvidence
    scroll: Scroll = field(default_factory=Scroll)
    dossier: BroadcastDossier | None = None
    rivals: list[Rival] = field(default_factory=list)
    evaluated_us: int = -EVALUATE_US
    is_quiet: bool = False
    step_khz: float = 0.0
    device: SweepDevice = SweepDevice.FM_TUNER


class BroadcastWatch:
    """Follows carriers, compares them with the licence list, and says what it suspects and why."""

    def __init__(
        self,
        device: str,
        settings: BroadcastSettings | None = None,
        licences: LicenceList | None = None,
        audio: Mapping[str, tuple[float, ...]] | None = None,
    ) -> None:
        """``audio``: reference features by the licence list's ``audio`` word."""
        self._device = device
        self.settings = settings or BroadcastSettings()
        self._audio = audio or {}
        self._evaluate_us = min(EVALUATE_US, self.settings.continuous_s * 0.5e6)
        self._tracks: dict[str, list[Track]] = {}
        self._cases: dict[Track, _Case] = {}
        self._watching: dict[str, Watching] = {}
        self._blobs: Blobs = {}
        self._count = 0
        self._judge = Judge(self.settings, licences)
        self._aviation = AviationWatch(device, self.settings, self._blobs)
        self.events: list[BandEvent] = []
        """The newest EVENTS_MAX, oldest first."""

    # -- what others ask -------------------------------------------------------------------------

    def feed(self, reading: SpectrumReading) -> list[Detection]:
        """Take one reading; returns new detections and new revisions of earlier ones."""
        self._blobs.clear()
        match reading:
            case SweepReading():
                return self._sweep(reading)
            case CarrierReading():
                return self._carrier(reading)
            case TunerReading():
                return self._tuner(reading)
            case RdsReading():
                return self._rds(reading)

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        self._blobs.clear()
        out: list[Detection] = []
        for track in sorted(self._cases, key=lambda t: (t.sensor, t.number)):
            out += self._evaluate(track, track.last, is_last=True)
        return out + self._aviation.close()

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        return [self._blobs[e.sha256] for e in detection.evidence if e.sha256 in self._blobs]

    def tracks(self) -> list[Track]:
        """Carriers that are or were on the air, by frequency."""
        found = [t for group in self._tracks.values() for t in group if t.is_candidate]
        return sorted(found, key=lambda t: (t.mhz, t.number))

    def state(self, track: Track) -> CaseState:
        """State of a carrier's case."""
        dossier = self._cases[track].dossier
        if not track.is_on:
            return CaseState.DORMANT
        is_alerted = dossier is not None and dossier.is_suspected
        return CaseState.DISCOVERED if is_alerted else CaseState.CANDIDATE

    def is_listed(self, track: Track) -> bool:
        """Whether the licence list names it."""
        return bool(self._judge.listed(track, self._cases[track].step_khz))

    def licences_of(self, track: Track) -> Sequence[Licence]:
        """Rows that name it."""
        return self._judge.listed(track, self._cases[track].step_khz)

    @property
    def has_no_list(self) -> bool:
        """No licence list was given: carriers are shown and nobody is suspected."""
        return not self._judge.has_list

    def watching(self, sensor: str) -> Watching:
        """How a sensor has looked at the band."""
        return self._watching.setdefault(sensor, Watching())

    # -- sweeps ----------------------------------------------------------------------------------

    def _sweep(self, reading: SweepReading) -> list[Detection]:
        from rf_watch.broadcast.spectrum import analyse  # numpy, which only sweeps need

        out: list[Detection] = []
        s = self.settings
        spectrum = analyse(reading, s.band_low_mhz, s.band_high_mhz, s.threshold_db)
        if spectrum is not None:
            out += self._band(reading, spectrum)
        if reading.stop_hz > (AVIATION_LOW_MHZ + 0.3) * 1e6:
            air = analyse(reading, AVIATION_LOW_MHZ + 0.2, AVIATION_HIGH_MHZ, s.threshold_db)
            if air is not None:
                sensor = reading.stamp.sensor
                fm = [t for t in self._tracks.get(sensor, []) if t.is_on and t.is_candidate]
                out += self._aviation.sweep(reading, air.peaks, fm)
        return out

    def _band(self, reading: SweepReading, spectrum: Spectrum) -> list[Detection]:
        stamp = reading.stamp
        watching = self._look(stamp)
        watching.take_floor(spectrum.floor_db, OVERLOAD_RISE_DB)
        gap_us = watching.gap_us(self.settings.lost_after_s)
        tracks = self._tracks.setdefault(stamp.sensor, [])
        out: list[Detection] = []
        seen = self._match(tracks, spectrum.peaks, spectrum.step_khz)
        keep = int(self.settings.seen_of)
        hour = hour_of_week(stamp.at_us, self.settings.utc_offset_min)
        for track in tracks:
            peak = seen.get(track)
            if peak is None and (track.is_pi_alone or not spectrum.covers(track.mhz)):
                continue
            track.look(is_seen=peak is not None, keep=keep)
            if peak is None:
                out += self._absent(track, stamp.at_us, gap_us)
            else:
                track.on_looks[hour] += 1
                out += self._present(track, peak, reading, spectrum, watching, gap_us)
        self._merge(tracks)
        self._forget(tracks)
        return out

    def _merge(self, tracks: list[Track]) -> None:
        """Two tracks that have drifted together were one carrier all along: the older stays."""
        ordered = sorted((t for t in tracks if not t.is_pi_alone), key=lambda t: t.mhz)
        for low, high in itertools.pairwise(ordered):
            if (high.mhz - low.mhz) * 1000 < MERGE_KHZ:
                younger = min(low, high, key=lambda t: (t.sightings, -t.number))
                if younger in tracks and self._cases[younger].dossier is None:
                    tracks.remove(younger)
                    del self._cases[younger]

    def _look(self, stamp: Stamp) -> Watching:
        watching = self.watching(stamp.sensor)
        hour = hour_of_week(stamp.at_us, self.settings.utc_offset_min)
        watching.note(stamp.at_us, hour, self.settings.lost_after_s * 1e6)
        return watching

    def _match(
        self, tracks: list[Track], peaks: Sequence[Peak], step_khz: float
    ) -> dict[Track, Peak]:
        """Give each peak to the nearest track, or begin a new one."""
        tolerance = max(MATCH_KHZ, 0.6 * step_khz) / 1000
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
            track = _strayed(ordered, peak, seen) or self._begin(tracks, peak.mhz)
            seen[track] = peak
        return seen

    def _begin(self, tracks: list[Track], mhz: float) -> Track:
        placeholder = Stamp(at_us=0, time_basis="live", sensor="", file="", place="")
        self._count += 1
        track = Track(self._count, "", mhz, placeholder, placeholder)
        tracks.append(track)
        self._cases[track] = _Case(RawEvidence("SPECTRUM", self._blobs))
        return track

    def _present(
        self,
        track: Track,
        peak: Peak,
        reading: SweepReading,
        spectrum: Spectrum,
        watching: Watching,
        gap_us: float,
    ) -> list[Detection]:
        case = self._cases[track]
        case.step_khz, case.device = spectrum.step_khz, reading.device
        track.neighbour_mhz, track.neighbour_above_db = (
            peak.neighbour_mhz,
            peak.neighbour_above_db,
        )
        track.overloaded += watching.is_overloaded
        event = self._see(
            track,
            reading.stamp,
            peak.mhz,
            peak.level_db,
            peak.above_floor_db,
            gap_us,
            is_resolved=spectrum.is_raster_resolved,
        )
        is_known = track.recent.bit_count() >= self.settings.seen_min
        return self._known(track, reading.stamp, reading.raw, event, is_candidate=is_known)

    def _see(
        self,
        track: Track,
        stamp: Stamp,
        mhz: float,
        level_db: float,
        above_db: float,
        gap_us: float,
        *,
        is_resolved: bool,
    ) -> TrackEvent | None:
        if not track.sightings:
            track.sensor, track.first = stamp.sensor, stamp
            first_us = self.watching(stamp.sensor).first_us
            track.began_watched = first_us is not None and stamp.at_us - first_us > gap_us
        return track.see(stamp, mhz, level_db, above_db, gap_us, is_resolved=is_resolved)

    def _known(
        self,
        track: Track,
        stamp: Stamp,
        raw: bytes,
        event: TrackEvent | None,
        *,
        is_candidate: bool,
    ) -> list[Detection]:
        """A sighting was counted: becomes it a candidate, and is it time to judge it?"""
        case = self._cases[track]
        is_new = is_candidate and not track.is_candidate
        if is_new:
            track.is_candidate = True
            event = TrackEvent.NEW
        if not track.is_candidate:
            return []
        if event is not None:
            self._tell(stamp.at_us, event, track)
        is_due = event is not None or stamp.at_us - case.evaluated_us >= self._evaluate_us
        if is_due:
            case.is_quiet = self._judge.is_quiet(track, case.step_khz)
        if not case.is_quiet:
            case.raw.add(raw)
        return self._evaluate(track, stamp) if is_due else []

    def _absent(self, track: Track, now_us: int, gap_us: float) -> list[Detection]:
        event = track.silence(now_us, gap_us, self.settings.dormant_after_s * 1e6)
        if event is None or not track.is_candidate:
            return []
        self._tell(now_us, event, track)
        case = self._cases[track]
        if case.dossier is None or event is not TrackEvent.QUIETED:
            return []
        case.dossier.note_state(CaseState.DORMANT.value)
        return case.dossier.issue(case.rivals, case.raw)

    def _tell(self, now_us: int, event: TrackEvent, track: Track) -> None:
        self.events.append(BandEvent(now_us, event, round(track.mhz, 3), self.is_listed(track)))
        del self.events[:-EVENTS_MAX]

    def _forget(self, tracks: list[Track]) -> None:
        """Drop what was no carrier, and above the bound the one silent for the longest time."""
        for track in [t for t in tracks if not t.is_candidate and t.recent == 0 and t.looks]:
            tracks.remove(track)
            del self._cases[track]
        while len(tracks) > self.settings.tracks_max:
            oldest = min(tracks, key=lambda t: t.last.at_us)
            tracks.remove(oldest)
            del self._cases[oldest]

    # -- single carriers, tuners, RDS ------------------------------------------------------------

    def _carrier(self, reading: CarrierReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.mhz > AVIATION_LOW_MHZ:
            group = self._tracks.get(stamp.sensor, [])
            return self._aviation.carrier(reading, [t for t in group if t.is_candidate])
        gap_us = self._gap(stamp)
        track = self._at(stamp.sensor, reading.mhz)
        case = self._cases[track]
        if reading.width_khz is not None:
            track.width_khz = reading.width_khz
        event = self._see(
            track, stamp, reading.mhz, reading.level_dbm, 30.0, gap_us, is_resolved=True
        )
        track.look(is_seen=True, keep=int(self.settings.seen_of))
        self._hear(track, reading, gap_us)
        self._take_bearing(track, reading, gap_us)
        out = self._known(track, stamp, reading.raw, event, is_candidate=True)
        out += self._sweep_out(stamp, gap_us)
        if reading.audio is not None:
            out += self._aviation.programme(track)
        case.step_khz = min(case.step_khz, 10.0)
        return out

    def _gap(self, stamp: Stamp) -> float:
        watching = self.watching(stamp.sensor)
        if watching.last_us != stamp.at_us:
            watching = self._look(stamp)
        return watching.gap_us(self.settings.lost_after_s)

    def _sweep_out(self, stamp: Stamp, gap_us: float) -> list[Detection]:
        """Carriers measured one by one fall silent without a sweep that misses them."""
        out: list[Detection] = []
        for track in self._tracks.get(stamp.sensor, []):
            if track.is_on and stamp.at_us - track.last.at_us > gap_us:
                out += self._absent(track, stamp.at_us, gap_us)
        return out

    def _at(self, sensor: str, mhz: float) -> Track:
        tracks = self._tracks.setdefault(sensor, [])
        near = [t for t in tracks if not t.is_pi_alone and abs(t.mhz - mhz) * 1000 <= MATCH_KHZ]
        if near:
            return min(near, key=lambda t: abs(t.mhz - mhz))
        self._forget(tracks)
        return self._begin(tracks, mhz)

    def _hear(self, track: Track, reading: CarrierReading, gap_us: float) -> None:
        """Compare the programme with the licensed one, where the list has a reference of it."""
        if reading.audio is None:
            return
        track.audio, track.audio_us = reading.audio, reading.stamp.at_us
        references = [
            self._audio[row.audio]
            for row in self._judge.listed(track, 10.0)
            if row.audio in self._audio
        ]
        if not references:
            return
        best = max(correlation(reading.audio, reference) for reference in references)
        track.audio_correlation = round(best, 3)
        if best < self.settings.audio_match_min:
            track.audio_dwell.note(reading.stamp.at_us, gap_us)
        else:
            track.audio_dwell.clear()

    def _take_bearing(self, track: Track, reading: CarrierReading, gap_us: float) -> None:
        here = reading.stamp.position
        if reading.bearing_deg is None or here is None:
            return
        sigma = reading.bearing_sigma_deg or self.settings.bearing_floor_deg
        sites = [row.site for row in self._judge.listed(track, 10.0) if row.site is not None]
        if not sites:
            return
        turns = [turn_deg(reading.bearing_deg, bearing_deg(here, site)) for site in sites]
        track.bearings.append((reading.stamp.at_us, min(turns, key=abs), sigma))
        if self._judge.is_bearing_off(track):
            track.bearing_dwell.note(reading.stamp.at_us, gap_us)
        else:
            track.bearing_dwell.clear()

    def _tuner(self, reading: TunerReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.pi is not None and reading.pi_doubt == 0:
            self._count_pi(stamp, reading.mhz, reading.pi)
        if reading.mhz is None or (reading.level_dbf or 0.0) < TUNER_LEVEL_MIN_DBF:
            return self._identified(stamp, reading.mhz, reading.raw)
        if not self.settings.band_low_mhz <= reading.mhz <= self.settings.band_high_mhz:
            return []
        gap_us = self._gap(stamp)
        track = self._at(stamp.sensor, reading.mhz)
        if reading.is_stereo is not None:
            track.is_pilot = reading.is_stereo
        assert reading.level_dbf is not None
        event = self._see(
            track,
            stamp,
            reading.mhz,
            reading.level_dbf - 120.0,
            reading.level_dbf,
            gap_us,
            is_resolved=False,
        )
        track.look(is_seen=True, keep=int(self.settings.seen_of))
        is_known = track.recent.bit_count() >= self.settings.seen_min
        return self._known(track, stamp, reading.raw, event, is_candidate=is_known)

    def _rds(self, reading: RdsReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.pi is not None and reading.is_clean:
            self._count_pi(stamp, reading.mhz, reading.pi)
        track = self._station(stamp.sensor, reading.mhz)
        if track is None:
            return []
        case = self._cases[track]
        is_news = False
        for name, text in (
            ("ps", reading.ps),
            ("radiotext", reading.radiotext),
            ("long_ps", reading.long_ps),
            ("enhanced_radiotext", reading.enhanced_radiotext),
        ):
            if text and track.texts.get(name) != text:
                track.texts[name] = text
                is_news = True
        if reading.ps and is_news:
            track.texts["ps_scroll"] = case.scroll.add(reading.ps)
        return self._identified(stamp, reading.mhz, reading.raw, is_news=is_news)

    def _station(self, sensor: str, mhz: float | None) -> Track | None:
        """The carrier a tuner stands on; without a frequency the one it said last."""
        tracks = self._tracks.get(sensor, [])
        if mhz is None:
            return next((t for t in reversed(tracks) if t.is_pi_alone), None)
        near = [t for t in tracks if not t.is_pi_alone and abs(t.mhz - mhz) * 1000 <= 60]
        return min(near, key=lambda t: abs(t.mhz - mhz)) if near else None

    def _count_pi(self, stamp: Stamp, mhz: float | None, pi: int) -> None:
        """A PI counts once it has come clean fm.pi_repeats times without another between."""
        track = self._station(stamp.sensor, mhz)
        if mhz is None and (track is None or (track.pi is not None and track.pi != pi)):
            tracks = self._tracks.setdefault(stamp.sensor, [])
            known = next((t for t in tracks if t.is_pi_alone and t.pi == pi), None)
            if known is not None:
                tracks.remove(known)
                tracks.append(known)
                track = known
            else:
                track = self._begin(tracks, 0.0)
                track.is_pi_alone = True
                track.sensor, track.first = stamp.sensor, stamp
        if track is None:
            return
        if track.is_pi_alone:
            track.last = stamp
            track.is_on = True
        track.pi_counts = {pi: track.pi_counts.get(pi, 0) + 1}
        if track.pi_counts[pi] >= self.settings.pi_repeats:
            if track.pi != pi:
                track.texts.clear()
            track.pi = pi
            if self._judge.is_pi_foreign(track, self._cases[track].step_khz):
                track.pi_dwell.note(stamp.at_us, self._pi_gap(stamp))
            else:
                track.pi_dwell.clear()

    def _pi_gap(self, stamp: Stamp) -> float:
        return self.watching(stamp.sensor).gap_us(self.settings.lost_after_s)

    def _identified(
        self, stamp: Stamp, mhz: float | None, raw: bytes, *, is_news: bool = False
    ) -> list[Detection]:
        track = self._station(stamp.sensor, mhz)
        if track is None or track.pi is None:
            return []
        case = self._cases[track]
        if track.is_pi_alone:
            case.raw.add(raw)
            is_news = is_news or not track.is_candidate
            track.is_candidate = True
        if not track.is_candidate or not is_news:
            return []
        return self._evaluate(track, stamp)

    # -- judging ---------------------------------------------------------------------------------

    def _evaluate(self, track: Track, stamp: Stamp, *, is_last: bool = False) -> list[Detection]:
        case = self._cases[track]
        case.evaluated_us = stamp.at_us
        if not track.is_candidate:
            return []
        self._note_hours(track, stamp, case.step_khz)
        group = self._tracks.get(track.sensor, [])
        watching = self.watching(track.sensor)
        opinion = self._judge.opinion(track, group, watching, case.step_khz)
        if opinion is None:
            if is_last and case.dossier is not None:
                return case.dossier.issue(case.rivals, case.raw)
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
        return case.dossier.issue(case.rivals, case.raw) if is_new or is_last else []

    def _note_hours(self, track: Track, stamp: Stamp, step_khz: float) -> None:
        """Licensed hours are local; without a date of its own a recording has no hour."""
        if stamp.time_basis == "synthetic" or not track.is_on:
            return
        rows = [row for row in self._judge.listed(track, step_khz) if row.hours is not None]
        if not rows:
            return
        minute = local_minute(stamp.at_us, self.settings.utc_offset_min)
        if any(row.hours is not None and row.hours.contain(minute) for row in rows):
            track.hours_dwell.clear()
        else:
            gap = self.watching(track.sensor).gap_us(self.settings.lost_after_s)
            track.hours_dwell.note(stamp.at_us, max(gap, 2 * EVALUATE_US))


def _strayed(tracks: Sequence[Track], peak: Peak, seen: Mapping[Track, Peak]) -> Track | None:
    """A carrier seen in the look before and not in this one, whose programme moved it so far."""
    near = [
        t
        for t in tracks
        if t.recent & 1 and t not in seen and abs(t.mhz - peak.mhz) * 1000 <= STRAY_KHZ
    ]
    return min(near, key=lambda t: abs(t.mhz - peak.mhz)) if near else None
