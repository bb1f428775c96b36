"""The radio scene: levels, hours and ways; and the modems of every family that live in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import SystemClock
from hardware.modems import DIALECTS, ModemPoller
from hardware.readings import CellReading, Item, Rat, Unreadable
from hardware.serial.port import SerialPort
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.peers import PEERS, CellView, PeerScript
from hardware.simulators.scene import (
    CENTRE,
    DAY_S,
    GENUINE,
    Cell,
    Emitter,
    Place,
    RadioScene,
    base_station,
    distance_m,
    downlink_mhz,
    fake_cell,
    path_loss_db,
)
from tests.hardware.modems.streams import AT_NOON

ON_GSM = [name for name in PEERS if name not in {"quectel_lte", "simcom_sim7600"}]


def scene(at_s: float = 0.0, *more: Emitter, seed: int = 0) -> RadioScene:
    return RadioScene((*GENUINE, *more), CENTRE, lambda: at_s, seed=seed)


def test_path_loss_is_that_of_the_scenario_format() -> None:
    assert path_loss_db(100.0, 100.0) == pytest.approx(32.45 + 40 - 20)
    assert path_loss_db(100.0, 1000.0) == pytest.approx(52.45 + 35)
    assert path_loss_db(100.0, 0.0) == path_loss_db(100.0, 1.0)


@given(st.floats(1, 50_000), st.floats(1, 50_000))
def test_farther_is_never_louder(a: float, b: float) -> None:
    near, far = sorted((a, b))
    assert path_loss_db(947.0, near) <= path_loss_db(947.0, far)


def test_two_receivers_at_one_place_agree() -> None:
    heard = [(one.emitter.id, one.level_dbm) for one in scene(7.0, seed=4).heard()]
    assert heard == [(one.emitter.id, one.level_dbm) for one in scene(7.0, seed=4).heard()]
    assert heard != [(one.emitter.id, one.level_dbm) for one in scene(7.0, seed=5).heard()]
    assert heard == sorted(heard, key=lambda one: -one[1])


def test_hours_may_pass_midnight_and_an_end_ends_it() -> None:
    night = Emitter(
        id="n", mhz=98.0, eirp_dbm=55, route=(CENTRE,), hours_s=(22 * 3600, 2 * 3600), ends_s=DAY_S
    )
    assert [night.is_on(hour * 3600) for hour in (1, 3, 21, 23, 25)] == [
        True, False, False, True, False,
    ]  # fmt: skip


def test_a_mover_goes_its_way_and_stays_at_the_end() -> None:
    cell = Cell(rat=Rat.GSM, plmn="460-11", channel=62, lac_tac=1, cell_id=1, physical_id=5)
    a, b = Place(25.0, 102.0), Place(25.01, 102.0)
    car = base_station("car", cell, a, b, speed_kmh=36.0, starts_s=10.0)
    assert car.place(0.0) == a
    assert distance_m(car.place(20.0), a) == pytest.approx(100, abs=1)
    assert car.place(1e6) == b
    assert not car.is_on(9.0)


def test_a_channel_has_its_frequency() -> None:
    assert downlink_mhz(Rat.GSM, 62) == pytest.approx(947.4)
    assert downlink_mhz(Rat.GSM, 1023) == pytest.approx(934.8)
    assert downlink_mhz(Rat.LTE, 38400) == pytest.approx(1895.0)
    with pytest.raises(ValueError, match="no frequency"):
        downlink_mhz(Rat.NR, 504990)


def test_the_fake_cell_captures_the_modem_as_it_comes_near() -> None:
    fake = fake_cell(starts_s=5.0)
    channels = []
    for at_s in (0.0, 6.0, 300.0):
        serving = CellView(scene(at_s, fake), Rat.GSM).serving()
        assert serving is not None
        channels.append(serving.cell.channel)
    assert channels == [57, 62, 62]


def test_penalty_time_31_turns_the_sign() -> None:
    cell = Cell(
        rat=Rat.GSM, plmn="460-00", channel=10, lac_tac=1, cell_id=1, physical_id=1, cro_db=80,
        penalty_time=31,
    )  # fmt: skip
    shy = base_station("shy", cell, CENTRE, eirp_dbm=60)
    serving = CellView(scene(0.0, shy), Rat.GSM).serving()
    assert serving is not None
    assert serving.cell.channel == 57


# -- the modems -----------------------------------------------------------------------------------


def answers(script: PeerScript, family: str) -> list[Item]:
    """What the family's dialect makes of everything that the modem has to say."""
    dialect = DIALECTS[family](sensor="m", file="f")
    items: list[Item] = []
    for command in (*dialect.poll(), *(scan.command for scan in dialect.survey())):
        lines = script.answer(command.decode().strip()) or ("ERROR",)
        items += dialect.feed("\r\n".join(("", *lines, "")).encode(), AT_NOON)
    return items


@pytest.mark.parametrize("peer", PEERS)
def test_a_simulated_modem_says_what_the_scene_holds(peer: str) -> None:
    heard = answers(PEERS[peer](scene()), peer.partition("_")[0])
    assert not [item for item in heard if isinstance(item, Unreadable)]
    cells = [item for item in heard if isinstance(item, CellReading)]
    by_channel = {
        (e.cell.rat, e.cell.channel, e.cell.physical_id): e.cell for e in GENUINE if e.cell
    }
    assert cells
    for reading in cells:
        assert reading.channel is not None
        assert reading.physical_id is not None
        cell = by_channel[reading.rat, reading.channel, reading.physical_id]
        assert reading.plmns in {(cell.plmn,), ()}
        assert reading.cell_id in {cell.cell_id, None}
        assert reading.lac_tac in {cell.lac_tac, None}
        assert reading.level_dbm is not None
        assert -110 <= reading.level_dbm <= -40


@pytest.mark.parametrize("peer", ON_GSM)
def test_neighbours_of_the_band_are_only_seen_by_a_survey(peer: str) -> None:
    """The honest limit: a round lists what the serving cell announces, a survey everybody."""
    family = peer.partition("_")[0]
    heard = [i for i in answers(PEERS[peer](scene()), family) if isinstance(i, CellReading)]
    foreign = [c for c in heard if c.channel == 110]
    dialect = DIALECTS[family](sensor="m", file="f")
    if family == "quectel":  # its survey is of LTE and NR
        assert not foreign
    else:
        assert dialect.survey()
        assert len(foreign) == 1


@pytest.mark.parametrize("peer", PEERS)
def test_over_a_torn_line_the_readings_are_the_same(peer: str, tmp_path: Path) -> None:
    family = peer.partition("_")[0]

    async def live(modem: SimulatedModem) -> tuple[list[CellReading], list[Unreadable]]:
        dialect = DIALECTS[family](sensor="m", file="f")
        port = SerialPort(str(modem.link), clock=SystemClock())
        cells: list[CellReading] = []
        bad: list[Unreadable] = []
        async with port, asyncio.timeout(30):
            poller = ModemPoller(port, dialect, period_s=0.02)
            async for item in poller.items():
                if isinstance(item, CellReading):
                    cells.append(item)
                elif isinstance(item, Unreadable) and item.is_damage:
                    bad.append(item)
                if len(cells) >= 6:
                    break
        return cells, bad

    link = tmp_path / "modem"
    with SimulatedModem(PEERS[peer](scene()), link, is_torn=True, seed=3) as modem:
        cells, bad = asyncio.run(live(modem))
    assert bad == []
    assert any(cell.is_serving for cell in cells)


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_long_survey_can_be_cancelled_and_the_rounds_go_on(
    tmp_path: Path, is_cancelled: bool
) -> None:
    """20 s of survey: played a hundred times faster, or cut short at once."""

    async def live(modem: SimulatedModem) -> tuple[list[int], ModemPoller]:
        dialect = DIALECTS["telit"](sensor="m", file="f")
        port = SerialPort(str(modem.link), clock=SystemClock())
        channels: list[int] = []
        async with port, asyncio.timeout(60):
            poller = ModemPoller(port, dialect, period_s=0.02)
            poller.request_survey()
            poller.request_survey()  # one is enough
            if is_cancelled:

                async def cancel() -> None:
                    while not poller.is_surveying:
                        await asyncio.sleep(0.005)
                    await poller.cancel_survey()

                task = asyncio.create_task(cancel())
            async for item in poller.items():
                if isinstance(item, CellReading) and item.channel is not None:
                    channels.append(item.channel)
                if poller.counters.rounds >= 3 and not poller.is_surveying:
                    break
            if is_cancelled:
                await task
        return channels, poller

    factor = 1.0 if is_cancelled else 0.01
    with SimulatedModem(PEERS["telit"](scene()), tmp_path / "m", survey_factor=factor) as modem:
        channels, poller = asyncio.run(live(modem))
    assert (poller.counters.surveys, poller.counters.surveys_cut) == (1, int(is_cancelled))
    assert (110 in channels) is not is_cancelled
    assert 57 in channels
