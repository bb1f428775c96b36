"""The driver: events that cannot be stop the machine, a full disk gives the card back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from atm_face.withdrawal import Event, Outcome, State
from contract.clock import UnixMicros, VirtualClock
from edge_agent.atm.journal import Journal, JournalError, Opening
from edge_agent.atm.withdrawals import Withdrawals
from hardware.atm.interface import CardResult, CardSecrets
from hardware.simulators.bank import BankFaults, SimulatedBank
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from qianshao.atm_scenarios import GOOD

OPENING = Opening(
    id="w",
    terminal="ATM00001",
    amount_fen=50_000,
    local_time="20261125120000",
    card=b"\x01" * 32,
    sealed_pan=None,
    evidence="",
)
SECRETS = CardSecrets(pan="6217000000000000020", pin_block=b"secret12")


def nothing(name: str) -> None:
    pass


class Machine:
    def __init__(self, path: Path, cash: CashFaults | None = None) -> None:
        self.is_full_from: int | None = None
        self.commits = 0
        self.journal = Journal(path / "j.db", on_commit=self.commit)
        self.bank = SimulatedBank(BankFaults(), nothing)
        self.dispenser = SimulatedDispenser(cash or CashFaults(), nothing)
        self.slot = SimulatedCardSlot(cash or CashFaults(), nothing)
        self.desk = Withdrawals(
            self.journal,
            dispenser=self.dispenser,
            slot=self.slot,
            host=self.bank,
            clock=VirtualClock(UnixMicros(0)),
        )

    def commit(self, when: str) -> None:
        if when == "before":
            self.commits += 1
            if self.is_full_from is not None and self.commits >= self.is_full_from:
                raise sqlite3.OperationalError("database or disk is full")


def test_a_good_withdrawal(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    end = machine.desk.serve(OPENING, GOOD, SECRETS)
    assert end.outcome is Outcome.COMPLETED
    assert machine.dispenser.customer_fen == 50_000
    assert machine.journal.find("w") == end
    assert machine.journal.unfinished() == []


@pytest.mark.parametrize("commit", range(1, 7))
def test_a_full_disk_gives_the_card_back_and_no_more(tmp_path: Path, commit: int) -> None:
    machine = Machine(tmp_path)
    machine.is_full_from = commit
    with pytest.raises(JournalError):
        machine.desk.serve(OPENING, GOOD, SECRETS)
    assert machine.slot.place is CardResult.TAKEN
    before = [name for name, _ in machine.dispenser.calls]
    machine.is_full_from = None
    machine.desk.recover()
    assert machine.journal.unfinished() == []
    after = [name for name, _ in machine.dispenser.calls]
    assert after.count("present") == before.count("present")
    assert after.count("dispense") == before.count("dispense")


def test_an_answer_that_cannot_be_stops_the_machine(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.slot.place = CardResult.RETAINED
    machine.slot.eject = lambda: CardResult.RETAINED  # type: ignore[method-assign]
    end = machine.desk.serve(OPENING, GOOD, SECRETS)
    assert end.state is State.STACKED
    assert machine.journal.problem() == "card_retained does not belong to stacked"
    assert machine.dispenser.customer_fen == 0


def test_a_late_answer_changes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    end = machine.desk.serve(OPENING, GOOD, SECRETS)
    assert machine.desk.tell(end, Event.LATE_ANSWER) == end
    assert machine.desk.tell(end, Event.TAKEN) == end
    assert machine.journal.problem() is None


def test_somebody_elses_dispense_closes_the_machine(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    end = machine.desk.serve(OPENING, GOOD, SECRETS)
    machine.desk.tell(end, Event.FOREIGN_DISPENSE)
    assert machine.journal.problem() == "ended: foreign_dispense"
