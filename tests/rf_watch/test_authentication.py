"""Runs of refused authentications: what fires, what repairs, what is too far apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from contract.messages import Detection
from contract.words import AlertKind, Level, RivalVerdict, Severity
from hardware.readings import CellReading, Direction, NasReading, NasType, Rat, Stamp
from rf_watch import CellSettings, CellWatch
from rf_watch.authentication import GOOD_AUTHENTICATIONS

SECOND = 1_000_000
START = 1_750_000_000 * SECOND

STEPS: dict[str, tuple[NasType, int | None]] = {
    "A": (NasType.ATTACH_REQUEST, None),
    "Q": (NasType.AUTHENTICATION_REQUEST, None),
    "I": (NasType.IDENTITY_REQUEST, None),
    "F": (NasType.AUTHENTICATION_FAILURE, 20),
    "S": (NasType.AUTHENTICATION_FAILURE, 21),
    "?": (NasType.AUTHENTICATION_FAILURE, None),
    "R": (NasType.AUTHENTICATION_RESPONSE, None),
    "X": (NasType.AUTHENTICATION_REJECT, None),
}


def stamp(at_s: float, sensor: str = "modem0") -> Stamp:
    at_us = START + round(at_s * SECOND)
    place = f"packet {round(at_s) + 1}"
    return Stamp(at_us=at_us, time_basis="recorded", sensor=sensor, file="nas.pcap", place=place)


def nas(at_s: float, kind: NasType, cause: int | None = None, sensor: str = "modem0") -> NasReading:
    raw = f"{kind.value}{at_s}".encode()
    return NasReading(
        stamp=stamp(at_s, sensor), raw=raw, type=kind, direction=Direction.UNKNOWN, cause=cause
    )


def story(text: str, step_s: float = 1) -> list[NasReading]:
    return [nas(i * step_s, *STEPS[letter]) for i, letter in enumerate(text)]


def watch(readings: Sequence[NasReading | CellReading], **settings: int) -> list[Detection]:
    detector = CellWatch("van-01", CellSettings(**settings))
    out = [found for reading in readings for found in detector.feed(reading)]
    return out + detector.close()


@pytest.mark.parametrize(
    "text",
    [
        "QR",  # an ordinary attach
        "AQFIQR",  # one failure, repaired: TS 24.301 section 5.4.2.7 c
        "AQF",
        "QFRQFRQFRQFR",
        "QSQSQSQS",  # synch failures, however many
        "Q?Q?Q?",  # a failure whose cause could not be read
        "QXQXQX",
        "IIIIII",
        "",
    ],
)
def test_ordinary_signalling_says_nothing(text: str) -> None:
    assert watch(story(text)) == []


@pytest.mark.parametrize("kind", sorted(GOOD_AUTHENTICATIONS))
def test_every_good_authentication_ends_a_run(kind: NasType) -> None:
    failure = (NasType.AUTHENTICATION_FAILURE, 20)
    assert watch([nas(0, *failure), nas(1, kind), nas(2, *failure)]) == []


def test_the_second_failure_in_a_run_alerts_at_once() -> None:
    detector = CellWatch("van-01")
    said = [detector.feed(reading) for reading in story("AQFIQF")]
    assert said[:-1] == [[]] * 5
    (found,) = said[-1]
    assert (found.level, found.severity) == (Level.SUSPECTED, Severity.HIGH)
    assert found.alert is AlertKind.FAKE_BTS_SUSPECTED
    assert [reason.rule for reason in found.reasons] == ["EMM-AUTH-MAC-FAILURE-RUN"]
    assert found.revision == 0
    assert found.source.place == "packet 3-6"
    assert found.subject == {"rat": "LTE", "terminal": "modem0"}
    assert detector.close() == []


def test_runs_of_one_track_are_one_detection_with_their_lengths() -> None:
    out = watch(story("QR" + "QFQFQFQF" + "QR" + "QFQF" + "QR" + "QF" + "QR" + "QFQFQF"))
    assert len({d.detection_id for d in out}) == 1
    assert [d.revision for d in out] == [0, 1, 2, 3]
    final = out[-1].reasons[0]
    assert final.values == {"cause": 20, "failures": 9, "runs": "4,2,3", "run_count": 3}
    frames = [r.raw for r in story("QRQFQFQFQFQRQFQF") if r.cause == 20]
    raw = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    assert out[2].evidence[0].sha256 == hashlib.sha256(raw).digest()
    assert out[2].evidence[0].name == "nas_frames"


def test_a_long_quiet_gap_begins_a_new_detection() -> None:
    later = [nas(10_000 + i, NasType.AUTHENTICATION_FAILURE, 20) for i in range(2)]
    out = watch([*story("FF"), *later])
    assert len({d.detection_id for d in out}) == 2
    assert [d.revision for d in out] == [0, 0]


def test_failures_hours_apart_are_no_run() -> None:
    assert watch(story("FF", step_s=7200)) == []
    assert watch(story("FF", step_s=60), episode_gap_s=59) == []


def test_a_faulty_sim_is_ruled_out_by_one_good_authentication_before_or_after() -> None:
    def verdict(text: str) -> RivalVerdict:
        final = watch(story(text))[-1]
        return {r.explanation: r.verdict for r in final.rivals}["SIM_OR_HSS_FAULT"]

    assert verdict("QFQF") is RivalVerdict.POSSIBLE
    assert verdict("QRQFQF") is RivalVerdict.RULED_OUT
    assert verdict("QFQFQR") is RivalVerdict.RULED_OUT


def test_terminals_are_followed_apart() -> None:
    failures = [
        nas(i, NasType.AUTHENTICATION_FAILURE, 20, sensor) for i, sensor in enumerate(["m0", "m1"])
    ]
    assert watch(failures) == []


def test_the_serving_cell_names_the_network() -> None:
    cell = CellReading(
        stamp=stamp(0),
        raw=b"",
        rat=Rat.LTE,
        is_serving=True,
        plmns=("460-01",),
        channel=1500,
        cell_id=77,
        physical_id=211,
    )
    (found,) = watch([cell, *story("QFQF")])
    assert found.subject["plmn"] == "460-01"
    assert found.subject["channel"] == 1500
    assert found.track_id == "nas/modem0/77/1500/460-01"


def test_a_thousand_runs_stay_a_short_message() -> None:
    final = watch(story("FFR" * 1000))[-1]
    values = final.reasons[0].values
    assert values["failures"] == 2000
    assert values["run_count"] == 1000
    assert len(str(values["runs"])) < 64
