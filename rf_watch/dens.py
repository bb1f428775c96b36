"""SIM-bank dens (GOIP) from uplink activity: a point source of bursts, or a crowd.

Bursts of one point come from one direction at each place; those of a crowd from all over it. What
the bearings scatter beyond their own sigma, in metres at the position where they cross, is the
source's extent. Radio alone never accuses: a point source is *observed*; it is suspected only where
it lies in the cell of an operator's lead (scenario format, section 4.2). No identity is read.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from contract.clock import UnixMicros
from contract.codec import Values
from contract.messages import Detection, Evidence, Reason, Rival, Source, detection_id
from contract.words import AlertKind, DetectionKind, Level, RivalVerdict, Severity, TimeBasis
from hardware.readings import Position, Stamp, UplinkReading
from rf_watch.bearings import SIGMA_UNKNOWN_DEG, Bearing, Fix, cross
from rf_watch.broadcast.geo import bearing_deg, distance_m, turn_deg
from rf_watch.dossier import identified_subject, place_range

DEN_RADIUS_M = 150.0
"""``den.radius_m`` of the scenario format: a position less sure than that claims no house."""
EXTENT_MAX_M = 60.0
"""Choice: a crowd on a circle of 300 m scatters by 150 m on each axis, a room by nothing."""
BEARINGS_MIN = 20
BURSTS_MIN = 20.0
"""Choice: a minute; a handset or two make fewer."""
LIFE_US = 3_600_000_000
KEPT_MAX, BANDS_MAX = 120, 32
WINDOW_US = 24 * 3600 * 1_000_000
POINT_SOURCE, OPERATOR_LEAD = "DEN-POINT-SOURCE", "DEN-OPERATOR-LEAD"
DEN_RULES = {
    POINT_SOURCE: "Uplink bursts come from one point, not from a crowd",
    OPERATOR_LEAD: "The point lies in the cell that an operator's lead names",
}
CROWD = "CROWD_OF_HANDSETS"
_RAW_MAX = 8 * 1024


@dataclass(frozen=True, slots=True)
class DenLead:
    """What an operator says: so many numbers that switch in step in one cell."""

    id: str
    centre: Position
    radius_m: float
    numbers: int


@dataclass(slots=True)
class _Band:
    first: Stamp
    last: Stamp
    bearings: deque[Bearing] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    bursts: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_MAX))
    level_dbm: float = -200.0
    raw: bytearray = field(default_factory=bytearray)
    issued: Detection | None = None


class DenWatch:
    """Follows the uplink bands of one device."""

    def __init__(self, device: str, leads: Sequence[DenLead] = ()) -> None:
        self._device = device
        self._leads = list(leads)
        self._bands: dict[int, _Band] = {}
        self._blobs: dict[bytes, bytes] = {}

    def add_lead(self, lead: DenLead) -> list[Detection]:
        """An operator's lead came in: does a point source that is known already lie in it?"""
        self._leads.append(lead)
        return [d for mhz, band in self._bands.items() for d in self._judge(mhz, band)]

    def feed(self, reading: UplinkReading) -> list[Detection]:
        """Take one reading; without a bearing and a place it only says how busy it is."""
        self._blobs.clear()
        stamp = reading.stamp
        mhz = round(reading.centre_mhz or 0.0)
        band = self._bands.get(mhz)
        if band is None:
            if len(self._bands) >= BANDS_MAX:
                return []
            band = self._bands[mhz] = _Band(stamp, stamp)
        band.last = stamp
        band.bursts.append(reading.bursts_per_min)
        band.level_dbm = max(band.level_dbm, reading.level_dbm)
        if len(band.raw) + len(reading.raw) <= _RAW_MAX:
            band.raw += reading.raw
        if reading.bearing_deg is None or stamp.position is None:
            return []
        sigma = reading.bearing_sigma_deg or SIGMA_UNKNOWN_DEG
        band.bearings.append(
            Bearing(stamp.at_us, stamp.sensor, stamp.position, reading.bearing_deg % 360, sigma)
        )
        return self._judge(mhz, band)

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() names."""
        return [self._blobs[e.sha256] for e in detection.evidence if e.sha256 in self._blobs]

    def _judge(self, mhz: int, band: _Band) -> list[Detection]:
        now_us = band.last.at_us
        fresh = [b for b in band.bearings if abs(now_us - b.at_us) <= LIFE_US]
        if len(fresh) < BEARINGS_MIN or statistics.median(band.bursts) < BURSTS_MIN:
            return []
        fix = cross(fresh)
        if fix is None or fix.semi_major_m > DEN_RADIUS_M:
            return []
        extent_m = source_extent_m(fresh, fix.position)
        if extent_m > EXTENT_MAX_M:
            return []
        lead = next(
            (x for x in self._leads if distance_m(x.centre, fix.position) <= x.radius_m), None
        )
        return self._issue(mhz, band, fix, extent_m, lead)

    def _issue(
        self, mhz: int, band: _Band, fix: Fix, extent_m: float, lead: DenLead | None
    ) -> list[Detection]:
        before = band.issued
        is_news = before is None or (lead is not None and before.alert is None)
        if not is_news:
            return []
        draft = self._draft(mhz, band, _reasons(band, fix, extent_m, lead), extent_m)
        band.issued = draft if before is None else replace(draft, revision=before.revision + 1)
        return [band.issued]

    def _draft(
        self, mhz: int, band: _Band, reasons: tuple[Reason, ...], extent_m: float
    ) -> Detection:
        first, last = band.first, band.last
        has_lead = len(reasons) > 1
        subject = identified_subject({"band": "uplink", "mhz": mhz}, first)
        window = UnixMicros(first.at_us // WINDOW_US * WINDOW_US)
        blob = bytes(band.raw)
        digest = hashlib.sha256(blob).digest()
        self._blobs[digest] = blob
        crowd: Values = {"extent_m": round(extent_m)}
        return Detection(
            detection_id=detection_id(self._device, first.sensor, subject, window),
            revision=0,
            sensor=first.sensor,
            kind=DetectionKind.SIM_BANK_DEN,
            level=Level.SUSPECTED if has_lead else Level.OBSERVED,
            severity=Severity.HIGH if has_lead else Severity.WARNING,
            alert=AlertKind.GOIP_DEN_SUSPECTED if has_lead else None,
            score=round(sum(reason.weight for reason in reasons), 3),
            reasons=reasons,
            rivals=(Rival(explanation=CROWD, verdict=RivalVerdict.RULED_OUT, values=crowd),),
            first_seen=UnixMicros(min(first.at_us, last.at_us)),
            last_seen=UnixMicros(max(first.at_us, last.at_us)),
            time_basis=TimeBasis(first.time_basis),
            track_id=f"uplink/{mhz}",
            subject=subject,
            source=Source(file=first.file, place=place_range(first, last)),
            evidence=(Evidence(name="UPLINK", sha256=digest, size_bytes=len(blob)),)
            if blob
            else (),
            fired_at=None if last.received_us is None else UnixMicros(last.received_us),
        )


def _reasons(band: _Band, fix: Fix, extent_m: float, lead: DenLead | None) -> tuple[Reason, ...]:
    point: Values = {
        "lat": round(fix.position.lat, 5),
        "lon": round(fix.position.lon, 5),
        "semi_major_m": round(fix.semi_major_m),
        "semi_minor_m": round(fix.semi_minor_m),
        "bearings": fix.bearings,
        "places": fix.places,
        "extent_m": round(extent_m),
        "bursts_per_min": round(statistics.median(band.bursts), 1),
        "level_dbm": round(band.level_dbm, 1),
        "needs": "LEAD" if lead is None else "",
    }
    reasons = [Reason(rule=POINT_SOURCE, family="direction", weight=2.3, values=point)]
    if lead is not None:
        values: Values = {
            "lead": lead.id,
            "numbers": lead.numbers,
            "from_centre_m": round(distance_m(lead.centre, fix.position)),
            "radius_m": round(lead.radius_m),
        }
        reasons.append(Reason(rule=OPERATOR_LEAD, family="identity", weight=3.0, values=values))
    return tuple(reasons)


def source_extent_m(bearings: Sequence[Bearing], centre: Position) -> float:
    """Scatter of bearings beyond their sigma, in metres across at a position; one sigma."""
    squares: list[float] = []
    for bearing in bearings:
        distance = distance_m(bearing.here, centre)
        off = math.radians(turn_deg(bearing.deg, bearing_deg(bearing.here, centre)))
        own = math.radians(bearing.sigma_deg)
        squares.append(distance * distance * (off * off - own * own))
    return math.sqrt(max(0.0, sum(squares) / max(1, len(squares) - 2)))
