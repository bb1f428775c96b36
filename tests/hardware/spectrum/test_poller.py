"""A spectrum device over a real pseudo-terminal: asked, torn, silent, unplugged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.clock import SystemClock
from hardware.readings import Item, RdsReading, SweepReading, TunerReading, Unreadable
from hardware.serial.port import Backoff, SerialPort
from hardware.simulators.instruments import (
    Instrument,
    Mood,
    SimulatedInstrument,
    TinySaPeer,
    TunerPeer,
    example_scene,
)
from hardware.spectrum.dialects import DIALECTS, SweepRange
from hardware.spectrum.poller import SpectrumPoller

NOON_US = 1_795_579_200_000_000


def tinysa(mood: Mood) -> TinySaPeer:
    return TinySaPeer(example_scene(0.0, NOON_US), lambda: NOON_US, mood)


def sweeps(items: list[Item]) -> list[SweepReading]:
    return [item for item in items if isinstance(item, SweepReading)]


async def collect(
    link: Path,
    kind: str,
    is_enough: Callable[[list[Item]], bool],
    *,
    on_item: Callable[[int], None] = lambda count: None,
    answer_timeout_s: float = 5.0,
) -> tuple[list[Item], SpectrumPoller]:
    dialect = DIALECTS[kind](sensor="sa0", file=link.name, sweep=SweepRange())
    items: list[Item] = []
    async with SerialPort(
        str(link), clock=SystemClock(), backoff=Backoff(first_s=0.01, cap_s=0.05)
    ) as port:
        poller = SpectrumPoller(port, dialect, answer_timeout_s=answer_timeout_s)
        async with asyncio.timeout(30):
            async for item in poller.items():
                items.append(item)
                on_item(len(items))
                if is_enough(items):
                    break
    return items, poller


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_simulated_tinysa_sweeps_and_its_offset_is_read_back(
    tmp_path: Path, is_torn: bool
) -> None:
    mood = Mood(sweep_s=0.0, is_torn=is_torn)
    with SimulatedInstrument(tinysa(mood), tmp_path / "sa0", mood) as device:
        items, poller = asyncio.run(
            collect(device.link, "tinysa", lambda items: len(sweeps(items)) >= 3)
        )
    assert not [item for item in items if isinstance(item, Unreadable)]
    assert {(s.start_hz, len(s.levels_dbm), s.is_calibrated) for s in sweeps(items)} == {
        (87e6, 450, True)
    }
    assert max(sweeps(items)[0].levels_dbm) > -70
    assert poller.counters.timeouts == 0


def test_sweeps_that_a_touch_ends_cost_one_error_each(tmp_path: Path) -> None:
    mood = Mood(sweep_s=0.0, ends_every=2)
    with SimulatedInstrument(tinysa(mood), tmp_path / "sa0", mood) as device:
        items, _ = asyncio.run(
            collect(device.link, "tinysa", lambda items: len(sweeps(items)) >= 4)
        )
    problems = [item for item in items if isinstance(item, Unreadable)]
    assert len(problems) == 3
    assert "was ended after 150 of 450 points" in problems[0].reason


def test_a_device_that_falls_silent_is_brought_back(tmp_path: Path) -> None:
    mood = Mood(sweep_s=0.0, silent_every=3)
    with SimulatedInstrument(tinysa(mood), tmp_path / "sa0", mood) as device:
        items, poller = asyncio.run(
            collect(
                device.link,
                "tinysa",
                lambda items: len(sweeps(items)) >= 6,
                answer_timeout_s=0.4,
            )
        )
    assert len(sweeps(items)) == 6
    assert poller.counters.recoveries >= 2


def test_an_unplugged_device_is_found_again(tmp_path: Path) -> None:
    mood = Mood(sweep_s=0.0)
    device = SimulatedInstrument(tinysa(mood), tmp_path / "sa0", mood)
    device.plug_in()

    def replug(count: int) -> None:
        if count == 2:
            device.unplug()
            device.plug_in()

    items, _ = asyncio.run(
        collect(device.link, "tinysa", lambda items: len(sweeps(items)) >= 5, on_item=replug)
    )
    device.unplug()
    assert len(sweeps(items)) == 5


def test_a_dead_device_is_reported_once(tmp_path: Path) -> None:
    class Dead:
        def feed(self, data: bytes) -> bytes:
            return b""

        def idle(self) -> bytes:
            return b""

    dead: Instrument = Dead()
    with SimulatedInstrument(dead, tmp_path / "sa0", Mood(sweep_s=0.0)) as device:
        (item,), poller = asyncio.run(collect(device.link, "tinysa", bool, answer_timeout_s=0.1))
    assert isinstance(item, Unreadable)
    assert "3 times in a row no answer came within 0.1 s" in item.reason
    assert poller.counters.timeouts == 3


def test_a_simulated_tuner_scans_and_listens_by_turns(tmp_path: Path) -> None:
    scene = example_scene(0.0, NOON_US)
    peer = TunerPeer(scene, lambda: NOON_US, {91.8: (0x3A1B, "TRAFFIC"), 92.3: (0x7000, "TEL 138")})

    def is_enough(items: list[Item]) -> bool:
        names = {i.ps for i in items if isinstance(i, RdsReading) and i.ps}
        return len(sweeps(items)) >= 2 and bool(names)

    with SimulatedInstrument(peer, tmp_path / "tef0", Mood(sweep_s=0.0)) as device:
        items, _ = asyncio.run(collect(device.link, "fm_tuner", is_enough))
    assert not [item for item in items if isinstance(item, Unreadable)]
    assert {(s.start_hz, s.step_hz) for s in sweeps(items)} == {(87.5e6, 100e3)}
    named = {(i.mhz, i.ps) for i in items if isinstance(i, RdsReading) and i.ps}
    assert named <= {(91.8, "TRAFFIC "), (92.3, "TEL 138 ")}
    assert {i.pi for i in items if isinstance(i, TunerReading) and i.pi} <= {0x3A1B, 0x7000}
