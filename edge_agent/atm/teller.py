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
from atm_face.screens import CANCELLED, COUNTER, Prompt
from atm_face.withdrawal import Factors, Outcome
from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.messages import WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PartState, PinVerdict
from edge_agent.atm.booth import Booth
from edge_agent.atm.clock_watch import ClockWatch
from edge_agent.atm.closure import Closure
from edge_agent.atm.dialog import AmountRange, Dialog, Scripted
from edge_agent.atm.journal import JournalError
from edge_agent.atm.machine import PIN_CODES, Card, Done, Machine, MachineError
from edge_agent.atm.script import ScriptedVisit
from edge_agent.atm.spent import SpentToday
from edge_agent.atm_config import MachineConfig
from edge_agent.health import HealthBook
from hardware.atm.interface import DeviceLostError

CUSTOMER_S = 5.0
DEFAULT_MOST_FEN = 500_000
"""Most of one withdrawal where the bank sets no limit of its own."""

log = structlog.get_logger("atm")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a customer put in and asked for."""

    number: str
    started: UnixMicros
    amount_fen: int
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
    ) -> None:
        """``account_of`` says what orders and lists mean for a card now, without its factors."""
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
            amount_fen = dialog.ask_amount(self._range)
            if amount_fen is None:
                dialog.tell(CANCELLED)
                machine.give_card_back()
                return None
            dialog.say(Prompt.ENTER_PIN)
            block = machine.take_pin(card)
        except (DeviceLostError, OSError) as error:
            self._book.report("devices", PartState.FAILED, str(error))
            raise MachineError(str(error)) from None
        judged = machine.check_pin(card, block) if block else PinVerdict.WRONG
        wish = _Wish(
            number=str(new_number()),
            started=started,
            amount_fen=amount_fen,
            card=card,
            ref=self._booth.keys.ref(card.pan),
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
        wish: _Wish,
    ) -> WithdrawalDecision:
        face = self._booth.check(factor, wish.ref, scripted, dialog.say)
        verdict = self._verdict(wish, face, is_confirmed=None)
        if verdict.asks_first:
            # Orders and lists may have changed while the customer read: the table is run again.
            is_confirmed = dialog.confirm(Prompt.ANTI_FRAUD_VOICE_ZH)
            verdict = self._verdict(wish, face, is_confirmed=is_confirmed)
        if verdict.reason is not None:
            dialog.end_with(verdict.screen)  # before the card comes back
        factors = Factors()
        try:
            factors = self._factors(machine, wish, face, verdict)
            done = machine.withdraw(
                wish.number, wish.amount_fen, wish.card, wish.ref, wish.block, factors
            )
        except JournalError as error:  # what was asked for is settled at the next start
            log.warning("journal_failed", problem=str(error))
            dialog.tell(COUNTER)
            machine.give_card_back()
            done = Done(None, "")
        if done.outcome is Outcome.COMPLETED:
            self._count(wish)
        decision, reason, pin = verdict.decision, verdict.reason, wish.pin
        if reason is None:
            decision, reason, pin = _after(done, factors)
        return WithdrawalDecision(
            visit=wish.number,
            business=Business.WITHDRAW.word,
            amount_fen=wish.amount_fen,
            card=wish.ref,
            pin=pin,
            face=face.examination.evidence,
            decision=decision,
            reason=reason,
            policy_version=self._policy.version,
            started_at=wish.started,
            decided_at=self._clock.wall(),
            many_cards=face.reached_cards,
        )

    def _verdict(self, wish: _Wish, face: CardVerdict, is_confirmed: bool | None) -> Verdict:
        seen = face.examination
        visit = replace(
            self._account_of(wish.ref),
            business=Business.WITHDRAW,
            pin=wish.pin,
            is_enrolled=face.is_enrolled,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            amount_fen=wish.amount_fen,
            day_fen=self._spent.of(wish.ref, wish.started),
            is_confirmed=is_confirmed,
        )
        return decide(visit, self._policy)

    def _factors(
        self, machine: Machine, wish: _Wish, face: CardVerdict, verdict: Verdict
    ) -> Factors:
        """Everything that has to hold before the bank is asked; raises JournalError."""
        seen = face.examination
        factors = replace(
            machine.readiness(wish.ref),
            pin=bool(wish.block) and wish.pin is PinVerdict.OK,
            face=seen.is_match is True and seen.is_live is True,
            policy=verdict.decision is Decision.ALLOW,
            clock=self._watch.is_trusted(),
        )
        return factors if self._closure.problem() is None else replace(factors, devices=False)

    def _count(self, wish: _Wish) -> None:
        try:
            self._spent.add(wish.ref, wish.amount_fen, wish.started)
        except OSError as error:
            self._book.report("journal", PartState.FAILED, f"the day's sums: {error.strerror}")
            log.warning("spent_not_kept", problem=str(error))


def _after(done: Done, factors: Factors) -> tuple[Decision, DecisionReason | None, PinVerdict]:
    """What became of a visit that the table allowed: host and devices have the last word."""
    if done.outcome in {Outcome.COMPLETED, Outcome.PARTIALLY_REVERSED}:
        return Decision.ALLOW, None, PinVerdict.OK
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
