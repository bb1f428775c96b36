"""When a machine links visits: a round as soon as an order comes or ends, then one each minute."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import structlog

from contract.words import PartState
from edge_agent.atm.visit_links import VisitLinks
from edge_agent.health import HealthBook

LOOK_S = 1.0
"""How often this machine's own store is asked which orders are in force."""
ROUND_S = 60.0
"""How often new visits are sealed under an order in force, and what waits is asked for."""

log = structlog.get_logger("links")


async def keep_linking(
    links: VisitLinks, orders: Callable[[], dict[bytes, bytes]], book: HealthBook
) -> None:
    """Do rounds until cancelled, and say in health how they went."""
    loop = asyncio.get_running_loop()
    asked, before, problems = -math.inf, frozenset[bytes](), list[str]()
    while True:
        now = frozenset(await asyncio.to_thread(orders))
        if now != before or loop.time() - asked >= ROUND_S:
            asked, before = loop.time(), now
            problems = await asyncio.to_thread(links.step)
            for problem in problems:
                log.warning("links_problem", problem=problem)
        state = PartState.DEGRADED if problems else PartState.OK
        counters: dict[str, int | float] = {**links.counters, "orders": len(now)}
        book.report("links", state, "; ".join(problems[:3]), counters)
        await asyncio.sleep(LOOK_S)
