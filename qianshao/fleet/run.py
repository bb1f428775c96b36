"""The processes of a fleet: the central, its broker and the stations, and how far they are."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qianshao.fleet.plan import Plan
from qianshao.fleet.site import FleetSite
from qianshao.parts import LogEvent, Part


@dataclass
class Progress:
    """What one member said last."""

    is_ready: bool = False
    is_all_said: bool = False
    waiting: int | None = None
    published: int = 0
    resent: int = 0
    published_before: int = 0
    """By its dead predecessors, as far as they lived to tell."""
    resent_before: int = 0


@dataclass
class FleetRun:
    """One central, one broker, and the members of some plans. Nothing starts by itself."""

    site: FleetSite
    plans: Sequence[Plan]
    _progress: dict[str, Progress] = field(default_factory=dict)
    _changed: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        logs = self.site.folder / "logs"
        logs.mkdir(exist_ok=True)
        central = [sys.executable, "-m", "qianshao", "central"]
        self.central = Part(
            "central",
            [*central, "--config", str(self.site.central_config)],
            logs / "central.log",
            lambda name, event: None,
        )
        self.members = [self._member(plan, number, logs) for number, plan in enumerate(self.plans)]

    def _member(self, plan: Plan, number: int, logs: Path) -> Part:
        file = self.site.folder / f"plan-{number}.json"
        plan.write(file)
        name = f"member-{number}"
        self._progress[name] = Progress()
        command = [sys.executable, "-m", "qianshao.fleet.member", str(file)]
        return Part(name, command, logs / f"{name}.log", self._hear)

    def _hear(self, name: str, event: LogEvent) -> None:
        with self._changed:
            progress = self._progress[name]
            if event["event"] == "fleet_ready":
                progress.is_ready = True
            elif event["event"] == "fleet_status":
                progress.is_all_said = event["is_all_said"]
                progress.waiting = event["waiting"]
                progress.published = progress.published_before + event["published"]
                progress.resent = progress.resent_before + event["resent"]

    def restart_if_dead(self, part: Part) -> bool:
        """Start a dead part again; what it said before does not count any more. True if it was."""
        if part.is_running:
            return False
        with self._changed:
            if part.name in self._progress:
                former = self._progress[part.name]
                self._progress[part.name] = Progress(
                    published_before=former.published, resent_before=former.resent
                )
        return part.restart_if_dead() is not None

    def go(self) -> None:
        """Let all members connect at once; to be called when all are ready."""
        for member in self.members:
            if member.pid is not None:
                os.kill(member.pid, signal.SIGUSR1)

    @property
    def is_ready(self) -> bool:
        """Whether every member has filled its outboxes."""
        with self._changed:
            return all(p.is_ready for p in self._progress.values())

    @property
    def is_drained(self) -> bool:
        """Whether every member has said all it has to say and holds a receipt for each message."""
        with self._changed:
            return all(p.is_all_said and p.waiting == 0 for p in self._progress.values())

    @property
    def totals(self) -> Progress:
        """Sums over the members."""
        with self._changed:
            all_of_them = list(self._progress.values())
        return Progress(
            is_ready=all(p.is_ready for p in all_of_them),
            is_all_said=all(p.is_all_said for p in all_of_them),
            waiting=sum(p.waiting or 0 for p in all_of_them),
            published=sum(p.published for p in all_of_them),
            resent=sum(p.resent for p in all_of_them),
        )

    def stop(self) -> None:
        """End the members, the central and the broker."""
        for part in (*self.members, self.central):
            part.stop()
        self.site.broker.stop()
