"""Everything goes wrong at once, and every message is accounted for to the last one."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hardware.board import messages as m
from hardware.board.client import BoardLink
from hardware.board.interface import BoardError
from hardware.serial import PortError
from tests.on_micropython.board import SCENE, Board
from tests.on_micropython.line import Line
from tests.on_micropython.session import counters, insist, next_of, talking

BUSY_SCENE: dict[str, Any] = {
    **SCENE,
    "tune_ms": 0,
    "stations": [
        {"khz": 89300, "level": 62, "groups": [[0x2010, 0x0540, 0xE0CD, 0x4142, 0]]},
        {"khz": 91500, "level": 40, "groups": [[0x3ABC, 0x0540, 0xE0CD, 0x4142, 4]]},
    ],
}


def test_forty_of_forty_commands_are_answered_among_garbage(built: Path, tmp_path: Path) -> None:
    async def live(line: Line) -> None:
        rng = random.Random(5)
        async with talking(line.link, limit_s=60) as link:
            await link.greeted()
            for number in range(40):
                line.garbage(rng.randbytes(rng.randint(1, 60)))
                if number % 10 == 0:  # a run without a zero, longer than any frame
                    line.garbage(rng.randbytes(600).replace(b"\0", b"\7"))
                echo = bytes([number]) * 3
                assert await link.command(m.Ping(echo=echo)) == echo
            counted = await counters(link)
            assert counted.bad_frames > 5
            assert link.counters().unanswered == 0

    with Board(built, tmp_path) as board, Line(board.link, tmp_path, seed=1) as line:
        asyncio.run(live(line))
        assert board.starts == 1


def test_a_command_whose_reply_is_lost_is_done_once(built: Path, tmp_path: Path) -> None:
    async def live(line: Line) -> None:
        async with talking(line.link) as link:
            await link.greeted()
            sweep = m.StartSweep(start_khz=88000, stop_khz=88500, step_khz=100, repeats=1)
            await insist(link, sweep)
            await next_of(link, m.Sweep)
            line.is_stalled = True
            task = asyncio.create_task(link.command(sweep))
            await asyncio.sleep(0.6)  # it has been sent twice by now
            line.is_stalled = False
            assert await task == b""
            second, _ = await next_of(link, m.Sweep)
            assert second.sweep_no == 2
            assert link.counters().retries >= 1
            await asyncio.sleep(0.3)
            assert await link.command(m.Ping(echo=b"")) == b""
            assert not any(isinstance(r.message, m.Sweep) for r in link._queue)

    with Board(built, tmp_path) as board, Line(board.link, tmp_path, seed=2) as line:
        asyncio.run(live(line))


def test_events_that_the_line_lost_come_again(built: Path, tmp_path: Path) -> None:
    async def live(line: Line) -> None:
        async with talking(line.link) as link:
            await link.greeted()
            await insist(link, m.Tune(frequency_khz=89300))
            line.rate = 0.004
            seen: set[int] = set()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                group, _ = await next_of(link, m.RdsGroup)
                seen.add(group.event_no)
            line.rate = 0.0
            while link.counters().recovered == 0 or len(seen) <= max(seen):
                group, _ = await next_of(link, m.RdsGroup)
                assert group.event_no not in seen, "an event was handed out twice"
                seen.add(group.event_no)
            assert seen == set(range(max(seen) + 1))

    with Board(built, tmp_path, BUSY_SCENE) as board, Line(board.link, tmp_path, 3) as line:
        asyncio.run(live(line))


@pytest.mark.parametrize(
    "seed", [11, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(12, 24))]
)
def test_sent_minus_received_is_what_was_dropped_and_lost(
    built: Path, tmp_path: Path, seed: int
) -> None:
    async def live(board: Board, line: Line) -> None:
        rng = random.Random(seed)
        async with talking(line.link, queue_messages=6, limit_s=60) as link:
            await link.greeted()
            taken = 0

            async def consume() -> None:
                nonlocal taken
                while True:
                    assert await link.next_message() is not None
                    taken += 1
                    await asyncio.sleep(rng.choice((0, 0, 0, 0.8)))

            consumer = asyncio.create_task(consume())
            await insist(
                link, m.StartSweep(start_khz=87000, stop_khz=108000, step_khz=100, repeats=0)
            )
            for _ in range(2):
                line.rate = rng.choice((1e-3, 5e-3))
                await asyncio.sleep(1.0)
                await asyncio.to_thread(line.replug, 0.3)
                await asyncio.sleep(0.7)
                line.is_stalled = True
                await asyncio.sleep(1.2)
                line.is_stalled = False
                line.garbage(rng.randbytes(100))
                await try_hard(link, m.Stop())
                await try_hard(link, m.Tune(frequency_khz=89300))
                await asyncio.sleep(0.7)
                await try_hard(
                    link, m.StartSweep(start_khz=87000, stop_khz=90000, step_khz=50, repeats=0)
                )
            line.rate = 0.0
            narrow = m.StartSweep(start_khz=89300, stop_khz=89350, step_khz=50, repeats=0)
            await try_hard(link, m.Stop())
            await try_hard(link, narrow)
            board.fault("mute")
            await asyncio.sleep(2.0)  # until the board's own queues are full
            board.fault("")
            await try_hard(link, m.Stop())
            await asyncio.sleep(0.5)
            consumer.cancel()
            verdict(await counters(link), link, line, taken)

    with Board(built, tmp_path, BUSY_SCENE) as board, Line(board.link, tmp_path, seed) as line:
        asyncio.run(live(board, line))
        assert board.starts == 1


async def try_hard(link: BoardLink, command: m.Command) -> None:
    """Until the line lets it through."""
    while True:
        try:
            await insist(link, command)
        except (BoardError, PortError):
            await asyncio.sleep(0.05)
        else:
            return


def verdict(board: m.GetCountersAnswer, link: BoardLink, line: Line, taken: int) -> None:
    """Nothing is between the two any more: the books must agree to the last message."""
    dropped = board.dropped_control + board.dropped_event + board.dropped_telemetry
    assert board.offered == board.sent + dropped, "the board's own books"
    assert len(link.boots) == 1
    boot = link.boots[0]
    assert boot.sent == board.sent + 1, "the reply itself is one more"
    assert line.frames_from_board == boot.sent, "an eye on the wire counts the same"
    host = link.counters()
    assert host.received == boot.received
    kept_back = host.dropped + host.duplicates + host.unreadable
    assert host.received == host.used + host.delivered + host.waiting + kept_back
    assert host.delivered == taken
    sent = board.offered + 1
    arrived = host.used + taken + host.waiting
    assert sent - arrived == dropped + host.lost + kept_back
    for cause in (dropped, host.lost, host.dropped):
        assert cause > 0, (dropped, host)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_fifty_unplugs_are_survived_without_a_leak(built: Path, tmp_path: Path) -> None:
    """Of the line; the board runs on. Data is back within 3 s each time."""

    async def live(line: Line) -> None:
        async with talking(line.link, limit_s=120) as link:
            await link.greeted()
            await insist(link, m.Tune(frequency_khz=89300))
            await next_of(link, m.Quality)
            threads = threading.active_count()
            files = open_files()
            slowest = 0.0
            for _ in range(50):
                await asyncio.to_thread(line.replug, 0.02)
                begin = time.monotonic()
                link._queue.clear()
                await link.greeted()
                await next_of(link, m.Quality)
                slowest = max(slowest, time.monotonic() - begin)
            assert slowest < 3.0
            assert threading.active_count() <= threads + 1
            assert open_files() <= files + 1
            assert len(link.boots) == 1

    with Board(built, tmp_path) as board, Line(board.link, tmp_path, seed=6) as line:
        asyncio.run(live(line))
