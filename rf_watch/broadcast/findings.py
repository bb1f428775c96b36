"""What a followed carrier amounts to: rules that hold, and the rivals that stand against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.codec import Values
from contract.messages import Rival
from contract.words import DetectionKind, RivalVerdict
from hardware.readings import Position, SweepDevice
from rf_watch.broadcast import rivals, rules
from rf_watch.broadcast.geo import LEVEL_SPREAD_DB, distance_m, expected_level_dbm
from rf_watch.broadcast.identity import addresses, phone_numbers
from rf_watch.broadcast.licences import Licence
from rf_watch.broadcast.licensed import Licensed
from rf_watch.broadcast.rules import BroadcastFinding, Subkind
from rf_watch.broadcast.schedule import timetable, week_hours
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.steps import LevelStep
from rf_watch.broadcast.tracks import UNMEASURED_DB, Track, Watching
from rf_watch.tables.receivers import RECEIVERS

FIX_OFF, FIX_APART_M = 2.0, 500.0
"""Choice: a site at twice the 95 % ellipse, and not next door, is missed."""
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
    """Compares carriers with the licence list."""

    def __init__(self, settings: BroadcastSettings, licensed: Licensed) -> None:
        self._settings = settings
        self._licensed = licensed

    def is_quiet(self, track: Track, step_khz: float) -> bool:
        """A listed carrier that gives no cause: nothing of it is kept."""
        dwells = (track.audio_dwell, track.bearing_dwell, track.pi_dwell, track.hours_dwell)
        is_odd = any(dwell.start_us is not None for dwell in dwells)
        return (
            self._licensed.has_list and not is_odd and bool(self._licensed.listed(track, step_khz))
        )

    def is_pi_foreign(self, track: Track, step_khz: float) -> bool:
        """On a licensed frequency: a PI that none of its rows has, where a row says one."""
        named = [row.pi for row in self._licensed.listed(track, step_khz) if row.pi is not None]
        return bool(named) and track.pi not in named

    def is_bearing_off(self, track: Track, sites: Sequence[Position]) -> bool:
        """The mean of the recent bearings misses the licensed site beyond chance.

        A position counts for more than the mean: a site inside its ellipse is not missed.
        """
        if track.fix is not None:
            nearest = min(track.fix.excess(site) for site in sites)
            apart = min(distance_m(track.fix.position, site) for site in sites)
            if nearest <= 1:
                return False
            if nearest >= FIX_OFF and apart >= FIX_APART_M:
                return True
        turns = [turn for _, turn, _ in track.bearings]
        sigma = sum(s for _, _, s in track.bearings) / len(turns)
        mean = sum(turns) / len(turns)
        limit = self._settings.bearing_sigmas * sigma / len(turns) ** 0.5
        return bool(abs(mean) > max(limit, self._settings.bearing_floor_deg))

    # -- opinions --------------------------------------------------------------------------------

    def opinion(
        self,
        track: Track,
        group: Sequence[Track],
        watching: Watching,
        step_khz: float,
        level_step: LevelStep | None = None,
    ) -> Opinion | None:
        """Return what can be said of a carrier; None while nothing can, or nothing need be."""
        self._licensed.estimate_ppm(track.sensor, group)
        if track.is_pi_alone:
            return self._by_pi(track)
        nominal, off_khz = self._licensed.nominal(track)
        if not self._licensed.has_list:
            found = BroadcastFinding(rule=rules.CARRIER, values=self._values(track, nominal))
            return Opinion(DetectionKind.ILLEGAL_BROADCAST, "", nominal, (found,), False)
        rows = self._licensed.listed(track, step_khz)
        if rows:
            return self._listed_opinion(track, rows, nominal, level_step)
        if off_khz is None:
            return None
        is_off = abs(off_khz) > self._settings.off_raster_khz
        if is_off and self._licensed.is_between_two(track):
            return None
        rule = rules.OFF_RASTER if is_off else rules.UNLISTED
        subkind = Subkind.OFF_RASTER if is_off else Subkind.UNLICENSED
        values = self._values(track, nominal)
        values["evidence"] = "SPECTRUM,NOT_IN_LICENCE_DB"
        if track.has_clip:
            values["evidence"] = "SPECTRUM,AUDIO_30S,NOT_IN_LICENCE_DB"
        values["list_rows"] = len(self._licensed)
        if is_off:
            values["off_khz"] = round(off_khz, 1)
        findings = [BroadcastFinding(rule=rule, values=values)]
        findings += self._companions(track, group, watching, step_khz)
        is_accused = track.is_on and track.dwell.seconds() >= self._settings.continuous_s
        return Opinion(
            DetectionKind.ILLEGAL_BROADCAST, subkind.value, nominal, tuple(findings), is_accused
        )

    def _values(self, track: Track, nominal: float) -> Values:
        values: Values = {
            "mhz": nominal,
            "measured_mhz": round(self._licensed.corrected(track), 3),
            "on_air_s": round(track.dwell.seconds()),
            "state": "CANDIDATE",
        }
        if track.level_db != UNMEASURED_DB:
            values["level_db"] = round(track.level_db, 1)
            values["above_floor_db"] = round(track.above_floor_db, 1)
        if (row := self._licensed.protected(track)) is not None:
            values["protected"] = row.id
            values["protected_mhz"] = row.mhz
        if track.width_khz is not None:
            values["width_khz"] = round(track.width_khz)
        if track.is_pilot is not None:
            values["has_pilot"] = track.is_pilot
        return {**values, **self._identity(track)}

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
        if self._licensed.with_pi(track.pi):
            return None
        rule = rules.PI_UNKNOWN if self._licensed.names_pis() else rules.CARRIER
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
        found = self._contacts(track) + self._fix(track, [])
        if (
            track.pi is not None
            and self._licensed.names_pis()
            and not self._licensed.with_pi(track.pi)
        ):
            values: Values = {"pi": f"{track.pi:04X}"}
            found.append(BroadcastFinding(rule=rules.PI_UNKNOWN, values=values))
        twin = self._twin(track, group, step_khz)
        if twin is not None:
            values = {
                "other_mhz": round(self._licensed.nominal(twin)[0], 3),
                "same_site_hint": True,
            }
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

    def _fix(self, track: Track, rows: Sequence[Licence]) -> list[BroadcastFinding]:
        """Where it stands; for a listed frequency also how far from the licensed site."""
        fix = track.fix
        if fix is None:
            return []
        values: Values = {
            "lat": round(fix.position.lat, 5),
            "lon": round(fix.position.lon, 5),
            "semi_major_m": round(fix.semi_major_m),
            "semi_minor_m": round(fix.semi_minor_m),
            "azimuth_deg": round(fix.azimuth_deg),
            "bearings": fix.bearings,
            "places": fix.places,
            "stations": fix.stations,
            "crossing_deg": round(fix.crossing_deg),
        }
        sites = [row.site for row in rows if row.site is not None]
        if sites:
            values["from_licensed_m"] = round(min(distance_m(fix.position, site) for site in sites))
        return [BroadcastFinding(rule=rules.FIX, values=values)]

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
            if came_together and is_apart and not self._licensed.listed(other, step_khz):
                return other
        return None

    def _listed_opinion(
        self,
        track: Track,
        rows: Sequence[Licence],
        nominal: float,
        level_step: LevelStep | None,
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
        if level_step is not None:
            said = {
                "before_db": level_step.before_db,
                "after_db": level_step.after_db,
                "others_db": level_step.others_db,
                "others": level_step.others,
            }
            findings.append(BroadcastFinding(rule=rules.LEVEL_STEP, values={**base, **said}))
        if not findings:
            return None
        findings += self._level(track, row) + self._fix(track, rows)
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
        if track.is_pi_alone or not self._licensed.has_list:
            return []
        rows = self._licensed.listed(track, step_khz)
        near = self._licensed.near(track, step_khz)
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
            rivals.relay(track, [] if track.pi is None else self._licensed.with_pi(track.pi)),
            rivals.list_error(near),
        ]
        _, off_khz = self._licensed.nominal(track)
        if off_khz is not None and abs(off_khz) > self._settings.off_raster_khz:
            ppm = self._licensed.ppm(track.sensor)
            found.append(rivals.frequency_error(off_khz, ppm, track.error_khz))
        return found

    def _parents(self, track: Track, others: Sequence[Track], step_khz: float) -> list[Track]:
        """Carriers that may make a phantom: licensed ones, and others that tower above it.

        A phantom as strong as this one is no parent: two phantoms would explain each other.
        """
        least = track.level_db + rivals.PARENT_ABOVE_DB
        return [t for t in others if t.level_db >= least or self._licensed.listed(t, step_khz)]

    @staticmethod
    def is_blocked(found: Sequence[Rival]) -> bool:
        """A phantom of the receiver is still possible."""
        return any(
            r.verdict is RivalVerdict.POSSIBLE and r.explanation in rivals.BLOCKING for r in found
        )
