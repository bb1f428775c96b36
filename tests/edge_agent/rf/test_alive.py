"""Alive but no data: what health says of each kind of device that is open and gives nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from contract.clock import VirtualClock
from edge_agent.config import SensorKind
from edge_agent.rf.alive import NOTHING_READ_S, Liveness
from hardware.modems.poller import PollerCounters
from hardware.readings import (
    CellReading,
    FixQuality,
    FixReading,
    Item,
    Position,
    Rat,
    Stamp,
    Unreadable,
)
from hardware.serial.port import PortCounters

STAMP = Stamp(at_us=1, time_basis="live", sensor="s", file="f", place="line 1")
OPEN = PortCounters(opens=1, is_open=True, last_data_age_s=0.1)
CELL = CellReading(stamp=STAMP, raw=b"", rat=Rat.GSM, is_serving=True, plmns=("460-00",))
DAMAGE = Unreadable(file="f", place="line 2", reason="no line of this dialect")
PASSED = replace(DAMAGE, reason="passed over", is_damage=False)


@dataclass
class Polled:
    """Stands for a poller: its counters are all that is looked at."""

    counters: PollerCounters = field(default_factory=PollerCounters)


def after(
    kind: SensorKind, *items: Item, counters: PollerCounters | None = None, opens: int = 1
) -> str | None:
    clock = VirtualClock()
    alive = Liveness(kind, clock, limit_s=None)
    port = replace(OPEN, opens=opens)
    modem = None if counters is None else Polled(counters)
    assert alive.problem(OPEN, None if modem is None else Polled(), None) is None  # type: ignore[arg-type]
    clock.advance(int((NOTHING_READ_S + 1) * 1e6))
    for item in items:
        alive.note(item)
    return alive.problem(port, modem, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counters", "items", "said"),
    [
        (PollerCounters(timeouts_in_a_row=3), (), "3 questions in a row had no answer"),
        (PollerCounters(answers=40, errors=40), (), "refuses all that a quectel modem is asked"),
        (
            PollerCounters(answers=40, errors=39),
            (replace(DAMAGE, reason="it says that it is a simcom modem, not quectel"),),
            "no cell can be read; last: it says that it is a simcom modem",
        ),
        (PollerCounters(answers=40), (PASSED,), "hears no cell"),
        (PollerCounters(answers=40, errors=20), (CELL,), None),
    ],
)
def test_a_modem_says_why_it_gives_no_cell(
    counters: PollerCounters, items: tuple[Item, ...], said: str | None
) -> None:
    problem = after(SensorKind.QUECTEL, *items, counters=counters)
    assert problem == said if said is None else said in str(problem)


@pytest.mark.parametrize(
    "kind",
    [
        SensorKind.DIAG,
        SensorKind.TINYSA,
        SensorKind.RF_EXPLORER,
        SensorKind.FM_TUNER,
        SensorKind.SWEEP_CSV,
        SensorKind.KRAKEN,
        SensorKind.NMEA,
        SensorKind.GPSD,
    ],
)
def test_bytes_of_which_nothing_reads_are_told(kind: SensorKind) -> None:
    said = after(kind, DAMAGE)
    assert said == f"bytes come, but nothing that reads as {kind.value}; last: {DAMAGE.reason}"
    assert after(kind, DAMAGE, opens=2) is None  # just plugged in again


def test_what_was_passed_over_was_understood() -> None:
    assert after(SensorKind.KRAKEN, PASSED) is None
    assert after(SensorKind.CAPTURE) is None
    assert after(SensorKind.AUDIO) is None


def test_a_receiver_without_a_position_says_so() -> None:
    nowhere = FixReading(stamp=STAMP, raw=b"", position=None, quality=FixQuality.NONE)
    assert after(SensorKind.NMEA, nowhere) == "the receiver speaks, but has no position"
    here = replace(nowhere, position=Position(25.0, 102.7), quality=FixQuality.GNSS)
    assert after(SensorKind.NMEA, here) is None
