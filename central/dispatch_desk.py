"""Sending vans: who is asked, what the crew says, who is asked next.

A van is told by a signed order over the broker, like every other thing that a device is told; its
crew answers by signed messages. Whatever is said, an officer's name stands at the beginning.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from central.actor import Actor
from central.alert_states import CENTRAL_ACTOR, RuleError
from central.alert_work import NotCoveredError, UnknownError, check_note, sql_of
from central.audit import record
from central.case_desk import CaseDesk
from central.case_states import CaseAction, CaseState
from central.case_work import SeenCase
from central.dispatch import (
    ACKNOWLEDGE_US,
    DispatchState,
    Van,
    after_cancel,
    after_word,
    parse_duty,
    ranked,
)
from central.store import case_tables as ct
from central.store import vans as stored
from central.store.cases import CaseRow, read_case
from central.store.interface import Event
from central.store.sql import SqlStore
from central.store.vans import Dispatch, Post
from central.store.write import SqlTransaction
from contract.clock import Clock
from contract.messages import ID_BYTES, CrewReport
from contract.orders import CallVanOff, OrderBody, SendVan

Tell = Callable[[str, OrderBody], None]
"""Gives one van one order: device, body."""
_SENDABLE = frozenset(
    {CaseState.LEAD, CaseState.DISCOVERED, CaseState.VERIFIED, CaseState.NOTIFIED}
)


class DispatchDesk:
    """Sends vans. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        tell: Tell,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
        *,
        utc_offset_minutes: int = 480,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tell = tell
        self._cases = CaseDesk(store, clock, on_events)
        self._zone = dt.timezone(dt.timedelta(minutes=utc_offset_minutes))

    def place(
        self, actor: Actor, device: str, where: tuple[float, float] | None, duty: str, crew: str
    ) -> None:
        """Say where a van is, when it is on duty and who is in it."""
        duty_from, duty_until = parse_duty(duty)
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            known = tx.device(device)
            if known is None:
                raise UnknownError(f"there is no device {device}")
            if known.area and not actor.covers(known.area):
                raise NotCoveredError(f"{device} stands outside your areas")
            post = Post(
                device=device, duty_from=duty_from, duty_until=duty_until, crew=crew.strip()[:200],
                lat=None if where is None else where[0], lon=None if where is None else where[1],
                placed_at=None if where is None else now, changed_by=actor.name, changed_at=now,
            )  # fmt: skip
            stored.put_post(sql_of(tx)._connection, post)
            record(tx, now, actor, "van.place", device)

    def ranking(self, lat: float, lon: float) -> list[tuple[Van, float | None]]:
        """Return the free vans on duty, the nearest first."""
        return ranked(self._store.vans(), lat, lon, minute=self._minute())

    def send(
        self,
        actor: Actor,
        seen: SeenCase,
        where: tuple[float, float] | None,
        text: str,
        van: str | None = None,
    ) -> Dispatch:
        """Send a van: the named one, or the nearest free one on duty.

        ``where`` None: the place of the case. Raises RuleError if no van is free.
        """
        with self._cases.writing() as work:
            tx = work.tx
            case = work.seen(actor, seen)
            if CaseState(case.state) not in _SENDABLE:
                raise RuleError(f"nobody is sent: the case is {case.shown_state}")
            if where is None and case.lat is not None and case.lon is not None:
                where = case.lat, case.lon
            if where is None:
                raise RuleError("the case has no place: name one")
            made = self._ask(tx, case, where, check_note(text), actor.name, van, None)
            work.act(
                actor, seen, CaseAction.DISPATCH, note=made.van,
                data={"dispatch": made.id, "van": made.van}, lat=where[0], lon=where[1],
            )  # fmt: skip
        self._say(made, case)
        return made

    def _ask(
        self, tx: SqlTransaction, case: CaseRow, where: tuple[float, float], text: str, by: str,
        van: str | None, follows: int | None,
    ) -> Dispatch:  # fmt: skip
        connection, now = tx._connection, int(self._clock.wall())
        besides = stored.vans_asked(connection, case.id) if van is None else ()
        vans = stored.read_vans(connection)
        free = ranked(vans, *where, minute=self._minute(), besides=besides)
        if van is not None:
            free = [pair for pair in free if pair[0].device == van]
        if not free:
            name = "no van" if van is None else van
            raise RuleError(f"{name} is free and on duty" if van is None else f"{name} is not free")
        chosen, metres = free[0]
        row = Dispatch(
            dispatch_id=os.urandom(ID_BYTES), case_id=case.id, van=chosen.device,
            state=DispatchState.SENT.value, lat=where[0], lon=where[1], text=text,
            distance_m=metres, sent_by=by, sent_at=now, acknowledge_by=now + ACKNOWLEDGE_US,
            follows=follows,
        )  # fmt: skip
        return replace(row, id=stored.add_dispatch(connection, row))

    def _say(self, row: Dispatch, case: CaseRow) -> None:
        body = SendVan(
            dispatch=row.dispatch_id, case=case.number, lat=row.lat, lon=row.lon, text=row.text
        )
        self._tell(row.van, body)

    def cancel(self, actor: Actor, dispatch_id: int, version: int) -> None:
        """Call a van off."""
        with self._store.transaction() as tx:
            row = self._own(sql_of(tx), actor, dispatch_id)
            if row.version != version:
                raise RuleError(f"the dispatch has changed since you saw it: it is {row.state} now")
            now = int(self._clock.wall())
            state = after_cancel(DispatchState(row.state))
            stored.change_dispatch(
                sql_of(tx)._connection, row, state=state.value, ended_at=now, acknowledge_by=None
            )
            record(tx, now, actor, "dispatch.cancel", str(row.id), detail={"van": row.van})
        self._tell(row.van, CallVanOff(dispatch=row.dispatch_id))

    def _own(self, tx: SqlTransaction, actor: Actor, dispatch_id: int) -> Dispatch:
        row = stored.read_dispatch(tx._connection, ct.dispatches.c.id == dispatch_id)
        if row is None:
            raise UnknownError(f"there is no dispatch {dispatch_id}")
        case = read_case(tx._connection, row.case_id)
        assert case is not None
        if not actor.covers(case.area):
            raise NotCoveredError(f"case {case.number} lies outside your areas")
        return row

    def next_due(self) -> int:
        """Ask the next van wherever a crew said nothing for a minute; return how many were late."""
        late = self._store.due_dispatches(int(self._clock.wall()))
        for row_id in late:
            self._follow(row_id)
        return len(late)

    def _follow(self, row_id: int) -> None:
        now, made, case = int(self._clock.wall()), None, None
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            row = stored.read_dispatch(connection, ct.dispatches.c.id == row_id)
            if row is None or row.acknowledge_by is None or row.acknowledge_by > now:
                return  # the crew's word came meanwhile
            is_declined = row.state == DispatchState.DECLINED
            state = DispatchState.DECLINED if is_declined else DispatchState.EXPIRED
            stored.change_dispatch(
                connection, row, state=state.value, ended_at=row.ended_at or now,
                acknowledge_by=None,
            )  # fmt: skip
            case = read_case(connection, row.case_id)
            assert case is not None
            detail = {"van": row.van}
            record(tx, now, CENTRAL_ACTOR, "dispatch.expired", str(row.id), detail=detail)
            try:
                made = self._ask(
                    sql_of(tx), case, (row.lat, row.lon), row.text, row.sent_by, None, row.id
                )
            except RuleError:
                record(tx, now, CENTRAL_ACTOR, "dispatch.nobody_free", case.number)
            else:
                record(tx, now, CENTRAL_ACTOR, "dispatch.next", str(made.id), detail=detail)
        self._tell(row.van, CallVanOff(dispatch=row.dispatch_id))
        if made is not None and case is not None:
            self._say(made, case)

    def _minute(self) -> int:
        local = dt.datetime.fromtimestamp(int(self._clock.wall()) / 1e6, self._zone)
        return local.hour * 60 + local.minute


def take_report(tx: SqlTransaction, device: str, report: CrewReport, now: int) -> bool:
    """Take a crew's word inside ingest's transaction; False if it changes nothing.

    Only the van that was sent speaks for its dispatch. A word that comes too late is kept in the
    message that carried it.
    """
    row = stored.read_dispatch(tx._connection, ct.dispatches.c.dispatch_id == report.dispatch)
    if row is None or row.van != device:
        return False
    state = after_word(report.word, DispatchState(row.state))
    if state is None:
        return False
    changes: dict[str, object] = {"state": state.value, "acknowledge_by": None}
    crew = " ".join(report.crew.split())[:80]
    if crew:
        changes["crew"] = crew
    if report.note:
        changes["report"] = report.note[:2000]
    if row.acknowledged_at is None and state is not DispatchState.DECLINED:
        changes["acknowledged_at"] = now
    if state in {DispatchState.ARRIVED, DispatchState.DONE} and row.arrived_at is None:
        changes["arrived_at"] = now
    if state in {DispatchState.DONE, DispatchState.DECLINED}:
        changes["ended_at"] = now
    stored.change_dispatch(tx._connection, row, **changes)
    record(tx, now, device, f"dispatch.{report.word.value}", str(row.id), detail={"crew": crew})
    if state is DispatchState.DECLINED:  # the next one is asked as if the minute had passed
        _ask_again(tx, row, now)
    return True


def _ask_again(tx: SqlTransaction, row: Dispatch, now: int) -> None:
    tx._connection.execute(
        ct.dispatches.update().where(ct.dispatches.c.id == row.id).values(acknowledge_by=now)
    )
