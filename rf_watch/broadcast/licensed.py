"""Which rows of the licence list may be a carrier, and what the list says of its neighbours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from hardware.readings import Stamp
from rf_watch.broadcast import rivals
from rf_watch.broadcast.geo import distance_m
from rf_watch.broadcast.licences import Licence, LicenceList
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import Track

_EPOCH = dt.date(1970, 1, 1)
PROTECTED_KHZ = 200.0
"""ITU-R BS.412: a stereo service needs 45 dB at 0 and still 7 dB at 200 kHz, less beyond."""
LISTED_KHZ = 30.0
"""A carrier so near to a licensed frequency is that station's."""
REACH_M = 150_000.0
"""A row whose site is farther away licenses nobody here."""
RASTER_CLEAR_KHZ = 15.0
RASTER_SIGHTINGS = 6
PPM_STATIONS_MIN = 3


class Licensed:
    """The list as one receiver sees it: holds no state of the band but the ppm estimate."""

    def __init__(self, settings: BroadcastSettings, licences: LicenceList | None) -> None:
        self._settings = settings
        self._licences = licences
        self._has_pis: bool | None = None
        self._ppm: dict[str, float | None] = {}

    @property
    def has_list(self) -> bool:
        """Whether a licence list was loaded; without one nothing is suspected."""
        return self._licences is not None

    def __len__(self) -> int:
        return 0 if self._licences is None else len(self._licences)

    def ppm(self, sensor: str) -> float | None:
        """Receiver's frequency error by the licensed carriers; None with fewer than three."""
        return self._ppm.get(sensor)

    def listed(self, track: Track, step_khz: float) -> list[Licence]:
        """Valid rows that may be this carrier."""
        return [row for row in self.near(track, step_khz) if self._is_here(row, track)]

    def near(self, track: Track, step_khz: float) -> list[Licence]:
        """Rows of this frequency, whatever their dates and places."""
        if self._licences is None or track.is_pi_alone:
            return []
        tolerance = LISTED_KHZ if track.is_resolved else max(LISTED_KHZ, 0.6 * step_khz)
        return self._licences.near(self.corrected(track), tolerance)

    def _is_here(self, row: Licence, track: Track) -> bool:
        day = _local_day(track.last, self._settings.utc_offset_min)
        if not row.is_valid_on(day):
            return False
        here = track.last.position
        return row.site is None or here is None or distance_m(here, row.site) <= REACH_M

    def corrected(self, track: Track) -> float:
        """Frequency without the receiver's own error."""
        ppm = self._ppm.get(track.sensor)
        return track.mhz if ppm is None else track.mhz / (1 + ppm * 1e-6)

    def estimate_ppm(self, sensor: str, tracks: Sequence[Track]) -> None:
        """Median offset of the resolved carriers whose nearest raster point is licensed."""
        if self._licences is None:
            return
        offsets = sorted(
            (t.mhz - row.mhz) / row.mhz * 1e6
            for t in tracks
            if t.is_candidate and t.resolved_sightings >= RASTER_SIGHTINGS
            for row in self._licences.near(t.mhz, LISTED_KHZ)[:1]
        )
        enough = len(offsets) >= PPM_STATIONS_MIN
        median = offsets[len(offsets) // 2] if enough else None
        self._ppm[sensor] = median if median is None or abs(median) <= rivals.PPM_MAX else None

    def protected(self, track: Track) -> Licence | None:
        """The nearest protected station that this carrier would disturb."""
        if self._licences is None:
            return None
        mhz = self.corrected(track)
        rows = [
            row
            for row in self._licences.near(mhz, PROTECTED_KHZ + LISTED_KHZ)
            if row.is_protected and self._is_here(row, track)
        ]
        return min(rows, key=lambda row: abs(row.mhz - mhz), default=None)

    def is_between_two(self, track: Track) -> bool:
        """Two licensed stations a raster step apart show as one carrier between them."""
        assert self._licences is not None
        mhz, step = self.corrected(track), self._settings.raster_khz
        rows = [r for r in self._licences.near(mhz, 0.75 * step) if self._is_here(r, track)]
        return any(r.mhz < mhz for r in rows) and any(r.mhz > mhz for r in rows)

    def nominal(self, track: Track) -> tuple[float, float | None]:
        """Raster point, or the 50 kHz point beside it; None while that is not settled."""
        raster = self._settings.raster_khz / 1000
        mhz = self.corrected(track)
        on = round(round(mhz / raster) * raster, 4)
        off_khz = (mhz - on) * 1000
        if not track.is_resolved:
            return on, 0.0
        is_settled = (
            abs(off_khz) <= RASTER_CLEAR_KHZ or track.resolved_sightings >= RASTER_SIGHTINGS
        )
        if not is_settled:
            return on, None
        if abs(off_khz) > self._settings.off_raster_khz:
            return round(round(mhz / 0.05) * 0.05, 4), off_khz
        return on, off_khz

    def names_pis(self) -> bool:
        """Whether the list names any PI at all; most do not."""
        if self._has_pis is None:
            rows = self._licences or ()
            self._has_pis = any(row.pi is not None for row in rows)
        return self._has_pis

    def with_pi(self, pi: int) -> list[Licence]:
        """Rows that name a PI code."""
        return [] if self._licences is None else self._licences.with_pi(pi)


def _local_day(stamp: Stamp, utc_offset_min: float) -> dt.date | None:
    """Local date of a reading; None where its time is no date."""
    if stamp.time_basis == "synthetic":
        return None
    days = int((stamp.at_us / 60e6 + utc_offset_min) // (24 * 60))
    return _EPOCH + dt.timedelta(days=days)
