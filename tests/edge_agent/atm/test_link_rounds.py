"""A round at the arrival of an order and at its end, and what health says of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from contract.clock import VirtualClock
from contract.words import PartState
from edge_agent.atm import link_rounds
from edge_agent.atm.visit_links import VisitLinks
from edge_agent.health import HealthBook


@dataclass
class Rounds:
    """Counts rounds instead of doing them."""

    done: int = 0
    problems: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=lambda: {"sent": 3})

    def step(self) -> list[str]:
        self.done += 1
        return self.problems


async def until(holds: Any) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


def test_an_order_that_comes_or_ends_is_a_round_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_rounds, "LOOK_S", 0.01)
    rounds, orders = Rounds(), dict[bytes, bytes]()
    book = HealthBook(clock=VirtualClock(), version="1")

    def part() -> Any:
        found = [one for one in book.snapshot().parts if one.name == "links"]
        return found[0] if found else None

    async def run() -> None:
        links = cast(VisitLinks, rounds)
        task = asyncio.create_task(link_rounds.keep_linking(links, lambda: orders, book))
        await until(lambda: rounds.done == 1)  # at the start: what is over is erased
        rounds.problems = ["to atm-2: HTTP status 503"]
        orders[b"o"] = b"raw"
        await until(lambda: rounds.done == 2)
        await until(lambda: part().state is PartState.DEGRADED)
        assert part().counters == {"sent": 3, "orders": 1}
        rounds.problems = []
        orders.clear()
        await until(lambda: rounds.done == 3)
        await until(lambda: part().state is PartState.OK)
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert rounds.done == 3  # the next is due after a minute
        monkeypatch.setattr(link_rounds, "ROUND_S", 0.0)
        await until(lambda: rounds.done > 4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
