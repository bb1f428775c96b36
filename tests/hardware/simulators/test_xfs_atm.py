"""A withdrawal over XFS4IoT: our client, the simulated ATM, both dialects, and what goes wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hardware.atm.interface import (
    CardResult,
    DeviceLostError,
    Dispensed,
    DispenseResult,
    PresentResult,
    PresentState,
    Retracted,
    Status,
)
from hardware.atm.money import Money
from hardware.atm.token import seal_dispense
from hardware.atm.xfs4iot import Dialect, XfsMessage
from hardware.atm.xfs_client import XfsCardSlot, XfsClient, XfsDispenser
from hardware.simulators.cash import (
    CashFaults,
    DispenseFault,
    PresentFault,
    RetractFault,
    SimulatedCardSlot,
    SimulatedDispenser,
    StatusFault,
    TakeFault,
)
from hardware.simulators.xfs_atm import XfsAtm, XfsFault
from hardware.simulators.xfs_services import DISPENSER, READER

KEY = bytes(range(32))
AMOUNT = 300_000


def nothing(name: str) -> None:
    pass


def no_fault(message: XfsMessage) -> XfsFault:
    return XfsFault()


@contextlib.contextmanager
def machine(
    faults: CashFaults | None = None,
    dialect: Dialect = Dialect.CURRENT,
    fault: Callable[[XfsMessage], XfsFault] = no_fault,
    **options: Any,
) -> Iterator[tuple[XfsAtm, XfsDispenser, XfsCardSlot]]:
    faults = faults or CashFaults()
    cash, slot = SimulatedDispenser(faults, nothing), SimulatedCardSlot(faults, nothing)
    with XfsAtm(cash, slot, dialect, token_key=KEY, fault=fault, **options) as atm:
        clients = [XfsClient(atm.url(name), dialect, timeout_s=2) for name in (DISPENSER, READER)]
        try:
            yield (
                atm,
                XfsDispenser(clients[0], key=KEY, taken_s=0.2),
                XfsCardSlot(clients[1], taken_s=0.2),
            )
        finally:
            for client in clients:
                client.close()


def token_for(dispenser: XfsDispenser, fen: int = AMOUNT, key: bytes = KEY) -> str:
    return seal_dispense(dispenser.nonce(), Money(fen, "CNY"), key)


@pytest.mark.parametrize("dialect", Dialect)
def test_a_withdrawal_in_both_dialects(dialect: Dialect) -> None:
    with machine(dialect=dialect) as (atm, dispenser, slot):
        token = token_for(dispenser)
        done = dispenser.dispense(AMOUNT, token)
        assert done == Dispensed(DispenseResult.DISPENSED, AMOUNT)
        assert dispenser.status() == Status(PresentState.NOT_PRESENTED, 0)
        assert slot.eject() is CardResult.TAKEN
        assert dispenser.present() is PresentResult.PRESENTED
        assert dispenser.await_taken()
        assert dispenser.status() == Status(PresentState.PRESENTED, AMOUNT)
        assert atm.cash.customer_fen == AMOUNT
        assert dispenser.dispense(AMOUNT, token).result is DispenseResult.REFUSED
        assert slot.eject() is CardResult.ABSENT


def test_services_are_found_by_the_publisher() -> None:
    with machine() as (atm, _, _):
        publisher = XfsClient(atm.url(), Dialect.CURRENT, timeout_s=2)
        found = publisher.ask("ServicePublisher.GetServices").payload["services"]
        publisher.close()
        assert [one["serviceURI"] for one in found] == [atm.url(READER), atm.url(DISPENSER)]


@pytest.mark.parametrize("has_element", [False, True])
def test_a_dispenser_without_hardware_security_is_unprotected(has_element: bool) -> None:
    with machine(has_security_element=has_element) as (_, dispenser, _):
        assert dispenser.is_protected() is has_element


def test_no_token_no_cash() -> None:
    with machine() as (atm, dispenser, _):
        assert dispenser.dispense(AMOUNT, "").result is DispenseResult.REFUSED
        forged = token_for(dispenser, key=bytes(32))
        assert dispenser.dispense(AMOUNT, forged).result is DispenseResult.TOKEN_FORGED
        small = token_for(dispenser, fen=AMOUNT - 1)
        assert dispenser.dispense(AMOUNT, small).result is DispenseResult.REFUSED
        old = token_for(dispenser)
        dispenser.nonce()
        assert dispenser.dispense(AMOUNT, old).result is DispenseResult.REFUSED
        lost = token_for(dispenser)
        atm.power_up()
        assert dispenser.dispense(AMOUNT, lost).result is DispenseResult.REFUSED
        assert atm.cash.calls == []


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (DispenseFault.NOTHING, Dispensed(DispenseResult.NOTHING)),
        (DispenseFault.REFUSED, Dispensed(DispenseResult.REFUSED)),
        (DispenseFault.FORGED, Dispensed(DispenseResult.TOKEN_FORGED)),
        (DispenseFault.PART, Dispensed(DispenseResult.DISPENSED, AMOUNT - 10_000)),
        (DispenseFault.TOO_MANY, Dispensed(DispenseResult.DISPENSED, AMOUNT + 10_000)),
        (DispenseFault.LOST_AFTER, None),
    ],
)
def test_dispense_faults(dialect: Dialect, fault: DispenseFault, wanted: Dispensed | None) -> None:
    with machine(CashFaults(dispense=fault), dialect) as (atm, dispenser, _):
        token = token_for(dispenser)
        if wanted is None:
            with pytest.raises(DeviceLostError):
                dispenser.dispense(AMOUNT, token)
            assert dispenser.status() == Status(PresentState.NOT_PRESENTED, 0)  # a new line
        else:
            assert dispenser.dispense(AMOUNT, token) == wanted
        assert dispenser.reject()
        assert atm.cash.stacker_fen == 0


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (PresentFault.NO_ITEMS, PresentResult.NO_ITEMS),
        (PresentFault.SOME_ITEMS, PresentResult.SOME_ITEMS),
        (PresentFault.UNKNOWN_OUT, PresentResult.UNKNOWN),
    ],
)
def test_present_faults(fault: PresentFault, wanted: PresentResult) -> None:
    with machine(CashFaults(present=fault)) as (_, dispenser, _):
        dispenser.dispense(AMOUNT, token_for(dispenser))
        assert dispenser.present() is wanted


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("fault", "wanted"), [(RetractFault.NONE, AMOUNT), (RetractFault.ALL_TAKEN, None)]
)
def test_notes_that_are_left(dialect: Dialect, fault: RetractFault, wanted: int | None) -> None:
    faults = CashFaults(take=TakeFault.LEFT, retract=fault)
    with machine(faults, dialect) as (_, dispenser, _):
        dispenser.dispense(AMOUNT, token_for(dispenser))
        assert dispenser.present() is PresentResult.PRESENTED
        assert not dispenser.await_taken()
        assert dispenser.retract() == Retracted(wanted)
        if wanted:
            assert dispenser.status().state is PresentState.RETRACTED


def test_a_status_that_does_not_verify_is_unknown() -> None:
    with machine() as (_, dispenser, _):
        dispenser.dispense(AMOUNT, token_for(dispenser))
        dispenser._key = bytes(32)
        assert dispenser.status() == Status(PresentState.UNKNOWN)
    with machine(CashFaults(status=StatusFault.UNKNOWN)) as (_, dispenser, _):
        assert dispenser.status().state is PresentState.UNKNOWN


@pytest.mark.parametrize(
    ("card", "ejected", "retained"),
    [
        (CardResult.LEFT, CardResult.LEFT, CardResult.RETAINED),
        (CardResult.JAMMED, CardResult.JAMMED, CardResult.JAMMED),
        (CardResult.TAKEN, CardResult.TAKEN, CardResult.ABSENT),
    ],
)
def test_cards(card: CardResult, ejected: CardResult, retained: CardResult) -> None:
    with machine(CashFaults(card=card)) as (_, _, slot):
        assert slot.eject() is ejected
        assert slot.retain() is retained


def test_the_line_may_fail_at_every_command() -> None:
    for fault in (XfsFault(is_closed=True), XfsFault(code="hardwareError")):
        with machine(fault=lambda message, f=fault: f) as (_, dispenser, slot):  # type: ignore[misc]
            with pytest.raises(DeviceLostError):
                dispenser.nonce()
            with pytest.raises(DeviceLostError):
                dispenser.dispense(AMOUNT, "")
            if fault.is_closed:
                with pytest.raises(DeviceLostError):
                    slot.eject()
            else:
                assert slot.eject() is CardResult.JAMMED


def test_a_completion_that_does_not_come_is_a_lost_device() -> None:
    with machine(fault=lambda message: XfsFault(is_dropped=True)) as (_, dispenser, _):
        dispenser._client._timeout_s = 0.2
        with pytest.raises(DeviceLostError, match="TimeoutError"):
            dispenser.nonce()


@pytest.mark.parametrize("text", ["", "{", '{"header":{}}', "[1]"])
def test_odd_messages_are_counted_and_passed_over(text: str) -> None:
    with machine(fault=lambda message: XfsFault(raw_before=text)) as (_, dispenser, _):
        assert len(dispenser.nonce()) == 32
        assert dispenser._client.counters["malformed"] == 1
