"""The aviation band, 108 to 137 MHz: carriers that speak with a broadcast station's voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.codec import Values
from contract.messages import Detection, Rival
from contract.words import DetectionKind, RivalVerdict
from hardware.readings import CarrierReading, SweepReading
from rf_watch.broadcast import rivals, rules
from rf_watch.broadcast.dossier import BroadcastDossier
from rf_watch.broadcast.identity import correlation
from rf_watch.broadcast.intermod import Product, Source, third_order
from rf_watch.broadcast.rules import BroadcastFinding
from rf_watch.broadcast.settings import BroadcastSettings
from rf_watch.broadcast.tracks import Track
from rf_watch.dossier import Blobs, RawEvidence

if TYPE_CHECKING:
    from rf_watch.broadcast.spectrum import Peak

SAME_KHZ = 12.0
CHANNEL_KHZ = 25.0
SWEEP_SAME_KHZ = 70.0
"""A sweep sees a carrier that carries a programme so far beside itself."""
AUDIO_AGE_US = 60_000_000
"""Two programmes are compared only if they were heard within a minute of each other."""
ARITHMETIC_KHZ = 30.0
CASES_MAX = 128
PARENT_ABOVE_FLOOR_DB = 40.0
"""Weaker carriers make no product anybody could measure."""


@dataclass(slots=True)
class _AirCase:
    mhz: float
    raw: RawEvidence
    last: CarrierReading | None = None
    dossier: BroadcastDossier | None = None
    rivals: tuple[Rival, ...] = ()


class AviationWatch:
    """Joins carriers of the aviation band with FM carriers of the same sensor."""

    def __init__(self, device: str, settings: BroadcastSettings, blobs: Blobs) -> None:
        self._device = device
        self._settings = settings
        self._blobs = blobs
        self._cases: dict[str, list[_AirCase]] = {}

    def carrier(self, reading: CarrierReading, fm: Sequence[Track]) -> list[Detection]:
        """Take a carrier measured by itself."""
        case = self._case(reading.stamp.sensor, reading.mhz)
        case.last = reading
        case.raw.add(reading.raw)
        return self._compare(case, reading, fm)

    def programme(self, track: Track) -> list[Detection]:
        """An FM carrier's programme was heard: does an aviation carrier speak like it?"""
        out: list[Detection] = []
        for case in self._cases.get(track.sensor, []):
            if case.last is not None:
                out += self._compare(case, case.last, [track])
        return out

    def sweep(
        self, reading: SweepReading, peaks: Sequence[Peak], fm: Sequence[Track]
    ) -> list[Detection]:
        """Carriers of a sweep: told only where FM carriers' arithmetic leads to them."""
        out: list[Detection] = []
        strong = [t for t in fm if t.above_floor_db >= PARENT_ABOVE_FLOOR_DB]
        for peak in peaks:
            products = _products(peak.mhz, strong)
            if not products:
                continue
            # the programme moves single sweeps; the arithmetic says where the carrier really is
            case = self._case(reading.stamp.sensor, _product_mhz(products[0]), SWEEP_SAME_KHZ)
            if case.dossier is not None:
                continue
            case.raw.add(reading.raw)
            values: Values = {
                "mhz": case.mhz,
                "level_db": round(peak.level_db, 1),
                "formula": products[0].formula,
            }
            found = BroadcastFinding(rule=rules.AERO_CARRIER, values=values)
            case.rivals = (_in_receiver(products[0]),)
            out += self._tell(case, [found], reading, is_suspected=False)
        return out

    def cases(self) -> list[tuple[float, bool]]:
        """Frequencies that were told, and whether as an alert."""
        told = [c for group in self._cases.values() for c in group if c.dossier is not None]
        return sorted((c.mhz, c.dossier is not None and c.dossier.is_suspected) for c in told)

    def close(self) -> list[Detection]:
        """Return the last revisions."""
        out: list[Detection] = []
        for sensor in sorted(self._cases):
            for case in self._cases[sensor]:
                if case.dossier is not None:
                    out += case.dossier.issue(case.rivals, case.raw)
        return out

    def _case(
        self, sensor: str, mhz: float, same_khz: float = CHANNEL_KHZ / 2 + SAME_KHZ
    ) -> _AirCase:
        cases = self._cases.setdefault(sensor, [])
        near = [case for case in cases if abs(case.mhz - mhz) * 1000 <= same_khz]
        if near:
            return min(near, key=lambda case: abs(case.mhz - mhz))
        nominal = round(round(mhz * 1000 / CHANNEL_KHZ) * CHANNEL_KHZ / 1000, 3)
        case = _AirCase(nominal, RawEvidence("SPECTRUM", self._blobs))
        cases.append(case)
        if len(cases) > CASES_MAX:
            cases.pop(0)
        return case

    def _compare(
        self, case: _AirCase, reading: CarrierReading, fm: Sequence[Track]
    ) -> list[Detection]:
        if reading.audio is None:
            return []
        heard = [
            (correlation(reading.audio, t.audio), t)
            for t in fm
            if t.audio is not None and abs(reading.stamp.at_us - t.audio_us) <= AUDIO_AGE_US
        ]
        if not heard:
            return []
        best, parent = max(heard, key=lambda pair: pair[0])
        if best < self._settings.aero_correlation_min:
            return []
        values: Values = {
            "mhz": case.mhz,
            "measured_mhz": round(reading.mhz, 3),
            "correlation": round(best, 3),
            "fm_mhz": round(round(parent.mhz / 0.05) * 0.05, 3),
            "evidence": "SPECTRUM",
        }
        if reading.level_dbm is not None:
            values["level_db"] = round(reading.level_dbm, 1)
        products = _products(reading.mhz, [t for t in fm if t.is_on])
        if products:
            values["formula"] = products[0].formula
        case.rivals = (_in_receiver(products[0] if products else None),)
        found = BroadcastFinding(rule=rules.AERO_AUDIO, values=values)
        return self._tell(case, [found], reading, is_suspected=True)

    def _tell(
        self,
        case: _AirCase,
        findings: list[BroadcastFinding],
        reading: CarrierReading | SweepReading,
        *,
        is_suspected: bool,
    ) -> list[Detection]:
        stamp = reading.stamp
        if case.dossier is None:
            case.dossier = BroadcastDossier(
                device=self._device,
                kind=DetectionKind.AERONAUTICAL_INTERFERENCE,
                subject={"band": "air", "mhz": case.mhz},
                track_id=f"air/{case.mhz}",
                first=stamp,
            )
        is_news = case.dossier.update(findings, stamp, subkind="", is_suspected=is_suspected)
        return case.dossier.issue(case.rivals, case.raw) if is_news else []


def _products(mhz: float, fm: Sequence[Track]) -> list[Product]:
    strongest = sorted(fm, key=lambda t: -t.level_db)[:24]
    sources = [Source(round(t.mhz, 3), t.level_db) for t in strongest]
    return third_order(mhz, sources, ARITHMETIC_KHZ)


def _product_mhz(product: Product) -> float:
    """Where the arithmetic puts it."""
    first, second, *third = product.parents
    return first + second - third[0] if third else 2 * first - second


def _in_receiver(product: Product | None) -> Rival:
    """Made on the air or in our own receiver: an attenuator step or a second receiver tells."""
    if product is None:
        verdict, values = RivalVerdict.RULED_OUT, dict[str, bool | int | float | str](products=0)
    else:
        verdict, values = RivalVerdict.POSSIBLE, {"formula": product.formula}
    return Rival(explanation=rivals.INTERMODULATION, verdict=verdict, values=values)
