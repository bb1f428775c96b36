"""The desk at which alarms are taken: a case at once, the clocks running, the duty officer told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from central.actor import Actor
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, UnknownError, check_note, sql_of
from central.audit import REFUSED, record
from central.case_states import CaseState
from central.case_work import CaseWork
from central.clock_work import ClockWork, duty_officer
from central.clocks import Happening
from central.intake.alarm import Alarm, Problem, SuspectAccount, Wrong, read_account, read_alarm
from central.orders.platform import Sealed
from central.orders.sealed import Vault, masked, masked_name
from central.store import intake as stored
from central.store.cases import CaseRow, read_case
from central.store.intake import AlarmAccount, AlarmRefusal, AlarmRow
from central.store.interface import Event
from central.store.sql import SqlStore
from central.store.write import SqlTransaction
from contract.clock import Clock

KIND = "FRAUD_ALARM"
"""Kind of a case that an alarm opens."""
_SEAL_BYTES = 16


class Outcome(StrEnum):
    """What became of one alarm."""

    OPENED = "opened"
    KNOWN = "known"
    """The same alarm came before, with the same words: nothing changed."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What a sender is told of one alarm."""

    outcome: Outcome
    number: str
    case_id: int | None = None
    case_number: str = ""
    is_entered: bool = False
    problems: tuple[Problem, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        case = None if self.case_id is None else {"id": self.case_id, "number": self.case_number}
        return {
            "number": self.number,
            "outcome": self.outcome.value,
            "case": case,
            "is_entered": self.is_entered,
            "problems": [problem.as_json() for problem in self.problems],
        }


class IntakeWork:
    """Takes alarms inside a transaction."""

    def __init__(self, tx: SqlTransaction, now: int, vault: Vault) -> None:
        self._tx = tx
        self._now = now
        self._vault = vault
        self.clocks = ClockWork(tx, now)

    def take(self, actor: Actor, document: Any, via: str) -> Result:
        """Take one alarm, or say which of its fields is wrong with it."""
        reading = read_alarm(document, self._now)
        alarm, problems = reading.alarm, reading.problems
        if alarm is not None and not actor.covers(alarm.area):
            alarm, problems = None, (Problem("area", Wrong.NOT_YOURS),)
        if alarm is None:
            return self.refuse(actor, via, reading.number, problems)
        known = stored.known_alarm(self._tx._connection, alarm.source, alarm.number)
        if known is not None:
            return self._again(actor, via, alarm, known)
        case = self._open(actor, alarm)
        self._keep(actor, alarm, case, via)
        if problems:
            self._note_refusal(actor, via, alarm.number, problems)
        return Result(
            Outcome.OPENED, alarm.number, case.id, case.number, alarm.is_entered, problems
        )

    def refuse(self, actor: Actor, via: str, number: str, problems: Sequence[Problem]) -> Result:
        """Take nothing, and keep that it was so."""
        self._note_refusal(actor, via, number, problems)
        return Result(Outcome.REFUSED, number, problems=tuple(problems))

    def _note_refusal(
        self, actor: Actor, via: str, number: str, problems: Sequence[Problem]
    ) -> None:
        said = [problem.as_json() for problem in problems[:50]]
        row = AlarmRefusal(at=self._now, via=via, sender=actor.name, number=number, problems=said)
        stored.add_refusal(self._tx._connection, row)
        record(
            self._tx, self._now, actor, "alarm.refused", number, outcome=REFUSED,
            detail={"via": via, "fields": [problem.field for problem in problems[:50]]},
        )  # fmt: skip

    def _again(self, actor: Actor, via: str, alarm: Alarm, known: AlarmRow) -> Result:
        """An alarm that came before: the same words change nothing, other words are refused."""
        differs = self._differences(alarm, known)
        case = read_case(self._tx._connection, known.case_id)
        assert case is not None
        if differs:
            problems = [Problem(name, Wrong.DIFFERS) for name in differs]
            refused = self.refuse(actor, via, alarm.number, problems)
            return replace(refused, case_id=case.id, case_number=case.number)
        return Result(Outcome.KNOWN, alarm.number, case.id, case.number, alarm.is_entered)

    def _differences(self, alarm: Alarm, known: AlarmRow) -> list[str]:
        sealed = self._vault.open(known.seal_key, known.sealed)
        accounts = {
            (self._vault.open(a.seal_key, a.sealed).number, a.amount_fen, a.transfer_at)
            for a in stored.accounts_of(self._tx._connection, known.id)
        }
        pairs: dict[str, tuple[Any, Any]] = {
            "area": (alarm.area, known.area),
            "alarm_at": (int(alarm.alarm_at), known.alarm_at),
            "amount_fen": (alarm.amount_fen, known.amount_fen),
            "victim.name": (alarm.victim.name, sealed.name),
            "victim.phone": (alarm.victim.phone, sealed.number),
        }
        found = [name for name, (one, other) in pairs.items() if one != other]
        found += [
            f"accounts[{place}]"
            for place, a in enumerate(alarm.accounts)
            if (a.number, a.amount_fen, int(a.transfer_at)) not in accounts
        ]
        return found

    def _open(self, actor: Actor, alarm: Alarm) -> CaseRow:
        subject: dict[str, Any] = {
            "alarm": alarm.number,
            "victim": masked_name(alarm.victim.name),
            "loss": yuan(alarm.amount_fen),
        }
        if alarm.accounts:
            subject["account"] = ", ".join(masked(a.number) for a in alarm.accounts)
        return CaseWork(self._tx, self._now).open(
            actor, KIND, alarm.area, subject, alarm.brief,
            state=CaseState.LEAD, first_seen=int(alarm.alarm_at),
            owner=duty_officer(
                self._tx._connection, alarm.area, self._now, but=actor.name
            ),
        )  # fmt: skip

    def _keep(self, actor: Actor, alarm: Alarm, case: CaseRow, via: str) -> None:
        key = secrets.token_bytes(_SEAL_BYTES)
        victim = Sealed(number=alarm.victim.phone, name=alarm.victim.name)
        row = AlarmRow(
            source=alarm.source, number=alarm.number, case_id=case.id, via=via, area=alarm.area,
            alarm_at=int(alarm.alarm_at), received_at=self._now, amount_fen=alarm.amount_fen,
            victim=masked_name(alarm.victim.name), seal_key=key,
            sealed=self._vault.seal(key, victim), brief=alarm.brief, taken_by=actor.name,
        )  # fmt: skip
        made = stored.add(self._tx._connection, row)
        for account in alarm.accounts:
            self._keep_account(actor, made, account, victim)
        self.clocks.note(case, Happening.ALARM, row.alarm_at, by=actor)
        if alarm.is_entered:
            self.clocks.note(case, Happening.ENTERED, max(self._now, row.alarm_at), by=actor)
        self.clocks.tell(
            case, "alarm",
            {"alarm": alarm.number, "amount_fen": alarm.amount_fen, "severity": "high"},
        )  # fmt: skip

    def _keep_account(
        self, actor: Actor, alarm_id: int, account: SuspectAccount, victim: Sealed
    ) -> None:
        key = secrets.token_bytes(_SEAL_BYTES)
        sealed = Sealed(number=account.number, name=account.holder, payer_name=victim.name)
        row = AlarmAccount(
            alarm_id=alarm_id, last4=account.number[-4:], holder=masked_name(account.holder),
            bank=account.bank, amount_fen=account.amount_fen,
            transfer_at=int(account.transfer_at), seal_key=key,
            sealed=self._vault.seal(key, sealed), added_by=actor.name, added_at=self._now,
        )  # fmt: skip
        stored.add(self._tx._connection, row)

    def enter(self, actor: Actor, alarm: AlarmRow, account: SuspectAccount) -> bool:
        """Add an account to an alarm; True: that ended the 30 minutes of entering."""
        case = read_case(self._tx._connection, alarm.case_id)
        assert case is not None
        victim = self._vault.open(alarm.seal_key, alarm.sealed)
        self._keep_account(actor, alarm.id, account, victim)
        record(
            self._tx, self._now, actor, "alarm.account", case.number,
            detail={"alarm": alarm.number, "account": masked(account.number)},
        )  # fmt: skip
        done = {row.happening for row in stored.happenings_of(self._tx._connection, case.id)}
        if Happening.ENTERED.value in done or not account.is_whole:
            return False
        self.clocks.note(case, Happening.ENTERED, self._now, by=actor)
        return True


def yuan(fen: int) -> str:
    """Write an amount; a case's subject is text."""
    return f"¥{fen // 100:,}.{fen % 100:02}"


class IntakeDesk:
    """Takes alarms, each in a transaction of its own: a bad one never stops the rest."""

    def __init__(
        self,
        store: SqlStore,
        clock: Clock,
        vault: Vault,
        on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._on_events = on_events

    def take(self, actor: Actor, documents: Sequence[Any], via: str) -> list[Result]:
        """Take alarms; pages are told of each after its commit."""
        results = []
        for document in documents:
            with self._store.transaction() as tx:
                work = IntakeWork(sql_of(tx), int(self._clock.wall()), self._vault)
                results.append(work.take(actor, document, via))
            if work.clocks.events:
                self._on_events(work.clocks.events)
        return results

    def add_account(
        self, actor: Actor, alarm_id: int, document: Any
    ) -> tuple[AlarmRow, list[Problem]]:
        """Add a suspect account to an alarm; with problems nothing changed."""
        now = int(self._clock.wall())
        account, problems = read_account(document, now)
        alarm = self._store.alarm(alarm_id)
        if alarm is None:
            raise UnknownError(f"there is no alarm {alarm_id}")
        if not actor.covers(alarm.area):
            raise NotCoveredError(f"alarm {alarm.number} lies outside your areas")
        if account is not None:
            if not account.is_whole:
                raise RuleError("the first-tier account is entered with its holder's name")
            with self._store.transaction() as tx:
                work = IntakeWork(sql_of(tx), now, self._vault)
                work.enter(actor, alarm, account)
            if work.clocks.events:
                self._on_events(work.clocks.events)
        return alarm, problems

    def open_sealed(self, actor: Actor, alarm_id: int, why: str) -> tuple[Sealed, list[Sealed]]:
        """Open an alarm's victim and accounts for a person; it stands in the audit log."""
        alarm = self._store.alarm(alarm_id)
        if alarm is None:
            raise UnknownError(f"there is no alarm {alarm_id}")
        if not actor.covers(alarm.area):
            raise NotCoveredError(f"alarm {alarm.number} lies outside your areas")
        why = check_note(why)
        if not why:
            raise RuleError("opening a sealed value needs a reason")
        with self._store.transaction() as tx:
            connection = sql_of(tx)._connection
            rows = stored.accounts_of(connection, alarm_id)
            record(
                tx, int(self._clock.wall()), actor, "sealed.open", alarm.number,
                detail={"why": why, "accounts": len(rows)},
            )  # fmt: skip
        return (
            self._vault.open(alarm.seal_key, alarm.sealed),
            [self._vault.open(row.seal_key, row.sealed) for row in rows],
        )
