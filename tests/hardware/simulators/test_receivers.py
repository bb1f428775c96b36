"""Simulated receivers through real ports: wrong orders, torn lines, unplugging."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.clock import SystemClock
from edge_agent.config import SensorKind
from edge_agent.rf.broadcast import listened_items
from hardware.gnss import FixTracker
from hardware.modems.interface import Arrival
from hardware.readings import (
    BearingReading,
    FixQuality,
    FixReading,
    Item,
    Position,
    Stamp,
    SweepDevice,
    SweepReading,
    Unreadable,
)
from hardware.serial.port import Backoff, SerialPort
from hardware.simulators.instruments import Mood, SimulatedInstrument, example_scene
from hardware.simulators.receivers import FinderPeer, GnssPeer, RfExplorerPeer, Sky, UplinkPeer
from hardware.spectrum.dialects import DIALECTS, SweepRange
from hardware.spectrum.poller import SpectrumPoller
from hardware.spectrum.rf_explorer import ask_configuration, hold, set_range
from hardware.spectrum.uplink import UplinkMeter, is_uplink

NOON_US = 1_795_579_200_000_000
AT_ONCE = Mood(sweep_s=0.0)
HERE, THERE = Position(25.04, 102.71), Position(25.05, 102.72)
QUICK = Backoff(first_s=0.01, cap_s=0.05)


def explorer(**unkind: int) -> RfExplorerPeer:
    return RfExplorerPeer(example_scene(0.0, NOON_US), lambda: NOON_US, **unkind)


def sweeps(items: list[Item]) -> list[SweepReading]:
    return [item for item in items if isinstance(item, SweepReading)]


async def swept(
    device: SimulatedInstrument, count: int, on_item: Callable[[int], None] = lambda _: None
) -> list[Item]:
    dialect = DIALECTS["rf_explorer"](sensor="rfe0", file="rfe0", sweep=SweepRange())
    items: list[Item] = []
    async with (
        asyncio.timeout(30),
        SerialPort(str(device.link), clock=SystemClock(), backoff=QUICK) as port,
    ):
        async for item in SpectrumPoller(port, dialect).items():
            items.append(item)
            on_item(len(items))
            if len(sweeps(items)) >= count:
                break
    return items


@pytest.mark.parametrize("is_torn", [False, True])
def test_an_rf_explorer_takes_its_range_and_sweeps(tmp_path: Path, is_torn: bool) -> None:
    mood = Mood(sweep_s=0.0, is_torn=is_torn)
    with SimulatedInstrument(explorer(), tmp_path / "rfe0", mood) as device:
        items = asyncio.run(swept(device, 4))
    fm = [s for s in sweeps(items) if s.start_hz == 87e6]
    assert fm
    assert {s.device for s in fm} == {SweepDevice.RF_EXPLORER}
    assert max(fm[-1].levels_dbm) > -70
    assert not [i for i in items if isinstance(i, Unreadable)]


def test_a_key_pressed_and_noise_cost_one_error_each(tmp_path: Path) -> None:
    with SimulatedInstrument(explorer(ends_every=3), tmp_path / "rfe0", AT_ONCE) as device:
        items = asyncio.run(swept(device, 5))
    problems = [i.reason for i in items if isinstance(i, Unreadable)]
    assert problems == ["the sweep was ended after 40 of 112 points"] * 2
    with SimulatedInstrument(explorer(garbage_every=4), tmp_path / "rfe0", AT_ONCE) as device:
        items = asyncio.run(swept(device, 9))
    assert 1 <= len([i for i in items if isinstance(i, Unreadable)]) <= 8


def test_an_rf_explorer_that_is_unplugged_comes_back(tmp_path: Path) -> None:
    device = SimulatedInstrument(explorer(), tmp_path / "rfe0", AT_ONCE)

    def replug(count: int) -> None:
        if count == 3:
            device.unplug()
            device.plug_in()

    with device:
        items = asyncio.run(swept(device, 8, replug))
    assert len(sweeps(items)) == 8


def test_wrong_orders_to_an_rf_explorer_are_passed_over() -> None:
    peer = explorer()
    for wrong in (b"AT\r", b"#\x02", b"#\x08nonsen", set_range(108_000, 87_000), b"#\0\0"):
        assert peer.feed(wrong) == b""
        assert peer.idle() == b""
    assert peer.feed(ask_configuration()).startswith(b"#C2-M:003")
    assert peer.feed(set_range(87_000, 108_000)).startswith(b"#C2-F:0087000,0189189,")
    assert peer.idle()[:3] == b"$S\x70"
    assert peer.feed(hold()) == b""
    assert peer.idle() == b""


async def listened(kind: SensorKind, device: SimulatedInstrument, count: int) -> list[Item]:
    items: list[Item] = []
    async with (
        asyncio.timeout(30),
        SerialPort(str(device.link), clock=SystemClock(), backoff=QUICK) as port,
    ):
        async for item in listened_items(kind, "x0", port):
            items.append(item)
            if len(items) == 4:
                device.unplug()
                device.plug_in()
            if len(items) >= count:
                break
    return items


def test_a_receiver_places_other_readings_with_age_and_quality(tmp_path: Path) -> None:
    clock = SystemClock()
    peer = GnssPeer(lambda: Sky(HERE), clock.wall, period_s=0.02, torn_every=5)
    with SimulatedInstrument(peer, tmp_path / "gnss0", AT_ONCE) as device:
        items = asyncio.run(listened(SensorKind.NMEA, device, 24))
    fixes = [i for i in items if isinstance(i, FixReading)]
    assert len(fixes) >= 12
    assert [i for i in items if isinstance(i, Unreadable)]
    tracker = FixTracker()
    for fix in fixes:
        tracker.note(fix)
    late = Stamp(
        at_us=fixes[-1].stamp.at_us + 2_000_000, time_basis="live", sensor="m", file="m", place="1"
    )
    placed = tracker.stamp(late)
    assert placed.position is not None
    assert placed.position.lat == pytest.approx(HERE.lat, abs=1e-6)
    assert placed.fix is not None
    assert (placed.fix.quality, placed.fix.age_s) == (FixQuality.GNSS, 2.0)


def test_a_receiver_without_a_fix_gives_no_position() -> None:
    peer = GnssPeer(lambda: Sky(HERE, has_fix=False), lambda: NOON_US)
    assert b",,,,,0," in peer.idle().partition(b"\r\n")[0]


@pytest.mark.parametrize("heading_deg", [0.0, 200.0])
def test_a_direction_finder_gives_true_bearings(tmp_path: Path, heading_deg: float) -> None:
    clock = SystemClock()
    peer = FinderPeer(
        HERE, THERE, clock.wall, mhz=92.3, heading_deg=heading_deg, period_s=0.02, sigma_deg=2.0
    )
    with SimulatedInstrument(peer, tmp_path / "df0", Mood(sweep_s=0.0, is_torn=True)) as device:
        items = asyncio.run(listened(SensorKind.KRAKEN, device, 20))
    bearings = [i for i in items if isinstance(i, BearingReading)]
    assert len(bearings) >= 18
    errors = [math.remainder(b.bearing_deg - peer.bearing_deg, 360) for b in bearings]
    assert abs(sum(errors) / len(errors)) < 2.5
    assert {b.mhz for b in bearings} == {92.3}


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 2), (40.0, 25, 48), (300.0, 210, 310)])
def test_uplink_bursts_are_counted_and_nobody_is_named(rate: float, low: int, high: int) -> None:
    now_us = [NOON_US]
    peer = UplinkPeer(rate, lambda: now_us[0], period_s=0.0)
    codec = DIALECTS["sweep_csv"](sensor="sdr0", file="sdr0", sweep=SweepRange())
    meter, readings = UplinkMeter(), []
    for _ in range(125):
        now_us[0] += 1_000_000
        arrival = Arrival(at_us=now_us[0], time_basis="live", received_us=now_us[0])
        for sweep in sweeps(codec.feed(peer.idle(), arrival)):
            assert is_uplink(sweep)
            readings += meter.feed(sweep)
    assert len(readings) == 2
    for reading in readings:
        assert low <= reading.bursts_per_min <= high
        assert rate == 0 or reading.level_dbm == pytest.approx(-62.0)


def test_an_rf_explorer_sweeps_no_faster_than_it_is_told() -> None:
    now = [NOON_US]
    peer = RfExplorerPeer(example_scene(0.0, NOON_US), lambda: now[0], sweep_s=0.5)
    peer.feed(b"#\x04C0")
    said = []
    for _ in range(100):
        now[0] += 100_000
        said.append(peer.idle())
    assert sum(line.startswith(b"$S") for line in said) == 20
