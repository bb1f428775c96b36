"""A whole ATM in one process for the fault enumeration: it can lose its power at any moment.

Bank, notes and card go on through a power cut; the agent's memory does not. An observer with a
connection of its own looks at the journal on disk each time something happens outside of it.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from atm_face.withdrawal import Check, Event, Guard, Outcome, Row, State, Step, Withdrawal
from contract.clock import UnixMicros, VirtualClock
from edge_agent.atm.journal import Journal, JournalError, Opening
from edge_agent.atm.reversals import ReversalQueue
from edge_agent.atm.sealing import Seal
from edge_agent.atm.withdrawals import Withdrawals
from hardware.atm.interface import CardSecrets, Movement
from hardware.simulators.bank import BankFaults, ReplyFault, SimulatedBank
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from qianshao.atm_scenarios import GOOD, Scenario

AMOUNT_FEN = 300_000
TERMINAL = "ATM00001"
CARD = b"\x5a" * 32
PAN = "6217000000000000012"
SECRETS = CardSecrets(
    pan=PAN,
    track2=f"{PAN}=30122010000012300000",
    pin_block=bytes.fromhex("1b9c1845eb993a7a"),
    emv=bytes.fromhex("9f2608c2a1b4d3e5f60718"),
    assertion=b"simulated-face-assertion",
    payee="6228000000000000987",
)
MOST_DRAINS = 40

_ON_DISK = {
    "request": {State.REQUESTING},
    "dispense": {State.DISPENSING},
    "present": {State.PRESENTING},
    "taken": {State.PRESENTED},
    "left": {State.PRESENTED},
    "retract": {State.RETRACTING},
    "reject": {State.REJECTING},
    "status": {State.CHECKING},
    "retain": {State.RETAINING, State.REJECTING},
}
"""What must be on disk before each thing may be done (W1). A card may go back at any time."""


class PowerCutError(BaseException):
    """The power went; no handler of the agent may live on."""


class AtmWorld:
    """One scenario, played with the power cut at the given moments."""

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        *,
        cuts: Sequence[int] = (),
        full_at: int | None = None,
        rows: Sequence[Row],
        checks: Mapping[Guard, Check],
        make_driver: Callable[..., Withdrawals] = Withdrawals,
    ) -> None:
        """``cuts``: moments at which the power goes; ``full_at``: one at which the disk is full."""
        self.scenario = scenario
        self._folder = folder
        self._cuts = frozenset(cuts)
        self._full_at = full_at
        self._rows, self._checks, self._make_driver = rows, checks, make_driver
        self.moments: list[str] = []
        self.problems: list[tuple[str, str]] = []
        self.steps: list[Step] = []
        self.clock = VirtualClock(UnixMicros(1_764_000_000_000_000))
        self.bank = SimulatedBank(scenario.bank, self._outside, self.clock.advance)
        self.dispenser = SimulatedDispenser(scenario.cash, self._outside)
        self.slot = SimulatedCardSlot(scenario.cash, self._outside)
        self._path = folder / "journal.db"
        self._seal = Seal(b"\x11" * 32)
        self.journal: Journal | None = None
        self._observer: sqlite3.Connection | None = None
        self._current = ""

    # -- moments -----------------------------------------------------------------------------------

    def _moment(self, name: str) -> None:
        number = len(self.moments)
        self.moments.append(name)
        if number == self._full_at and name == "before":
            raise sqlite3.OperationalError("database or disk is full")
        if number in self._cuts:
            raise PowerCutError(name)

    def _outside(self, name: str) -> None:
        """Look at the disk when something was done outside, then perhaps lose the power."""
        self._observe(name)
        self._moment(name)

    def _observe(self, name: str) -> None:
        if self._observer is None:
            return
        if name == "advice":
            row = self._observer.execute(
                "SELECT tries FROM advices WHERE answer IS NULL ORDER BY number"
            ).fetchone()
            if row is None or row[0] < 1:
                self.problems.append(("W1", "an advice went out that is not on disk"))
            return
        wanted = _ON_DISK.get(name)
        row = self._observer.execute(
            "SELECT state FROM withdrawals WHERE id = ?", (self._current,)
        ).fetchone()
        if wanted is not None and (row is None or State(row[0]) not in wanted):
            self.problems.append(("W1", f"{name} while the disk says {row and row[0]}"))
        if name == "request":
            if self._observer.execute("SELECT 1 FROM advices WHERE answer IS NULL").fetchone():
                self.problems.append(("W5", "a request while a reversal waits"))
            if self._observer.execute("SELECT 1 FROM service").fetchone():
                self.problems.append(("W6", "a request while out of service"))

    # -- the agent's life --------------------------------------------------------------------------

    def play(self) -> None:
        """Serve two customers, then empty the queue; start again after each power cut."""
        if self.scenario.movement is Movement.REVOCATION:
            self._order_transfer()
        stages = [self._first_visit, self._second_visit, self._drain]
        while stages:
            try:
                driver, queue = self._boot()
                while stages:
                    stage = stages[0]
                    if stage != self._drain:
                        stages.pop(0)
                    stage(driver, queue)
                    if stage == self._drain:
                        stages.pop(0)
            except (PowerCutError, JournalError) as error:
                self._lose_memory()
                if isinstance(error, PowerCutError):
                    self.dispenser.power_up()

    def _order_transfer(self) -> None:
        """Lay down the transfer that will be taken back; nothing goes wrong with it."""
        bank = SimulatedBank(BankFaults(), lambda name: None)
        journal = Journal(self._path)
        driver = Withdrawals(
            journal,
            dispenser=self.dispenser,
            slot=SimulatedCardSlot(CashFaults(), lambda name: None),
            host=bank,
            clock=self.clock,
        )
        end = driver.serve(_opening("original", self._seal, Movement.TRANSFER), GOOD, SECRETS)
        assert end.outcome is Outcome.TRANSFER_WAITS
        journal.close()
        self.bank.posted_fen.update(bank.posted_fen)

    def _boot(self) -> tuple[Withdrawals, ReversalQueue]:
        self.journal = Journal(self._path, on_commit=self._moment)
        if self._observer is None:
            self._observer = sqlite3.connect(self._path)
        driver = self._make_driver(
            self.journal,
            dispenser=self.dispenser,
            slot=self.slot,
            host=self.bank,
            clock=self.clock,
            terms=self.scenario.terms,
            on_step=self.steps.append,
            rows=self._rows,
            checks=self._checks,
        )
        for withdrawal in self.journal.unfinished():
            self._current = withdrawal.id
            driver.recover()
        return driver, ReversalQueue(self.journal, self.bank, self.clock, self._seal)

    def _lose_memory(self) -> None:
        if self.journal is not None:
            self.journal.close()
        self.journal = None

    def _first_visit(self, driver: Withdrawals, queue: ReversalQueue) -> None:
        self._visit("first", driver, queue)
        assert self.journal is not None
        first = self.journal.find("first")
        if self.scenario.bank.reply is ReplyFault.SILENT_POSTED:
            driver.tell(first, Event.LATE_ANSWER)
        if self.scenario.is_foreign_driven:
            driver.tell(first, Event.FOREIGN_DISPENSE)

    def _second_visit(self, driver: Withdrawals, queue: ReversalQueue) -> None:
        """The same card again, at once: whatever waits must keep the host unasked."""
        self.bank.behave("51")
        self._visit("second", driver, queue)

    def _visit(self, name: str, driver: Withdrawals, queue: ReversalQueue) -> None:
        assert self.journal is not None
        factors = replace(
            self.scenario.factors,
            journal=self.scenario.factors.journal and self.journal.check(),
            queue=self.scenario.factors.queue and queue.allows(CARD),
            devices=self.scenario.factors.devices and self.journal.problem() is None,
        )
        movement = self.scenario.movement if name == "first" else Movement.CASH
        self._current = name
        driver.serve(_opening(name, self._seal, movement), factors, SECRETS)

    def _drain(self, driver: Withdrawals, queue: ReversalQueue) -> None:
        assert self.journal is not None
        for _ in range(MOST_DRAINS):
            if not self.journal.waiting():
                return
            queue.step(is_due_now=True)

    # -- what is left ------------------------------------------------------------------------------

    def end(self) -> tuple[list[Withdrawal], Journal]:
        """Return what the journal holds at the end."""
        assert self.journal is not None
        return self.journal.all(), self.journal

    def close(self) -> None:
        """Let go of all files."""
        self._lose_memory()
        if self._observer is not None:
            self._observer.close()

    def secrets_on_disk(self) -> list[str]:
        """Name what of the secrets any file of this machine holds."""
        blob = b"".join(path.read_bytes() for path in sorted(self._folder.iterdir()))
        return find_secrets(blob)


def _opening(name: str, seal: Seal, movement: Movement) -> Opening:
    return Opening(
        id=name,
        terminal=TERMINAL,
        amount_fen=AMOUNT_FEN,
        local_time="20261125120000",
        card=CARD,
        sealed_pan=seal.close(PAN, name),
        evidence="",
        movement=movement,
        original="original" if movement is Movement.REVOCATION else "",
        payee_last4=SECRETS.payee[-4:] if movement is Movement.TRANSFER else "",
    )


def _forms(secret: bytes) -> tuple[bytes, ...]:
    return (
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b64encode(secret).rstrip(b"="),
    )


_FORMS = {
    "card number": _forms(PAN.encode()),
    "track 2": _forms(SECRETS.track2.encode()),
    "PIN block": _forms(SECRETS.pin_block),
    "EMV data": _forms(SECRETS.emv),
    "face assertion": _forms(SECRETS.assertion),
    "payee": _forms(SECRETS.payee.encode()),
}


def find_secrets(blob: bytes) -> list[str]:
    """Name each secret of the simulated customer that these bytes hold, plain, hex or base64."""
    return [name for name, forms in _FORMS.items() if any(form in blob for form in forms)]
