"""What a followed carrier amounts to: rules that hold, and the rivals that stand against them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from contract.codec import Values
from contract.messages import Rival
from contract.words import DetectionKind, RivalVerdict
from hardware.readings import Stamp, SweepDevice
from rf_watch.broadcast import rivals, rules
from rf_watch.broadcast.geo import LEVEL_SPREAD_DB, distance_m, expected_level_dbm
from rf_watch.broadcast.identity import addresses, phone_numbers
from rf_watch.broadcast.licences import Licence, LicenceList
from rf_watch.broadcast.rules import BroadcastFinding, Subkind
from rf_watch.broadcast.schedule import timetable, week_hours
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import UNMEASURED_DB, Track, Watching
from rf_watch.tables.receivers import RECEIVERS

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
TWIN_US = 60_000_000
LEVEL_EXCESS_DB = 3 * LEVEL_SPREAD_DB


@dataclass(frozen=True, slots=True)
class Opinion:
    """The detector's view of one carrier now."""

    kind: DetectionKind
    subkind: str
    nominal_mhz: float
    findings: tuple[BroadcastFinding, ...]
    is_accused: bool
    """An accusing rule has held for the dwell time."""


def subject_of(track: Track, nominal_mhz: float) -> Values:
    """What a detection is about: a frequency, or the PI where nothing else is known."""
    if track.is_pi_alone:
        return {"band": "fm", "pi": f"{track.pi or 0:04X}"}
    return {"band": "fm", "mhz": nominal_mhz}


class Judge:
    """Compares carriers with the licence list. Holds no state of the band but the ppm estimate."""

    def __init__(self, settings: BroadcastSettings, licences: LicenceList | None) -> None:
        self._settings = settings
        self._licences = licences
        self._has_pis: bool | None = None
        self._ppm: dict[str, float | None] = {}

    @property
    def has_list(self) -> bool:
        """Whether a licence list was loaded; without one nothing is suspected."""
        return self._licences is not None

    def ppm(self, sensor: str) -> float | None:
        """Receiver's frequency error by the licensed carriers; None with fewer than three."""
        return self._ppm.get(sensor)

    # -- the list --------------------------------------------------------------------------------

    def listed(self, track: Track, step_khz: float) -> list[Licence]:
        """Valid rows that may be this carrier."""
        return [row for row in self._near(track, step_khz) if self._is_here(row, track)]

    def _near(self, track: Track, step_khz: float) -> list[Licence]:
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

    def is_quiet(self, track: Track, step_khz: float) -> bool:
        """A listed carrier that gives no cause: nothing of it is kept."""
        dwells = (track.audio_dwell, track.bearing_dwell, track.pi_dwell, track.hours_dwell)
        is_odd = any(dwell.start_us is not None for dwell in dwells)
        return self.has_list and not is_odd and bool(self.listed(track, step_khz))

    def is_pi_foreign(self, track: Track, step_khz: float) -> bool:
        """On a licensed frequency: a PI that none of its rows has, where a row says one."""
        named = [row.pi for row in self.listed(track, step_khz) if row.pi is not None]
        return bool(named) and track.pi not in named

    def is_bearing_off(self, track: Track) -> bool:
        """The mean of the recent bearings misses the licensed site beyond chance."""
        turns = [turn for _, turn, _ in track.bearings]
        sigma = sum(s for _, _, s in track.bearings) / len(turns)
        mean = sum(turns) / len(turns)
        limit = self._settings.bearing_sigmas * sigma / len(turns) ** 0.5
        return bool(abs(mean) > max(limit, self._settings.bearing_floor_deg))

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

    # -- opinions --------------------------------------------------------------------------------

    def opinion(
        self, track: Track, group: Sequence[Track], watching: Watching, step_khz: float
    ) -> Opinion | None:
        """Return what can be said of a carrier; None while nothing can, or nothing need be."""
        self.estimate_ppm(track.sensor, group)
        if track.is_pi_alone:
            return self._by_pi(track)
        nominal, off_khz = self._nominal(track)
        if self._licences is None:
            found = BroadcastFinding(rule=rules.CARRIER, values=self._values(track, nominal))
            return Opinion(DetectionKind.ILLEGAL_BROADCAST, "", nominal, (found,), False)
        rows = self.listed(track, step_khz)
        if rows:
            return self._listed_opinion(track, rows, nominal)
        if off_khz is None:
            return None
        is_off = abs(off_khz) > self._settings.off_raster_khz
        if is_off and self._is_between_two(track):
            return None
        rule = rules.OFF_RASTER if is_off else rules.UNLISTED
        subkind = Subkind.OFF_RASTER if is_off else Subkind.UNLICENSED
        values = self._values(track, nominal)
        values["evidence"] = "SPECTRUM,NOT_IN_LICENCE_DB"
        if track.has_clip:
            values["evidence"] = "SPECTRUM,AUDIO_30S,NOT_IN_LICENCE_DB"
        values["list_rows"] = len(self._licences)
        if is_off:
            values["off_khz"] = round(off_khz, 1)
        findings = [BroadcastFinding(rule=rule, values=values)]
        findings += self._companions(track, group, watching, step_khz)
        is_accused = track.is_on and track.dwell.seconds() >= self._settings.continuous_s
        return Opinion(
            DetectionKind.ILLEGAL_BROADCAST, subkind.value, nominal, tuple(findings), is_accused
        )

    def _is_between_two(self, track: Track) -> bool:
        """Two licensed stations a raster step apart show as one carrier between them."""
        assert self._licences is not None
        mhz, step = self.corrected(track), self._settings.raster_khz
        rows = [r for r in self._licences.near(mhz, 0.75 * step) if self._is_here(r, track)]
        return any(r.mhz < mhz for r in rows) and any(r.mhz > mhz for r in rows)

    def _nominal(self, track: Track) -> tuple[float, float | None]:
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

    def _values(self, track: Track, nominal: float) -> Values:
        values: Values = {
            "mhz": nominal,
            "measured_mhz": round(self.corrected(track), 3),
            "on_air_s": round(track.dwell.seconds()),
            "state": "CANDIDATE",
        }
        if track.level_db != UNMEASURED_DB:
            values["level_db"] = round(track.level_db, 1)
            values["above_floor_db"] = round(track.above_floor_db, 1)
        if (row := self._protected(track)) is not None:
            values["protected"] = row.id
            values["protected_mhz"] = row.mhz
        if track.width_khz is not None:
            values["width_khz"] = round(track.width_khz)
        if track.is_pilot is not None:
            values["has_pilot"] = track.is_pilot
        return {**values, **self._identity(track)}

    def _protected(self, track: Track) -> Licence | None:
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

    def _identity(self, track: Track) -> Values:
        values: Values = {}
        if track.pi is not None:
            values["pi"] = f"{track.pi:04X}"
        for name in ("ps", "radiotext", "long_ps", "enhanced_radiotext"):
            if track.texts.get(name):
                values[name] = track.texts[name]
        return values

    def _by_pi(self, track: Track) -> Opinion | None:
        """A recording of RDS alone: the station has a name and no frequency; never an alert."""
        assert track.pi is not None
        if self._licences is not None and self._licences.with_pi(track.pi):
            return None
        rule = rules.PI_UNKNOWN if self._names_pis() else rules.CARRIER
        findings = [BroadcastFinding(rule=rule, values=self._identity(track))]
        findings += self._contacts(track)
        return Opinion(DetectionKind.ILLEGAL_BROADCAST, "", 0.0, tuple(findings), False)

    def _contacts(self, track: Track) -> list[BroadcastFinding]:
        texts = track.texts.values()
        found: list[BroadcastFinding] = []
        if numbers := phone_numbers(*texts):
            values: Values = {"numbers": ",".join(numbers)}
            found.append(BroadcastFinding(rule=rules.PHONE_NUMBER, values=values))
        if places := addresses(*texts):
            values = {"addresses": "; ".join(places)}
            found.append(BroadcastFinding(rule=rules.ADDRESS, values=values))
        return found

    def _companions(
        self, track: Track, group: Sequence[Track], watching: Watching, step_khz: float
    ) -> list[BroadcastFinding]:
        """What adds weight to an unlisted carrier without accusing it."""
        found = self._contacts(track)
        if track.pi is not None and self._names_pis() and not self._with_pi(track.pi):
            values: Values = {"pi": f"{track.pi:04X}"}
            found.append(BroadcastFinding(rule=rules.PI_UNKNOWN, values=values))
        twin = self._twin(track, group, step_khz)
        if twin is not None:
            values = {"other_mhz": round(self._nominal(twin)[0], 3), "same_site_hint": True}
            found.append(BroadcastFinding(rule=rules.TWIN, values=values))
        s = self._settings
        hours = timetable(track, watching, s.schedule_claim_min_h, s.utc_offset_min)
        if hours is not None:
            values = {
                "on": hours.on,
                "off": hours.off,
                "episodes": hours.episodes,
                "watched_h": hours.watched_h,
                "week": week_hours(track, watching),
            }
            found.append(BroadcastFinding(rule=rules.SCHEDULE, values=values))
        return found

    def _names_pis(self) -> bool:
        """Whether the list names any PI at all; most do not."""
        if self._has_pis is None:
            rows = self._licences or ()
            self._has_pis = any(row.pi is not None for row in rows)
        return self._has_pis

    def _with_pi(self, pi: int) -> list[Licence]:
        return [] if self._licences is None else self._licences.with_pi(pi)

    def _twin(self, track: Track, group: Sequence[Track], step_khz: float) -> Track | None:
        """Another unlisted carrier that came on with this one, while we watched."""
        for other in group:
            if other is track or not other.is_candidate or other.is_pi_alone:
                continue
            came_together = (
                track.began_watched
                and other.began_watched
                and abs(other.first.at_us - track.first.at_us) <= TWIN_US
            )
            is_apart = abs(other.mhz - track.mhz) > 0.15
            if came_together and is_apart and not self.listed(other, step_khz):
                return other
        return None

    def _listed_opinion(
        self, track: Track, rows: Sequence[Licence], nominal: float
    ) -> Opinion | None:
        """A licensed frequency: is it the licensed station?"""
        row = rows[0]
        findings: list[BroadcastFinding] = []
        longest = 0.0
        base = {**self._values(track, nominal), "licence": row.id}
        odd: list[tuple[rules.BroadcastRule, float, Values]] = []
        if track.pi_dwell.start_us is not None and row.pi is not None:
            said: Values = {"licensed_pi": f"{row.pi:04X}"}
            odd.append((rules.HIJACK_PI, track.pi_dwell.seconds(), said))
        if track.audio_dwell.start_us is not None:
            said = {"correlation": track.audio_correlation or 0.0}
            odd.append((rules.HIJACK_AUDIO, track.audio_dwell.seconds(), said))
        if track.bearing_dwell.start_us is not None and track.bearings:
            mean = sum(turn for _, turn, _ in track.bearings) / len(track.bearings)
            said = {"off_deg": round(mean, 1), "bearings": len(track.bearings)}
            odd.append((rules.HIJACK_BEARING, track.bearing_dwell.seconds(), said))
        if track.hours_dwell.start_us is not None and row.hours is not None:
            said = {"licensed_hours": row.hours.text()}
            odd.append((rules.HIJACK_HOURS, track.hours_dwell.seconds(), said))
        for rule, seconds, values in odd:
            longest = max(longest, seconds)
            findings.append(
                BroadcastFinding(rule=rule, values={**base, **values, "odd_s": round(seconds)})
            )
        if not findings:
            return None
        findings += self._level(track, row)
        is_accused = track.is_on and longest >= self._settings.continuous_s
        subkind = Subkind.COCHANNEL_HIJACK.value
        return Opinion(
            DetectionKind.ILLEGAL_BROADCAST, subkind, nominal, tuple(findings), is_accused
        )

    def _level(self, track: Track, row: Licence) -> list[BroadcastFinding]:
        here = track.last.position
        if here is None or row.site is None or row.erp_w is None:
            return []
        expected = expected_level_dbm(row.erp_w, row.mhz, distance_m(here, row.site))
        if track.level_db < expected + LEVEL_EXCESS_DB:
            return []
        values: Values = {
            "level_db": round(track.level_db, 1),
            "expected_db": round(expected, 1),
            "spread_db": LEVEL_SPREAD_DB,
        }
        return [BroadcastFinding(rule=rules.LEVEL, values=values)]

    # -- rivals ----------------------------------------------------------------------------------

    def rivals(
        self, track: Track, group: Sequence[Track], device: SweepDevice, step_khz: float
    ) -> list[Rival]:
        """Test every rival explanation of a carrier."""
        if track.is_pi_alone or self._licences is None:
            return []
        rows = self.listed(track, step_khz)
        near = self._near(track, step_khz)
        if rows:  # the carrier is there by right; the question is whose it is
            return [rivals.list_error(near if rows else [])]
        others = [t for t in group if t is not track and t.is_candidate and not t.is_pi_alone]
        receiver = RECEIVERS[device]
        found = [
            rivals.intermodulation(
                track, self._parents(track, others, step_khz), receiver, step_khz
            ),
            rivals.splatter(track),
            rivals.image(track, others, receiver, step_khz),
            rivals.spur(track, receiver),
            rivals.overload(track),
            rivals.moves_with_us(track),
            rivals.relay(track, [] if track.pi is None else self._with_pi(track.pi)),
            rivals.list_error(near),
        ]
        _, off_khz = self._nominal(track)
        if off_khz is not None and abs(off_khz) > self._settings.off_raster_khz:
            ppm = self._ppm.get(track.sensor)
            found.append(rivals.frequency_error(off_khz, ppm, track.error_khz))
        return found

    def _parents(self, track: Track, others: Sequence[Track], step_khz: float) -> list[Track]:
        """Carriers that may make a phantom: licensed ones, and others that tower above it.

        A phantom as strong as this one is no parent: two phantoms would explain each other.
        """
        least = track.level_db + rivals.PARENT_ABOVE_DB
        return [t for t in others if t.level_db >= least or self.listed(t, step_khz)]

    @staticmethod
    def is_blocked(found: Sequence[Rival]) -> bool:
        """A phantom of the receiver is still possible."""
        return any(
            r.verdict is RivalVerdict.POSSIBLE and r.explanation in rivals.BLOCKING for r in found
        )


def _local_day(stamp: Stamp, utc_offset_min: float) -> dt.date | None:
    """Local date of a reading; None where its time is no date."""
    if stamp.time_basis == "synthetic":
        return None
    days = int((stamp.at_us / 60e6 + utc_offset_min) // (24 * 60))
    return _EPOCH + dt.timedelta(days=days)
