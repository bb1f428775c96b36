"""Where bearings cross, and how sure that is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import Position
from rf_watch.bearings import Bearing, BearingBook, Fix, cross
from rf_watch.broadcast.geo import bearing_deg, distance_m

HERE = Position(25.04, 102.71)


def away(origin: Position, deg: float, metres: float) -> Position:
    lat = origin.lat + metres * math.cos(math.radians(deg)) / 111_195
    scale = math.cos(math.radians(origin.lat))
    return Position(lat, origin.lon + metres * math.sin(math.radians(deg)) / (111_195 * scale))


def bearing(rng: random.Random, here: Position, to: Position, sigma: float, who: str) -> Bearing:
    return Bearing(0, who, here, (bearing_deg(here, to) + rng.gauss(0, sigma)) % 360, sigma)


def drive(rng: random.Random, truth: Position, count: int, sigma: float) -> list[Bearing]:
    """A van on a winding road, a bearing every 150 m."""
    place, course = away(truth, rng.uniform(0, 360), rng.uniform(800, 4000)), rng.uniform(0, 360)
    found = []
    for _ in range(count):
        found.append(bearing(rng, place, truth, sigma, "van-1"))
        course += rng.uniform(-40, 40)
        place = away(place, course, 150)
    return found


def test_the_ellipse_of_a_moving_van_holds_the_truth_as_often_as_it_says() -> None:
    inside = fixes = 0
    errors = []
    for seed in range(300):
        rng = random.Random(seed)
        fix = cross(drive(rng, HERE, 12, 4.0))
        if fix is None:
            continue
        fixes += 1
        inside += fix.excess(HERE) <= 1
        errors.append(distance_m(fix.position, HERE))
    assert fixes >= 200
    assert 0.93 <= inside / fixes <= 1.0
    assert sorted(errors)[len(errors) // 2] < 250


def test_two_fixed_stations_cross_and_their_ellipse_is_honest() -> None:
    inside = 0
    sites = [away(HERE, 200, 5000), away(HERE, 310, 7000)]
    for seed in range(300):
        rng = random.Random(seed)
        pair = [bearing(rng, site, HERE, 3.0, f"fix-{n}") for n, site in enumerate(sites)]
        fix = cross(pair)
        assert isinstance(fix, Fix)
        assert (fix.bearings, fix.places, fix.stations) == (2, 2, 2)
        assert 45 < fix.crossing_deg <= 90
        inside += fix.excess(HERE) <= 1
    assert 0.92 <= inside / 300 <= 1.0


def test_a_hundred_bearings_of_one_place_are_no_fix_and_add_little_to_one() -> None:
    rng = random.Random(1)
    site, other = away(HERE, 200, 5000), away(HERE, 310, 5000)
    many = [bearing(rng, site, HERE, 3.0, "a") for _ in range(100)]
    assert cross(many) is None
    fix = cross([*many, bearing(rng, other, HERE, 3.0, "b")])
    assert fix is not None
    assert fix.places == 2
    assert fix.semi_minor_m > 5000 * math.radians(1.5)


def test_flat_crossings_and_lines_that_part_are_no_fix() -> None:
    rng = random.Random(2)
    flat = [bearing(rng, away(HERE, 180 + d, 9000), HERE, 1.0, f"s{d}") for d in (0, 10)]
    assert cross(flat) is None
    backwards = [
        Bearing(0, f"s{d}", away(HERE, d, 3000), d, 3.0) for d in (0.0, 90.0)
    ]  # both look away from where their lines cross
    assert cross(backwards) is None
    assert cross(flat[:1]) is None
    assert cross([]) is None


def test_one_reflection_among_many_does_not_carry_the_fix_away() -> None:
    rng = random.Random(3)
    good = [bearing(rng, away(HERE, d, 2000), HERE, 3.0, "v") for d in range(0, 180, 20)]
    bad = Bearing(0, "v", away(HERE, 190, 2000), 120.0, 3.0)
    fix = cross([*good, bad])
    assert fix is not None
    assert distance_m(fix.position, HERE) < 150


def test_the_book_forgets_old_bearings_and_keeps_frequencies_apart() -> None:
    book = BearingBook()
    for number in range(5):
        book.add(91.8, Bearing(number * 1_000_000_000, "v", HERE, 10.0, 4.0))
    book.add(91.9, Bearing(4_000_000_000, "v", HERE, 20.0, 4.0))
    assert [b.deg for b in book.near(91.803, 4_000_000_000, 3600)] == [10.0] * 4
    assert book.near(95.0, 4_000_000_000, 3600) == []


@given(
    st.lists(
        st.tuples(
            st.floats(-89, 89), st.floats(-180, 180), st.floats(0, 360), st.floats(0.01, 180)
        ),
        max_size=8,
    )
)
def test_any_bearings_never_raise(rows: list[tuple[float, float, float, float]]) -> None:
    fix = cross([Bearing(0, "v", Position(a, b), c, d) for a, b, c, d in rows])
    assert fix is None or (math.isfinite(fix.position.lat) and fix.semi_major_m < 60_001)


@pytest.mark.parametrize("lon", [179.99, -179.99])
def test_the_date_line_is_no_edge(lon: float) -> None:
    truth = Position(10.0, lon)
    rng = random.Random(4)
    pair = [bearing(rng, away(truth, d, 5000), truth, 1.0, f"s{d}") for d in (45, 120)]
    fix = cross(pair)
    assert fix is not None
    assert fix.excess(truth) < 1.5
