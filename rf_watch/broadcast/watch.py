"""Watches the broadcast band (and the aviation band above it) of one device.

Pure: no clock, no file, no thread. Memory is bounded by ``fm.tracks_max`` carriers; of each the
last hundred levels, 64 episodes and 8 KiB of raw sweeps are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from contract.messages import Detection
from hardware.readings import (
    BearingReading,
    CarrierReading,
    RdsReading,
    SpectrumReading,
    Stamp,
    SweepReading,
    TunerReading,
)
from rf_watch.bearings import BearingBook
from rf_watch.broadcast.aviation import AviationWatch
from rf_watch.broadcast.cases import CaseDesk
from rf_watch.broadcast.findings import Judge
from rf_watch.broadcast.following import BandEvent, Following
from rf_watch.broadcast.licences import Licence, LicenceList
from rf_watch.broadcast.licensed import Licensed
from rf_watch.broadcast.listening import CLIP_MAX_BYTES, Listener, take_texts
from rf_watch.broadcast.roster import Roster
from rf_watch.broadcast.schedule import hour_of_week
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import CaseState, Track, Watching
from rf_watch.dossier import Blobs

if TYPE_CHECKING:
    from rf_watch.broadcast.spectrum import Peak, Spectrum

AVIATION_LOW_MHZ, AVIATION_HIGH_MHZ = 108.0, 137.0
TUNER_LEVEL_MIN_DBF = 25.0
"""Below this a tuner hears noise; 25 dBf is about the level of mono reception."""
DBF_0_DBM = -120.0
OVERLOAD_RISE_DB = 6.0


class BroadcastWatch:
    """Follows carriers, compares them with the licence list, and says what it suspects and why."""

    def __init__(
        self,
        device: str,
        settings: BroadcastSettings | None = None,
        licences: LicenceList | None = None,
        audio: Mapping[str, tuple[float, ...]] | None = None,
        bearings: BearingBook | None = None,
    ) -> None:
        """``audio``: reference features by the licence list's ``audio`` word.

        ``bearings``: a book that several watches of one van share, so that a direction finder
        serves the spectrum analyser beside it.
        """
        self._device = device
        self.settings = settings or BroadcastSettings()
        self._watching: dict[str, Watching] = {}
        self._blobs: Blobs = {}
        self._roster = Roster(self._blobs, self.settings.tracks_max)
        self._licensed = Licensed(self.settings, licences)
        self._judge = Judge(self.settings, self._licensed)
        self._bearings = BearingBook() if bearings is None else bearings
        self._listener = Listener(
            self.settings, self._judge, self._licensed, audio or {}, self._bearings
        )
        self._desk = CaseDesk(
            device,
            self.settings,
            self._judge,
            self._licensed,
            self._roster,
            self._blobs,
            self._listener,
            self.watching,
        )
        self._following = Following(
            self.settings, self._judge, self._licensed, self._roster, self._desk, self.watching
        )
        self._aviation = AviationWatch(device, self.settings, self._blobs)

    # -- what others ask -------------------------------------------------------------------------

    def feed(self, reading: SpectrumReading | BearingReading) -> list[Detection]:
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
            case BearingReading():
                return self._bearing(reading)

    def advance(self, sensor: str, now_us: int) -> list[Detection]:
        """Let time pass for a sensor that hears nothing: what it no longer hears goes quiet."""
        self._blobs.clear()
        return self._following.sweep_out(sensor, now_us, self._silence_gap(sensor))

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        self._blobs.clear()
        out: list[Detection] = []
        for group in self._roster.groups.values():
            for track in group:  # one single look is all there is: what it saw is shown
                track.is_candidate = track.is_candidate or track.looks == track.sightings == 1
        for track in sorted(self._roster.cases, key=lambda t: (t.sensor, t.number)):
            out += self._desk.evaluate(track, track.last, is_last=True)
        return out + self._aviation.close()

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        return [self._blobs[e.sha256] for e in detection.evidence if e.sha256 in self._blobs]

    @property
    def events(self) -> list[BandEvent]:
        """What a crew wants to see at once, the newest last."""
        return self._following.events

    def tracks(self) -> list[Track]:
        """Carriers that are or were on the air, by frequency."""
        found = [t for group in self._roster.groups.values() for t in group if t.is_candidate]
        return sorted(found, key=lambda t: (t.mhz, t.number))

    def air_cases(self) -> list[tuple[float, bool]]:
        """Carriers of the aviation band that were told, and whether as an alert."""
        return self._aviation.cases()

    def state(self, track: Track) -> CaseState:
        """State of a carrier's case."""
        return self._desk.state(track)

    def is_listed(self, track: Track) -> bool:
        """Whether the licence list names it."""
        return bool(self._licensed.listed(track, self._roster.cases[track].step_khz))

    def licences_of(self, track: Track) -> Sequence[Licence]:
        """Rows that name it."""
        return self._licensed.listed(track, self._roster.cases[track].step_khz)

    @property
    def has_no_list(self) -> bool:
        """No licence list was given: carriers are shown and nobody is suspected."""
        return not self._licensed.has_list

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
                fm = [t for t in self._roster.groups.get(sensor, []) if t.is_on and t.is_candidate]
                out += self._aviation.sweep(reading, air.peaks, fm)
        return out

    def _band(self, reading: SweepReading, spectrum: Spectrum) -> list[Detection]:
        stamp = reading.stamp
        watching = self._look(stamp)
        # the device adds the attenuator's loss to its own noise too
        floor_db = spectrum.floor_db - (reading.attenuation_db or 0.0)
        gap_us = watching.gap_us(self.settings.lost_after_s)
        tracks = self._roster.groups.setdefault(stamp.sensor, [])
        out: list[Detection] = []
        seen = self._roster.match(tracks, spectrum.peaks, spectrum.step_khz)
        rises = [peak.level_db - t.level_db for t, peak in seen.items() if t.sightings > 1]
        if gain_db := watching.take_gain(floor_db, rises):
            for track in tracks:
                track.change_gain(gain_db)
        watching.take_floor(floor_db, OVERLOAD_RISE_DB)
        keep = int(self.settings.seen_of)
        hour = hour_of_week(stamp.at_us, self.settings.utc_offset_min)
        for track in tracks:
            peak = seen.get(track)
            if peak is None and (track.is_pi_alone or not spectrum.covers(track.mhz)):
                continue
            track.look(is_seen=peak is not None, keep=keep)
            if peak is None:
                out += self._following.absent(track, stamp.at_us, gap_us)
            else:
                track.on_looks[hour] += 1
                out += self._present(track, peak, reading, spectrum, watching, gap_us)
        self._roster.merge(tracks)
        self._roster.forget(tracks)
        return out

    def _look(self, stamp: Stamp) -> Watching:
        watching = self.watching(stamp.sensor)
        hour = hour_of_week(stamp.at_us, self.settings.utc_offset_min)
        watching.note(stamp.at_us, hour, self.settings.lost_after_s * 1e6)
        return watching

    def _present(
        self,
        track: Track,
        peak: Peak,
        reading: SweepReading,
        spectrum: Spectrum,
        watching: Watching,
        gap_us: float,
    ) -> list[Detection]:
        case = self._roster.cases[track]
        case.step_khz, case.device = spectrum.step_khz, reading.device
        track.neighbour_mhz, track.neighbour_above_db = (
            peak.neighbour_mhz,
            peak.neighbour_above_db,
        )
        track.overloaded += watching.is_overloaded
        if reading.attenuation_db is not None:
            now_us = reading.stamp.at_us
            track.note_attenuation(now_us, reading.attenuation_db, peak.level_db)
        event = self._following.see(
            track,
            reading.stamp,
            peak.mhz,
            peak.level_db,
            peak.above_floor_db,
            gap_us,
            is_resolved=spectrum.is_raster_resolved,
        )
        is_known = track.recent.bit_count() >= self.settings.seen_min
        return self._following.known(
            track, reading.stamp, reading.raw, event, is_candidate=is_known
        )

    # -- single carriers, tuners, RDS ------------------------------------------------------------

    def _carrier(self, reading: CarrierReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.mhz > AVIATION_LOW_MHZ:
            group = self._roster.groups.get(stamp.sensor, [])
            return self._aviation.carrier(reading, [t for t in group if t.is_candidate])
        gap_us = self._gap(stamp)
        track = self._roster.at(stamp.sensor, reading.mhz)
        case = self._roster.cases[track]
        if reading.width_khz is not None:
            track.width_khz = reading.width_khz
        if case.clip is None and reading.clip and len(reading.clip) <= CLIP_MAX_BYTES:
            case.clip, track.has_clip = reading.clip, True
        event = self._following.see(
            track, stamp, reading.mhz, reading.level_dbm, 30.0, gap_us, is_resolved=True
        )
        track.look(is_seen=True, keep=int(self.settings.seen_of))
        self._listener.hear(track, reading, gap_us)
        if reading.bearing_deg is not None:
            self._listener.note_bearing(
                reading.mhz, stamp, reading.bearing_deg, reading.bearing_sigma_deg
            )
        out = self._following.known(track, stamp, reading.raw, event, is_candidate=True)
        out += self._following.sweep_out(stamp.sensor, stamp.at_us, gap_us)
        if reading.audio is not None:
            out += self._aviation.programme(track)
        case.step_khz = min(case.step_khz, 10.0)
        return out

    def _bearing(self, reading: BearingReading) -> list[Detection]:
        """A bearing alone: it serves whatever carrier stands there, in any sensor of the van.

        One whose device vouches for it (a level, a sigma) is a sighting too.
        """
        if not self.settings.band_low_mhz <= reading.mhz <= self.settings.band_high_mhz:
            return []
        if reading.level_dbm is None and reading.sigma_deg is None:
            self._listener.note_bearing(
                reading.mhz, reading.stamp, reading.bearing_deg, reading.sigma_deg
            )
            return []
        return self._carrier(
            CarrierReading(
                stamp=reading.stamp,
                raw=reading.raw,
                mhz=reading.mhz,
                level_dbm=reading.level_dbm,
                bearing_deg=reading.bearing_deg,
                bearing_sigma_deg=reading.sigma_deg,
            )
        )

    def _gap(self, stamp: Stamp) -> float:
        watching = self.watching(stamp.sensor)
        if watching.last_us != stamp.at_us:
            watching = self._look(stamp)
        return watching.gap_us(self.settings.lost_after_s)

    def _tuner(self, reading: TunerReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.pi is not None and reading.pi_doubt == 0:
            self._count_pi(stamp, reading.mhz, reading.pi)
        if reading.mhz is None or (reading.level_dbf or 0.0) < TUNER_LEVEL_MIN_DBF:
            return self._identified(stamp, reading.mhz, reading.raw)
        if not self.settings.band_low_mhz <= reading.mhz <= self.settings.band_high_mhz:
            return []
        assert reading.level_dbf is not None
        if self._roster.is_skirt(stamp.sensor, reading.mhz, reading.level_dbf + DBF_0_DBM):
            return []
        gap_us = self._gap(stamp)
        track = self._roster.at(stamp.sensor, reading.mhz)
        if reading.is_stereo is not None:
            track.is_pilot = reading.is_stereo
        event = self._following.see(
            track,
            stamp,
            reading.mhz,
            reading.level_dbf + DBF_0_DBM,
            reading.level_dbf,
            gap_us,
            is_resolved=False,
        )
        track.look(is_seen=True, keep=int(self.settings.seen_of))
        is_known = track.recent.bit_count() >= self.settings.seen_min
        return self._following.known(track, stamp, reading.raw, event, is_candidate=is_known)

    def _rds(self, reading: RdsReading) -> list[Detection]:
        stamp = reading.stamp
        if reading.pi is not None and reading.is_clean:
            self._count_pi(stamp, reading.mhz, reading.pi)
        track = self._roster.station(stamp.sensor, reading.mhz)
        if track is None:
            return []
        is_news = take_texts(track, self._roster.cases[track].scroll, reading)
        return self._identified(stamp, reading.mhz, reading.raw, is_news=is_news)

    def _count_pi(self, stamp: Stamp, mhz: float | None, pi: int) -> None:
        track = self._roster.station(stamp.sensor, mhz)
        if mhz is None and (track is None or (track.pi is not None and track.pi != pi)):
            tracks = self._roster.groups.setdefault(stamp.sensor, [])
            known = next((t for t in tracks if t.is_pi_alone and t.pi == pi), None)
            if known is not None:
                tracks.remove(known)
                tracks.append(known)
                track = known
            else:
                track = self._roster.begin(tracks, 0.0)
                track.is_pi_alone = True
                track.sensor, track.first = stamp.sensor, stamp
        if track is None:
            return
        if track.is_pi_alone:
            track.last = stamp
            track.is_on = True
        step_khz = self._roster.cases[track].step_khz
        self._listener.count_pi(track, pi, stamp, self._silence_gap(stamp.sensor), step_khz)

    def _silence_gap(self, sensor: str) -> float:
        return self.watching(sensor).gap_us(self.settings.lost_after_s)

    def _identified(
        self, stamp: Stamp, mhz: float | None, raw: bytes, *, is_news: bool = False
    ) -> list[Detection]:
        track = self._roster.station(stamp.sensor, mhz)
        if track is None or track.pi is None:
            return []
        case = self._roster.cases[track]
        if track.is_pi_alone:
            case.raw.add(raw)
            is_news = is_news or not track.is_candidate
            track.is_candidate = True
        if not track.is_candidate or not is_news:
            return []
        return self._desk.evaluate(track, stamp)
