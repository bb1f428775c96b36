"""A simulated bank behind the adapter: it matches, holds to the day and lets go by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from central.orders.kinds import KINDS, Hold, OrderKind, Reason
from central.orders.platform import BankRequest, Codes, Feedback, load_codes
from contract.clock import UnixMicros


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


@dataclass(frozen=True, slots=True)
class Held:
    """What one order holds here."""

    hold: Hold
    number: str
    until: UnixMicros | None
    limit_fen: int | None


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
