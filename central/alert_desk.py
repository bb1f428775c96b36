"""What people do with alerts: one action, one transaction, one line of history.

Whoever acts says which version they saw. Two officers who act at once are put one behind the other
by the store's write lock: the first wins, the second is told what the first did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from central.actor import Actor
from central.alert_states import AlertAction, RuleError
from central.alert_work import (
    AlertWork,
    NotCoveredError,
    Seen,
    StaleError,
    UnknownError,
    sql_of,
)
from central.store.interface import AlertRow, Event
from central.store.sql import SqlStore
from contract.clock import Clock

LARGEST_BULK = 200
_CALLS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one alert of a bulk action; no problem: it was done."""

    alert_id: int
    problem: str | None


class AlertDesk:
    """Changes alerts. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_events = on_events

    def act(
        self,
        actor: Actor,
        seen: Seen,
        action: AlertAction,
        *,
        reason: str | None = None,
        note: str = "",
        snooze_s: int | None = None,
    ) -> AlertRow:
        """Do one thing with one alert.

        Raises UnknownError, NotCoveredError, StaleError or RuleError, and then nothing changed.
        """
        with self._writing() as desk:
            return desk.act(actor, seen, action, reason=reason, note=note, snooze_s=snooze_s)

    def act_on_many(
        self,
        actor: Actor,
        seen: Sequence[Seen],
        action: AlertAction,
        *,
        reason: str | None = None,
        note: str = "",
        snooze_s: int | None = None,
    ) -> list[Outcome]:
        """Do one thing with many alerts; what cannot be done is told of each and stops no other."""
        if len(seen) > LARGEST_BULK:
            raise RuleError(f"at most {LARGEST_BULK} alerts at once")
        done = []
        with self._writing() as desk:
            for one in seen:
                try:
                    desk.act(actor, one, action, reason=reason, note=note, snooze_s=snooze_s)
                except (UnknownError, NotCoveredError, StaleError, RuleError) as error:
                    done.append(Outcome(one.alert_id, str(error)))
                else:
                    done.append(Outcome(one.alert_id, None))
        return done

    def merge(self, actor: Actor, into: Seen, others: Sequence[Seen], note: str = "") -> AlertRow:
        """Let other alerts become part of one. Their texts and histories stay where they are."""
        if not others:
            raise RuleError("nothing was chosen to be merged")
        if len(others) > LARGEST_BULK:
            raise RuleError(f"at most {LARGEST_BULK} alerts at once")
        with self._writing() as desk:
            return desk.merge(actor, into, others, note)

    def split(self, actor: Actor, seen: Seen, note: str = "") -> AlertRow:
        """Take a merged alert out again, as it was before."""
        with self._writing() as desk:
            return desk.split(actor, seen, note)

    def split_device(self, actor: Actor, seen: Seen, device: str, note: str = "") -> AlertRow:
        """Give what one device says of this subject an alert of its own, now and from now on."""
        with self._writing() as desk:
            return desk.split_device(actor, seen, device, note)

    def support(
        self, actor: Actor, seen: Seen, detection: tuple[str, bytes], further: int, note: str = ""
    ) -> AlertRow:
        """Let a detection (device, id) of one alert support another one too."""
        with self._writing() as desk:
            return desk.support(actor, seen, *detection, further, note)

    def undo(self, actor: Actor, seen: Seen) -> AlertRow:
        """Take back one's own last action, where that is cheap and nothing happened since."""
        with self._writing() as desk:
            return desk.undo(actor, seen)

    def call_due(self) -> int:
        """Call the next person for every alert that nobody has acknowledged; return how many."""
        now = int(self._clock.wall())
        due = self._store.due_calls(now, _CALLS_AT_ONCE)
        if not due:
            return 0
        with self._writing() as desk:
            return sum(desk.call(alert_id) for alert_id in due)

    def _writing(self) -> _Session:
        return _Session(self._store, int(self._clock.wall()), self._on_events)


class _Session:
    """One transaction of the desk; its events are told after the commit."""

    def __init__(
        self,
        store: SqlStore,
        now: int,
        on_events: Callable[[Sequence[Event]], None],
    ) -> None:
        self._transaction = store.transaction()
        self._now = now
        self._on_events = on_events

    def __enter__(self) -> AlertWork:
        self._tx = self._transaction.__enter__()
        self._work = AlertWork(sql_of(self._tx), self._now)
        return self._work

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        events: list[Event] = []
        if error is None:
            events = self._work.tell()
        self._transaction.__exit__(kind, error, trace)
        if events:
            self._on_events(events)
