"""The withdrawals of a machine that this agent drives itself (mode B), one customer after another.

The teller serves each; what came of it is one signed message. Blocking work has its own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from atm_face.factor import FaceFactor
from atm_face.policy import ListMode, Policy, Visit
from atm_face.withdrawal import Step
from contract.accounts import CardRef
from contract.clock import Clock
from contract.words import PartState
from edge_agent.atm.booth import Booth
from edge_agent.atm.clock_watch import ClockWatch
from edge_agent.atm.closure import Closure
from edge_agent.atm.counter import VisitNumbers
from edge_agent.atm.dialog import Dialog, Silent
from edge_agent.atm.journal import JournalError
from edge_agent.atm.machine import Machine, MachineError
from edge_agent.atm.spent import SpentToday
from edge_agent.atm.teller import Teller
from edge_agent.atm_config import MachineConfig
from edge_agent.desk import Desk
from edge_agent.health import HealthBook

START_US = 15_000_000
READY_POLL_S = 0.1
PAUSE_S = 0.2
"""Between two looks for a card, where people come by themselves."""
NOBODYS_CARD = CardRef(hmac=bytes(32), last4="0000")

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
        dialog: Dialog | None = None,
        policy: Policy | None = None,
        spent: SpentToday | None = None,
        is_listed: Callable[[CardRef], bool] = lambda payee: False,
    ) -> None:
        """``account_of`` says what orders and lists mean for a card now, as a visit without faces;
        ``is_listed`` whether nobody may send money to an account.

        ``dialog`` is the customer's screen; its methods are called in the machine's thread.
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
        self._dialog = dialog or Silent()
        self._teller = Teller(
            config,
            booth,
            clock=clock,
            book=book,
            closure=closure,
            watch=watch,
            account_of=account_of,
            dialog=self._dialog,
            policy=policy or Policy(),
            spent=spent or SpentToday(),
            is_listed=is_listed,
        )
        for part in ("devices", "journal", "host"):
            book.register(part)

    async def run(self) -> None:
        """Open the machine, settle what a power cut left open, then serve customers."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="atm") as thread:
            factor = await loop.run_in_executor(thread, self._booth.load)
            if factor is None:
                return
            try:
                machine = await loop.run_in_executor(thread, self._open)
            except (MachineError, JournalError, OSError) as error:
                part = "journal" if isinstance(error, JournalError) else "devices"
                self._book.report(part, PartState.FAILED, str(error))
                raise
            try:
                await self._serve_for_ever(loop, thread, machine, factor)
            finally:
                await asyncio.shield(loop.run_in_executor(thread, machine.close))

    async def _serve_for_ever(
        self,
        loop: asyncio.AbstractEventLoop,
        thread: ThreadPoolExecutor,
        machine: Machine,
        factor: FaceFactor,
    ) -> None:
        numbers = VisitNumbers(self._state_dir / "last_visit", self._clock)
        script = self._booth.script
        await self._await_readiness()
        log.info("machine_ready")
        while True:
            await loop.run_in_executor(thread, self._tend, machine)
            scripted = None
            if script is not None:
                scripted = script.visits[numbers.last % len(script.visits)]
            decision = await loop.run_in_executor(
                thread, self._teller.serve, machine, factor, scripted, numbers.next
            )
            if decision is not None:
                is_durable = await self._desk.send(decision)
                self._book.count("atm", decision.decision.value.lower())
                state = PartState.OK if is_durable else PartState.FAILED
                self._book.report("atm", state, "scripted customers" if scripted else "")
            await asyncio.sleep(PAUSE_S if script is None else script.pause_s)

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
        self._dialog.show(step.after)
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
