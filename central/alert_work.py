"""The changes of alerts themselves, inside one transaction of the desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from central import alert_states as rules
from central.actor import Actor
from central.alert_states import (
    CENTRAL_ACTOR,
    OPEN,
    SECOND_US,
    AlertAction,
    AlertState,
    RuleError,
)
from central.audit import record
from central.store import triage
from central.store.interface import AlertRow, Event, EventKind
from central.store.triage import AlertEvent
from central.store.write import SqlTransaction
from central.views import alert_json
from contract.words import Level, Severity

LONGEST_NOTE = 2000


class UnknownError(LookupError):
    """There is no such alert or case."""


class NotCoveredError(PermissionError):
    """It lies outside the person's areas."""


class StaleError(Exception):
    """Somebody else was faster: what they did, for the one who comes second to read."""

    def __init__(self, subject: str, *, version: int, state: str, by: str, action: str) -> None:
        super().__init__(
            f"{subject} has changed since you saw it: {action} by {by}; it is {state} now"
        )
        self.version = version
        self.state = state
        self.by = by
        self.action = action


@dataclass(frozen=True, slots=True)
class Seen:
    """An alert as somebody saw it."""

    alert_id: int
    version: int


def check_note(note: str) -> str:
    """Return a note of bearable length; raises RuleError."""
    note = note.strip()
    if len(note) > LONGEST_NOTE:
        raise RuleError(f"a note has at most {LONGEST_NOTE} characters")
    return note


class AlertWork:
    """The changes themselves, inside a transaction."""

    def __init__(self, tx: SqlTransaction, now: int) -> None:
        self._tx = tx
        self._now = now
        self._changed: dict[int, str] = {}

    def tell(self) -> list[Event]:
        """Write what pages are told of."""
        events = []
        for alert_id, change in self._changed.items():
            row = self._tx.alert_by_id(alert_id)
            assert row is not None
            data = {"change": change, "alert": alert_json(row)}
            events.append(self._tx.add_event(self._now, EventKind.ALERT, data))
        return events

    def act(
        self,
        actor: Actor,
        seen: Seen,
        action: AlertAction,
        *,
        reason: str | None,
        note: str,
        snooze_s: int | None,
    ) -> AlertRow:
        """Do one thing with one alert."""
        row = self.seen(actor, seen)
        state = rules.after(action, AlertState(row.state))
        code = rules.check_reason(action, reason, note)
        note = check_note(note)
        if action is AlertAction.NOTE and not note:
            raise RuleError("a note needs a text")
        changes: dict[str, Any] = {"state": state.value}
        if action in {AlertAction.ACKNOWLEDGE, AlertAction.CONFIRM, AlertAction.DISMISS}:
            changes |= {"handler": row.handler or actor.name, "escalate_at": None}
        if action in rules.NEEDS_REASON:
            changes |= {"reason_code": code, "closed_at": self._now, "snoozed_until": None}
        if action is AlertAction.SNOOZE:
            changes |= self._snoozed(row, snooze_s)
        if action is AlertAction.WAKE:
            changes |= self._awake(row)
        data = {"until": changes["snoozed_until"]} if action is AlertAction.SNOOZE else {}
        return self._change(row, actor.name, action, changes, actor, code, note, data)

    def _snoozed(self, row: AlertRow, snooze_s: int | None) -> dict[str, Any]:
        if snooze_s is None or not 0 < snooze_s <= rules.LONGEST_SNOOZE_S:
            hours = rules.LONGEST_SNOOZE_S // 3600
            raise RuleError(f"a snooze lasts up to {hours} hours")
        until = self._now + snooze_s * SECOND_US
        is_waiting = row.state == AlertState.NEW
        return {"snoozed_until": until, "escalate_at": until if is_waiting else None}

    def _awake(self, row: AlertRow) -> dict[str, Any]:
        if row.snoozed_until is None:
            raise RuleError("the alert is not snoozed")
        due = self._now if row.state == AlertState.NEW else None
        return {"snoozed_until": None, "escalate_at": due}

    def merge(self, actor: Actor, into: Seen, others: Sequence[Seen], note: str) -> AlertRow:
        """Let other alerts become part of one."""
        target = self.seen(actor, into)
        if AlertState(target.state) not in OPEN:
            raise RuleError(f"alert {target.id} is {target.state}: nothing is merged into it")
        merged: dict[int, int] = {}
        for other in others:
            if other.alert_id == target.id:
                raise RuleError("an alert cannot be merged into itself")
            row = self.seen(actor, other)
            if row.is_technical != target.is_technical:
                raise RuleError("technical alerts and police alerts are kept apart")
            state = rules.after(AlertAction.MERGE, AlertState(row.state))
            changes: dict[str, Any] = {
                "state": state.value,
                "merged_into": target.id,
                "escalate_at": None,
            }
            link = {"into": target.id, "count": row.count}
            self._change(row, actor.name, AlertAction.MERGE, changes, actor, None, note, link)
            triage.repoint_merged(self._tx._connection, row.id, target.id)
            merged[row.id] = row.count
            target = _widened(target, row)
        data = {"merged": sorted(merged)}
        return self._change(target, actor.name, AlertAction.MERGE, {}, actor, None, note, data)

    def split(self, actor: Actor, seen: Seen, note: str) -> AlertRow:
        """Take a merged alert out again."""
        row = self.seen(actor, seen)
        last = self._last(row.id, AlertAction.MERGE)
        if row.state != AlertState.MERGED or last is None or row.merged_into is None:
            raise RuleError("the alert is not part of another one")
        target = self._tx.alert_by_id(row.merged_into)
        assert target is not None
        if AlertState(target.state) not in OPEN:
            raise RuleError(f"alert {target.id} is {target.state}: nothing is taken out of it")
        back: dict[str, Any] = {"state": last.from_state, "merged_into": None}
        if last.from_state == AlertState.NEW:
            back["escalate_at"] = self._now
        data = {"from": target.id}
        smaller = {"count": max(1, target.count - row.count)}
        self._change(
            target, actor.name, AlertAction.SPLIT, smaller, actor, None, note, {"split": row.id}
        )
        return self._change(row, actor.name, AlertAction.SPLIT, back, actor, None, note, data)

    def split_device(self, actor: Actor, seen: Seen, device: str, note: str) -> AlertRow:
        """Give what one device says an alert of its own."""
        row = self.seen(actor, seen)
        if AlertState(row.state) not in OPEN:
            raise RuleError(f"the alert is {row.state}")
        connection = self._tx._connection
        theirs = triage.newest_detection(connection, row.id, device=device, is_other=False)
        rest = triage.newest_detection(connection, row.id, device=device, is_other=True)
        if theirs is None:
            raise RuleError(f"nothing of {device} is in this alert")
        if rest is None:
            raise RuleError("nothing would be left in the alert")
        made = self._tx.put_alert(
            replace(
                row,
                id=0,
                key=f"{row.key}~{device}",
                state=AlertState.NEW.value,
                device=device,
                seq=theirs.seq,
                count=1,
                version=0,
                handler=None,
                snoozed_until=None,
                follows=None,
                escalation=0,
                escalate_at=rules.next_call(row.severity, self._now, 0)[0],
                raised_at=self._now,
                risen_at=self._now,
                updated_at=self._now,
            )
        )
        moved = triage.send_elsewhere(connection, row, made, device)
        made = self._change(
            replace(made, count=moved),
            actor.name, AlertAction.SPLIT, {}, actor, None, note, {"from": row.id},
        )  # fmt: skip
        left = {"count": max(1, row.count - moved), "device": rest.device, "seq": rest.seq}
        data = {"split": made.id, "device": device}
        self._change(row, actor.name, AlertAction.SPLIT, left, actor, None, note, data)
        return made

    def support(
        self, actor: Actor, seen: Seen, device: str, detection_id: bytes, further: int, note: str
    ) -> AlertRow:
        """Let a detection of one alert support another one too: a link, never a copy."""
        row = self.seen(actor, seen)
        target = self._tx.alert_by_id(further)
        if target is None or not actor.covers(target.area):
            raise UnknownError(f"there is no alert {further}")
        if target.id == row.id:
            raise RuleError("the detection is in this alert already")
        if target.is_technical or row.is_technical:
            raise RuleError("technical alerts and police alerts are kept apart")
        found = self._tx.detection(device, detection_id)
        if found is None or found.alert_id != row.id:
            raise RuleError("the detection is not one of this alert")
        rules.after(AlertAction.SUPPORT, AlertState(row.state))
        rules.after(AlertAction.SUPPORT, AlertState(target.state))
        self._tx.support_alert(target.id, device, detection_id)
        link = {"device": device, "detection": detection_id.hex()}
        self._change(
            target, actor.name, AlertAction.SUPPORT, {}, actor, None, note, {**link, "of": row.id}
        )
        data = {**link, "supports": target.id}
        return self._change(row, actor.name, AlertAction.SUPPORT, {}, actor, None, note, data)

    def undo(self, actor: Actor, seen: Seen) -> AlertRow:
        """Take back one's own last action."""
        row = self.seen(actor, seen)
        last = triage.last_event(self._tx._connection, row.id)
        if last is None or last.actor != actor.name or last.version != row.version:
            raise RuleError("there is nothing of yours to take back")
        action = AlertAction(last.action)
        if action not in rules.UNDOABLE:
            raise RuleError(f"{action.value} cannot be taken back")
        if self._now - last.at > rules.UNDO_S * SECOND_US:
            raise RuleError("it is too late to take it back")
        back = dict(last.data["former"])
        if back.get("escalate_at") is not None:
            back["escalate_at"] = max(back["escalate_at"], self._now)
        return self._change(
            row, actor.name, AlertAction.UNDO, back, actor, None, "", {"undone": action.value}
        )

    def call(self, alert_id: int) -> bool:
        """Call the next person for an alert that nobody has acknowledged."""
        row = self._tx.alert_by_id(alert_id)
        if row is None or row.escalate_at is None or row.escalate_at > self._now:
            return False
        if row.state != AlertState.NEW:
            self._tx.put_alert(replace(row, escalate_at=None))
            return False
        step = row.escalation
        start = max(row.risen_at, row.snoozed_until or 0)
        due, role = rules.next_call(row.severity, start, step)
        while rules.next_call(row.severity, start, step + 1)[0] <= self._now:
            step += 1  # the central was away: the call that is due now, not all that were missed
            due, role = rules.next_call(row.severity, start, step)
        following = rules.next_call(row.severity, start, step + 1)[0]
        changes = {"escalation": step + 1, "escalate_at": following, "snoozed_until": None}
        data = {"role": role.value, "step": step + 1, "due": due}
        self._change(
            row, CENTRAL_ACTOR, AlertAction.CALL, changes, None, None, "", data, is_versioned=False
        )
        return True

    # -- parts --------------------------------------------------------------------------------

    def seen(self, actor: Actor, seen: Seen) -> AlertRow:
        """Return an alert as the actor saw it; raises UnknownError, NotCoveredError, StaleError."""
        row = self._tx.alert_by_id(seen.alert_id)
        if row is None:
            raise UnknownError(f"there is no alert {seen.alert_id}")
        if not actor.covers(row.area):
            raise NotCoveredError(f"alert {row.id} lies outside your areas")
        if row.version != seen.version:
            last = triage.last_event(self._tx._connection, row.id)
            raise StaleError(
                f"alert {row.id}",
                version=row.version,
                state=row.state,
                by="-" if last is None else last.actor,
                action="-" if last is None else last.action,
            )
        return row

    def _last(self, alert_id: int, action: AlertAction) -> AlertEvent | None:
        last = triage.last_event(self._tx._connection, alert_id)
        return last if last is not None and last.action == action else None

    def _change(
        self,
        row: AlertRow,
        who: str,
        action: AlertAction,
        changes: dict[str, Any],
        actor: Actor | None,
        code: str | None,
        note: str,
        data: dict[str, Any],
        *,
        is_versioned: bool = True,
    ) -> AlertRow:
        former = {name: getattr(row, name) for name in changes}
        version = row.version + 1 if is_versioned else row.version
        changed = self._tx.put_alert(replace(row, **changes, version=version, updated_at=self._now))
        self._changed[changed.id] = action.value
        if action in rules.UNDOABLE:
            data = {**data, "former": former}
        triage.add_event(
            self._tx._connection,
            AlertEvent(
                alert_id=row.id, at=self._now, actor=who, action=action.value,
                from_state=row.state, to_state=changed.state, version=version,
                reason_code=code, note=check_note(note), data=data,
            ),
        )  # fmt: skip
        if actor is not None:
            detail = {"from": row.state, "to": changed.state, "reason": code}
            record(self._tx, self._now, actor, f"alert.{action.value}", str(row.id), detail=detail)
        return changed


def _widened(target: AlertRow, row: AlertRow) -> AlertRow:
    """Return an alert that stands for another one too."""
    same = row.time_basis is target.time_basis
    return replace(
        target,
        count=target.count + row.count,
        first_seen=min(target.first_seen, row.first_seen) if same else target.first_seen,
        last_seen=max(target.last_seen, row.last_seen) if same else target.last_seen,
        severity=max(target.severity, row.severity, key=list(Severity).index),
        level=max(target.level, row.level, key=list(Level).index),
    )


def sql_of(tx: Any) -> SqlTransaction:
    """Return the transaction with its connection: the desks write rows of their own."""
    assert isinstance(tx, SqlTransaction)
    return tx
