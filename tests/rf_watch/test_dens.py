"""Uplink bursts of a den and of a crowd, driven past by a van."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from contract.messages import Detection
from hardware.readings import Position, Stamp, UplinkReading
from rf_watch.broadcast.geo import bearing_deg, distance_m
from rf_watch.dens import OPERATOR_LEAD, POINT_SOURCE, DenLead, DenWatch
from rf_watch.watch import RadioWatch
from tests.rf_watch.test_bearings import away

DEN = Position(25.04, 102.71)


def reading(at_s: int, here: Position | None, deg: float | None, bursts: float) -> UplinkReading:
    stamp = Stamp(
        at_us=at_s * 1_000_000,
        time_basis="recorded",
        sensor="up0",
        file="f",
        place=f"line {at_s + 1}",
        position=here,
    )
    return UplinkReading(
        stamp=stamp,
        raw=b"u",
        bursts_per_min=bursts,
        level_dbm=-70.0,
        centre_mhz=897.5,
        bearing_deg=deg,
        bearing_sigma_deg=4.0 if deg is not None else None,
    )


def passing(
    feed: Callable[[UplinkReading], list[Detection]],
    seed: int,
    *,
    radius_m: float = 0.0,
    bursts: float = 120.0,
) -> list[Detection]:
    """Three sides of a square of 600 m around the source, a bearing every 50 m."""
    rng = random.Random(seed)
    out: list[Detection] = []
    corner = away(away(DEN, 0, 300), 270, 300)
    place, course = corner, 90
    for step in range(36):
        if step in {12, 24}:
            course += 90
        place = away(place, course, 50)
        target = away(DEN, rng.uniform(0, 360), radius_m * rng.random() ** 0.5)
        deg = (bearing_deg(place, target) + rng.gauss(0, 4)) % 360
        out += feed(reading(step * 10, place, deg, bursts))
    return out


@pytest.mark.parametrize("seed", range(10))
def test_a_point_source_is_observed_with_its_place_and_a_crowd_is_not(seed: int) -> None:
    found = passing(DenWatch("van-1").feed, seed)
    assert [(d.level.value, d.alert) for d in found] == [("observed", None)]
    values = found[0].reasons[0].values
    place = Position(float(str(values["lat"])), float(str(values["lon"])))
    assert distance_m(place, DEN) < 100
    assert passing(DenWatch("van-1").feed, seed, radius_m=300.0) == []


def test_a_lead_makes_it_a_suspicion_whether_it_comes_before_or_after() -> None:
    lead = DenLead("L1", away(DEN, 45, 400), 800.0, 12)
    (before,) = passing(DenWatch("van-1", [lead]).feed, 1)
    assert str(before.alert) == "GOIP_DEN_SUSPECTED"
    assert [r.rule for r in before.reasons] == [POINT_SOURCE, OPERATOR_LEAD]
    watch = DenWatch("van-1")
    (seen,) = passing(watch.feed, 1)
    (after,) = watch.add_lead(lead)
    assert (after.detection_id, after.revision) == (seen.detection_id, 1)
    assert str(after.severity) == "high"
    assert watch.add_lead(lead) == []


def test_a_lead_elsewhere_accuses_nobody() -> None:
    lead = DenLead("L2", away(DEN, 45, 3000), 500.0, 12)
    (found,) = passing(DenWatch("van-1", [lead]).feed, 2)
    assert found.alert is None


def test_few_bursts_no_places_and_no_bearings_say_nothing() -> None:
    assert passing(DenWatch("van-1").feed, 3, bursts=3.0) == []
    watch = DenWatch("van-1")
    for second in range(60):
        assert watch.feed(reading(second, DEN, None, 200.0)) == []
        assert watch.feed(reading(second, None, 10.0, 200.0)) == []


def test_every_reading_reaches_it_and_its_evidence_is_kept() -> None:
    watch = RadioWatch("van-1")
    kept: list[bytes] = []

    def feed(item: UplinkReading) -> list[Detection]:
        found = watch.feed(item)
        kept.extend(raw for d in found for raw in watch.raw_evidence(d))
        return found

    (found,) = passing(feed, 4)
    assert found.kind.value == "sim_bank_den"
    assert len(kept) == 1
    text = str(found)
    assert not any(word in text for word in ("IMSI", "IMEI", "CALL_CONTENT"))
