"""A simulated bank behind the adapter: it matches, holds to the day and lets go by itself."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from central.orders.book import Application
from central.orders.kinds import KINDS, Hold, OrderKind, Reason
from central.orders.platform import BankRequest, Codes, Feedback, load_codes
from contract.clock import UnixMicros
from contract.keyfiles import KeyFileError, check_private


@dataclass(frozen=True, slots=True)
class Incoming:
    """Money that came to an account."""

    amount_fen: int
    at: UnixMicros


@dataclass(slots=True)
class Account:
    """One account at the simulated bank."""

    name: str
    balance_fen: int
    incoming: list[Incoming] = field(default_factory=list)
    owner: str = ""
    """Identity number of whom it belongs to."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one order holds here."""

    hold: Hold
    number: str
    until: UnixMicros | None
    limit_fen: int | None


SCHEMA = "qianshao-simulated-bank/1"


class BankFileError(ValueError):
    """A file of simulated accounts that cannot be used."""


def load_accounts(path: Path) -> dict[str, Account]:
    """Read simulated accounts; raises BankFileError with the place, never with a number."""
    try:
        check_private(path)
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if table["schema"] != SCHEMA:
            raise BankFileError(f"{path.name}: schema is not {SCHEMA}")
        rows = table["accounts"]
    except (OSError, ValueError, KeyError, TypeError, KeyFileError) as error:
        raise BankFileError(f"{path.name}: {error}") from None
    found: dict[str, Account] = {}
    for place, row in enumerate(rows, start=1):
        try:
            incoming = [
                Incoming(int(money["amount_fen"]), _moment(money["at"]))
                for money in row.get("incoming", ())
            ]
            found[str(row["number"])] = Account(
                str(row["name"]), int(row["balance_fen"]), incoming, str(row.get("owner", ""))
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"{type(error).__name__} {error}"
            raise BankFileError(f"{path.name}: account {place}: {problem}") from None
    return found


def _moment(text: str) -> UnixMicros:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs its offset, for example +08:00")
    return UnixMicros(round(moment.timestamp()) * 1_000_000)


class SimulatedBank:
    """Accounts and holds in memory. ``now`` is asked, so that holds end on a moved clock."""

    def __init__(self, now: Callable[[], UnixMicros], codes: Codes | None = None) -> None:
        self._now = now
        self._codes = codes or load_codes()
        self.accounts: dict[str, Account] = {}
        self._held: dict[bytes, Held] = {}
        self._answers: dict[str, Feedback] = {}
        self._seen: dict[tuple[str, str], str] = {}

    def submit(self, request: BankRequest) -> Feedback:
        """See :class:`BankAdapter`: the same serial is answered as before and done once."""
        if request.serial in self._answers:
            return self._answers[request.serial]
        key = request.application.sender, request.application.application_id
        if self._seen.setdefault(key, request.serial) != request.serial:
            return self._answer(request, self._codes.duplicate, is_executed=False)
        answer = self._carry_out(request)
        self._answers[request.serial] = answer
        return answer

    def adopt(self, application: Application, number: str) -> None:
        """Take up what a live order holds, after a start: this bank keeps nothing on a disk."""
        begins = KINDS[application.kind].begins
        if begins is not None and number in self.accounts:
            self._held[application.order_id] = Held(
                begins, number, application.until, application.limit_fen
            )
        key = application.sender, application.application_id
        self._seen.setdefault(key, application.order_id.hex())

    def accounts_of(self, owner: str, name: str) -> list[str]:
        """All accounts of one person, by identity number and name (100309 at the platform)."""
        return [
            number
            for number, account in self.accounts.items()
            if account.owner and account.owner == owner and account.name == name
        ]

    def _answer(self, request: BankRequest, return_code: str, *, is_executed: bool) -> Feedback:
        code = self._codes.feedbacks[request.application.kind]
        return Feedback(code=code, return_code=return_code, is_executed=is_executed)

    def _carry_out(self, request: BankRequest) -> Feedback:
        application = request.application
        account = self.accounts.get(request.sealed.number)
        code = self._codes.feedbacks[application.kind]
        if account is None:
            return Feedback(
                code=code,
                return_code=self._codes.no_account,
                is_executed=False,
                failures=(Reason.ACCOUNT_MISMATCH,),
            )
        rule = KINDS[application.kind]
        failures = self._failures(request, account) if rule.is_matched else ()
        if failures:
            # 银发〔2016〕86号: what does not match is not stopped, and the reasons go back.
            return Feedback(
                code=code, return_code=self._codes.success, is_executed=False, failures=failures
            )
        for target in application.targets:
            self._held.pop(target, None)
        held = 0
        if rule.begins is not None:
            self._held[application.order_id] = Held(
                rule.begins, request.sealed.number, application.until, application.limit_fen
            )
            held = self._held_fen(account, application.kind, application.limit_fen)
        return Feedback(
            code=code,
            return_code=self._codes.success,
            is_executed=True,
            held_fen=held,
            usable_fen=self.usable_fen(request.sealed.number),
        )

    def _failures(self, request: BankRequest, account: Account) -> tuple[Reason, ...]:
        application = request.application
        failures = []
        if request.sealed.name != account.name:
            failures.append(Reason.NAME_MISMATCH)
        if application.amount_fen not in {money.amount_fen for money in account.incoming}:
            failures.append(Reason.AMOUNT_MISMATCH)
        if application.transfer_at not in {money.at for money in account.incoming}:
            failures.append(Reason.TIME_MISMATCH)
        if not failures and not any(
            (money.amount_fen, money.at) == (application.amount_fen, application.transfer_at)
            for money in account.incoming
        ):
            failures.append(Reason.TIME_MISMATCH)  # each is of another transfer
        return tuple(failures)

    def _held_fen(self, account: Account, kind: OrderKind, limit_fen: int | None) -> int:
        if KINDS[kind].begins not in {Hold.STOP, Hold.FREEZE}:
            return 0
        return account.balance_fen if limit_fen is None else min(limit_fen, account.balance_fen)

    def holds(self, number: str) -> list[Held]:
        """Holds on an account now; a term that is over is none."""
        now = self._now()
        return [
            held
            for held in self._held.values()
            if held.number == number and (held.until is None or now < held.until)
        ]

    def usable_fen(self, number: str) -> int:
        """What the customer may still use; limited freezes stand in line and add up."""
        account = self.accounts[number]
        money = [h for h in self.holds(number) if h.hold in {Hold.STOP, Hold.FREEZE}]
        if any(held.limit_fen is None for held in money):
            return 0
        limits = sum(held.limit_fen or 0 for held in money)
        return max(0, account.balance_fen - limits)
