"""Rules for broadcast cells: each has a case that fires it and cases that must not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.codec import encode, to_map
from contract.messages import Detection
from contract.words import AlertKind, Level, RivalVerdict, Severity
from hardware.readings import CellReading, NasReading, NasType, Rat, Stamp
from hardware.readings import Direction as Way
from rf_watch import CellSettings, CellWatch
from rf_watch.dossier import MAX_RAW_BYTES

SECOND = 1_000_000
START = 1_750_000_200 * SECOND  # at the beginning of a window of 600 s


def cell(at_s: float = 0, **changes: object) -> CellReading:
    """A genuine China Mobile GSM cell as a modem's line; ``changes`` replace fields."""
    at_us = START + round(at_s * SECOND)
    stamp = Stamp(
        at_us=at_us,
        time_basis="live",
        sensor="modem0",
        file="ttyUSB2",
        place=f"line {round(at_s) + 1}",
        received_us=at_us + 7,
    )
    plain = CellReading(
        stamp=stamp,
        raw=b"cell",
        rat=Rat.GSM,
        is_serving=True,
        plmns=("460-00",),
        channel=62,
        lac_tac=0x247C,
        cell_id=0x1327,
        physical_id=35,
        level_dbm=-52.0,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def lte(at_s: float = 0, **changes: object) -> CellReading:
    plain: dict[str, object] = {
        "rat": Rat.LTE,
        "channel": 38950,
        "lac_tac": 0x4977,
        "cell_id": 0xC412C83,
        "physical_id": 401,
    }
    return cell(at_s, **{**plain, **changes})


def in_packet(reading: CellReading, number: int) -> CellReading:
    stamp = replace(reading.stamp, place=f"packet {number}", is_checked=True)
    return replace(reading, stamp=stamp)


def watch(readings: Iterable[CellReading], **settings: int) -> list[Detection]:
    """Everything a fresh detector says, with the last revisions of close()."""
    detector = CellWatch("van-01", CellSettings(**settings))
    out = [found for reading in readings for found in detector.feed(reading)]
    return out + detector.close()


def finals(detections: Iterable[Detection]) -> list[Detection]:
    last: dict[bytes, Detection] = {}
    for detection in detections:
        before = last.get(detection.detection_id)
        assert detection.revision == (0 if before is None else before.revision + 1)
        assert before is None or detection.level.rank >= before.level.rank
        last[detection.detection_id] = detection
    return list(last.values())


def rules_of(detections: Iterable[Detection]) -> set[str]:
    return {reason.rule for detection in detections for reason in detection.reasons}


def verdicts(detection: Detection) -> dict[str, RivalVerdict]:
    return {rival.explanation: rival.verdict for rival in detection.rivals}


# -- hard rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plmn", ["460-03", "460-05", "460-11", "460-15"])
def test_gsm_of_an_operator_without_gsm_is_suspected_at_once_and_confirmed_when_repeated(
    plmn: str,
) -> None:
    first, second, *rest = watch([cell(0, plmns=(plmn,)), cell(1, plmns=(plmn,))])
    assert (first.level, first.alert) == (Level.SUSPECTED, AlertKind.FAKE_BTS_SUSPECTED)
    assert verdicts(first)["DECODE_ERROR"] is RivalVerdict.POSSIBLE
    assert (second.level, second.alert) == (Level.CONFIRMED, AlertKind.FAKE_BTS_CONFIRMED)
    assert second.severity is Severity.CRITICAL
    assert verdicts(second)["DECODE_ERROR"] is RivalVerdict.RULED_OUT
    assert second.detection_id == first.detection_id
    assert (first.revision, second.revision) == (0, 1)
    assert second.fired_at == START + SECOND + 7
    assert rest == []


@pytest.mark.parametrize(
    "reading",
    [
        cell(plmns=("460-12",)),  # only recalled: never a hard rule
        cell(plmns=("460-00",)),
        cell(plmns=("460-01",), channel=96),
        cell(plmns=()),
        lte(plmns=("460-11",)),
        lte(plmns=("460-15",), rat=Rat.NR, channel=504990, physical_id=631),
        cell(plmns=("454-12",), channel=850),  # Hong Kong, heard across the border
        cell(plmns=(), channel=850),
        cell(channel=786),
        cell(channel=886),
    ],
)
def test_what_no_hard_rule_forbids_says_nothing(reading: CellReading) -> None:
    assert watch([reading, replace(reading, stamp=cell(1).stamp)]) == []


@pytest.mark.parametrize("channel", [787, 861, 885])
def test_a_chinese_gsm_cell_where_nobody_has_a_licence_is_confirmed(channel: int) -> None:
    (final,) = finals(watch(cell(at, channel=channel) for at in range(3)))
    assert rules_of([final]) == {"GSM-BAND-IMPOSSIBLE"}
    assert final.alert is AlertKind.FAKE_BTS_CONFIRMED
    assert final.subject == {"rat": "GSM", "plmn": "460-00", "channel": channel}
    assert final.track_id == f"gsm/460-00/{channel}"
    assert final.reasons[0].values["cell_id"] == 0x1327


def test_two_hard_rules_in_one_line_or_one_frame_of_a_capture_are_confirmed_at_once() -> None:
    (both,) = watch([cell(plmns=("460-05",), channel=861)])
    assert rules_of([both]) == {"GSM-PLMN-IMPOSSIBLE", "GSM-BAND-IMPOSSIBLE"}
    assert both.alert is AlertKind.FAKE_BTS_CONFIRMED
    (framed,) = watch([in_packet(cell(plmns=("460-05",)), 9)])
    assert framed.alert is AlertKind.FAKE_BTS_CONFIRMED


def test_one_flipped_digit_beside_the_genuine_cell_raises_no_alarm() -> None:
    genuine = [cell(at, plmns=("460-01",), channel=96) for at in range(5)]
    misread = cell(5, plmns=("460-11",), channel=96)
    (final,) = finals(watch([*genuine, misread]))
    assert (final.level, final.alert) == (Level.OBSERVED, None)
    assert verdicts(final)["DECODE_ERROR"] is RivalVerdict.POSSIBLE
    channel_misread = cell(6, plmns=("460-01",), channel=796)
    assert all(d.alert is None for d in watch([*genuine, channel_misread]))


def test_a_noisy_line_makes_no_alarm_of_a_cell_heard_for_hours() -> None:
    readings = [cell(at, plmns=("460-01",), channel=96) for at in range(1, 7200)]
    for at in range(500, 7200, 500):
        readings[at] = cell(at, plmns=("460-11",), channel=96)
    assert {d.alert for d in watch(readings)} == {None}


def test_a_blaster_that_borrows_a_genuine_cells_carrier_and_id_is_still_confirmed() -> None:
    genuine = [cell(at, plmns=("460-01",), channel=96) for at in range(600)]
    blaster = [cell(600 + at, plmns=("460-11",), channel=96) for at in range(10)]
    assert finals(watch([*genuine, *blaster]))[-1].level is Level.CONFIRMED


def test_system_information_with_and_without_a_cell_id_is_one_emitter() -> None:
    si3 = in_packet(cell(0, plmns=("460-03",), channel=725), 3)
    si4 = in_packet(cell(1, plmns=("460-03",), channel=725, cell_id=None), 4)
    for pair in ([si3, si4], [si4, si3]):
        (final,) = finals(watch(pair))
        assert final.level is Level.CONFIRMED
        assert final.reasons[0].values["cell_id"] == 0x1327


def test_an_incomplete_record_waits_for_a_second_one() -> None:
    first = cell(0, plmns=("460-03",), lac_tac=None, cell_id=None)
    (seen,) = watch([first])
    assert (seen.level, seen.alert) == (Level.OBSERVED, None)
    assert finals(watch([first, replace(first, stamp=cell(1).stamp)]))[0].level is Level.CONFIRMED


# -- identity clash -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (cell(0), cell(1, channel=30)),
        (cell(0), cell(1, physical_id=12)),
        (lte(0), lte(1, channel=1300)),
        (lte(0), lte(1, physical_id=12)),
    ],
)
def test_one_identity_at_two_places_is_observed_and_no_more(a: CellReading, b: CellReading) -> None:
    (found,) = finals(watch([a, b]))
    assert rules_of([found]) == {"IDENTITY_CLASH"}
    repeated = [replace(r, stamp=cell(at).stamp) for at in range(0, 60, 2) for r in (a, b)]
    for final in finals(watch(repeated)):
        assert (final.level, final.alert) == (Level.OBSERVED, None)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (lte(0, plmns=("460-11",)), lte(1, plmns=("460-01",))),  # RAN-sharing twins
        (lte(0, plmns=("310-410", "313-100")), lte(1, plmns=("310-410",))),
        (lte(0), lte(1, channel=37900, cell_id=0xC412C84)),  # inter-band, an ECI of its own
        (lte(0, channel=37900), lte(1, channel=40540)),  # bands 38 and 41, both 2585.0 MHz
        (lte(0, physical_id=None), lte(1)),
        (cell(0), cell(1, physical_id=156)),  # an impossible BSIC is an unknown one
        (cell(0), cell(1, channel=None)),
        (cell(0, cell_id=0xFFFF), cell(1, cell_id=0xFFFF, channel=30)),
        (lte(0, cell_id=0xFFFFFFF), lte(1, cell_id=0xFFFFFFF, channel=1300)),
        (cell(0), cell(1, lac_tac=0x24A5, channel=33)),  # another CGI
        (cell(0), cell(700, channel=30)),  # a retune, outside the window
    ],
)
def test_what_is_no_identity_clash(a: CellReading, b: CellReading) -> None:
    assert watch([a, b]) == []


def test_a_retune_is_possible_until_the_cell_swings_back() -> None:
    once = finals(watch([cell(0), cell(1, channel=30)]))[0]
    assert verdicts(once)["OPERATOR_RETUNE"] is RivalVerdict.POSSIBLE
    back = finals(watch([cell(0), cell(1, channel=30), cell(2)]))[-1]
    assert verdicts(back)["OPERATOR_RETUNE"] is RivalVerdict.RULED_OUT


# -- LAC changes --------------------------------------------------------------------------------


def test_a_rotating_lac_alone_is_observed_and_no_more() -> None:
    (final,) = finals(watch(cell(at, lac_tac=5121 + at // 60) for at in range(0, 300, 5)))
    assert (final.level, final.alert) == (Level.OBSERVED, None)
    (reason,) = final.reasons
    assert reason.rule == "LAC_CHANGES"
    assert reason.values["lacs"] == "5121,5122,5123,5124,5125"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (cell(0), cell(1)),
        (cell(0), cell(1, lac_tac=0x24A5, cell_id=0x1241)),
        (cell(0), cell(1, lac_tac=0x24A5, channel=63)),
        (cell(0), cell(1, lac_tac=0xFFFE)),
        (cell(0), cell(1, lac_tac=None)),
        (cell(0), cell(601, lac_tac=0x24A5)),
        (lte(0), lte(1, lac_tac=7003)),
    ],
)
def test_what_is_no_lac_change(a: CellReading, b: CellReading) -> None:
    assert "LAC_CHANGES" not in rules_of(watch([a, b]))


@pytest.mark.parametrize(
    ("bsics", "verdict"),
    [
        ((35, 35), RivalVerdict.RULED_OUT),
        ((35, 36), RivalVerdict.POSSIBLE),
        ((None, None), RivalVerdict.NOT_CHECKED),
    ],
)
def test_two_cells_that_reuse_carrier_and_id_are_told_by_their_bsic(
    bsics: tuple[int | None, int | None], verdict: RivalVerdict
) -> None:
    a, b = (cell(at, lac_tac=at + 1, physical_id=bsic) for at, bsic in enumerate(bsics))
    (found,) = finals(watch([a, b]))
    assert verdicts(found)["CI_REUSED_IN_OTHER_LAC"] is verdict


def test_lac_settings_can_be_overridden_by_their_public_names() -> None:
    settings = CellSettings().with_named({"cell.lac_changes_min": 3, "cell.lac_window_s": 60})
    detector = CellWatch("van-01", settings)
    for reading in (cell(0, lac_tac=1), cell(1, lac_tac=2), cell(62, lac_tac=3)):
        assert detector.feed(reading) == []
    assert [d.alert for d in detector.feed(cell(63, lac_tac=2))] == []
    assert len(detector.feed(cell(64, lac_tac=4))) == 1


# -- law 5 --------------------------------------------------------------------------------------

GENUINE = [cell(at) for at in range(0, 10, 2)]
BLASTER = [cell(at, channel=30, physical_id=5, lac_tac=0x247C) for at in range(10, 14)]
ROTATED = [cell(at, channel=30, physical_id=5, lac_tac=0x5001) for at in range(14, 18)]


def test_two_soft_reasons_of_different_families_are_suspected() -> None:
    detections = finals(watch([*GENUINE, *BLASTER, *ROTATED]))
    (suspect,) = [d for d in detections if d.alert]
    assert rules_of([suspect]) == {"IDENTITY_CLASH", "LAC_CHANGES"}
    assert suspect.alert is AlertKind.FAKE_BTS_SUSPECTED
    assert suspect.severity is Severity.HIGH
    assert suspect.subject["channel"] == 30
    assert suspect.score == pytest.approx(5.3)


def test_two_misread_lines_of_a_genuine_cell_are_no_two_reasons() -> None:
    misread = [cell(20, lac_tac=0x5001), cell(21, physical_id=5)]
    detections = finals(watch([*GENUINE, *misread, *(cell(at) for at in range(22, 30))]))
    assert rules_of(detections) == {"IDENTITY_CLASH", "LAC_CHANGES"}
    assert [d.alert for d in detections] == [None] * len(detections)


# -- revisions, ids, evidence -------------------------------------------------------------------


def test_the_last_revision_carries_final_counts_and_only_if_something_changed() -> None:
    readings = [cell(at, plmns=("460-05",), channel=861) for at in range(0, 50, 10)]
    first, last = watch(readings)
    assert (first.revision, last.revision) == (0, 1)
    assert (last.first_seen, last.last_seen) == (START, START + 40 * SECOND)
    assert last.source.place == "line 1-41"
    assert first.evidence[0].size_bytes == 4 + 4  # a record after its length
    assert last.evidence[0].size_bytes == 5 * (4 + 4)
    assert last.fired_at == first.fired_at
    assert watch(readings[:1])[0] == first


def test_a_restart_in_the_middle_of_a_window_gives_the_same_id() -> None:
    readings = [cell(at, plmns=("460-05",), channel=861) for at in range(0, 50, 10)]
    whole, late = watch(readings)[0], watch(readings[2:])[0]
    assert whole.detection_id == late.detection_id
    ids = {d.detection_id for d in watch([*readings, cell(900, plmns=("460-05",), channel=861)])}
    assert len(ids) == 2


def test_recordings_with_synthetic_times_do_not_share_ids() -> None:
    def named(file: str) -> bytes:
        reading = cell(plmns=("460-05",), channel=861)
        stamp = replace(reading.stamp, time_basis="synthetic", at_us=0, file=file)
        return watch([replace(reading, stamp=stamp)])[0].detection_id

    assert named("a.txt") != named("b.txt")
    assert named("a.txt") == named("a.txt")


def test_a_detection_never_names_the_raw_bytes_or_a_subscriber() -> None:
    secret = b"460001234567890"
    out = watch(cell(at, plmns=("460-03",), raw=secret) for at in range(3))
    for detection in out:
        wire = encode(to_map(detection))
        assert secret not in wire
        assert b"imsi" not in wire.lower()
        assert b"imei" not in wire.lower()


def test_memory_stays_bounded_under_a_flood_of_cells() -> None:
    detector = CellWatch("van-01", CellSettings(tracks_max=32))
    for at in range(2000):
        detector.feed(cell(at / 100, cell_id=at, lac_tac=at + 1, channel=at % 100))
    assert len(detector._tracks) <= 33
    assert len(detector._identities._of) <= 32


# -- any order, any values ----------------------------------------------------------------------

STAMPS = st.builds(
    Stamp,
    at_us=st.integers(-(10**15), 4 * 10**15) | st.integers(0, 1500).map(lambda s: s * SECOND),
    time_basis=st.sampled_from(["live", "recorded", "synthetic"]),
    sensor=st.sampled_from(["modem0", "modem1"]),
    file=st.just("f"),
    place=st.sampled_from(["line 1", "packet 2", "offset 3", "", "somewhere"]),
    is_checked=st.booleans(),
    received_us=st.none() | st.integers(0, 10**15),
)
SMALL = st.none() | st.integers(0, 3)
CELLS = st.builds(
    CellReading,
    stamp=STAMPS,
    raw=st.binary(max_size=4),
    rat=st.sampled_from(Rat),
    is_serving=st.booleans(),
    plmns=st.lists(
        st.sampled_from(["460-00", "460-11", "460-20", "262-02", ""]), max_size=2, unique=True
    ).map(tuple),
    channel=SMALL | st.sampled_from([-1, 800, 2**31]),
    lac_tac=SMALL | st.sampled_from([-1, 0xFFFE, 2**31]),
    cell_id=SMALL | st.sampled_from([-1, 0xFFFF, 2**40]),
    physical_id=SMALL | st.sampled_from([-1, 156, 2**31 - 1]),
)
NAS = st.builds(
    NasReading,
    stamp=STAMPS,
    raw=st.binary(max_size=4),
    type=st.sampled_from(NasType),
    direction=st.sampled_from(Way),
    cause=st.none() | st.sampled_from([3, 20, 21]),
)


@given(st.lists(CELLS | NAS, max_size=40))
def test_any_readings_in_any_order_are_taken_and_judged_the_same_twice(
    readings: list[CellReading | NasReading],
) -> None:
    def play() -> list[bytes]:
        detector = CellWatch("van-01")
        out = [d for reading in readings for d in detector.feed(reading)]
        return [encode(to_map(d)) for d in [*out, *detector.close()]]

    assert play() == play()


@given(st.lists(CELLS | NAS, max_size=40))
def test_no_alert_ever_rests_on_a_single_soft_reason(
    readings: list[CellReading | NasReading],
) -> None:
    detector = CellWatch("van-01")
    out = [d for reading in readings for d in detector.feed(reading)]
    for detection in [*out, *detector.close()]:
        if detection.alert is not None:
            rules = {reason.rule for reason in detection.reasons}
            assert rules not in ({"IDENTITY_CLASH"}, {"LAC_CHANGES"})


def test_the_order_of_a_cells_soft_readings_does_not_make_an_alert() -> None:
    one_reason = [cell(at, lac_tac=5000 + at % 4) for at in range(24)]
    for seed in range(20):
        shuffled = one_reason[:]
        random.Random(seed).shuffle(shuffled)
        assert all(d.alert is None for d in watch(shuffled))


def test_the_bytes_behind_a_hash_are_there_and_bounded() -> None:
    detector = CellWatch("van-1")
    named = 0
    for number in range(600):
        reading = replace(cell(number, plmns=("460-11",)), raw=bytes([number % 256]) * 100)
        for found in detector.feed(reading):
            blobs = detector.raw_evidence(found)
            assert [hashlib.sha256(blob).digest() for blob in blobs] == [
                evidence.sha256 for evidence in found.evidence
            ]
            named += len(blobs)
        assert len(detector._blobs) <= 1  # nothing piles up between two calls
    last = detector.close()[-1]
    assert named
    assert 0 < last.evidence[0].size_bytes <= MAX_RAW_BYTES
    assert len(detector.raw_evidence(last)[0]) == last.evidence[0].size_bytes
