"""People who are being cheated: message, call, visit, each after the former failed; and notices.

Nothing here sends a message or calls anybody: the centre's staff do, and write down what came of
it. Numbers of people are sealed; a page shows four digits until somebody opens one, on record.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, UnknownError, check_note, sql_of
from central.audit import record
from central.config import CentralSettings
from central.dissuasion import (
    MAX_REFUSALS,
    Next,
    Outcome,
    Risk,
    Step,
    Tried,
    check_message,
    next_step,
)
from central.numbers.dedupe import NumberError, normalise
from central.orders.platform import Sealed
from central.orders.sealed import Vault
from central.store import unit_tables as t
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.cosign import sign_order
from contract.keys import CENTRAL, Signer
from contract.messages import ID_BYTES
from contract.orders import VERSION, EndNotice, Order, OrderBody, ShowNotice
from contract.words import OrderType

HOUR_US = 3_600_000_000
MAX_NOTICE_H = 24 * 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissuasion:
    """One person to be reached, what was tried, and what is due."""

    id: int
    last4: str
    risk: str
    area: str
    note: str
    opened_by: str
    opened_at: int
    tried: tuple[Mapping[str, Any], ...]
    next: Next


class OutreachDesk:
    """Dissuasion and notices. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        *,
        vault: Callable[[], Vault],
        tenant: str,
        signer: Signer | None = None,
        publish: Callable[[bytes], object] | None = None,
    ) -> None:
        """``publish`` gives a signed order to the machines; None: there is no broker."""
        self._store = store
        self._clock = clock
        self._vault = vault
        self._tenant = tenant
        self._signer = signer
        self._publish = publish

    # -- dissuasion --------------------------------------------------------------------------------

    def open(self, actor: Actor, number: str, risk: Risk, area: str, note: str) -> int:
        """Begin to reach somebody; raises RuleError, NotCoveredError."""
        if not actor.covers(area):
            raise NotCoveredError(f"the area {area} is not one of yours")
        try:
            plain = normalise(number)
        except NumberError:
            raise RuleError("this is no telephone number") from None
        now, seal_id = int(self._clock.wall()), secrets.token_bytes(16)
        sealed = self._vault().seal(seal_id, Sealed(number=plain, name=""))
        row = {
            "last4": plain[-4:], "seal_id": seal_id, "sealed": sealed, "risk": risk.value,
            "area": area, "note": check_note(note), "opened_by": actor.name, "opened_at": now,
        }  # fmt: skip
        with self._store.transaction() as tx:
            made = sql_of(tx)._connection.execute(t.dissuasions.insert(), row)
            number_of = int(made.inserted_primary_key[0])  # type: ignore[index]
            record(tx, now, actor, "dissuasion.open", str(number_of), detail={"risk": risk.value})
        return number_of

    def note_step(
        self, actor: Actor, dissuasion: int, step: Step, outcome: Outcome, text: str
    ) -> Next:
        """Write down what came of a step; raises RuleError for one that was not due.

        After the third refusal of a person a commander alone goes on.
        """
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            row = _found(connection, dissuasion)
            if not actor.covers(row.area):
                raise NotCoveredError(f"the area {row.area} is not one of yours")
            tried = [
                Tried(Step(s["step"]), Outcome(s["outcome"])) for s in _steps(connection, row.id)
            ]
            try:
                former = self._former_refusals(connection, row)
                due = next_step(Risk(row.risk), tried, former)
                if due.step is not step:
                    raise ValueError(f"{step.value} is not the step that is due")
                if due.is_escalated and not actor.has(Role.COMMANDER):
                    raise ValueError(f"refused {MAX_REFUSALS} times: a commander decides")
                if step is Step.SMS:
                    check_message(text)
                after = next_step(Risk(row.risk), [*tried, Tried(step, outcome)], former)
            except ValueError as error:
                raise RuleError(str(error)) from None
            values = {
                "dissuasion_id": row.id, "step": step.value, "outcome": outcome.value,
                "text": check_note(text), "actor": actor.name, "at": now,
            }  # fmt: skip
            connection.execute(t.dissuasion_steps.insert(), values)
            detail = {"step": step.value, "outcome": outcome.value}
            record(tx, now, actor, "dissuasion.step", str(row.id), detail=detail)
            if after.is_escalated and not due.is_escalated:
                record(tx, now, actor, "dissuasion.escalated", str(row.id))
        return after

    def open_number(self, actor: Actor, dissuasion: int) -> str:
        """Return a person's full number; that somebody looked is on record."""
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            row = _found(sql_of(tx)._connection, dissuasion)
            if not actor.covers(row.area):
                raise NotCoveredError(f"the area {row.area} is not one of yours")
            record(tx, now, actor, "dissuasion.open_number", str(row.id))
        return self._vault().open(row.seal_id, row.sealed).number

    def dissuasions(self, actor: Actor, limit: int) -> list[Dissuasion]:
        """Newest ones in the reader's areas, those that escalate first."""
        d = t.dissuasions
        found = []
        with self._store.reading() as connection:
            for row in connection.execute(sa.select(d).order_by(d.c.id.desc()).limit(limit)):
                if not actor.covers(row.area):
                    continue
                steps = tuple(_steps(connection, row.id))
                tried = [Tried(Step(s["step"]), Outcome(s["outcome"])) for s in steps]
                found.append(
                    Dissuasion(
                        id=row.id, last4=row.last4, risk=row.risk, area=row.area, note=row.note,
                        opened_by=row.opened_by, opened_at=row.opened_at, tried=steps,
                        next=next_step(
                            Risk(row.risk), tried, self._former_refusals(connection, row)
                        ),
                    )
                )  # fmt: skip
        return sorted(found, key=lambda one: not one.next.is_escalated)

    def _former_refusals(self, connection: sa.Connection, row: sa.Row[Any]) -> int:
        """Refusals of the same person in earlier records; the number is compared, not shown."""
        d, s = t.dissuasions.c, t.dissuasion_steps.c
        earlier = (
            sa.select(d.seal_id, d.sealed)
            .join(t.dissuasion_steps, s.dissuasion_id == d.id)
            .where(d.last4 == row.last4, d.id < row.id, s.outcome == Outcome.REFUSED.value)
        )
        refused = connection.execute(earlier).all()
        if not refused:
            return 0
        vault = self._vault()
        number = vault.open(row.seal_id, row.sealed).number
        return sum(vault.open(one.seal_id, one.sealed).number == number for one in refused)

    # -- notices -----------------------------------------------------------------------------------

    def show(self, actor: Actor, zh: str, en: str, hours: int) -> bytes:
        """Put a text on every machine's idle screen for so many hours; raises RuleError."""
        now = int(self._clock.wall())
        if not 1 <= hours <= MAX_NOTICE_H:
            raise RuleError(f"a notice holds for 1 to {MAX_NOTICE_H} hours")
        notice, until = os.urandom(ID_BYTES), UnixMicros(now + hours * HOUR_US)
        try:
            body = ShowNotice(notice=notice, zh=zh, en=en, until=until)
        except ValueError as error:
            raise RuleError(str(error)) from None
        order_id = self._send(OrderType.SHOW_NOTICE, body, until)
        row = {
            "notice": notice, "order_id": order_id, "zh": zh.strip(), "en": en.strip(),
            "until": int(until), "shown_by": actor.name, "shown_at": now,
        }  # fmt: skip
        with self._store.transaction() as tx:
            sql_of(tx)._connection.execute(t.screen_notices.insert(), row)
            record(tx, now, actor, "notice.show", notice.hex(), detail={"until": int(until)})
        return notice

    def end(self, actor: Actor, notice: bytes) -> None:
        """Take a notice off before its time; raises UnknownError."""
        now, n = int(self._clock.wall()), t.screen_notices
        with self._store.reading() as connection:
            known = connection.execute(
                sa.select(n.c.until).where(n.c.notice == notice, n.c.ended_at.is_(None))
            ).scalar()
        if known is None or known <= now:
            raise UnknownError("this notice is over")
        self._send(OrderType.END_NOTICE, EndNotice(notice=notice), UnixMicros(int(known)))
        with self._store.transaction() as tx:
            values = {"ended_by": actor.name, "ended_at": now}
            sql_of(tx)._connection.execute(n.update().where(n.c.notice == notice).values(**values))
            record(tx, now, actor, "notice.end", notice.hex())

    def notices(self, limit: int) -> list[dict[str, Any]]:
        """Newest notices with how many machines have answered."""
        now, n = int(self._clock.wall()), t.screen_notices
        with self._store.reading() as connection:
            query = sa.select(n).order_by(n.c.shown_at.desc()).limit(limit)
            rows = [dict(row._mapping) for row in connection.execute(query)]
        for row in rows:
            answers = self._store.answers(row["order_id"])
            row["machines"] = len(answers)
            row["answered"] = sum(one.outcome is not None for one in answers)
            row["is_over"] = row["ended_at"] is not None or row["until"] <= now
        return rows

    def _send(self, type_: OrderType, body: OrderBody, until: UnixMicros) -> bytes:
        if self._publish is None or self._signer is None:
            raise RuleError("this central has no broker by which a machine is told")
        now = int(self._clock.wall())
        order = Order(
            version=VERSION,
            order_id=os.urandom(ID_BYTES),
            type=type_,
            issuer=CENTRAL,
            counter=self._store.take_order_counter(),
            issued_at=UnixMicros(now),
            not_before=UnixMicros(now - HOUR_US),
            expires=until,
        )
        self._publish(sign_order(order, body, tenant=self._tenant, signers=[self._signer]))
        return order.order_id


def _found(connection: sa.Connection, dissuasion: int) -> sa.Row[Any]:
    query = sa.select(t.dissuasions).where(t.dissuasions.c.id == dissuasion)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownError(f"there is no dissuasion {dissuasion}")
    return row


def _steps(connection: sa.Connection, dissuasion: int) -> list[Mapping[str, Any]]:
    s = t.dissuasion_steps
    query = sa.select(s).where(s.c.dissuasion_id == dissuasion).order_by(s.c.id)
    return [dict(row._mapping) for row in connection.execute(query)]


def outreach_in(
    settings: CentralSettings,
    store: SqlStore,
    clock: Clock,
    *,
    signer: Signer | None = None,
    publish: Callable[[bytes], object] | None = None,
) -> OutreachDesk:
    """Return the desk of a central's folder."""
    return OutreachDesk(
        store,
        clock,
        vault=functools.cache(lambda: Vault.at(settings.folder / "sealed.key")),
        tenant=settings.tenant,
        signer=signer,
        publish=publish,
    )
