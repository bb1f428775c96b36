"""One customer at a machine that this agent drives itself: card, amount, PIN, face, and then cash.

All factors are taken before anything is decided, in the order in which a customer expects them; the
decision table then gives the first reason in its own order (scenario format, section 4.1). So that
a PIN comes before the face there too, the bank is asked about it first, where its profile can.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from atm_face.factor import CardVerdict, FaceFactor
from atm_face.policy import Business, Policy, Verdict, Visit, decide
from atm_face.screens import CANCELLED, COUNTER, Prompt, Text
from atm_face.withdrawal import Factors, Outcome
from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.messages import WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PartState, PinVerdict
from edge_agent.atm.booth import Booth
from edge_agent.atm.clock_watch import ClockWatch
from edge_agent.atm.closure import Closure
from edge_agent.atm.dialog import AmountRange, Dialog, HeldTransfer, Scripted, Service
from edge_agent.atm.journal import JournalError
from edge_agent.atm.machine import PIN_CODES, Card, Done, Machine, MachineError, Wish
from edge_agent.atm.script import ScriptedVisit
from edge_agent.atm.spent import SpentToday
from edge_agent.atm_config import MachineConfig
from edge_agent.health import HealthBook
from hardware.atm.interface import DeviceLostError, Movement

CUSTOMER_S = 5.0
DEFAULT_MOST_FEN = 500_000
"""Most of one withdrawal where the bank sets no limit of its own."""
FEN_OF_YUAN = 100
_BUSINESS = {
    Movement.CASH: Business.WITHDRAW,
    # Whose account it is the bank alone knows: here every payee counts as somebody else.
    Movement.TRANSFER: Business.TRANSFER_OTHER,
    Movement.REVOCATION: Business.REVOKE,
}
_GOOD_ENDS = frozenset(
    {
        Outcome.COMPLETED,
        Outcome.PARTIALLY_REVERSED,
        Outcome.TRANSFER_WAITS,
        Outcome.REVOKED,
    }
)

log = structlog.get_logger("atm")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """What a customer put in and asked for."""

    number: str
    started: UnixMicros
    asked: Wish
    card: Card
    ref: CardRef
    block: bytes
    pin: PinVerdict


class Teller:
    """Serves one customer at a time; one thread."""

    def __init__(
        self,
        config: MachineConfig,
        booth: Booth,
        *,
        clock: Clock,
        book: HealthBook,
        closure: Closure,
        watch: ClockWatch,
        account_of: Callable[[CardRef], Visit],
        dialog: Dialog,
        policy: Policy,
        spent: SpentToday,
        is_listed: Callable[[CardRef], bool] = lambda payee: False,
    ) -> None:
        """``account_of`` says what orders and lists mean for a card now, without its factors;
        ``is_listed`` whether nobody may send money to an account.
        """
        self._is_listed = is_listed
        self._config = config
        self._booth = booth
        self._clock = clock
        self._book = book
        self._closure = closure
        self._watch = watch
        self._account_of = account_of
        self._dialog = dialog
        self._policy = policy
        self._spent = spent
        most = policy.max_once_fen or DEFAULT_MOST_FEN
        self._range = AmountRange(note_fen=config.note_fen, most_fen=most)

    def serve(
        self,
        machine: Machine,
        factor: FaceFactor,
        scripted: ScriptedVisit | None,
        new_number: Callable[[], int],
    ) -> WithdrawalDecision | None:
        """Serve one customer; None: nobody came, or he chose nothing. Raises MachineError.

        ``new_number`` gives a visit its number, once there is one.
        """
        started = self._clock.wall()
        dialog = self._dialog if scripted is None else Scripted(self._dialog, scripted)
        try:
            if self._config.customer is not None and scripted is not None:
                _send_customer(self._config.customer, scripted)
            card = machine.read_card()
            if card is None:
                return None
            ref = self._booth.keys.ref(card.pan)
            asked = self._ask(machine, dialog, ref)
            if asked is None:
                dialog.tell(CANCELLED)
                machine.give_card_back()
                return None
            dialog.say(Prompt.ENTER_PIN)
            block = machine.take_pin(card)
        except (DeviceLostError, OSError) as error:
            self._book.report("devices", PartState.FAILED, str(error))
            raise MachineError(str(error)) from None
        judged = machine.check_pin(card, block) if block else PinVerdict.WRONG
        wish = _Visit(
            number=str(new_number()),
            started=started,
            asked=asked,
            card=card,
            ref=ref,
            block=block,
            # Where the bank tells only with the withdrawal, a complete entry is all that is known.
            pin=judged or PinVerdict.OK,
        )
        return self._decide(machine, factor, dialog, scripted, wish)

    def _decide(
        self,
        machine: Machine,
        factor: FaceFactor,
        dialog: Dialog,
        scripted: ScriptedVisit | None,
        wish: _Visit,
    ) -> WithdrawalDecision:
        face = self._booth.check(factor, wish.ref, scripted, dialog.say)
        verdict = self._verdict(wish, face, is_confirmed=None)
        if verdict.asks_first:
            # Orders and lists may have changed while the customer read: the table is run again.
            is_confirmed = dialog.confirm(Prompt.ANTI_FRAUD_VOICE_ZH, _detail(wish.asked))
            verdict = self._verdict(wish, face, is_confirmed=is_confirmed)
        if verdict.reason is not None:
            dialog.end_with(verdict.screen)  # before the card comes back
        factors = Factors()
        try:
            factors = self._factors(machine, wish, face, verdict)
            done = machine.serve(wish.number, wish.asked, wish.card, wish.ref, wish.block, factors)
        except JournalError as error:  # what was asked for is settled at the next start
            log.warning("journal_failed", problem=str(error))
            dialog.tell(COUNTER)
            machine.give_card_back()
            done = Done(None, "")
        if done.outcome in {Outcome.COMPLETED, Outcome.TRANSFER_WAITS}:
            self._count(wish)
        decision, reason, pin = verdict.decision, verdict.reason, wish.pin
        if reason is None:
            decision, reason, pin = _after(done, factors, verdict.decision)
        return WithdrawalDecision(
            visit=wish.number,
            business=_BUSINESS[wish.asked.movement].word,
            amount_fen=wish.asked.amount_fen,
            card=wish.ref,
            pin=pin,
            face=face.examination.evidence,
            decision=decision,
            reason=reason,
            policy_version=self._policy.version,
            started_at=wish.started,
            decided_at=self._clock.wall(),
            many_cards=face.reached_cards,
            revokes=wish.asked.transfer or None,
        )

    def _ask(self, machine: Machine, dialog: Dialog, ref: CardRef) -> Wish | None:
        """Let the customer choose; None: nothing was chosen. The page asks for cash alone where
        this machine offers nothing else.
        """
        service: Service | None = Service.CASH
        held = machine.waiting_transfers(ref) if machine.offers_transfers else []
        if machine.offers_transfers:
            offers = [Service.CASH, Service.TRANSFER, *([Service.REVOKE] if held else [])]
            service = dialog.ask_service(offers)
        if service is Service.REVOKE:
            shown = [
                HeldTransfer(
                    amount_fen=one.amount_fen,
                    payee_last4=one.payee_last4,
                    ordered_at=machine.clock_time(UnixMicros(one.ordered_us)),
                )
                for one in held
            ]
            place = dialog.choose_transfer(shown)
            if place is None:
                return None
            chosen = held[place]
            return Wish(
                movement=Movement.REVOCATION, amount_fen=chosen.amount_fen, transfer=chosen.id
            )
        if service is Service.TRANSFER:
            limits = replace(self._range, note_fen=FEN_OF_YUAN)
            payee = dialog.ask_payee()
            amount = None if payee is None else dialog.ask_amount(limits, service)
            if payee is None or amount is None:
                return None
            return Wish(movement=Movement.TRANSFER, amount_fen=amount, payee=payee)
        amount = None if service is None else dialog.ask_amount(self._range)
        return None if amount is None else Wish(movement=Movement.CASH, amount_fen=amount)

    def _verdict(self, wish: _Visit, face: CardVerdict, is_confirmed: bool | None) -> Verdict:
        seen = face.examination
        visit = replace(
            self._account_of(wish.ref),
            business=_BUSINESS[wish.asked.movement],
            pin=wish.pin,
            is_enrolled=face.is_enrolled,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            amount_fen=wish.asked.amount_fen,
            day_fen=self._spent.of(wish.ref, wish.started),
            is_payee_listed=bool(wish.asked.payee)
            and self._is_listed(self._booth.keys.ref(wish.asked.payee)),
            is_confirmed=is_confirmed,
        )
        return decide(visit, self._policy)

    def _factors(
        self, machine: Machine, wish: _Visit, face: CardVerdict, verdict: Verdict
    ) -> Factors:
        """Everything that has to hold before the bank is asked; raises JournalError."""
        seen = face.examination
        factors = replace(
            machine.readiness(wish.ref),
            pin=bool(wish.block) and wish.pin is PinVerdict.OK,
            face=seen.is_match is True and seen.is_live is True,
            policy=verdict.is_allowed,
            clock=self._watch.is_trusted(),
        )
        return factors if self._closure.problem() is None else replace(factors, devices=False)

    def _count(self, wish: _Visit) -> None:
        try:
            self._spent.add(wish.ref, wish.asked.amount_fen, wish.started)
        except OSError as error:
            self._book.report("journal", PartState.FAILED, f"the day's sums: {error.strerror}")
            log.warning("spent_not_kept", problem=str(error))


def _detail(asked: Wish) -> Text | None:
    """What the question before a transfer is about: so that sum and account are read once more."""
    if asked.movement is not Movement.TRANSFER:
        return None
    yuan = f"{asked.amount_fen / 100:,.2f}"
    payee = " ".join(asked.payee[at : at + 4] for at in range(0, len(asked.payee), 4))
    return Text(f"¥{yuan} to {payee}, after 24 hours", f"向 {payee} 转账 {yuan} 元，24小时后办理")


def _after(
    done: Done, factors: Factors, allowed: Decision
) -> tuple[Decision, DecisionReason | None, PinVerdict]:
    """What became of a visit that the table allowed: host and devices have the last word."""
    if done.outcome in _GOOD_ENDS:
        return allowed, None, PinVerdict.OK
    pin = PIN_CODES.get(done.code, PinVerdict.OK)
    if pin is PinVerdict.WRONG:
        return Decision.DENY, DecisionReason.PIN_INVALID, pin
    if pin is PinVerdict.BLOCKED:
        return Decision.DENY, DecisionReason.PIN_BLOCKED, pin
    if done.outcome is Outcome.DECLINED:
        return Decision.DENY, DecisionReason.HOST_DECLINED, PinVerdict.OK
    if not factors.clock:
        return Decision.REFER_TO_COUNTER, DecisionReason.CLOCK_UNTRUSTED, PinVerdict.OK
    if done.outcome in {None, Outcome.NOT_SENT}:
        return Decision.REFER_TO_COUNTER, DecisionReason.OUT_OF_SERVICE, PinVerdict.OK
    if done.outcome is Outcome.REVERSED and not done.code:
        return Decision.REFER_TO_COUNTER, DecisionReason.HOST_SILENT, PinVerdict.OK
    return Decision.REFER_TO_COUNTER, DecisionReason.DEVICE_FAULT, PinVerdict.OK


def _send_customer(path: Path, scripted: ScriptedVisit) -> None:
    """Ask a simulated customer to come; the PIN stays with the finger. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(CUSTOMER_S)
        line.connect(str(path))
        wish = {"pan": scripted.pan, "pin": scripted.pin.value}
        line.sendall(json.dumps(wish).encode() + b"\n")
        if line.recv(64).strip() != b"ok":
            raise OSError("the simulated customer did not come")
