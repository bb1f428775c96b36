"""A campaign of kill -9: 3,000 messages at 1,000/s from one station while its world is killed.

Agent, broker and central run as processes; each run has its own random times and victims, from its
number alone. Afterwards the station's ledger and the central's store are compared.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qianshao.fleet.run import FleetRun
from qianshao.fleet.simulate import plans_of
from qianshao.fleet.site import prepare
from qianshao.fleet.traffic import Arrivals
from qianshao.fleet.verdict import Verdict, judge

MESSAGES = 3000
RATE_PER_S = 1000.0
VICTIMS = ("agent", "broker", "ingest", "all")
PATIENCE_S = 120.0
LATE_S = 4.0
"""When a central that is late starts: everything has been said by then, unless it was killed."""

HEAD = (
    "run broker    central  kills (s: victim)                              "
    "durable stored resent lost twice breaks  s"
)


@dataclass(frozen=True, slots=True)
class Kill:
    """One blow."""

    at_s: float
    victim: str
    rest_s: float
    """Before the dead are started again."""


@dataclass(frozen=True, slots=True)
class Script:
    """What happens in one run."""

    number: int
    broker: str
    is_central_late: bool
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    script: Script
    verdict: Verdict
    is_drained: bool
    landed: int
    """Blows that hit a living process."""
    resent: int
    seconds: float

    @property
    def line(self) -> str:
        kills = ", ".join(f"{kill.at_s:.1f}: {kill.victim}" for kill in self.script.kills)
        central = "late" if self.script.is_central_late else "there"
        v = self.verdict
        return (
            f"{self.script.number:3} {self.script.broker:9} {central:8} {kills:46.46} "
            f"{v.durable:7} {v.stored:6} {self.resent:6} {v.lost:4} {v.twice:5} {v.chain_breaks:6} "
            f"{self.seconds:4.1f}"
        )


def script_of(number: int) -> Script:
    """The script of a run; every victim, broker and kind of central comes about equally often."""
    chance = random.Random(f"campaign {number}")
    is_late = bool(number // 8 % 2)
    victims = [VICTIMS[number % 4]] + [chance.choice(VICTIMS) for _ in range(chance.randint(0, 3))]
    kills = []
    for victim in victims:
        # A central that is late can be killed only later.
        at_s = chance.uniform(0.1, 5.0) + (LATE_S if is_late and victim == "ingest" else 0.0)
        kills.append(Kill(at_s, victim, rest_s=chance.uniform(0.0, 1.0)))
    broker = ("nats", "mosquitto")[number // 4 % 2]
    return Script(number, broker, is_late, tuple(sorted(kills, key=lambda kill: kill.at_s)))


def perform(script: Script, folder: Path) -> Outcome:
    """Run a script in a folder and judge it."""
    site = prepare(folder, ["station-1"], script.broker)
    plans = plans_of(
        site,
        1,
        backlog=0,
        messages=MESSAGES,
        rate_per_s=RATE_PER_S,
        arrivals=Arrivals.STEADY,
    )
    run = FleetRun(site, plans)
    try:
        return _perform(script, run)
    finally:
        run.stop()


def _perform(script: Script, run: FleetRun) -> Outcome:
    if not script.is_central_late:
        run.central.start()
    run.members[0].start()
    _until(lambda: run.is_ready, PATIENCE_S)
    began = time.monotonic()
    landed = 0
    todo: list[tuple[float, Callable[[], int]]] = [
        (kill.at_s, partial(_strike, run, kill.victim)) for kill in script.kills
    ]
    if script.is_central_late:
        todo.append((LATE_S, partial(_start, run)))
    todo += [(kill.at_s + kill.rest_s, partial(_revive, run)) for kill in script.kills]
    for at_s, act in sorted(todo, key=lambda pair: pair[0]):
        time.sleep(max(0.0, began + at_s - time.monotonic()))
        landed += act()
    _revive(run)
    is_drained = _until(lambda: run.is_drained, PATIENCE_S)
    seconds = time.monotonic() - began
    resent = run.totals.resent
    run.members[0].stop()
    verdict = judge(run.site, list(run.plans))
    return Outcome(script, verdict, is_drained, landed, resent, seconds)


def _start(run: FleetRun) -> int:
    run.central.start()
    return 0


def _strike(run: FleetRun, victim: str) -> int:
    pids = {
        "agent": run.members[0].pid if run.members[0].is_running else None,
        "broker": run.site.broker.pid,
        "ingest": run.central.pid if run.central.is_running else None,
    }
    landed = 0
    for name, pid in pids.items():
        if victim in {name, "all"} and pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                landed += 1
    return landed


def _revive(run: FleetRun) -> int:
    run.site.broker.ensure()
    run.restart_if_dead(run.members[0])
    if run.central.pid is not None:
        run.restart_if_dead(run.central)
    return 0


def _until(is_so: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
