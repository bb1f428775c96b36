"""Readings for the tests of the cell detector: genuine cells, and changes to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from contract.messages import Detection
from hardware.readings import (
    CellReading,
    Direction,
    MessageReading,
    NasReading,
    NasType,
    Rat,
    Reading,
    SignallingReading,
    SignalType,
    Stamp,
)
from rf_watch import CellContext, CellSettings, CellWatch
from rf_watch.baseline import Baseline, BaselineLearner

SECOND = 1_000_000
START = 1_750_000_200 * SECOND  # at the beginning of a window of 600 s


def stamp(at_s: float, sensor: str = "modem0", *, is_checked: bool = True) -> Stamp:
    at_us = START + round(at_s * SECOND)
    return Stamp(
        at_us=at_us,
        time_basis="recorded",
        sensor=sensor,
        file="capture",
        place=f"packet {round(at_s) + 1}",
        is_checked=is_checked,
    )


def gsm(at_s: float = 0, **changes: object) -> CellReading:
    """A genuine China Mobile GSM cell, all of its system information at once."""
    plain = CellReading(
        stamp=stamp(at_s),
        raw=b"gsm",
        rat=Rat.GSM,
        is_serving=True,
        plmns=("460-00",),
        channel=62,
        lac_tac=0x247C,
        cell_id=0x1327,
        physical_id=35,
        level_dbm=-72.0,
        cro_db=110,
        penalty_time=0,
        t3212_decihours=19,
        rxlev_access_min=8,
        hysteresis_db=6,
        ms_txpwr_max_cch=5,
        neighbours=3,
        neighbour_channels=(10, 20, 30),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def lte(at_s: float = 0, **changes: object) -> CellReading:
    """A genuine China Mobile LTE cell."""
    plain = CellReading(
        stamp=stamp(at_s),
        raw=b"lte",
        rat=Rat.LTE,
        is_serving=True,
        plmns=("460-00",),
        channel=38950,
        lac_tac=0x4977,
        cell_id=0xC412C83,
        physical_id=401,
        level_dbm=-90.0,
        priority=5,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def city(at_s: float = 0, *, lac: int = 0x247C, fall_db: float = 0) -> list[CellReading]:
    """Four genuine neighbours of one area, each naming the others."""
    channels = (10, 20, 30, 40)
    return [
        gsm(
            at_s + number / 100,
            channel=channel,
            cell_id=0x2000 + number,
            lac_tac=lac,
            physical_id=number,
            level_dbm=-70.0 - number - fall_db,
            neighbour_channels=tuple(c for c in channels if c != channel),
            is_serving=False,
        )
        for number, channel in enumerate(channels)
    ]


def nas(at_s: float, kind: NasType, **fields: object) -> NasReading:
    plain = NasReading(
        stamp=stamp(at_s), raw=kind.value.encode(), type=kind, direction=Direction.UNKNOWN
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def signal(
    at_s: float, kind: SignalType, rat: Rat = Rat.LTE, **fields: object
) -> SignallingReading:
    plain = SignallingReading(
        stamp=stamp(at_s),
        raw=kind.value.encode(),
        rat=rat,
        type=kind,
        direction=Direction.UNKNOWN,
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def message(at_s: float, sender: str, **fields: object) -> MessageReading:
    plain = MessageReading(stamp=stamp(at_s), raw=b"tpdu", sender=sender, text="text")
    return replace(plain, **fields)  # type: ignore[arg-type]


def learned(cells: int = 60) -> Baseline:
    """A baseline of genuine GSM and LTE cells of China Mobile in two areas."""
    learner = BaselineLearner()
    for number in range(cells):
        area = 0x247C if number % 2 else 0x247D
        learner.feed(gsm(number, cell_id=1000 + number, lac_tac=area))
        learner.feed(lte(number, cell_id=1000 + number))
    return learner.baseline("jincheng", 1)


def watch(
    readings: Iterable[Reading], context: CellContext | None = None, **settings: int
) -> list[Detection]:
    """The last revision of every detection."""
    detector = CellWatch("van-01", CellSettings(**settings), context)
    out = [found for reading in readings for found in detector.feed(reading)]
    last: dict[bytes, Detection] = {}
    for detection in [*out, *detector.close()]:
        before = last.get(detection.detection_id)
        assert detection.revision == (0 if before is None else before.revision + 1)
        assert before is None or detection.level.rank >= before.level.rank
        last[detection.detection_id] = detection
    return list(last.values())


def rules_of(detections: Iterable[Detection]) -> set[str]:
    return {reason.rule for detection in detections for reason in detection.reasons}
