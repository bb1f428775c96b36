"""Through the board: a modem's lines, and the FM-DX text that tuner software reads."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import time
import tty
from pathlib import Path

import pytest

from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.interface import CommandRefusedError
from hardware.board.passthrough import modem_bytes
from hardware.modems.interface import Arrival
from hardware.modems.quectel import QuectelDialect
from hardware.readings import CellReading
from hardware.serial import Transport, open_transport
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript
from tests.on_micropython.board import SCENE, Board
from tests.on_micropython.session import insist, next_of, talking


async def ask(link: BoardLink, text: bytes, timeout_s: int = 5) -> tuple[bytes, int]:
    """One AT command; what came back, and the last line's flags."""
    await link.command(m.ModemCommand(timeout_s=timeout_s, text=text))
    said = b""
    while True:
        line, _ = await next_of(link, m.ModemLine)
        said += modem_bytes(line)
        if line.flags & 1:
            return said, line.flags


def test_cells_of_a_modem_behind_the_board(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        dialect = QuectelDialect(sensor="modem0", file="board0")
        async with talking(board.link, limit_s=30) as link:
            assert (await link.greeted()).modem == 1
            said, _ = await ask(link, b"ATE0")
            assert said.endswith(b"OK\r\n")
            items = []
            for command in dialect.poll():
                said, _ = await ask(link, command.rstrip(b"\r"))
                items += dialect.feed(said, Arrival(at_us=0, time_basis="live"))
            cells = [item for item in items if isinstance(item, CellReading)]
            assert len(cells) >= 2
            assert sum(cell.is_serving for cell in cells) == 1

    modem = SimulatedModem(SceneScript("genuine"), tmp_path / "modem0", is_torn=True)
    with modem, Board(built, tmp_path, {**SCENE, "modem": str(modem.link)}) as board:
        asyncio.run(live(board))
    assert board.errors == ""


def test_long_lines_silence_and_a_scan_that_is_called_off(built: Path, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)

    async def live(board: Board) -> None:
        async with talking(board.link, limit_s=30) as link:
            await link.greeted()
            await link.command(m.ModemCommand(timeout_s=60, text=b"AT+COPS=?"))
            assert await asyncio.to_thread(os.read, master, 99) == b"AT+COPS=?\r"
            with pytest.raises(CommandRefusedError, match="BUSY"):
                await link.command(m.ModemCommand(timeout_s=5, text=b"AT"))
            os.write(master, b"+CREG: 1\r\n" + b"x" * 400 + b"\r\n")
            got = b""
            while b"x\r\n" not in got:
                got += modem_bytes((await next_of(link, m.ModemLine))[0])
            assert got == b"+CREG: 1\r\n" + b"x" * 400 + b"\r\n"
            await link.command(m.ModemCommand(timeout_s=0, text=b""))
            assert await asyncio.to_thread(os.read, master, 99) == b"\r"
            os.write(master, b"\r\nOK\r\n")
            last, _ = await next_of(link, m.ModemLine)
            assert (last.text, last.flags) == (b"OK", 1)
            said, flags = await ask(link, b"AT", timeout_s=1)  # nobody answers
            assert (said, flags) == (b"", 1 | 4)
            for bad in (b"AT\rAT", b"AT\n"):
                with pytest.raises(CommandRefusedError, match="BAD_VALUE"):
                    await link.command(m.ModemCommand(timeout_s=5, text=bad))

    with Board(built, tmp_path, {**SCENE, "modem": os.ttyname(slave)}) as board:
        asyncio.run(live(board))
    os.close(master)
    os.close(slave)


def lines_until(port: Transport, wanted: str, limit_s: float = 8.0) -> list[bytes]:
    """Whole lines of a text client until one fits."""
    data = b""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        data += port.read(4096, 0.1)
        lines = data.split(b"\n")[:-1]
        if any(re.fullmatch(wanted.encode(), line) for line in lines):
            return lines
    raise AssertionError(f"no {wanted} in {data[-300:]!r}")


def test_text_that_tuner_software_reads_and_back_to_frames(built: Path, tmp_path: Path) -> None:
    async def framed(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            await insist(link, m.Stop())
            assert await link.command(m.Ping(echo=b"frames")) == b"frames"

    with Board(built, tmp_path) as board:
        asyncio.run(framed(board))
        time.sleep(1.0)
        client = open_transport(str(board.link))
        client.write(b"\0x\n")
        lines_until(client, "OK")
        client.write(b"T89300\nY50\n")
        lines = lines_until(client, "R2010[0-9A-F]{12}00")
        assert b"T89300" in lines
        assert b"P2010" in lines
        assert any(re.fullmatch(rb"Ss72\.9,5,-1,0", line) for line in lines)  # 62 dBuV
        client.write(b"Sa88000\nSb90000\nSc100\nSw114000\nS\n")
        scan = next(x for x in lines_until(client, "U.*") if x.startswith(b"U"))
        points = dict(point.split(b"=") for point in scan[1:].split(b","))
        assert len(points) == 21
        assert points[b"89300"] == b"72.9"
        assert points[b"89200"] == b"18.9"
        client.write(b"T1\nS\xff\xfe\nTxyz\n" + b"z" * 500 + b"\nT91000\n")
        lines_until(client, "T91000")
        client.close()
        asyncio.run(framed(board))  # the host's zeros bring the frames back
    assert board.errors == ""


def test_set_dialect_by_command(built: Path, tmp_path: Path) -> None:
    async def live(board: Board) -> None:
        async with talking(board.link) as link:
            await link.greeted()
            await insist(link, m.Tune(frequency_khz=89300))
            await link.command(m.SetDialect(dialect=1))

    with Board(built, tmp_path) as board:
        asyncio.run(live(board))
        client = open_transport(str(board.link))
        lines_until(client, r"Ss72\.9,.*")
        client.close()
