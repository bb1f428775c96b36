"""The withdrawals of a machine that this agent drives itself (mode B), one customer after another.

Card, PIN and face are taken from the devices; the decision table and then the withdrawal's own
table decide; what came of it is one signed message. Blocking work has a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog

from atm_face.engines.interface import FaceEngine
from atm_face.policy import Business, ListMode, Policy, Visit, decide
from atm_face.withdrawal import Factors, Outcome, Step, Withdrawal
from contract.accounts import CardRef
from contract.clock import Clock, UnixMicros
from contract.messages import WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PartState, PinVerdict
from edge_agent.atm.assertions import SpentToday
from edge_agent.atm.booth import Booth
from edge_agent.atm.clock_watch import ClockWatch
from edge_agent.atm.closure import Closure
from edge_agent.atm.counter import VisitNumbers
from edge_agent.atm.journal import JournalError
from edge_agent.atm.machine import Card, Done, Machine, MachineError
from edge_agent.atm.script import ScriptedVisit
from edge_agent.atm_config import MachineConfig
from edge_agent.desk import Desk
from edge_agent.health import HealthBook
from hardware.atm.interface import DeviceLostError

CUSTOMER_S = 5.0
START_US = 15_000_000
READY_POLL_S = 0.1
NOBODYS_CARD = CardRef(hmac=bytes(32), last4="0000")
WRONG_PIN, LOCKED_PIN = "55", "75"

log = structlog.get_logger("atm")


class AtmRunner:
    """Serves customers for ever; a machine that is lost is opened anew by supervision."""

    def __init__(
        self,
        config: MachineConfig,
        booth: Booth,
        *,
        state_dir: Path,
        clock: Clock,
        desk: Desk,
        book: HealthBook,
        closure: Closure,
        watch: ClockWatch,
        account_of: Callable[[CardRef], Visit],
        show: Callable[[Withdrawal], None] = lambda withdrawal: None,
        policy: Policy | None = None,
    ) -> None:
        """``account_of`` says what orders and lists mean for a card now, as a visit without faces.

        ``show`` puts a withdrawal's state on the customer's screen; from any thread.
        """
        self._config = config
        self._booth = booth
        self._state_dir = state_dir
        self._clock = clock
        self._desk = desk
        self._book = book
        self._closure = closure
        self._watch = watch
        self._account_of = account_of
        self._show = show
        self._policy = policy or Policy()
        self._spent = SpentToday()
        for part in ("devices", "journal", "host"):
            book.register(part)

    async def run(self) -> None:
        """Open the machine, settle what a power cut left open, then serve customers."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="atm") as thread:
            engine = await loop.run_in_executor(thread, self._booth.load_engine)
            if engine is None:
                return
            try:
                machine = await loop.run_in_executor(thread, self._open)
            except (MachineError, JournalError, OSError) as error:
                part = "journal" if isinstance(error, JournalError) else "devices"
                self._book.report(part, PartState.FAILED, str(error))
                raise
            try:
                await self._serve_for_ever(loop, thread, machine, engine)
            finally:
                await asyncio.shield(loop.run_in_executor(thread, machine.close))

    async def _serve_for_ever(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: ThreadPoolExecutor,
        machine: Machine,
        engine: FaceEngine,
    ) -> None:
        numbers = VisitNumbers(self._state_dir / "last_visit", self._clock)
        script = self._booth.script
        await self._await_readiness()
        while True:
            await loop.run_in_executor(thread, self._tend, machine)
            number = numbers.next()
            scripted = script.visits[(number - 1) % len(script.visits)]
            decision = await loop.run_in_executor(
                thread, self._serve, machine, engine, scripted, str(number)
            )
            if decision is not None:
                is_durable = await self._desk.send(decision)
                self._book.count("atm", decision.decision.value.lower())
                state = PartState.OK if is_durable else PartState.FAILED
                self._book.report("atm", state, "simulated camera")
            await asyncio.sleep(script.pause_s)

    async def _await_readiness(self) -> None:
        """Give clock and list a moment after the start, so that nobody is sent away for nothing.

        After that customers are served anyway: what is not known then sends them to the counter.
        """
        until = self._clock.mono() + START_US
        while self._clock.mono() < until:
            is_stale = self._account_of(NOBODYS_CARD).list_mode is ListMode.OFFLINE_STALE
            if self._watch.is_trusted() and not is_stale:
                return
            await asyncio.sleep(READY_POLL_S)

    def _open(self) -> Machine:
        machine = Machine(
            self._config, state_dir=self._state_dir, clock=self._clock, on_step=self._on_step
        )
        try:
            settled = machine.recover()
        except BaseException:
            machine.close()
            raise
        if settled:
            log.warning("withdrawals_recovered", count=len(settled))
        machine.give_card_back()  # one may lie in the reader since before a withdrawal was begun
        self._book.report(
            "devices",
            PartState.OK if machine.is_protected() else PartState.DEGRADED,
            ""
            if machine.is_protected()
            else "the dispenser is not protected against malware on this computer",
        )
        return machine

    def _on_step(self, step: Step) -> None:
        self._show(step.after)
        log.info(
            "withdrawal_step",
            visit=step.after.id,
            happened=step.happened.event.value,
            state=step.after.state.value,
            outcome=step.after.outcome.value if step.after.outcome else "",
        )

    def _tend(self, machine: Machine) -> None:
        """Between customers: the host gets what it is owed; health hears how things stand."""
        machine.tend_queue()
        problem = machine.journal.problem() or self._closure.problem()
        waiting = len(machine.journal.waiting())
        self._book.report(
            "journal",
            PartState.OK if problem is None else PartState.FAILED,
            "" if problem is None else f"out of service: {problem}",
            {"waiting": waiting, "suspense": len(machine.journal.suspense())},
        )
        self._book.report(
            "host",
            PartState.DEGRADED if waiting else PartState.OK,
            f"{waiting} advices wait for an answer" if waiting else "",
            machine.host.counters | machine.queue.counters,
        )

    # -- one customer ------------------------------------------------------------------------------

    def _serve(
        self, machine: Machine, engine: FaceEngine, scripted: ScriptedVisit, number: str
    ) -> WithdrawalDecision | None:
        """Serve one customer; None: nobody came."""
        started = self._clock.wall()
        try:
            if self._config.customer is not None:
                _send_customer(self._config.customer, scripted)
            card = machine.read_card()
            if card is None:
                return None
            self._show(_collecting(number, self._config.terminal, scripted.amount_fen))
            block = machine.take_pin(card)
        except (DeviceLostError, OSError) as error:
            self._book.report("devices", PartState.FAILED, str(error))
            raise MachineError(str(error)) from None
        return self._decide(machine, engine, scripted, number, started, card, block)

    def _decide(
        self,
        machine: Machine,
        engine: FaceEngine,
        scripted: ScriptedVisit,
        number: str,
        started: UnixMicros,
        card: Card,
        block: bytes,
    ) -> WithdrawalDecision:
        ref = self._booth.keys.ref(card.pan)
        seen = self._booth.examine(engine, scripted)
        visit = replace(
            self._account_of(ref),
            business=Business.WITHDRAW,
            # Until the bank judges the block, a complete entry is all that anybody here knows.
            pin=PinVerdict.OK if block else PinVerdict.WRONG,
            is_enrolled=self._booth.reference(engine, scripted) is not None,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            amount_fen=scripted.amount_fen,
            day_fen=self._spent.of(ref, started),
        )
        verdict = decide(visit, self._policy)
        factors = Factors()
        try:
            factors = replace(
                machine.readiness(ref),
                pin=bool(block),
                face=seen.is_match is True and seen.is_live is True,
                policy=verdict.decision is Decision.ALLOW,
                clock=self._watch.is_trusted(),
            )
            if self._closure.problem() is not None:
                factors = replace(factors, devices=False)
            done = machine.withdraw(number, scripted.amount_fen, card, ref, block, factors)
        except JournalError as error:  # what was asked for is settled at the next start
            log.warning("journal_failed", problem=str(error))
            machine.give_card_back()
            done = Done(None, "")
        if done.outcome is Outcome.COMPLETED:
            self._spent.add(ref, scripted.amount_fen, started)
        decision, reason, pin = verdict.decision, verdict.reason, visit.pin
        if reason is None:
            decision, reason, pin = _after(done, factors)
        return WithdrawalDecision(
            visit=number,
            business=Business.WITHDRAW.word,
            amount_fen=scripted.amount_fen,
            card=ref,
            pin=pin,
            face=seen.evidence,
            decision=decision,
            reason=reason,
            policy_version=self._policy.version,
            started_at=started,
            decided_at=self._clock.wall(),
        )


def _after(done: Done, factors: Factors) -> tuple[Decision, DecisionReason | None, PinVerdict]:
    """What became of a visit that the table allowed: host and devices have the last word."""
    if done.outcome in {Outcome.COMPLETED, Outcome.PARTIALLY_REVERSED}:
        return Decision.ALLOW, None, PinVerdict.OK
    if done.code == WRONG_PIN:
        return Decision.DENY, DecisionReason.PIN_INVALID, PinVerdict.WRONG
    if done.code == LOCKED_PIN:
        return Decision.DENY, DecisionReason.PIN_BLOCKED, PinVerdict.BLOCKED
    if done.outcome is Outcome.DECLINED:
        return Decision.DENY, DecisionReason.HOST_DECLINED, PinVerdict.OK
    if not factors.clock:
        return Decision.REFER_TO_COUNTER, DecisionReason.CLOCK_UNTRUSTED, PinVerdict.OK
    if done.outcome in {None, Outcome.NOT_SENT}:
        return Decision.REFER_TO_COUNTER, DecisionReason.OUT_OF_SERVICE, PinVerdict.OK
    if done.outcome is Outcome.REVERSED and not done.code:
        return Decision.REFER_TO_COUNTER, DecisionReason.HOST_SILENT, PinVerdict.OK
    return Decision.REFER_TO_COUNTER, DecisionReason.DEVICE_FAULT, PinVerdict.OK


def _collecting(number: str, terminal: str, amount_fen: int) -> Withdrawal:
    """What the screen shows while the factors are taken."""
    return Withdrawal(id=number, stan="", terminal=terminal, amount_fen=amount_fen)


def _send_customer(path: Path, scripted: ScriptedVisit) -> None:
    """Ask a simulated customer to come; the PIN stays with the finger. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(CUSTOMER_S)
        line.connect(str(path))
        wish = {"pan": scripted.pan, "pin": scripted.pin.value}
        line.sendall(json.dumps(wish).encode() + b"\n")
        if line.recv(64).strip() != b"ok":
            raise OSError("the simulated customer did not come")
