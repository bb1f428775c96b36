"""The desk of refunds: one person proposes, another approves; pro rata waits for its 30 days.

Each step is a line of the audit log and starts or stops its clock. The shares are those of
:mod:`central.refunds`, kept as they were proposed: nobody computes them anew after a signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, StaleError, UnknownError, check_note, sql_of
from central.audit import record
from central.case_work import line_of
from central.clock_work import ClockWork, the_law
from central.clocks import Event, Happening, clocks
from central.refunds import Claim, Method, Refund, refund
from central.store import refunds as stored
from central.store.cases import CaseRow, read_case
from central.store.refunds import RefundRow
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros

MAX_CLAIMS = 500


class RefundState(StrEnum):
    """Where a refund stands."""

    PROPOSED = "PROPOSED"
    NOTICED = "NOTICED"
    """Approved pro rata: the notice runs."""
    DECIDED = "DECIDED"
    """The bank has three working days."""
    DONE = "DONE"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the work behind a share."""

    victim: str
    loss_fen: int
    at: int
    floor_fen: int
    """Before the fen that remain are given out; by time what was still there."""
    remainder: int
    """Numerator left over the sum of all losses; decides who gets a fen more."""
    share_fen: int


def worked(held_fen: int, claims: Sequence[Claim], found: Refund) -> list[Step]:
    """Return how each share came about, in the order in which it was reckoned."""
    shares = dict(found.shares)
    total = sum(claim.loss_fen for claim in claims)
    is_pro_rata = found.method is Method.PRO_RATA
    order = list(claims)
    if found.method is Method.BY_TIME:
        order.sort(key=lambda c: (c.at, c.victim), reverse=True)
    return [
        Step(
            victim=c.victim,
            loss_fen=c.loss_fen,
            at=int(c.at),
            floor_fen=held_fen * c.loss_fen // total if is_pro_rata else shares[c.victim],
            remainder=held_fen * c.loss_fen % total if is_pro_rata else 0,
            share_fen=shares[c.victim],
        )
        for c in order
    ]


class RefundDesk:
    """Changes refunds."""

    def __init__(self, store: SqlStore, clock: Clock, on_events: Any = lambda events: None) -> None:
        self._store = store
        self._clock = clock
        self._on_events = on_events

    def propose(
        self, actor: Actor, case_id: int, account: str, held_fen: int, claims: Sequence[Claim],
        *, traced: bool, note: str = "",
    ) -> RefundRow:  # fmt: skip
        """Propose shares; nothing is held or paid by it."""
        if not claims:
            raise RuleError("a refund needs a claim")
        if len(claims) > MAX_CLAIMS:
            raise RuleError(f"a refund has at most {MAX_CLAIMS} claims")
        if held_fen <= 0:
            raise RuleError("nothing is held: nothing can be refunded")
        try:
            found = refund(held_fen, claims, traced=traced)
        except ValueError as error:
            raise RuleError(str(error)) from None
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            sql = sql_of(tx)
            case = self._case(sql._connection, actor, case_id)
            row = RefundRow(
                case_id=case.id, account=line_of(account, "an account")[:80], held_fen=held_fen,
                method=found.method.value,
                claims=[[c.victim, c.loss_fen, int(c.at)] for c in claims],
                shares=[list(share) for share in found.shares], left_fen=found.left_fen,
                state=RefundState.PROPOSED.value, proposed_by=actor.name, proposed_at=now,
                note=check_note(note), version=1,
            )  # fmt: skip
            row = replace(row, id=stored.add(sql._connection, row))
            record(
                tx, now, actor, "refund.propose", case.number,
                detail={"refund": row.id, "method": row.method, "held_fen": held_fen},
            )  # fmt: skip
        return row

    def _case(self, connection: sa.Connection, actor: Actor, case_id: int) -> CaseRow:
        case = read_case(connection, case_id)
        if case is None:
            raise UnknownError(f"there is no case {case_id}")
        if not actor.covers(case.area):
            raise NotCoveredError(f"case {case.number} lies outside your areas")
        return case

    def approve(self, actor: Actor, refund_id: int, version: int) -> RefundRow:
        """Approve with a second name: that decides it, but pro rata it is announced first."""
        now = int(self._clock.wall())
        row = self._store.refund(refund_id)
        if row is not None and row.proposed_by == actor.name:
            raise RuleError("who proposes a refund does not approve it: two names, two people")
        is_announced = row is not None and row.method == Method.PRO_RATA.value
        changes: dict[str, Any] = {"approved_by": actor.name, "approved_at": now}
        if is_announced:
            changes |= {"state": RefundState.NOTICED.value, "notice_until": notice_end(now)}
            happening = Happening.NOTICE_PUBLISHED
        else:
            changes |= {
                "state": RefundState.DECIDED.value, "decided_by": actor.name, "decided_at": now,
            }  # fmt: skip
            happening = Happening.REFUND_DECIDED
        return self._move(
            actor, refund_id, version, RefundState.PROPOSED, "approve", changes, happening
        )

    def decide(self, actor: Actor, refund_id: int, version: int) -> RefundRow:
        """Decide after the notice: not before its 30 days are over."""
        now = int(self._clock.wall())
        row = self._store.refund(refund_id)
        if row is not None and row.notice_until is not None and now < row.notice_until:
            raise RuleError("the notice is not over yet: a pro rata refund waits for its 30 days")
        changes = {
            "state": RefundState.DECIDED.value, "decided_by": actor.name, "decided_at": now,
        }  # fmt: skip
        return self._move(
            actor, refund_id, version, RefundState.NOTICED, "decide", changes,
            Happening.REFUND_DECIDED,
        )  # fmt: skip

    def done(self, actor: Actor, refund_id: int, version: int) -> RefundRow:
        """Note that the bank has carried it out."""
        now = int(self._clock.wall())
        changes = {"state": RefundState.DONE.value, "done_by": actor.name, "done_at": now}
        return self._move(
            actor, refund_id, version, RefundState.DECIDED, "done", changes, Happening.REFUND_DONE
        )

    def withdraw(self, actor: Actor, refund_id: int, version: int, why: str) -> RefundRow:
        """Take a proposal or a notice back, with a reason: an objection, a further victim."""
        why = check_note(why)
        if not why:
            raise RuleError("taking a refund back needs a reason")
        row = self._store.refund(refund_id)
        before = RefundState.PROPOSED if row is None else RefundState(row.state)
        if before not in {RefundState.PROPOSED, RefundState.NOTICED}:
            raise RuleError(f"the refund is {before.value}: it is not taken back any more")
        changes = {"state": RefundState.WITHDRAWN.value, "note": why}
        return self._move(actor, refund_id, version, before, "withdraw", changes, None)

    def _move(
        self, actor: Actor, refund_id: int, version: int, before: RefundState, action: str,
        changes: dict[str, Any], happening: Happening | None,
    ) -> RefundRow:  # fmt: skip
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            sql = sql_of(tx)
            row = stored.read_refund(sql._connection, refund_id)
            if row is None:
                raise UnknownError(f"there is no refund {refund_id}")
            case = self._case(sql._connection, actor, row.case_id)
            if row.version != version:
                raise StaleError(
                    f"refund {refund_id}", version=row.version, state=row.state,
                    by=row.done_by or row.decided_by or row.approved_by or row.proposed_by,
                    action="change",
                )  # fmt: skip
            if row.state != before.value:
                raise RuleError(f"{action} is not possible: the refund is {row.state}")
            changed = replace(row, **changes, version=version + 1)
            stored.change(sql._connection, changed)
            record(
                tx, now, actor, f"refund.{action}", case.number,
                detail={"refund": refund_id, "state": changed.state},
            )  # fmt: skip
            work = ClockWork(sql, now)
            if happening is not None:
                work.note(case, happening, now, by=actor, subject=subject_of(refund_id))
        return changed


def subject_of(refund_id: int) -> str:
    """Return how clocks name a refund."""
    return f"#{refund_id}"


def notice_end(at: int) -> int:
    """Return when a notice that was published at a moment is over, by the law of that day."""
    event = Event(Happening.NOTICE_PUBLISHED, "", UnixMicros(at))
    return int(clocks([event], the_law())[0].due_at)
