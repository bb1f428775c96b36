"""Tells the central what the gate noticed: at once, then once a minute for each kind."""

from __future__ import annotations

import asyncio
from typing import Final

from contract.clock import Clock
from contract.messages import MachineAlarm
from contract.words import MachineAlarmKind
from edge_agent.desk import Desk

PERIOD_US: Final = 60_000_000
"""No flood of commands fills the outbox: the next message says how many there were."""
DETAIL_CHARS: Final = 200


class Alarms:
    """Called in the agent's loop."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._told: dict[MachineAlarmKind, int] = {}
        self._waiting: dict[MachineAlarmKind, int] = {}
        self._tasks: set[asyncio.Task[bool]] = set()

    def tell(self, alarm: MachineAlarmKind, detail: str, *, is_closed: bool) -> None:
        """Put an alarm into the outbox, or count it towards the next message of its kind."""
        count = self._waiting[alarm] = self._waiting.get(alarm, 0) + 1
        now = self._clock.mono()
        told = self._told.get(alarm)
        if told is not None and now - told < PERIOD_US:
            return
        self._told[alarm], self._waiting[alarm] = now, 0
        message = MachineAlarm(
            alarm=alarm,
            detail=detail[:DETAIL_CHARS],
            is_closed=is_closed,
            at=self._clock.wall(),
            count=count,
        )
        task = asyncio.get_running_loop().create_task(self._desk.send(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
