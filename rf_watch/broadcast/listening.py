"""What is heard on a carrier, apart from its place in the spectrum: programme, bearing, RDS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from contract.messages import Evidence
from hardware.readings import CarrierReading, RdsReading, Stamp
from rf_watch.bearings import SIGMA_UNKNOWN_DEG, Bearing, BearingBook, cross
from rf_watch.broadcast.findings import Judge
from rf_watch.broadcast.geo import bearing_deg, turn_deg
from rf_watch.broadcast.identity import Scroll, correlation
from rf_watch.broadcast.licensed import Licensed
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import Track

CARRIER_STEP_KHZ = 10.0
"""A carrier measured by itself is exact to 5 kHz."""
CLIP_MAX_BYTES = 2 * 1024 * 1024
AUDIO_CLIP = "AUDIO_30S"


class Listener:
    """Compares what is heard with what the licence list says of the frequency."""

    def __init__(
        self,
        settings: BroadcastSettings,
        judge: Judge,
        licensed: Licensed,
        audio: Mapping[str, tuple[float, ...]],
        bearings: BearingBook,
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._licensed = licensed
        self._audio = audio
        self._bearings = bearings

    def hear(self, track: Track, reading: CarrierReading, gap_us: float) -> None:
        """Compare the programme with the licensed one, where the list has a reference of it."""
        if reading.audio is None:
            return
        track.audio, track.audio_us = reading.audio, reading.stamp.at_us
        references = [
            self._audio[row.audio]
            for row in self._licensed.listed(track, CARRIER_STEP_KHZ)
            if row.audio in self._audio
        ]
        if not references:
            return
        best = max(correlation(reading.audio, reference) for reference in references)
        track.audio_correlation = round(best, 3)
        if best < self._settings.audio_match_min:
            track.audio_dwell.note(reading.stamp.at_us, gap_us)
        else:
            track.audio_dwell.clear()

    def note_bearing(self, mhz: float, stamp: Stamp, deg: float, sigma_deg: float | None) -> None:
        """Keep a bearing for whatever carrier stands there; without a place it says nothing."""
        if stamp.position is not None:
            sigma = sigma_deg or SIGMA_UNKNOWN_DEG
            bearing = Bearing(stamp.at_us, stamp.sensor, stamp.position, deg % 360, sigma)
            self._bearings.add(mhz, bearing)

    def take_bearings(self, track: Track, now_us: int, gap_us: float) -> None:
        """Cross what is new, and compare it with the direction of the licensed site."""
        if track.bearings_seen == self._bearings.count or track.is_pi_alone:
            return
        track.bearings_seen = self._bearings.count
        s = self._settings
        near = self._bearings.near(track.mhz, now_us, s.bearing_life_s)
        until = track.bearings_until_us
        fresh = [b for b in near if until is None or b.at_us > until]
        if not fresh:
            return
        track.bearings_until_us = fresh[-1].at_us
        track.fix = cross(near, least=int(s.min_bearings), least_crossing_deg=s.min_crossing_deg)
        rows = self._licensed.listed(track, CARRIER_STEP_KHZ)
        sites = [row.site for row in rows if row.site is not None]
        if not sites:
            return
        for bearing in fresh:
            turns = [turn_deg(bearing.deg, bearing_deg(bearing.here, site)) for site in sites]
            track.bearings.append((bearing.at_us, min(turns, key=abs), bearing.sigma_deg))
        if self._judge.is_bearing_off(track, sites):
            track.bearing_dwell.note(track.bearings_until_us, gap_us)
        else:
            track.bearing_dwell.clear()

    def count_pi(self, track: Track, pi: int, stamp: Stamp, gap_us: float, step_khz: float) -> None:
        """A PI counts once it has come clean fm.pi_repeats times without another between."""
        track.pi_counts = {pi: track.pi_counts.get(pi, 0) + 1}
        if track.pi_counts[pi] < self._settings.pi_repeats:
            return
        if track.pi != pi:
            track.texts.clear()
        track.pi = pi
        if self._judge.is_pi_foreign(track, step_khz):
            track.pi_dwell.note(stamp.at_us, gap_us)
        else:
            track.pi_dwell.clear()


def take_texts(track: Track, scroll: Scroll, reading: RdsReading) -> bool:
    """Keep the texts of a group; True where one is new."""
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
        track.texts["ps_scroll"] = scroll.add(reading.ps)
    return is_news


def clip_evidence(clip: bytes) -> Evidence:
    """Name a recorded programme by its hash."""
    digest = hashlib.sha256(clip).digest()
    return Evidence(name=AUDIO_CLIP, sha256=digest, size_bytes=len(clip))
