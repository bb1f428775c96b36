"""The parts of an agent, each started again by itself when it fails, or when the central asks.

A defect in one part never ends another: it is logged whole, shown in health, and the part begins
anew after a pause that grows while it keeps failing. What no restart can mend (a dead event loop,
a thread that is gone) is the watchdog's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field

import structlog

from contract.words import PartState
from edge_agent.health import HealthBook

log = structlog.get_logger("supervision")

Work = Callable[[], Coroutine[None, None, None]]
"""Makes a part's work anew for each start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How soon a part that failed begins again."""

    first_s: float = 1.0
    """Longest pause after the first failure; each further one doubles it."""
    cap_s: float = 30.0
    stable_s: float = 60.0
    """A part that ran so long begins with the first pause again."""

    def pause_s(self, failures: int, chance: Callable[[], float] = random.random) -> float:
        """Return the pause after so many failures in a row; between half and the whole of it."""
        longest = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + 0.5 * chance())


@dataclass(slots=True)
class Part:
    """One part under supervision."""

    name: str
    work: Work
    on_failure: Callable[[str], None] = lambda problem: None
    """Told what went wrong, beside the health book."""
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    task: asyncio.Task[None] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0


class Supervisor:
    """Runs parts until it is cancelled. All methods belong to the event loop's thread."""

    def __init__(self, book: HealthBook) -> None:
        self._book = book
        self._parts: dict[str, Part] = {}

    def add(self, part: Part) -> None:
        """Enter a part before :meth:`run`; raises ValueError for a name that is taken."""
        if part.name in self._parts:
            raise ValueError(f"there are two parts named {part.name!r}")
        self._parts[part.name] = part

    @property
    def names(self) -> Iterable[str]:
        """Parts that may be restarted."""
        return self._parts.keys()

    def restart(self, name: str) -> None:
        """End a part's work and begin anew at once; raises KeyError for a name nobody entered."""
        part = self._parts[name]
        part.failures = 0
        part.wake.set()
        if part.task is not None:
            part.task.cancel()

    async def run(self) -> None:
        """Keep all parts; ends only by being cancelled, and then all of them with it."""
        async with asyncio.TaskGroup() as tasks:
            for part in self._parts.values():
                tasks.create_task(self._keep(part))

    async def _keep(self, part: Part) -> None:
        while True:
            part.wake.clear()
            problem = await self._run_once(part)
            if problem is None:  # it ended by itself (a recording is over), or was asked to restart
                await part.wake.wait()
                continue
            part.failures += 1
            self._book.count(part.name, "restarts")
            part.on_failure(problem)
            pause_s = part.policy.pause_s(part.failures)
            log.warning("part_restarts", part=part.name, in_s=round(pause_s, 1))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(part.wake.wait(), pause_s)
            self._book.report(part.name, PartState.DEGRADED, f"started again after {problem}")

    async def _run_once(self, part: Part) -> str | None:
        """Do the part's work once; what went wrong, None if nothing did."""
        loop = asyncio.get_running_loop()
        part.task = loop.create_task(part.work(), name=part.name)
        stable = loop.call_later(part.policy.stable_s, self._note_stable, part)
        try:
            await part.task
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                await _ended(part.task)
                raise
            log.info("part_restarted_on_request", part=part.name)
            return None
        except Exception as error:
            log.exception("part_failed", part=part.name)
            problem = f"{type(error).__name__}: {error}"
            self._book.report(part.name, PartState.FAILED, problem)
            return problem
        finally:
            stable.cancel()
            part.task = None
        return None

    def _note_stable(self, part: Part) -> None:
        """Forget the failures of a part that has run well for a while."""
        if part.failures:
            part.failures = 0
            self._book.report(part.name, PartState.OK)


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait until a cancelled task has cleaned up."""
    task.cancel()
    await asyncio.wait([task])
