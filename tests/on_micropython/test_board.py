"""The whole board in the real MicroPython, driven by the host over a pty."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from hardware.board import messages as m
from hardware.board.interface import CommandRefusedError
from tests.on_micropython.board import SCENE, STATION, Board
from tests.on_micropython.session import counters, insist, next_of, talking

KEY = bytes(range(32))


def test_hello_commands_and_readings(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            hello = await link.greeted()
            assert hello.board.rstrip(b"\0") == b"simulated"
            assert (hello.slot, hello.flags, hello.proof) == (b"f", 0, bytes(16))
            await insist(link, m.Tune(frequency_khz=89300))
            quality, received = await next_of(link, m.Quality)
            assert (quality.frequency_khz, quality.level, quality.snr_db) == (89300, 62, 38)
            group, _ = await next_of(link, m.RdsGroup)
            assert (group.block_a, group.errors) == (0x2010, 0)
            later, received = await next_of(link, m.Quality)
            assert later.frequency_khz == 89300
            assert received.at_us is not None
            assert received.error_us is not None
            assert abs(received.at_us - time.time_ns() // 1000) < 1_000_000
            assert received.error_us < 100_000
            assert await link.command(m.Ping(echo=b"\0\3x")) == b"\0\3x"
            while link.heartbeat is None:
                await asyncio.sleep(0.05)
            assert link.is_alive
            assert link.counters().lost <= 2  # what was said before the port was opened

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))
    assert board.errors == ""


@pytest.mark.parametrize(("chip", "snr_db"), [("si4735", 38), ("si4703", 255), ("rda5807", 255)])
def test_a_sweep_comes_in_parts(built: Path, tmp_path: Path, chip: str, snr_db: int) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            sweep = m.StartSweep(start_khz=87000, stop_khz=108000, step_khz=100, repeats=1)
            await insist(link, sweep)
            with pytest.raises(CommandRefusedError, match="BUSY"):
                await link.command(m.Tune(frequency_khz=89300))
            parts = [(await next_of(link, m.Sweep))[0] for _ in range(3)]
            assert [(p.part, p.parts, p.start_khz) for p in parts] == [
                (0, 3, 87000),
                (1, 3, 94600),
                (2, 3, 102200),
            ]
            channels = b"".join(p.channels for p in parts)
            assert len(channels) == 211 * 3
            levels = {87000 + 100 * i: channels[3 * i] for i in range(211)}
            assert [khz for khz, level in levels.items() if level > 20] == [89300]
            assert channels[3 * 23 : 3 * 23 + 2] == bytes([62, snr_db])

    with Board(built, tmp_path, {**SCENE, "chip": chip}) as board:
        asyncio.run(live(board))
    assert board.errors == ""


def test_what_cannot_be_done_is_refused_with_its_reason(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            await insist(link, m.Stop())
            await insist(link, m.SetVolume(volume=15))
            for command, status in (
                (m.Tune(frequency_khz=189300), m.Status.BAD_VALUE),
                (m.SetVolume(volume=16), m.Status.BAD_VALUE),
                (m.StartSweep(start_khz=9, stop_khz=8, step_khz=0, repeats=0), m.Status.BAD_VALUE),
                (m.ModemCommand(timeout_s=5, text=b"AT"), m.Status.NO_DEVICE),
                (m.SetDialect(dialect=9), m.Status.BAD_VALUE),
                (m.Reboot(is_safe=2), m.Status.REFUSED),
                (m.Reboot(is_safe=3), m.Status.BAD_VALUE),
                (m.UpdateData(offset=0, data=b"x"), m.Status.FAILED),
                (m.UpdateBegin(size=0, sha256=bytes(32), proof=bytes(16)), m.Status.FAILED),
            ):
                with pytest.raises(CommandRefusedError) as caught:
                    await link.command(command)
                assert caught.value.status is status, command

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_a_board_proves_that_it_holds_the_key(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            assert (await link.greeted()).flags & 16 == 0
            await link.command(m.Provision(key=KEY))
            with pytest.raises(CommandRefusedError, match="REFUSED"):
                await link.command(m.Provision(key=bytes(32)))
        async with talking(board.link, key=KEY) as link:
            assert (await link.greeted()).flags & 16
        async with talking(board.link, key=bytes(32)) as link:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await link.greeted()
            assert "does not hold the key" in str(link.counters().problem)
            assert link.counters().delivered == 0

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_a_tuner_that_goes_away_is_found_again_where_it_was(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            await insist(link, m.Tune(frequency_khz=89300))
            await next_of(link, m.Quality)
            board.fault("gone")
            lost, _ = await next_of(link, m.Fault)
            assert lost.code == 2
            with pytest.raises(CommandRefusedError, match="NO_DEVICE"):
                await link.command(m.Tune(frequency_khz=89300))
            assert (await counters(link)).flags & 8
            board.fault("")
            back, _ = await next_of(link, m.Fault)
            assert (back.code, back.detail) == (3, 1)
            quality, _ = await next_of(link, m.Quality)
            assert quality.frequency_khz == 89300

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_an_error_in_the_program_is_reported_and_survived(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            board.fault("error")
            fault, _ = await next_of(link, m.Fault, lambda f: f.code == 5)
            assert b"made by a test" in fault.text
            assert await link.command(m.Ping(echo=b"still")) == b"still"

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))


def test_a_board_that_hangs_is_reset_and_says_so(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            first = await link.greeted()
            board.fault("hang")
            while board.watchdog_resets == 0:
                await asyncio.sleep(0.05)
            board.fault("")
            fault, _ = await next_of(link, m.Fault, lambda f: f.code == 4)
            assert fault.text == b"watchdog reset"
            assert (await link.greeted()).boot_id != first.boot_id
            assert await link.command(m.Ping(echo=b"")) == b""

    with Board(built, tmp_path, {**SCENE, "watchdog_ms": 700}) as board:
        asyncio.run(live(board))


def test_three_watchdog_resets_lead_to_safe_mode(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            board.fault("hang")
            while board.watchdog_resets < 3:
                await asyncio.sleep(0.05)
            hello = await link.greeted()
            while not hello.flags & 1:
                await asyncio.sleep(0.05)
                hello = await link.greeted()
            with pytest.raises(CommandRefusedError, match="SAFE_MODE"):
                await link.command(m.Tune(frequency_khz=89300))
            board.fault("")
            await link.command(m.Reboot(is_safe=0))
            while (hello := await link.greeted()).flags & 1:
                await asyncio.sleep(0.05)
            await insist(link, m.Tune(frequency_khz=89300))
            await link.command(m.Reboot(is_safe=1))
            while not (hello := await link.greeted()).flags & 1:
                await asyncio.sleep(0.05)
            assert not (board.disk / "watchdog").exists()
            await link.command(m.Reboot(is_safe=2))  # a person takes over at the prompt
            while board.link.exists():
                await asyncio.sleep(0.05)

    with Board(built, tmp_path, {**SCENE, "watchdog_ms": 500}) as board:
        asyncio.run(live(board))
    assert STATION["khz"] == 89300
