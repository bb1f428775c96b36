"""A board in the real MicroPython as a sensor of the agent: sweeps, stations, RDS, health."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from contract import SystemClock
from contract.words import PartState
from edge_agent.config import SensorConfig, SensorKind
from edge_agent.desk import Desk
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.rf.board import BoardKeyError, board_poller, read_key
from edge_agent.rf.survey import Survey
from hardware.board.client import BoardLink
from hardware.board.poller import BoardPoller
from hardware.board.readings import BoardReadings
from hardware.readings import CellReading, Item, RdsReading, SweepReading, TunerReading
from hardware.serial import SerialPort
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript
from tests.edge_agent.outboxes import DEVICE, Bench
from tests.on_micropython.board import Board
from tests.on_micropython.session import QUICK

STATION = {
    "khz": 89300,
    "level": 62,
    "snr_db": 38,
    "groups": [
        [0x2010, 0x0540 | n, 0xE0CD, int.from_bytes(b"RADIO 89"[2 * n : 2 * n + 2], "big"), 0]
        for n in range(4)
    ],
}
SCENE = {"chip": "si4735", "stations": [STATION], "tune_ms": 1}


def test_a_board_sweeps_and_listens_by_turns(built: Path, tmp_path: Path) -> None:
    async def live(path: Path) -> list[Item]:
        items: list[Item] = []
        clock = SystemClock()
        async with asyncio.timeout(20), SerialPort(str(path), clock=clock, backoff=QUICK) as port:
            link = BoardLink(port, clock=clock)
            readings = BoardReadings(sensor="board0", file="board0")
            source = BoardPoller(link, readings, clock=clock, listen_s=1.5).items()
            async for item in source:
                items.append(item)
                if isinstance(item, RdsReading) and item.ps:
                    break
            with suppress(RuntimeError):
                await source.aclose()  # type: ignore[attr-defined]
        return items

    with Board(built, tmp_path, SCENE) as board:
        items = asyncio.run(live(board.link))
    (sweep,) = (i for i in items if isinstance(i, SweepReading))
    assert (sweep.start_hz, sweep.step_hz, len(sweep.levels_dbm)) == (87e6, 100e3, 211)
    assert sweep.levels_dbm[23] == pytest.approx(62 - 108.75)
    tuner = next(i for i in items if isinstance(i, TunerReading))
    assert (tuner.mhz, tuner.level_dbf, tuner.snr_db) == (89.3, 73.25, 38)
    last = items[-1]
    assert isinstance(last, RdsReading)
    assert (last.mhz, last.pi, last.ps) == (89.3, 0x2010, "RADIO 89")


def test_the_agent_opens_a_board_and_tells_its_counters(built: Path, tmp_path: Path) -> None:
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")

    async def live(board: Board, survey: Survey) -> None:
        task = asyncio.create_task(survey.run())
        try:
            async with asyncio.timeout(20):
                while _part(survey, book)[1].get("board_tunings", 0) == 0:
                    await asyncio.sleep(0.05)
                while _part(survey, book)[0] is not PartState.OK:
                    await asyncio.sleep(0.05)
                board.fault("gone")
                while _part(survey, book)[2] != "the board lost its tuner":
                    await asyncio.sleep(0.05)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with Bench(tmp_path).open() as outbox, Board(built, tmp_path / "b", SCENE) as board:
        survey = Survey(
            SensorConfig(name="board0", kind=SensorKind.BOARD, url=str(board.link), poll_s=None),
            device=DEVICE,
            clock=clock,
            desk=Desk(outbox, book),
            book=book,
            evidence=EvidenceStore(tmp_path / "evidence"),
        )
        asyncio.run(live(board, survey))
        counters = _part(survey, book)[1]
    assert int(str(counters["board_sweeps"])) >= 1
    assert int(str(counters["readings"])) >= 1
    assert counters["unreadable"] == 0


def test_a_modem_behind_the_board_gives_its_cells(built: Path, tmp_path: Path) -> None:
    async def live(path: Path) -> list[CellReading]:
        cells: list[CellReading] = []
        clock = SystemClock()
        config = SensorConfig(
            name="board0",
            kind=SensorKind.BOARD,
            url=str(path),
            poll_s=None,
            modem=SensorKind.QUECTEL,
        )
        async with asyncio.timeout(30), SerialPort(str(path), clock=clock, backoff=QUICK) as port:
            source = board_poller(port, config=config, file="board0", clock=clock).items()
            async for item in source:
                cells += [item] if isinstance(item, CellReading) else []
                if len(cells) >= 4:
                    break
            await source.aclose()  # type: ignore[attr-defined]
        return cells

    modem = SimulatedModem(SceneScript("genuine"), tmp_path / "modem0", is_torn=True)
    with modem, Board(built, tmp_path, {**SCENE, "modem": str(modem.link)}) as board:
        cells = asyncio.run(live(board.link))
    assert {c.stamp.sensor for c in cells} == {"board0"}
    assert any(c.is_serving for c in cells)


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31])
def test_a_key_file_that_is_none_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "board0.key"
    file.write_text(text)
    with pytest.raises(BoardKeyError, match=r"board0\.key: ") as caught:
        read_key(file)
    assert not text or text not in str(caught.value)
    with pytest.raises(BoardKeyError, match="No such file"):
        read_key(tmp_path / "none")


def test_a_key_is_64_digits(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("ab" * 32 + "\n")
    assert read_key(tmp_path / "k") == b"\xab" * 32
    assert read_key(None) is None


def _part(survey: Survey, book: HealthBook) -> tuple[PartState, dict[str, object], str]:
    survey.report_health()
    part = next(p for p in book.snapshot().parts if p.name == "sensor board0")
    return part.state, dict(part.counters), part.detail
