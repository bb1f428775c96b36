"""Withdrawals against somebody else's host, run as a process: nothing is left unaccounted for."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atm_face.withdrawal import Outcome
from contract.clock import SystemClock
from edge_agent.atm.journal import Journal, Opening
from edge_agent.atm.reversals import QueueLimits, ReversalQueue
from edge_agent.atm.sealing import Seal
from edge_agent.atm.withdrawals import Withdrawals
from hardware.atm.bank import PROFILES, Messages
from hardware.atm.host import HostAddress, HostClient
from hardware.atm.interface import CardSecrets
from hardware.simulators.cash import (
    CashFaults,
    DispenseFault,
    SimulatedCardSlot,
    SimulatedDispenser,
)
from qianshao.atm_scenarios import GOOD
from qianshao.atm_simulation import memory_folder

PAN = "6217000000000000012"
TIMEOUT_S = 0.15
# Which rule a withdrawal meets is a matter of its amount.
DROPPED, CLOSED, LATE, DECLINED = 90_000, 80_000, 70_000, 60_000
# The late answer of one comes while the next, dropped, is waited for.
ODD = {3: LATE, 5: DROPPED, 11: DECLINED, 17: CLOSED}
RULES = {
    "rules": [
        {"match": {"mti": "0200", "amount_gt": DROPPED - 1}, "action": "drop"},
        {"match": {"mti": "0200", "amount_gt": CLOSED - 1}, "action": "close"},
        {"match": {"mti": "0200", "amount_gt": LATE - 1}, "respond": "00", "delay_ms": 250},
        {"match": {"mti": "0200", "amount_gt": DECLINED - 1}, "respond": "51"},
        {"match": {"mti": "0420"}, "respond": "00", "delay_ms": 2},
        {"respond": "00"},
    ]
}


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """iso8583sim (AGPL) as a process; it is never imported."""
    command = Path(sys.executable).with_name("iso8583sim")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps(RULES), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    process = subprocess.Popen(
        [command, "serve", "--port", str(number), "--rules", rules, "--format", "ascii-hex"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(number)
        yield number
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "the foreign host did not start"
            time.sleep(0.05)
        else:
            return


def campaign(port: int, withdrawals: int) -> dict[str, int]:
    """Run so many withdrawals; returns how often each outcome came, and what is unaccounted for."""
    chance = random.Random(20261125)
    seal = Seal(b"\x11" * 32)
    clock = SystemClock()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        journal = Journal(Path(folder) / "journal.db")
        host = HostClient(
            Messages(PROFILES["iso87-ascii"]),
            HostAddress(host="127.0.0.1", port=port, timeout_s=TIMEOUT_S),
            new_stan=journal.take_stan,
            local_time=lambda: "20261125120000",
        )
        queue = ReversalQueue(journal, host, clock, seal, QueueLimits(most_waiting=50))
        counts = dict.fromkeys([*Outcome, "unaccounted", "refused"], 0)
        for number in range(withdrawals):
            amount = ODD.get(number % 20, 50_000)
            fault = DispenseFault.NOTHING if chance.random() < 0.03 else DispenseFault.NONE
            cash = CashFaults(dispense=fault)
            dispenser = SimulatedDispenser(cash, lambda name: None)
            desk = Withdrawals(
                journal,
                dispenser=dispenser,
                slot=SimulatedCardSlot(cash, lambda name: None),
                host=host,
                clock=clock,
            )
            name = str(number)
            opening = Opening(
                id=name,
                terminal="ATM00001",
                amount_fen=amount,
                local_time="20261125120000",
                card=number.to_bytes(32, "big"),
                sealed_pan=seal.close(PAN, name),
                evidence="",
            )
            end = desk.serve(opening, GOOD, CardSecrets(pan=PAN, pin_block=bytes(8)))
            assert end.outcome is not None
            counts[end.outcome] += 1
            paid = amount if end.outcome is Outcome.COMPLETED else 0
            counts["unaccounted"] += dispenser.customer_fen != paid
            queue.step(is_due_now=True)
        for _ in range(200):
            if not queue.step(is_due_now=True) and not journal.waiting():
                break
        counts["unaccounted"] += len(journal.waiting()) + len(journal.unfinished())

        counts |= host.counters
        host.close()
        journal.close()
    return counts


def test_sixty_withdrawals(port: int) -> None:
    counts = campaign(port, 60)
    assert counts["unaccounted"] == 0, counts
    assert counts[Outcome.COMPLETED] > 30
    assert counts[Outcome.REVERSED] > 3
    assert counts[Outcome.DECLINED] > 0


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_thousand_withdrawals(port: int) -> None:
    counts = campaign(port, 1000)
    assert counts["unaccounted"] == 0, counts
    assert counts["late"] > 10
    assert counts[Outcome.REVERSED] > 100
    assert counts[Outcome.COMPLETED] + counts[Outcome.REVERSED] + counts[Outcome.DECLINED] == 1000
    print(counts)
