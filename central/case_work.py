"""The changes of cases themselves, inside one transaction of the desk."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from central import case_states as rules
from central.actor import Actor, Role
from central.alert_states import AlertAction, RuleError
from central.alert_work import (
    AlertWork,
    NotCoveredError,
    Seen,
    StaleError,
    UnknownError,
    check_note,
)
from central.alerts import family
from central.audit import record
from central.case_states import CaseAction, CaseReason, CaseState
from central.case_transfer import signed_transfer
from central.places import stated_place
from central.store import cases as stored
from central.store.cases import CaseEvent, CasePart, CaseRow, Inquiry, TipOff
from central.store.interface import Json
from central.store.write import SqlTransaction
from contract.keys import KeySigner
from contract.words import Severity

CHINA = dt.timezone(dt.timedelta(hours=8))
"""A case's number holds the day in China Standard Time, whatever the pages show."""
_MAX_LINE = 200


@dataclass(frozen=True, slots=True)
class SeenCase:
    """A case as somebody saw it."""

    case_id: int
    version: int


def line_of(text: str, what: str) -> str:
    """Return one line of bearable length; raises RuleError."""
    text = " ".join(text.split())
    if not text:
        raise RuleError(f"{what} is needed")
    if len(text) > _MAX_LINE:
        raise RuleError(f"{what} has at most {_MAX_LINE} characters")
    return text


class CaseWork:
    """The changes themselves, inside a transaction."""

    def __init__(self, tx: SqlTransaction, now: int) -> None:
        self._tx = self.tx = tx
        self._now = now
        self.alerts = AlertWork(tx, now)

    def open_from_alert(self, actor: Actor, seen: Seen, note: str) -> CaseRow:
        """Open a case about an alert that no open case has yet."""
        alert = self.alerts.seen(actor, seen)
        if alert.is_technical:
            raise RuleError("a technical alert is no case: it is kept apart from police alerts")
        ended = [state.value for state in rules.ENDED]
        known = stored.open_case_of(self._tx._connection, alert.id, ended)
        if known is not None:
            raise RuleError(f"alert {alert.id} belongs to case {known} already")
        where = stated_place(alert)
        row = self.open(
            actor, family(alert.kind), alert.area, alert.subject, note,
            state=CaseState.DISCOVERED, severity=alert.severity,
            first_seen=min(alert.raised_at, alert.fired_at or alert.raised_at),
            place=None if where is None else (where.lat, where.lon),
        )  # fmt: skip
        self._link(actor, row, alert.id, seen)
        return row

    def open(
        self,
        actor: Actor,
        kind: str,
        area: str,
        subject: Json,
        note: str,
        *,
        state: CaseState,
        severity: Severity = Severity.HIGH,
        first_seen: int | None = None,
        place: tuple[float, float] | None = None,
        owner: str = "",
    ) -> CaseRow:
        """Open a case; the actor owns it where nobody else is named."""
        if not actor.covers(area):
            raise NotCoveredError(f"the area {area} is not one of yours")
        row = CaseRow(
            number=self._number(area), kind=line_of(kind, "a kind"), severity=severity, area=area,
            state=state.value, owner=owner or actor.name, subject=subject,
            lat=None if place is None else place[0], lon=None if place is None else place[1],
            opened_by=actor.name, opened_at=self._now,
            first_seen=self._now if first_seen is None else min(first_seen, self._now),
            state_at=self._now, updated_at=self._now,
        )  # fmt: skip
        row = replace(row, id=stored.add(self._tx._connection, row))
        self._tell(row, actor, CaseAction.OPEN, "", None, check_note(note), {})
        return row

    def _number(self, area: str) -> str:
        day = dt.datetime.fromtimestamp(self._now / 1e6, CHINA).strftime("%Y%m%d")
        prefix = f"{area or '000000'}-{day}-"
        return f"{prefix}{stored.cases_on_day(self._tx._connection, prefix) + 1:04}"

    def seen(self, actor: Actor, seen: SeenCase) -> CaseRow:
        """Return a case as the actor saw it; raises UnknownError, NotCoveredError, StaleError."""
        row = stored.read_case(self._tx._connection, seen.case_id)
        if row is None:
            raise UnknownError(f"there is no case {seen.case_id}")
        if not actor.covers(row.area):
            raise NotCoveredError(f"case {row.number} lies outside your areas")
        if row.version != seen.version:
            last = stored.last_case_event(self._tx._connection, row.id)
            raise StaleError(
                f"case {row.number}",
                version=row.version,
                state=row.shown_state,
                by="-" if last is None else last.actor,
                action="-" if last is None else last.action,
            )
        return row

    def act(
        self,
        actor: Actor,
        seen: SeenCase,
        action: CaseAction,
        *,
        reason: str | None = None,
        note: str = "",
        data: Json | None = None,
        **changes: Any,
    ) -> CaseRow:
        """Do one thing with one case."""
        row = self.seen(actor, seen)
        state = rules.after(action, CaseState(row.state))
        code = rules.check_reason(action, reason, note)
        note = check_note(note)
        if action is CaseAction.NOTE and not note:
            raise RuleError("a note needs a text")
        if action is CaseAction.CLOSE:
            self._check_open_work(row)
        if action is CaseAction.SLEEP and row.dormant_since is None:
            changes["dormant_since"] = self._now
        elif action is CaseAction.SLEEP or (
            action is CaseAction.WAKE and row.dormant_since is None
        ):
            raise RuleError(f"{action.value} is not possible: the case is {row.shown_state}")
        if action is CaseAction.WAKE or state.value != row.state:
            changes["dormant_since"] = None
        if state.value != row.state:
            changes |= {"state": state.value, "state_at": self._now}
        if state in rules.ENDED and row.ended_at is None:
            changes |= {"ended_at": self._now, "reason_code": code}
        changed = replace(row, **changes, version=row.version + 1, updated_at=self._now)
        stored.change(
            self._tx._connection, CaseRow, row.id, version=changed.version,
            updated_at=self._now, **changes,
        )  # fmt: skip
        self._tell(changed, actor, action, row.shown_state, code, note, data or {})
        return changed

    def _tell(
        self, row: CaseRow, actor: Actor, action: CaseAction, before: str,
        code: CaseReason | None, note: str, data: Json,
    ) -> None:  # fmt: skip
        stored.add(
            self._tx._connection,
            CaseEvent(
                case_id=row.id, at=self._now, actor=actor.name, action=action.value,
                from_state=before, to_state=row.shown_state, version=row.version,
                reason_code=code, note=note, data=data,
            ),
        )  # fmt: skip
        detail = {"from": before, "to": row.shown_state, "reason": code, **data}
        detail.pop("transfer", None)  # its signature stands for it
        record(self._tx, self._now, actor, f"case.{action.value}", row.number, detail=detail)

    def _link(self, actor: Actor, row: CaseRow, alert_id: int, seen: Seen) -> None:
        is_new = stored.link_alert(
            self._tx._connection, row.id, alert_id, relation="part", by=actor.name, at=self._now
        )
        if not is_new:
            raise RuleError(f"alert {alert_id} belongs to the case already")
        self.alerts.act(actor, seen, AlertAction.LINK, reason=None, note=row.number, snooze_s=None)

    def link(self, actor: Actor, seen: SeenCase, alert: Seen) -> CaseRow:
        """Let a further alert belong to a case; an alert of a lead discovers it."""
        row = self.seen(actor, seen)
        found = self.alerts.seen(actor, alert)
        if found.is_technical:
            raise RuleError("a technical alert is no part of a case")
        self._link(actor, row, found.id, alert)
        waits = row.state in {CaseState.LEAD, CaseState.CANDIDATE}
        action = CaseAction.DISCOVER if waits else CaseAction.LINK
        return self.act(actor, seen, action, data={"alert": found.id})

    def ask(self, actor: Actor, seen: SeenCase, unit: str, question: str, role: Role) -> Inquiry:
        """Ask a unit."""
        row = self.act(actor, seen, CaseAction.ASK, note=unit)
        inquiry = Inquiry(
            case_id=row.id, unit=unit, question=question, asked_by=actor.name,
            asked_at=self._now, role=role.value,
        )  # fmt: skip
        return replace(inquiry, id=stored.add(self._tx._connection, inquiry))

    def answer(
        self, actor: Actor, inquiry_id: int, *, is_ours: bool, person: str, note: str,
        is_liaison: bool = False,
    ) -> CaseRow:  # fmt: skip
        """Write down an answer; it moves the case if that still waits for one.

        A liaison answers only what their own role is asked.
        """
        inquiry = stored.read_inquiry(self._tx._connection, inquiry_id)
        is_others = inquiry is not None and inquiry.role not in {"", *actor.roles}
        if inquiry is None or (is_liaison and is_others):
            raise UnknownError(f"there is no inquiry {inquiry_id}")
        if inquiry.answered_at is not None:
            raise RuleError(f"{inquiry.answered_by} has answered this inquiry already")
        case = stored.read_case(self._tx._connection, inquiry.case_id)
        assert case is not None
        person = line_of(person, "the name of the unit's person")
        answer = "OURS" if is_ours else "NOT_OURS"
        stored.change(
            self._tx._connection, Inquiry, inquiry_id, answer=answer, answered_for=person,
            answered_by=actor.name, answered_at=self._now, note=check_note(note),
        )  # fmt: skip
        action = CaseAction.CLEAR if is_ours else CaseAction.VERIFY
        is_waiting = CaseState(case.state) in rules.TABLE[action]
        return self.act(
            actor,
            SeenCase(case.id, case.version),
            action if is_waiting else CaseAction.NOTE,
            reason="OURS" if is_ours else None,
            note=f"{inquiry.unit}: {answer} ({person})",
            data={"inquiry": inquiry_id, "answer": answer},
        )

    def transfer(
        self, actor: Actor, seen: SeenCase, unit: str, note: str, signer: KeySigner
    ) -> CaseRow:
        """End a case here because a named person of another unit takes it over."""
        row = self.seen(actor, seen)
        events = stored.read_case_events(self._tx._connection, row.id)
        data = signed_transfer(row, events, unit=unit, by=actor.name, at=self._now, signer=signer)
        return self.act(actor, seen, CaseAction.TRANSFER, note=note, data=data)

    def _check_open_work(self, row: CaseRow) -> None:
        """Refuse to close a case while somebody still works on it."""
        tasks, vans = stored.open_work(self._tx._connection, row.id)
        if tasks:
            raise RuleError(f"{tasks} of its tasks are still open: end them first")
        if vans:
            raise RuleError(f"{vans} is still under way: call it off or wait for its report")

    def add_part(self, actor: Actor, seen: SeenCase, kind: str, text: str, data: Json) -> CaseRow:
        """Add a part."""
        part = CasePart(
            case_id=seen.case_id, kind=kind, text=text, data=data,
            added_by=actor.name, added_at=self._now,
        )  # fmt: skip
        row = self.act(actor, seen, CaseAction.PART, note=text, data={"part": kind})
        stored.add(self._tx._connection, part)
        return row

    def end_part(self, actor: Actor, seen: SeenCase, part_id: int, outcome: str) -> CaseRow:
        """End a part."""
        part = stored.read_part(self._tx._connection, part_id)
        if part is None or part.case_id != seen.case_id:
            raise UnknownError(f"the case has no part {part_id}")
        if part.ended_at is not None:
            raise RuleError(f"{part.ended_by} has ended it already")
        row = self.act(
            actor, seen, CaseAction.PART, note=outcome, data={"part": part.kind, "ended": part_id}
        )
        stored.change(
            self._tx._connection, CasePart, part_id,
            ended_by=actor.name, ended_at=self._now, outcome=outcome,
        )  # fmt: skip
        return row

    def _tip(self, actor: Actor, tip_id: int) -> TipOff:
        tip = stored.read_tip_off(self._tx._connection, tip_id)
        if tip is None:
            raise UnknownError(f"there is no tip-off {tip_id}")
        if not actor.covers(tip.area):
            raise NotCoveredError(f"tip-off {tip_id} lies outside your areas")
        return tip

    def link_tip(self, actor: Actor, seen: SeenCase, tip_id: int) -> CaseRow:
        """Let a tip-off belong to a case."""
        tip = self._tip(actor, tip_id)
        if tip.case_id is not None:
            raise RuleError("the tip-off belongs to a case already")
        row = self.act(actor, seen, CaseAction.TIP, data={"tip": tip_id})
        stored.change(self._tx._connection, TipOff, tip_id, case_id=row.id)
        return row

    def award(self, actor: Actor, tip_id: int, reward_fen: int) -> CaseRow:
        """Award a reward for a tip-off, once."""
        tip = self._tip(actor, tip_id)
        case = None if tip.case_id is None else stored.read_case(self._tx._connection, tip.case_id)
        rules.check_reward(reward_fen, None if case is None else CaseState(case.state))
        assert case is not None
        if tip.reward_fen is not None:
            raise RuleError(f"{tip.awarded_by} has awarded a reward already")
        stored.change(
            self._tx._connection, TipOff, tip_id, reward_fen=reward_fen,
            awarded_by=actor.name, awarded_at=self._now,
        )  # fmt: skip
        return self.act(
            actor,
            SeenCase(case.id, case.version),
            CaseAction.TIP,
            data={"tip": tip_id, "reward_fen": reward_fen},
        )
