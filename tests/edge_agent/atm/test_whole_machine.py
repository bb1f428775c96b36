"""All together: journal, table, XFS4IoT dispenser and reader, ISO 8583 host with tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atm_face.withdrawal import Outcome, Terms
from contract.clock import UnixMicros, VirtualClock
from edge_agent.atm.journal import Journal, Opening
from edge_agent.atm.reversals import ReversalQueue
from edge_agent.atm.sealing import Seal
from edge_agent.atm.withdrawals import Withdrawals
from hardware.atm.bank import PROFILES, AesCmac, Messages
from hardware.atm.host import HostAddress, HostClient
from hardware.atm.interface import CardSecrets
from hardware.atm.iso8583 import Message
from hardware.atm.money import Money
from hardware.atm.token import seal_dispense
from hardware.atm.xfs4iot import Dialect
from hardware.atm.xfs_client import XfsCardSlot, XfsClient, XfsDispenser
from hardware.simulators.cash import (
    CashFaults,
    DispenseFault,
    PresentFault,
    RetractFault,
    SimulatedCardSlot,
    SimulatedDispenser,
    TakeFault,
)
from hardware.simulators.host import HostAct, HostFault, SimulatedHost
from hardware.simulators.xfs_atm import XfsAtm
from hardware.simulators.xfs_services import DISPENSER, READER
from qianshao.atm_scenarios import GOOD

TOKEN_KEY = bytes(range(32))
PAN = "6217000000000000012"
AMOUNT = 300_000
SEAL = Seal(b"\x11" * 32)


def quiet(name: str) -> None:
    pass


def good_token(message: Message) -> str:
    """What a host with the dispenser's key signs for this request."""
    return seal_dispense(message["61"], Money(int(message["4"]), "CNY"), TOKEN_KEY)


def forged_token(message: Message) -> str:
    return seal_dispense(message["61"], Money(int(message["4"]), "CNY"), bytes(32))


def withdraw(
    folder: Path,
    dialect: Dialect,
    cash: CashFaults,
    *,
    act: HostAct | None = None,
    make_token: Callable[[Message], str] = good_token,
) -> tuple[Outcome | None, int, int]:
    """One withdrawal; returns its outcome, the cash in hand and what the host posted."""
    bank = Messages(PROFILES["iso87-ascii-mac"], AesCmac(bytes(16)))
    dispenser, slot = SimulatedDispenser(cash, quiet), SimulatedCardSlot(cash, quiet)

    def decide(message: Message) -> HostAct:
        return act if act is not None and message["t"] == "0200" else HostAct()

    journal = Journal(folder / "journal.db")
    clock = VirtualClock(UnixMicros(0))
    with (
        XfsAtm(dispenser, slot, dialect, token_key=TOKEN_KEY) as atm,
        SimulatedHost(bank, decide, make_token) as host,
    ):
        lines = [XfsClient(atm.url(name), dialect, timeout_s=3) for name in (DISPENSER, READER)]
        link = HostClient(
            bank,
            HostAddress(host="127.0.0.1", port=host.port, timeout_s=0.5),
            new_stan=journal.take_stan,
            local_time=lambda: "20261125120000",
        )
        seam = XfsDispenser(lines[0], key=TOKEN_KEY, taken_s=0.3)
        desk = Withdrawals(
            journal,
            dispenser=seam,
            slot=XfsCardSlot(lines[1], taken_s=0.3),
            host=link,
            clock=clock,
            terms=Terms(allows_partial=True),
        )
        opening = Opening(
            id="w",
            terminal="ATM00001",
            amount_fen=AMOUNT,
            local_time="20261125120000",
            card=b"\x01" * 32,
            sealed_pan=SEAL.close(PAN, "w"),
            evidence="",
        )
        end = desk.serve(opening, GOOD, CardSecrets(pan=PAN, nonce=seam.nonce()))
        queue = ReversalQueue(journal, link, clock, SEAL)
        while journal.waiting():
            queue.step(is_due_now=True)
        for line in lines:
            line.close()
        link.close()
        journal.close()
        return end.outcome, dispenser.customer_fen, host.posted_fen.get(end.stan, 0)


@pytest.mark.parametrize("dialect", Dialect)
def test_a_good_withdrawal_pays_what_is_posted(tmp_path: Path, dialect: Dialect) -> None:
    assert withdraw(tmp_path, dialect, CashFaults()) == (Outcome.COMPLETED, AMOUNT, AMOUNT)


@pytest.mark.parametrize(
    ("cash", "wanted"),
    [
        (CashFaults(dispense=DispenseFault.NOTHING), (Outcome.REVERSED, 0, 0)),
        (CashFaults(dispense=DispenseFault.LOST_AFTER), (Outcome.REVERSED, 0, 0)),
        (
            CashFaults(dispense=DispenseFault.PART),
            (Outcome.PARTIALLY_REVERSED, AMOUNT - 10_000, AMOUNT - 10_000),
        ),
        (CashFaults(present=PresentFault.NO_ITEMS), (Outcome.REVERSED, 0, 0)),
        (CashFaults(present=PresentFault.LOST_AFTER), (Outcome.COMPLETED, AMOUNT, AMOUNT)),
        (
            CashFaults(take=TakeFault.LEFT, retract=RetractFault.NONE),
            (Outcome.SUSPENSE, 0, AMOUNT),
        ),
    ],
)
def test_faults_of_the_dispenser(
    tmp_path: Path, cash: CashFaults, wanted: tuple[Outcome, int, int]
) -> None:
    assert withdraw(tmp_path, Dialect.CURRENT, cash) == wanted


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (HostAct(fault=HostFault.DROP), Outcome.REVERSED),
        (HostAct(fault=HostFault.WRONG_MAC), Outcome.REVERSED),
        (HostAct(fault=HostFault.WRONG_STAN), Outcome.REVERSED),
        (HostAct(fault=HostFault.CLOSE), Outcome.REVERSED),
        (HostAct(code="51"), Outcome.DECLINED),
    ],
)
def test_faults_of_the_host(tmp_path: Path, act: HostAct, wanted: Outcome) -> None:
    assert withdraw(tmp_path, Dialect.CURRENT, CashFaults(), act=act) == (wanted, 0, 0)


@pytest.mark.parametrize("make_token", [forged_token, lambda message: ""])
def test_no_cash_on_a_token_that_is_not_the_hosts(
    tmp_path: Path, make_token: Callable[[Message], str]
) -> None:
    wanted = (Outcome.REVERSED, 0, 0)
    assert withdraw(tmp_path, Dialect.CURRENT, CashFaults(), make_token=make_token) == wanted
