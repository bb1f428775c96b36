"""The gate: everything passes, a Dispense only with this session's approval, once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.client import connect

from contract.clock import UnixMicros, VirtualClock
from contract.words import MachineAlarmKind
from edge_agent.atm.gate import APPROVAL_LIFE_US, XfsGate
from hardware.atm.interface import Dispensed, DispenseResult, PresentResult
from hardware.atm.money import Money
from hardware.atm.token import seal_dispense
from hardware.atm.xfs4iot import Dialect
from hardware.atm.xfs_client import XfsClient, XfsDispenser
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.xfs_atm import ROOT, XfsAtm
from hardware.simulators.xfs_services import DISPENSER, READER

KEY = bytes(range(32))
AMOUNT = 300_000


class Kit:
    def __init__(self, atm: XfsAtm, gate: XfsGate, clock: VirtualClock, port: int) -> None:
        self.atm, self.gate, self.clock, self.port = atm, gate, clock, port
        self.alarms: list[MachineAlarmKind] = []
        gate._on_alarm = lambda alarm, detail: self.alarms.append(alarm)
        self.url = f"ws://127.0.0.1:{port}{ROOT}/{DISPENSER}/"
        self.client = XfsClient(self.url, atm.dialect, timeout_s=3)
        self.dispenser = XfsDispenser(self.client, key=KEY, taken_s=1)

    def token(self) -> str:
        return seal_dispense(self.dispenser.nonce(), Money(AMOUNT, "CNY"), KEY)


@contextmanager
def kit(dialect: Dialect = Dialect.CURRENT) -> Iterator[Kit]:
    """The gate in a loop of its own, as in the agent; the application is an ordinary client."""
    cash = SimulatedDispenser(CashFaults(), lambda name: None)
    slot = SimulatedCardSlot(CashFaults(), lambda name: None)
    clock = VirtualClock(UnixMicros(0))
    with XfsAtm(cash, slot, dialect, token_key=KEY) as atm:
        gate = XfsGate(f"ws://127.0.0.1:{atm.port}", dialect, clock=clock)
        ready, done = threading.Event(), asyncio.Event()
        ports: list[int] = []
        loops: list[asyncio.AbstractEventLoop] = []

        async def run() -> None:
            server = await gate.listen(0)
            ports.append(next(iter(server.sockets)).getsockname()[1])
            loops.append(asyncio.get_running_loop())
            ready.set()
            async with server:
                await done.wait()

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        assert ready.wait(30)
        made = Kit(atm, gate, clock, ports[0])
        try:
            yield made
        finally:
            made.client.close()
            loops[0].call_soon_threadsafe(done.set)
            thread.join(30)


@pytest.mark.parametrize("dialect", Dialect)
def test_an_approved_dispense_passes_once(dialect: Dialect) -> None:
    with kit(dialect) as made:
        token = made.token()
        made.gate.approve(AMOUNT, "CNY", token)
        wanted = Dispensed(DispenseResult.DISPENSED, AMOUNT)
        assert made.dispenser.dispense(AMOUNT, token) == wanted
        assert made.dispenser.present() is PresentResult.PRESENTED
        assert made.dispenser.await_taken()
        assert made.alarms == []
        assert made.dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        assert made.alarms == [MachineAlarmKind.DISPENSE_REFUSED]
        assert made.atm.cash.customer_fen == AMOUNT
        assert made.gate.counters["passed"] > 2


def test_nothing_else_passes() -> None:
    with kit() as made:
        token = made.token()
        assert made.dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        made.gate.approve(AMOUNT, "CNY", token)
        assert made.dispenser.dispense(AMOUNT - 10_000, token).result is DispenseResult.REFUSED
        # A wrong try uses the approval up: the next one is refused too.
        assert made.dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        made.gate.approve(AMOUNT, "CNY", token)
        assert made.dispenser.dispense(AMOUNT, token + "X").result is DispenseResult.REFUSED
        made.gate.approve(AMOUNT, "CNY", token)
        made.clock.advance(APPROVAL_LIFE_US)
        assert made.dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        made.gate.approve(AMOUNT, "CNY", token)
        made.gate.withdraw_approval()
        assert made.dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        assert made.atm.cash.calls == []
        assert set(made.alarms) == {MachineAlarmKind.DISPENSE_REFUSED}
        assert len(made.alarms) == 6


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        # Two readers could take two commands out of it.
        '{"header":{"name":"Common.Status","type":"command","requestId":1,'
        '"name":"CashDispenser.Dispense"}}',
        '{"header":{"name":"CashDispenser.Dispense","type":"command","requestId":1},'
        '"payload":{"denomination":{"denomination":{"values":{"unit1":30}}}}}',
        '{"header":{"name":"CashDispenser.Dispense","type":"event","requestId":1}}',
    ],
)
def test_what_could_hide_a_dispense_does_not_pass(text: str) -> None:
    with kit() as made:
        made.gate.approve(AMOUNT, "CNY", "")
        with connect(made.url) as line:
            line.send(text)
            line.send(
                json.dumps({"header": {"name": "Common.GetCommandNonce", "type": "command",
                                       "requestId": 9, "version": "2.0"}})
            )  # fmt: skip
            names: list[str] = []
            while not names or names[-1] != "completion of 9":
                header = json.loads(line.recv(timeout=5))["header"]
                names.append(f"{header['type']} of {header['requestId']}")
        assert made.atm.cash.calls == []
        assert len(made.alarms) == 1


def test_a_second_client_is_an_alarm() -> None:
    with kit() as made:
        made.dispenser.nonce()
        other = XfsClient(made.url, Dialect.CURRENT, timeout_s=3)
        other.ask("Common.GetCommandNonce")
        other.close()
        assert MachineAlarmKind.SECOND_CLIENT in made.alarms


def test_one_application_has_a_line_to_each_service() -> None:
    with kit() as made:
        made.dispenser.nonce()
        base = made.url.removesuffix(f"/{DISPENSER}/")
        for service in ("", f"/{READER}/"):  # publisher and card reader, beside the dispenser
            other = XfsClient(base + service, Dialect.CURRENT, timeout_s=3)
            other.ask("Common.Status")
            other.close()
        assert made.alarms == []


def test_notes_that_left_behind_the_gates_back_are_an_alarm() -> None:
    with kit() as made:
        made.dispenser.nonce()
        around = XfsClient(made.atm.url(DISPENSER), Dialect.CURRENT, timeout_s=3)
        thief = XfsDispenser(around, key=KEY, taken_s=1)
        token = seal_dispense(thief.nonce(), Money(AMOUNT, "CNY"), KEY)
        thief.dispense(AMOUNT, token)
        thief.present()
        assert thief.await_taken()
        around.close()
        made.client.await_unsolicited("CashManagement.ItemsTakenEvent", 2)
        assert made.alarms == [MachineAlarmKind.UNEXPLAINED_DISPENSE]
