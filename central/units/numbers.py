"""Numbers to block in the store: reviewed by name, pushed, evaluated, pushed back, answered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import StaleError, UnknownError, check_note, sql_of
from central.audit import record
from central.numbers import HOTLINES, Evaluation, Pushed, PushState, evaluate, push_state, review
from central.numbers.dedupe import NumberError, normalise
from central.people.permissions import Permission
from central.store import tables as core
from central.store import unit_tables as t
from central.store.alert_tables import allowances
from central.store.sql import SqlStore
from central.units.bounds import OTHER, Bounds
from contract.clock import Clock, UnixMicros

LATE_AFTER_US = 24 * 3_600_000_000
"""A block that takes longer than a day was late."""
_AT_ONCE = 500
_SPOOFED = "SPOOFED_SENDER"
"""Rule of the stations: a message bore a public number as its sender."""
ANSWER_WITHIN_US = 3 * 24 * 3_600_000_000
"""A carrier answers what was pushed back within three days."""


def _text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A JSON column as the text that it is: compared as JSON, a pattern would be quoted itself."""
    return sa.type_coerce(column, sa.Text)


def _spellings(values: Iterable[Any]) -> set[str]:
    """Numbers as they were written and as feeds' numbers are kept: +86 95533 is 95533."""
    found: set[str] = set()
    for value in values:
        found.add(str(value))
        try:
            found.add(normalise(str(value)))
        except NumberError:
            continue  # a sender in letters blocks no number
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One distinct number and every source that named it."""

    number: str
    sources: tuple[str, ...]


class NumberDesk:
    """Review and loop. Thread-safe: all state is in the store."""

    def __init__(self, store: SqlStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.bounds = Bounds(store, clock)

    # -- review ------------------------------------------------------------------------------------

    def protected(self) -> frozenset[str]:
        """Hotlines, protected numbers of the allow-lists, and senders that were heard spoofed.

        All of them, however many, each in the spelling in which numbers are kept.
        """
        found = set(HOTLINES)
        a, d, kept = core.alerts.c, core.detections.c, allowances.c
        protected = sa.select(kept.match).where(
            kept.kind == "PROTECTED_NUMBER", kept.removed_at.is_(None)
        )
        subjects = sa.select(a.subject).where(
            _text(a.subject).like('%"sms_from"%')  # the sender a fake cell pretended
            | _text(a.subject).like('%"sender"%')
        )
        bodies = (
            sa.select(d.body)
            .join(core.alerts, a.id == d.alert_id)
            .where(_text(a.summary).like(f'%"{_SPOOFED}"%'))
        )
        with self._store.reading() as connection:
            for match in connection.execute(protected).scalars():
                found |= _spellings(match.values())
            for subject in connection.execute(subjects).scalars():
                found |= _spellings(subject[k] for k in ("sms_from", "sender") if k in subject)
            for body in connection.execute(bodies).scalars():
                said = (r["values"].get("sender") for r in body["reasons"] if r["rule"] == _SPOOFED)
                found |= _spellings(said)
        return frozenset(found)

    def part(self) -> int:
        """Reject what may never be blocked, before any reviewer sees it; returns how many."""
        now, n = int(self._clock.wall()), t.numbers
        guarded = self.protected()
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            waiting: list[str] = []
            asked = sorted(guarded)
            for at in range(0, len(asked), _AT_ONCE):
                is_here = n.c.number.in_(asked[at : at + _AT_ONCE])
                query = sa.select(n.c.number).where(n.c.state == "candidate", is_here)
                waiting += connection.execute(query).scalars()
            rejected = review(waiting, protected=guarded).rejected
            for row in rejected:
                connection.execute(
                    n.update()
                    .where(n.c.number == row.number)
                    .values(state="rejected", reason=row.reason, decided_at=now)
                )
        return len(rejected)

    def candidates(self, limit: int) -> list[Candidate]:
        """Numbers that wait for a reviewer, each with its provenance."""
        self.part()
        n, s = t.numbers, t.number_sources
        with self._store.reading() as connection:
            numbers = list(
                connection.execute(
                    sa.select(n.c.number)
                    .where(n.c.state == "candidate")
                    .order_by(n.c.number)
                    .limit(limit)
                ).scalars()
            )
            rows = connection.execute(
                sa.select(s.c.number, s.c.line, t.feeds.c.unit, t.feeds.c.name)
                .join(t.feeds, t.feeds.c.id == s.c.feed_id)
                .where(s.c.number.in_(numbers))
                .order_by(s.c.feed_id, s.c.line)
            ).all()
        named: dict[str, list[str]] = {number: [] for number in numbers}
        for row in rows:
            named[row.number].append(f"{row.unit} {row.name}:{row.line}")
        return [Candidate(number=k, sources=tuple(v)) for k, v in named.items()]

    def counts(self) -> Mapping[str, int]:
        """How many numbers stand how."""
        n = t.numbers.c
        query = sa.select(n.state, sa.func.count().label("many")).group_by(n.state)
        with self._store.reading() as connection:
            return {row.state: int(row.many) for row in connection.execute(query)}

    def rejected(self, limit: int) -> list[Mapping[str, Any]]:
        """What may not be blocked, and why."""
        n = t.numbers
        query = sa.select(n).where(n.c.state == "rejected").order_by(n.c.number).limit(limit)
        with self._store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def approve(
        self, actor: Actor, numbers: Collection[str], carrier: str, rule: str
    ) -> Sequence[str]:
        """Push what a named reviewer approves to a carrier; raises RuleError for any other."""
        if not carrier.strip() or not rule.strip():
            raise RuleError("a block names its carrier and its rule")
        now, n = int(self._clock.wall()), t.numbers
        guarded = self.protected()
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            waiting = connection.execute(
                sa.select(n.c.number).where(n.c.state == "candidate", n.c.number.in_(numbers))
            ).scalars()
            try:
                good = review(list(waiting), protected=guarded).approve(numbers, actor.name)
            except ValueError as error:
                raise RuleError(str(error)) from None
            for number in good:
                connection.execute(
                    n.update()
                    .where(n.c.number == number)
                    .values(state="pushed", decided_by=actor.name, decided_at=now)
                )
                row = {
                    "number": number, "carrier": carrier.strip(), "rule": rule.strip(),
                    "pushed_by": actor.name, "pushed_at": now, "answer": "",
                }  # fmt: skip
                connection.execute(t.number_pushes.insert(), row)
            detail = {"carrier": carrier.strip(), "rule": rule.strip(), "numbers": len(good)}
            record(tx, now, actor, "numbers.push", carrier.strip(), detail=detail)
        return good

    def reject(self, actor: Actor, numbers: Collection[str], reason: str) -> None:
        """A reviewer finds that these are no fraud."""
        now, n = int(self._clock.wall()), t.numbers
        with self._store.transaction() as tx:
            which = sa.and_(n.c.state == "candidate", n.c.number.in_(numbers))
            values = {"state": "rejected", "reason": check_note(reason) or "NOT_FRAUD"}
            sql_of(tx)._connection.execute(
                n.update().where(which).values(**values, decided_by=actor.name, decided_at=now)
            )
            record(tx, now, actor, "numbers.reject", "", detail={"numbers": len(numbers)})

    # -- evaluate, optimise ------------------------------------------------------------------------

    def evaluation(self, carriers: Collection[str] | None = None) -> dict[str, Evaluation]:
        """Missed, wrong and late: of all, by carrier, by rule; of ``carriers`` where given."""
        p, n = t.number_pushes, t.numbers
        query = sa.select(p, n.c.seen_at).join(n, n.c.number == p.c.number)
        if carriers is not None:
            query = query.where(p.c.carrier.in_(carriers))
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        pushed = [
            Pushed(
                number=row.number, carrier=row.carrier, rule=row.rule,
                pushed_at=UnixMicros(row.pushed_at), done_at=row.done_at,
                was_wrong=row.wrong_by is not None,
            )
            for row in rows
        ]  # fmt: skip
        seen = {row.number: UnixMicros(row.seen_at) for row in rows if row.seen_at is not None}
        return evaluate(pushed, seen, LATE_AFTER_US)

    def note(self, actor: Actor, number: str, what: str, answer: str = "") -> None:
        """Write down that a block was done, was wrong, goes back, or was answered.

        A carrier's liaison does so for that carrier alone, and sends nothing back to it:
        OtherUnitError, whether or not another carrier has that number.
        """
        now, p = int(self._clock.wall()), t.number_pushes
        own = self.bounds.carriers(actor, Permission.NUMBERS_ANSWER)
        if own is not None:
            self._check_own(actor, number, what, own)
        values: dict[str, dict[str, Any]] = {
            "done": {"done_at": now},
            "wrong": {"wrong_by": actor.name},
            "back": {"back_at": now, "answered_at": None, "answered_by": None, "answer": ""},
            "answered": {
                "answered_at": now, "answered_by": actor.name, "answer": check_note(answer),
            },
        }  # fmt: skip
        if what not in values:
            raise RuleError("this form does not know that")
        with self._store.transaction() as tx:
            which = p.c.number == number
            if what == "answered":
                which = sa.and_(which, p.c.back_at.is_not(None))
            done = sql_of(tx)._connection.execute(p.update().where(which).values(**values[what]))
            if not done.rowcount:
                raise UnknownError("no such block, or it was not pushed back")
            record(tx, now, actor, f"numbers.{what}", number[-4:])

    def _check_own(self, actor: Actor, number: str, what: str, own: frozenset[str]) -> None:
        p = t.number_pushes.c
        query = sa.select(p.number).where(p.number == number, p.carrier.in_(own))
        with self._store.reading() as connection:
            is_own = connection.execute(query).one_or_none() is not None
        if not is_own or what == "back":
            why = OTHER if not is_own else "the centre pushes back, its carrier answers"
            self.bounds.refuse(actor, Permission.NUMBERS_ANSWER, number[-4:], why)

    def push_back_missed(self, actor: Actor) -> int:
        """Send back to its carrier every block that did not hold and is not there yet."""
        missed = set(self.evaluation().get("all", Evaluation(0, (), 0, 0)).missed)
        p = t.number_pushes.c
        with self._store.reading() as connection:
            back = set(
                connection.execute(sa.select(p.number).where(p.back_at.is_not(None))).scalars()
            )
        for number in sorted(missed - back):
            self.note(actor, number, "back")
        return len(missed - back)

    def pushes(
        self, limit: int, carriers: Collection[str] | None = None
    ) -> list[Mapping[str, Any]]:
        """Blocks with how their answers stand, of ``carriers``: those to be taken back first.

        ``is_protected``: the number came to be protected after it was pushed, and nobody has said
        yet that its block is wrong. Then come those that are overdue.
        """
        now, p, n = int(self._clock.wall()), t.number_pushes, t.numbers
        query = sa.select(p, n.c.seen_at).join(n, n.c.number == p.c.number)
        if carriers is not None:
            query = query.where(p.c.carrier.in_(carriers))
        ordered = query.order_by(p.c.back_at.is_(None), p.c.back_at, p.c.number).limit(limit)
        guarded, found = sorted(self.protected()), dict[str, dict[str, Any]]()
        with self._store.reading() as connection:
            for at in range(0, len(guarded), _AT_ONCE):
                is_guarded = p.c.number.in_(guarded[at : at + _AT_ONCE])
                for row in connection.execute(query.where(is_guarded, p.c.wrong_by.is_(None))):
                    found[row.number] = {**row._mapping, "is_protected": True}
            for row in connection.execute(ordered):
                found.setdefault(row.number, {**row._mapping, "is_protected": False})
        for one in found.values():
            back = one["back_at"]
            state = None if back is None else push_state(
                UnixMicros(back), one["answered_at"], UnixMicros(now), ANSWER_WITHIN_US
            )  # fmt: skip
            one["state"] = "" if state is None else state.value
        first: list[Mapping[str, Any]] = list(found.values())
        first.sort(
            key=lambda one: (not one["is_protected"], one["state"] != PushState.OVERDUE.value)
        )
        return first[:limit]

    # -- our own rules -----------------------------------------------------------------------------

    def rule_precision(self) -> list[tuple[str, int, int]]:
        """Kind of alert, confirmed, dismissed: what people made of our own alarms."""
        a = core.alerts.c
        good = sa.func.sum(sa.case((a.state.in_(("confirmed", "closed")), 1), else_=0))
        bad = sa.func.sum(sa.case((a.state == "dismissed", 1), else_=0))
        query = sa.select(a.kind, good.label("good"), bad.label("bad")).group_by(a.kind)
        with self._store.reading() as connection:
            rows = connection.execute(query.order_by(a.kind)).all()
        return [(str(r.kind), int(r.good), int(r.bad)) for r in rows if r.good or r.bad]

    def propose_rule(self, actor: Actor, rule: str, text: str) -> None:
        """Propose another threshold; somebody else reviews it."""
        if not rule.strip() or not text.strip():
            raise RuleError("a change names its rule and says what is changed, from what, to what")
        now = int(self._clock.wall())
        with self._store.transaction() as tx:
            row = {
                "rule": rule.strip()[:80], "text": check_note(text), "state": "proposed",
                "proposed_by": actor.name, "proposed_at": now,
            }  # fmt: skip
            made = sql_of(tx)._connection.execute(t.rule_changes.insert(), row)
            record(tx, now, actor, "rule.propose", str(made.inserted_primary_key[0]))  # type: ignore[index]

    def decide_rule(self, actor: Actor, change: int, *, is_approved: bool) -> None:
        """Approve or decline another person's change."""
        now, c = int(self._clock.wall()), t.rule_changes.c
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            query = sa.select(t.rule_changes).where(c.id == change)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise UnknownError(f"there is no change {change}")
            if row.state != "proposed":
                raise StaleError(
                    f"change {change}", version=0, state=row.state, by=row.decided_by,
                    action=row.state,
                )  # fmt: skip
            if row.proposed_by == actor.name:
                raise RuleError("two different people decide: somebody else has to review this")
            state = "approved" if is_approved else "declined"
            values = {"state": state, "decided_by": actor.name, "decided_at": now}
            connection.execute(t.rule_changes.update().where(c.id == change).values(**values))
            record(tx, now, actor, f"rule.{state}", str(change))

    def rule_changes(self, limit: int) -> list[Mapping[str, Any]]:
        """Newest changes of rules."""
        query = sa.select(t.rule_changes).order_by(t.rule_changes.c.id.desc()).limit(limit)
        with self._store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]
