"""What people do with cases: one action, one transaction, one line of history, one audit entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, Seen, check_note, sql_of
from central.audit import record
from central.case_states import CaseAction, CaseState
from central.case_work import CaseWork, SeenCase, line_of
from central.store import cases as stored
from central.store.cases import CaseRow, Inquiry, TipOff
from central.store.interface import Event, Json
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.keys import KeySigner

PART_KINDS = ("member", "task", "item")
SOURCES = ("CITIZEN", "UNIT", "ANONYMOUS")


class CaseDesk:
    """Changes cases. Thread-safe: all state is in the store."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
        *,
        signer: KeySigner | None = None,
    ) -> None:
        """``signer``: the central's key; without it no case is handed over."""
        self._signer = signer
        self._store = store
        self._clock = clock
        self._on_events = on_events

    @contextmanager
    def writing(self) -> Iterator[CaseWork]:
        """Change cases in one transaction; pages are told after its commit."""
        with self._store.transaction() as tx:
            work = CaseWork(sql_of(tx), int(self._clock.wall()))
            yield work
            events = work.alerts.tell()
        if events:
            self._on_events(events)

    def open_from_alert(self, actor: Actor, alert: Seen, note: str = "") -> CaseRow:
        """Open a case about an alert; the actor owns it."""
        with self.writing() as work:
            return work.open_from_alert(actor, alert, note)

    def open_lead(
        self, actor: Actor, kind: str, area: str, subject: Json, note: str,
        place: tuple[float, float] | None = None,
    ) -> CaseRow:  # fmt: skip
        """Open a case from a lead: no radio yet."""
        with self.writing() as work:
            return work.open(actor, kind, area, subject, note, state=CaseState.LEAD, place=place)

    def act(
        self,
        actor: Actor,
        seen: SeenCase,
        action: CaseAction,
        *,
        reason: str | None = None,
        note: str = "",
        **changes: Any,
    ) -> CaseRow:
        """Do one thing with one case.

        Raises UnknownError, NotCoveredError, StaleError or RuleError, and then nothing changed.
        """
        with self.writing() as work:
            return work.act(actor, seen, action, reason=reason, note=note, **changes)

    def link(self, actor: Actor, seen: SeenCase, alert: Seen) -> CaseRow:
        """Let a further alert belong to a case: a link, never a copy."""
        with self.writing() as work:
            return work.link(actor, seen, alert)

    def own(self, actor: Actor, seen: SeenCase, owner: str) -> CaseRow:
        """Give a case another owner; it always has one."""
        if not (owner := owner.strip()):
            raise RuleError("a case always has an owner")
        return self.act(actor, seen, CaseAction.OWN, note=owner, owner=owner[:80])

    def ask(
        self, actor: Actor, seen: SeenCase, unit: str, question: str, role: Role = Role.CARRIER
    ) -> Inquiry:
        """Ask an operator or regulator whether the emitter is theirs."""
        with self.writing() as work:
            return work.ask(actor, seen, line_of(unit, "a unit"), check_note(question), role)

    def answer(
        self, actor: Actor, inquiry_id: int, *, is_ours: bool, person: str, note: str = "",
        is_liaison: bool = False,
    ) -> CaseRow:  # fmt: skip
        """Write down an answer in the name of the unit's person: ours, or not ours."""
        with self.writing() as work:
            return work.answer(
                actor, inquiry_id, is_ours=is_ours, person=person, note=note, is_liaison=is_liaison
            )

    def offer(self, actor: Actor, seen: SeenCase, unit: str) -> CaseRow:
        """Ask another unit to take a case over; nothing ends before a person there accepts."""
        unit = line_of(unit, "a unit")
        return self.act(
            actor, seen, CaseAction.OFFER, note=unit, transfer_to=unit, transfer_by=actor.name
        )

    def transfer(self, actor: Actor, seen: SeenCase, unit: str, note: str = "") -> CaseRow:
        """Accept a case for the other unit, naming it, with one's own name; it ends here."""
        if self._signer is None:
            raise RuleError("this central has no key by which a transfer is signed")
        unit = line_of(unit, "one's unit")
        with self.writing() as work:
            row = work.seen(actor, seen)
            if row.transfer_to is None:
                raise RuleError("nobody was asked to take the case over")
            if row.transfer_by == actor.name:
                raise RuleError("who offers a case does not accept it: two names, two people")
            if unit != row.transfer_to:
                raise RuleError(f"the case is offered to {row.transfer_to}, not to {unit}")
            return work.transfer(actor, seen, unit, note, self._signer)

    def add_part(
        self, actor: Actor, seen: SeenCase, kind: str, text: str, data: Json | None = None
    ) -> CaseRow:
        """Add a member, a task or a seized thing."""
        if kind not in PART_KINDS:
            raise RuleError(f"a part is one of {', '.join(PART_KINDS)}")
        with self.writing() as work:
            return work.add_part(actor, seen, kind, line_of(text, "a text"), data or {})

    def end_part(self, actor: Actor, seen: SeenCase, part_id: int, outcome: str = "") -> CaseRow:
        """End a part: a task is done, a member leaves, a thing goes elsewhere. It stays listed."""
        with self.writing() as work:
            return work.end_part(actor, seen, part_id, check_note(outcome))

    def take_tip(self, actor: Actor, tip: TipOff) -> int:
        """Write down what somebody told."""
        if tip.source not in SOURCES:
            raise RuleError(f"a source is one of {', '.join(SOURCES)}")
        if not actor.covers(tip.area):
            raise NotCoveredError(f"the area {tip.area} is not one of yours")
        now = int(self._clock.wall())
        row = replace(
            tip, text=check_note(tip.text), taken_by=actor.name, taken_at=now, case_id=None
        )
        if not row.text:
            raise RuleError("a tip needs a text")
        with self._store.transaction() as tx:
            made = stored.add(sql_of(tx)._connection, row)
            record(tx, now, actor, "tip.take", str(made))
        return made

    def link_tip(self, actor: Actor, seen: SeenCase, tip_id: int) -> CaseRow:
        """Let a tip-off belong to a case."""
        with self.writing() as work:
            return work.link_tip(actor, seen, tip_id)

    def award(self, actor: Actor, tip_id: int, reward_fen: int) -> CaseRow:
        """Award a reward: 1,000 to 10,000 yuan, and only after verification."""
        with self.writing() as work:
            return work.award(actor, tip_id, reward_fen)
