"""Parts that fail begin again, others never notice, and the central may ask for a fresh start."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contract.clock import SystemClock
from contract.words import PartState
from edge_agent.health import HealthBook
from edge_agent.supervision import Part, RestartPolicy, Supervisor

FAST = RestartPolicy(first_s=0.01, cap_s=0.05, stable_s=0.2)


def a_book() -> HealthBook:
    return HealthBook(clock=SystemClock(), version="1")


@asynccontextmanager
async def running(supervisor: Supervisor) -> Any:
    task = asyncio.create_task(supervisor.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(is_so: Any) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.005)


class Work:
    """Fails so many times, then runs for ever; counts its starts and its ends."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.starts, self.ends = failures, 0, 0

    async def __call__(self) -> None:
        self.starts += 1
        try:
            if self.starts <= self.failures:
                raise RuntimeError("a defect")
            await asyncio.Event().wait()
        finally:
            self.ends += 1


def test_a_failing_part_begins_again_and_others_never_notice() -> None:
    async def scene() -> None:
        book, bad, good = a_book(), Work(failures=3), Work()
        told: list[str] = []
        supervisor = Supervisor(book)
        supervisor.add(Part("bad", bad, told.append, FAST))
        supervisor.add(Part("good", good))
        async with running(supervisor):
            await until(lambda: bad.starts == 4)
            line = next(p for p in book.snapshot().parts if p.name == "bad")
            assert (line.state, line.counters["restarts"]) == (PartState.DEGRADED, 3)
            assert "RuntimeError: a defect" in line.detail
            await until(lambda: book.state("bad") is PartState.OK)
        assert told == ["RuntimeError: a defect"] * 3
        assert (good.starts, good.ends) == (1, 1)
        assert (bad.starts, bad.ends) == (4, 4)

    asyncio.run(scene())


def test_a_failure_is_told_while_it_lasts() -> None:
    async def scene() -> None:
        book = a_book()
        supervisor = Supervisor(book)
        supervisor.add(Part("bad", Work(failures=99), policy=RestartPolicy(first_s=9)))
        async with running(supervisor):
            await until(lambda: book.state("bad") is PartState.FAILED)

    asyncio.run(scene())


def test_a_request_starts_a_part_again_at_once() -> None:
    async def scene() -> None:
        book, work, pausing = a_book(), Work(), Work(failures=1)
        supervisor = Supervisor(book)
        supervisor.add(Part("it", work))
        supervisor.add(Part("pausing", pausing, policy=RestartPolicy(first_s=60, cap_s=60)))
        async with running(supervisor):
            await until(lambda: (work.starts, pausing.starts) == (1, 1))
            await until(lambda: book.state("pausing") is PartState.FAILED)
            supervisor.restart("it")
            supervisor.restart("pausing")
            await until(lambda: (work.starts, pausing.starts) == (2, 2))
            assert work.ends == 1
            with pytest.raises(KeyError):
                supervisor.restart("nobody")
        assert work.ends == 2

    asyncio.run(scene())


def test_a_part_that_has_ended_rests_until_it_is_asked() -> None:
    async def scene() -> None:
        starts = []

        async def recording() -> None:
            starts.append(1)

        supervisor = Supervisor(a_book())
        supervisor.add(Part("it", recording))
        async with running(supervisor):
            await until(lambda: starts)
            await asyncio.sleep(0.05)
            assert len(starts) == 1
            supervisor.restart("it")
            await until(lambda: len(starts) == 2)

    asyncio.run(scene())


def test_two_parts_of_one_name_are_a_mistake() -> None:
    async def never() -> None: ...

    supervisor = Supervisor(a_book())
    supervisor.add(Part("it", never))
    with pytest.raises(ValueError, match="two parts"):
        supervisor.add(Part("it", never))


def test_pauses_grow_to_a_cap_and_are_never_the_same_for_all() -> None:
    policy = RestartPolicy(first_s=1.0, cap_s=30.0)
    longest = [policy.pause_s(n, lambda: 1.0) for n in (1, 2, 3, 6, 500)]
    assert longest == [1.0, 2.0, 4.0, 30.0, 30.0]
    assert policy.pause_s(3, lambda: 0.0) == 2.0


def test_the_end_of_the_agent_waits_for_a_part_to_clean_up() -> None:
    async def scene() -> None:
        is_clean = False

        async def careful() -> None:
            nonlocal is_clean
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.05)
                is_clean = True

        supervisor = Supervisor(a_book())
        supervisor.add(Part("it", careful))
        async with running(supervisor):
            await asyncio.sleep(0.02)
        assert is_clean

    asyncio.run(scene())
