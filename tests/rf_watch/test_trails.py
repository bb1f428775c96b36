"""Trails: one name for one emitter, bounded memory, and what the shift test may say."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.readings import Position, Reading
from rf_watch import CellContext, CellWatch
from rf_watch.trails import (
    SAMPLES_MAX,
    TRAILS_MAX,
    Motion,
    Sample,
    Trail,
    TrailBook,
    shift_test,
)
from tests.rf_watch.kit import gsm, stamp, watch
from tests.rf_watch.test_cell_rules import PLAN

PLANNED = CellContext(plan=PLAN)


def blaster(at_s: float, **changes: object) -> Reading:
    plain: dict[str, object] = {
        "channel": 45,
        "cell_id": 7,
        "lac_tac": 5000 + int(at_s) % 3,
        "cro_db": 100,
        "neighbours": 0,
        "t3212_decihours": 1,
        "stamp": replace(stamp(at_s), position=Position(35.5 + at_s / 1e5, 112.8)),
    }
    return gsm(at_s, **{**plain, **changes})


def test_one_emitter_keeps_its_track_over_cells_areas_windows_and_networks() -> None:
    story = [blaster(at) for at in range(0, 60, 5)]
    story += [blaster(at, cell_id=7, lac_tac=6000 + at) for at in range(700, 760, 5)]
    story += [blaster(at, plmns=("460-01",), channel=101) for at in range(900, 960, 5)]
    found = watch(story, PLANNED)
    assert len({d.detection_id for d in found}) == 3
    assert {d.track_id for d in found} == {"gsm/460-00/45"}
    assert all(d.alert for d in found)


def test_another_emitter_is_another_track() -> None:
    story = [blaster(at) for at in range(0, 60, 5)]
    other = {"plmns": ("460-01",), "channel": 101, "t3212_decihours": 2, "cro_db": 90}
    story += [blaster(at, **other) for at in range(100, 160, 5)]
    together = [blaster(at, plmns=("460-01",), channel=101) for at in range(0, 60, 5)]
    assert len({d.track_id for d in watch(story, PLANNED)}) == 2
    at_once = sorted([*story[:12], *together], key=lambda r: r.stamp.at_us)
    assert len({d.track_id for d in watch(at_once, PLANNED)}) == 2


def test_a_trail_holds_the_tagged_levels_of_a_suspect_for_a_locator() -> None:
    detector = CellWatch("van-01", context=PLANNED)
    for at in range(0, 120, 2):
        detector.feed(blaster(at))
    trail = detector.trail("gsm/460-00/45")
    assert trail is not None
    assert len(trail.samples) >= 12
    assert trail.samples[0].lat < trail.samples[-1].lat
    assert detector.trail("gsm/460-00/46") is None


def test_memory_is_bounded() -> None:
    book = TrailBook()
    for number in range(2 * TRAILS_MAX):
        book.open(str(number), gsm(number), {"a": number, "b": number, "c": number})
    assert len(book._trails) == TRAILS_MAX
    trail = Trail("x", gsm().rat, 0, {})
    for at in range(0, 10 * SAMPLES_MAX, 10):
        trail.note(gsm(at, stamp=replace(stamp(at), position=Position(35.5, 112.8))))
    assert len(trail.samples) <= SAMPLES_MAX


def drive_around(seed: int, speed_mps: float, noise_db: float, length_s: int = 300) -> list[Sample]:
    """Levels of an emitter that drives east or stands, heard by a van that circles."""
    noise = random.Random(seed)
    samples = []
    for second in range(0, length_s, 8):
        x, y = 900 * math.cos(second / 30), 400 * math.sin(second / 30) + 200
        away = math.hypot(speed_mps * (second - length_s / 2) - x, y)
        level = -20 - 35 * math.log10(max(away, 150) / 100) + noise.gauss(0, noise_db)
        samples.append(Sample(second * 1_000_000, 35.5 + y / 111_320, 112.8 + x / 90_627, level))
    return samples


def test_a_standing_emitter_is_never_said_to_move() -> None:
    found = [shift_test(drive_around(seed, 0.0, 6.0)).motion for seed in range(20)]
    assert Motion.MOBILE not in found
    assert shift_test(drive_around(1, 0.0, 0.0, 900)).motion is Motion.STATIC


def test_an_emitter_that_drives_through_a_circling_van_is_seen_to_move() -> None:
    found = [shift_test(drive_around(seed, 12.0, 3.0)) for seed in range(20)]
    assert sum(shift.motion is Motion.MOBILE for shift in found) >= 15
    assert all(shift.motion is not Motion.STATIC for shift in found)


def test_too_few_samples_or_too_short_a_time_say_nothing() -> None:
    assert shift_test(drive_around(1, 12.0, 0.0, 100)).motion is Motion.UNKNOWN
    assert shift_test([]).motion is Motion.UNKNOWN


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.builds(
            Sample,
            at_us=st.integers(0, 10**12),
            lat=st.floats(-90, 90),
            lon=st.floats(-180, 180),
            level_dbm=st.floats(-140, 40),
        ),
        max_size=40,
    )
)
def test_any_samples_are_judged(samples: list[Sample]) -> None:
    shift = shift_test(samples)
    assert shift.llr >= 0
    assert shift.shift_m >= 0
