"""What is heard on a carrier, apart from its place in the spectrum: programme, bearing, RDS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from contract.messages import Evidence
from hardware.readings import CarrierReading, RdsReading, Stamp
from rf_watch.broadcast.findings import Judge
from rf_watch.broadcast.geo import bearing_deg, turn_deg
from rf_watch.broadcast.identity import Scroll, correlation
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import Track

CARRIER_STEP_KHZ = 10.0
"""A carrier measured by itself is exact to 5 kHz."""
CLIP_MAX_BYTES = 2 * 1024 * 1024
AUDIO_CLIP = "AUDIO_30S"


class Listener:
    """Compares what is heard with what the licence list says of the frequency."""

    def __init__(
        self, settings: BroadcastSettings, judge: Judge, audio: Mapping[str, tuple[float, ...]]
    ) -> None:
        self._settings = settings
        self._judge = judge
        self._audio = audio

    def hear(self, track: Track, reading: CarrierReading, gap_us: float) -> None:
        """Compare the programme with the licensed one, where the list has a reference of it."""
        if reading.audio is None:
            return
        track.audio, track.audio_us = reading.audio, reading.stamp.at_us
        references = [
            self._audio[row.audio]
            for row in self._judge.listed(track, CARRIER_STEP_KHZ)
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

    def take_bearing(self, track: Track, reading: CarrierReading, gap_us: float) -> None:
        """Compare the bearing with the direction of the licensed site."""
        here = reading.stamp.position
        if reading.bearing_deg is None or here is None:
            return
        sigma = reading.bearing_sigma_deg or self._settings.bearing_floor_deg
        rows = self._judge.listed(track, CARRIER_STEP_KHZ)
        sites = [row.site for row in rows if row.site is not None]
        if not sites:
            return
        turns = [turn_deg(reading.bearing_deg, bearing_deg(here, site)) for site in sites]
        track.bearings.append((reading.stamp.at_us, min(turns, key=abs), sigma))
        if self._judge.is_bearing_off(track):
            track.bearing_dwell.note(reading.stamp.at_us, gap_us)
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
