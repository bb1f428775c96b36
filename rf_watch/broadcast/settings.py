"""Named settings of the broadcast detector, with their defaults and where these come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from rf_watch.settings import SettingError


@dataclass(frozen=True, slots=True)
class BroadcastSettingRow:
    """One row of the table of settings."""

    name: str
    field: str
    unit: str
    minimum: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastSettings:
    """Settings; :data:`BROADCAST_SETTINGS` gives each its public name."""

    band_low_mhz: float = 87.0
    band_high_mhz: float = 108.0
    raster_khz: float = 100.0
    continuous_s: float = 900.0
    lost_after_s: float = 30.0
    dormant_after_s: float = 3600.0
    schedule_claim_min_h: float = 72.0
    threshold_db: float = 10.0
    seen_min: float = 2
    seen_of: float = 3
    off_raster_khz: float = 30.0
    pi_repeats: float = 3
    audio_match_min: float = 0.5
    bearing_sigmas: float = 3.0
    bearing_floor_deg: float = 12.0
    min_bearings: float = 2
    min_crossing_deg: float = 15.0
    bearing_life_s: float = 3600.0
    tracks_max: float = 512
    utc_offset_min: float = 480.0
    aero_correlation_min: float = 0.6

    def __post_init__(self) -> None:
        values = asdict(self)
        for row in BROADCAST_SETTINGS:
            if not values[row.field] >= row.minimum:
                raise SettingError(
                    row.name, f"{values[row.field]} is below the least, {row.minimum:g}"
                )
        if self.band_high_mhz <= self.band_low_mhz:
            raise SettingError("fm.band_high_mhz", "is not above fm.band_low_mhz")

    def with_named(self, values: Mapping[str, float]) -> BroadcastSettings:
        """Return a copy with some settings replaced by public name; raises SettingError."""
        field_of = {row.name: row.field for row in BROADCAST_SETTINGS}
        changes: dict[str, float] = {}
        for name, value in values.items():
            if name not in field_of:
                raise SettingError(name, "no such setting")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SettingError(name, f"{value!r} is no number")
            changes[field_of[name]] = float(value)
        return replace(self, **changes)


def _row(name: str, field: str, unit: str, minimum: float, basis: str) -> BroadcastSettingRow:
    return BroadcastSettingRow(name, field, unit, minimum, basis)


BROADCAST_SETTINGS: tuple[BroadcastSettingRow, ...] = (
    _row("fm.band_low_mhz", "band_low_mhz", "MHz", 30, "GB/T 4311-2000: 87 to 108 MHz"),
    _row("fm.band_high_mhz", "band_high_mhz", "MHz", 30, "GB/T 4311-2000; Japan begins at 76"),
    _row("fm.raster_khz", "raster_khz", "kHz", 10, "100 kHz in China; 50 kHz elsewhere"),
    _row(
        "fm.continuous_s",
        "continuous_s",
        "s",
        0,
        "scenario format section 8: a choice; a crew may lower it",
    ),
    _row(
        "fm.lost_after_s",
        "lost_after_s",
        "s",
        1,
        "scenario format section 8: a choice. A receiver that looks more seldom is given one and "
        "a half of its own intervals",
    ),
    _row("fm.dormant_after_s", "dormant_after_s", "s", 1, "choice: an hour is more than a pause"),
    _row(
        "fm.schedule_claim_min_h",
        "schedule_claim_min_h",
        "h",
        1,
        "practice: 72 h of fixed monitoring before a timetable is claimed",
    ),
    _row(
        "fm.threshold_db",
        "threshold_db",
        "dB",
        3,
        "channel power above the floor; ITU-R SM.1880 asks 3 dB for occupancy, 10 dB for "
        "direction finding: a case begins where a bearing could be taken",
    ),
    _row("fm.seen_min", "seen_min", "sweeps", 1, "choice: k of n, so a click is no carrier"),
    _row("fm.seen_of", "seen_of", "sweeps", 1, "choice: n; a new carrier is known in 3 sweeps"),
    _row(
        "fm.off_raster_khz",
        "off_raster_khz",
        "kHz",
        5,
        "choice: RTL receivers are off by up to 6 kHz at 100 MHz, sweeps by a few more",
    ),
    _row(
        "fm.pi_repeats",
        "pi_repeats",
        "groups",
        2,
        "tuner users' experience: below three equal clean PI codes many are false",
    ),
    _row(
        "fm.audio_match_min",
        "audio_match_min",
        "correlation",
        0,
        "scenario format section 3.1: one programme above 0.8, others below 0.2",
    ),
    _row("fm.bearing_sigmas", "bearing_sigmas", "sigma", 1, "choice: 3 sigma of the mean"),
    _row(
        "fm.bearing_floor_deg",
        "bearing_floor_deg",
        "degrees",
        1,
        "choice: reflections bend a bearing by more than its own sigma says",
    ),
    _row("df.min_bearings", "min_bearings", "bearings", 2, "scenario format section 8"),
    _row("df.min_crossing_deg", "min_crossing_deg", "degrees", 1, "scenario format section 8"),
    _row("df.bearing_life_s", "bearing_life_s", "s", 1, "scenario format section 8"),
    _row("fm.tracks_max", "tracks_max", "carriers", 16, "choice: bound of memory"),
    _row(
        "fm.utc_offset_min",
        "utc_offset_min",
        "min",
        -840,
        "offset of local time; licensed hours and timetables are local",
    ),
    _row("aero.correlation_min", "aero_correlation_min", "ratio", 0, "scenario format section 8"),
)
"""Public name to field, with unit, least value and basis."""

assert {row.field for row in BROADCAST_SETTINGS} == {f.name for f in fields(BroadcastSettings)}
