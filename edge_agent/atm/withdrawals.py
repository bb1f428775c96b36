"""Drives the withdrawal table: journal first, then the effect, then the next event (W1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from atm_face.withdrawal import (
    CHECKS,
    Answer,
    Check,
    Effect,
    Event,
    Factors,
    Guard,
    Happened,
    HostWord,
    Row,
    State,
    Step,
    Terms,
    UnexpectedEventError,
    Withdrawal,
    step,
)
from atm_face.withdrawal_table import TABLE
from contract.clock import Clock
from edge_agent.atm.journal import Journal, JournalError, Opening
from hardware.atm.interface import (
    CardResult,
    CardSecrets,
    CardSlot,
    DeviceLostError,
    Dispenser,
    DispenseResult,
    HostAnswer,
    HostLink,
    HostSilentError,
    PresentResult,
    PresentState,
    Status,
)

CAPTURE_CODES = frozenset({"04", "07", "33", "34", "35", "36", "37", "38", "41", "43", "67"})
"""ISO 8583 (1987) action codes that ask for the card to be kept."""

_CARD_EVENTS = {
    CardResult.TAKEN: Event.CARD_TAKEN,
    CardResult.LEFT: Event.CARD_LEFT,
    CardResult.RETAINED: Event.CARD_RETAINED,
    CardResult.JAMMED: Event.CARD_JAMMED,
    CardResult.ABSENT: Event.CARD_ABSENT,
}
_DISPENSE_EVENTS = {
    DispenseResult.DISPENSED: Event.DISPENSED,
    DispenseResult.REFUSED: Event.DISPENSE_REFUSED,
    DispenseResult.TOKEN_FORGED: Event.TOKEN_FORGED,
    DispenseResult.NOTHING: Event.NOTHING_DISPENSED,
}
_PRESENT_EVENTS = {
    PresentResult.PRESENTED: Event.PRESENTED,
    PresentResult.NO_ITEMS: Event.PRESENT_NO_ITEMS,
    PresentResult.SOME_ITEMS: Event.PRESENT_SOME_ITEMS,
    PresentResult.UNKNOWN: Event.PRESENT_UNKNOWN,
}
_STATUS_EVENTS = {
    PresentState.PRESENTED: Event.STATUS_PRESENTED,
    PresentState.NOT_PRESENTED: Event.STATUS_NOT_PRESENTED,
    PresentState.RETRACTED: Event.STATUS_RETRACTED,
    PresentState.UNKNOWN: Event.STATUS_UNKNOWN,
}

log = structlog.get_logger("atm")


class Withdrawals:
    """One machine's withdrawals, one at a time."""

    def __init__(
        self,
        journal: Journal,
        *,
        dispenser: Dispenser,
        slot: CardSlot,
        host: HostLink,
        clock: Clock,
        terms: Terms | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
        rows: Sequence[Row] = TABLE,
        checks: Mapping[Guard, Check] = CHECKS,
    ) -> None:
        """``on_step`` is told each step after it is on disk: alarms, screen, evidence."""
        self._journal = journal
        self._dispenser = dispenser
        self._slot = slot
        self._host = host
        self._clock = clock
        self._terms = terms or Terms()
        self._on_step = on_step
        self._rows = rows
        self._checks = checks
        self._secrets: CardSecrets | None = None
        self._token = ""

    def serve(self, opening: Opening, factors: Factors, secrets: CardSecrets) -> Withdrawal:
        """Run one withdrawal to its end. The secrets are forgotten with it.

        Raises JournalError when the disk refuses: no effect follows, the card is given back, and
        :meth:`recover` settles the rest once the journal can be written again.
        """
        self._secrets = secrets
        try:
            withdrawal = self._journal.open(opening, self._clock.wall())
            return self._run(withdrawal, Happened(event=Event.DECIDED, factors=factors))
        except JournalError:
            self._give_card_back()
            raise
        finally:
            self._secrets, self._token = None, ""

    def recover(self) -> list[Withdrawal]:
        """Settle what a power cut left open, before any new customer; raises JournalError."""
        return [
            self._run(withdrawal, Happened(event=Event.BOOT))
            for withdrawal in self._journal.unfinished()
        ]

    def tell(self, withdrawal: Withdrawal, event: Event) -> Withdrawal:
        """Feed an event that comes by itself: a late answer, somebody else's dispense."""
        return self._run(self._journal.find(withdrawal.id), Happened(event=event))

    def _run(self, withdrawal: Withdrawal, first: Happened) -> Withdrawal:
        happened: Happened | None = first
        while happened is not None:
            try:
                made = self._step(withdrawal, happened)
            except UnexpectedEventError as error:
                return self._stop(withdrawal, error)
            self._journal.write(made, self._clock.wall())
            withdrawal = made.after
            self._on_step(made)
            happened = self._carry_out(made)
        return withdrawal

    def _step(self, withdrawal: Withdrawal, happened: Happened) -> Step:
        return step(withdrawal, happened, self._terms, rows=self._rows, checks=self._checks)

    def _stop(self, withdrawal: Withdrawal, error: UnexpectedEventError) -> Withdrawal:
        """A device answered what cannot be: out of service, and a restart asks it what it did."""
        now = self._clock.wall()
        self._journal.note(withdrawal.id, error.event, str(error), now)
        if withdrawal.state is not State.ENDED:
            self._journal.close_machine(str(error), now)
        log.error("withdrawal_stopped", id=withdrawal.id, problem=str(error))
        return withdrawal

    def _give_card_back(self) -> None:
        try:
            self._slot.eject()
        except DeviceLostError as error:
            log.warning("card_not_returned", problem=str(error))

    def _carry_out(self, made: Step) -> Happened | None:
        """Carry out the effects in order; the last answer is the next event."""
        happened = None
        for effect in made.external:
            try:
                happened = self._effects[effect](self, made.after)
            except DeviceLostError as error:
                log.warning("device_lost", effect=effect.value, problem=str(error))
                happened = Happened(event=Event.DEVICE_LOST)
        return happened

    # -- effects -----------------------------------------------------------------------------------

    def _send_request(self, withdrawal: Withdrawal) -> Happened:
        if self._secrets is None:
            raise JournalError("a request without a customer")
        began_us = self._clock.mono()
        try:
            answer = self._host.request(self._journal.trace(withdrawal.id), self._secrets)
        except HostSilentError as error:
            log.warning("host_silent", id=withdrawal.id, problem=str(error))
            return Happened(event=Event.SILENT)
        self._token = answer.token
        age_ms = (self._clock.mono() - began_us) // 1000
        return Happened(event=Event.ANSWERED, answer=_read_answer(answer, age_ms))

    def _dispense(self, withdrawal: Withdrawal) -> Happened:
        done = self._dispenser.dispense(withdrawal.amount_fen, self._token)
        return Happened(event=_DISPENSE_EVENTS[done.result], count_fen=done.count_fen)

    def _return_card(self, withdrawal: Withdrawal) -> Happened:
        return Happened(event=_CARD_EVENTS[self._slot.eject()])

    def _retain_card(self, withdrawal: Withdrawal) -> Happened:
        return Happened(event=_CARD_EVENTS[self._slot.retain()])

    def _present(self, withdrawal: Withdrawal) -> Happened:
        return Happened(event=_PRESENT_EVENTS[self._dispenser.present()])

    def _await_taken(self, withdrawal: Withdrawal) -> Happened:
        is_taken = self._dispenser.await_taken()
        return Happened(event=Event.TAKEN if is_taken else Event.NOT_TAKEN)

    def _retract(self, withdrawal: Withdrawal) -> Happened:
        count = self._dispenser.retract().count_fen
        if count is None:
            return Happened(event=Event.RETRACT_FAILED)
        return Happened(event=Event.RETRACTED, count_fen=count)

    def _reject(self, withdrawal: Withdrawal) -> Happened:
        return Happened(event=Event.REJECTED if self._dispenser.reject() else Event.REJECT_FAILED)

    def _ask_status(self, withdrawal: Withdrawal) -> Happened:
        status = self._dispenser.status()
        if status.state is PresentState.PRESENTED and not status.count_fen:
            status = Status(PresentState.UNKNOWN)  # presented, but nothing: it does not know
        return Happened(event=_STATUS_EVENTS[status.state], count_fen=status.count_fen)

    _effects: Mapping[Effect, Callable[[Withdrawals, Withdrawal], Happened]] = {
        Effect.SEND_REQUEST: _send_request,
        Effect.DISPENSE: _dispense,
        Effect.RETURN_CARD: _return_card,
        Effect.RETAIN_CARD: _retain_card,
        Effect.PRESENT: _present,
        Effect.AWAIT_TAKEN: _await_taken,
        Effect.RETRACT: _retract,
        Effect.REJECT: _reject,
        Effect.ASK_STATUS: _ask_status,
    }


def _read_answer(answer: HostAnswer, age_ms: int) -> Answer:
    word = HostWord.DECLINED
    if answer.code == "00":
        word = HostWord.APPROVED
    elif answer.code in CAPTURE_CODES:
        word = HostWord.CAPTURE_CARD
    return Answer(
        word=word,
        is_authentic=answer.is_authentic,
        stan=answer.stan,
        terminal=answer.terminal,
        amount_fen=answer.amount_fen,
        age_ms=age_ms,
    )
