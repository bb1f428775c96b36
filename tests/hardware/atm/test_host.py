"""The line to the bank against a simulated host: each odd answer is called by its name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.atm.bank import PROFILES, AesCmac, BankProfile, Messages, answer_type
from hardware.atm.host import HostAddress, HostClient
from hardware.atm.interface import Advice, AdviceKind, CardSecrets, HostSilentError, Movement, Trace
from hardware.atm.iso8583 import IsoError, Message
from hardware.simulators.host import HOLD_S, HostAct, HostFault, SimulatedHost

MAC = AesCmac(bytes(range(16)))
TRACE = Trace(stan="000123", terminal="ATM00001", amount_fen=300_000, local_time="20261125141530")
SECRETS = CardSecrets(
    pan="6217000000000000012",
    track2="6217000000000000012=30122010000012300",
    pin_block=bytes.fromhex("1b9c1845eb993a7a"),
    emv=bytes.fromhex("9f260811"),
    nonce="00FF",
    assertion=b"signed",
)
REVERSAL = Advice(
    number=1,
    kind=AdviceKind.REVERSAL,
    trace=TRACE,
    actual_fen=0,
    is_repeat=False,
    pan=SECRETS.pan,
)


def test_a_transfer_is_held_and_taken_back_until_it_is_due() -> None:
    now = [0.0]
    with SimulatedHost(messages(), now_s=lambda: now[0]) as host:
        link = client(host, messages())
        first, second = (
            Trace(
                stan=stan,
                terminal="ATM00001",
                amount_fen=50_000,
                local_time="20261125120000",
                movement=Movement.TRANSFER,
            )
            for stan in ("000101", "000102")
        )
        secrets = CardSecrets(pan="6217000000000000012", payee="6228000000000000987")
        assert [link.request(one, secrets).code for one in (first, second)] == ["00", "00"]
        assert host.held["000101"].payee == "6228000000000000987"

        def take_back(transfer: Trace, stan: str, pan: str = secrets.pan) -> str:
            wish = replace(transfer, stan=stan, movement=Movement.REVOCATION, original=transfer)
            return link.request(wish, CardSecrets(pan=pan)).code

        now[0] = HOLD_S - 1
        assert take_back(first, "000103", "6217000000000000020") == "25"  # another card's
        assert take_back(first, "000104") == "00"
        assert take_back(first, "000105") == "94"
        assert host.seen[-1]["t"] == "0400"
        now[0] = HOLD_S
        assert take_back(second, "000106") == "21"
        assert host.carried_out() == {"000102": 50_000}
        link.close()
    with pytest.raises(IsoError, match="takes no transfer"):
        Messages(PROFILES["iso87-ascii"]).request(first, secrets)


def messages(name: str = "iso87-ascii-mac") -> Messages:
    return Messages(PROFILES[name], MAC)


def client(host: SimulatedHost, bank: Messages, timeout_s: float = 2.0) -> HostClient:
    return HostClient(
        bank,
        HostAddress(host="127.0.0.1", port=host.port, timeout_s=timeout_s),
        new_stan=lambda: "900001",
        local_time=lambda: "20261125141530",
    )


@contextlib.contextmanager
def line(
    decide: Callable[[Message], HostAct] = lambda message: HostAct(),
    name: str = "iso87-ascii-mac",
    timeout_s: float = 2.0,
) -> Iterator[tuple[SimulatedHost, HostClient]]:
    bank = messages(name)
    with SimulatedHost(bank, decide, lambda message: "TOKEN=" + message.get("61", "")) as host:
        link = client(host, bank, timeout_s)
        try:
            yield host, link
        finally:
            link.close()


def first(fault: HostFault) -> Callable[[Message], HostAct]:
    """The fault for the first message only."""
    faults = [fault]
    return lambda message: HostAct(fault=faults.pop() if faults else HostFault.NONE)


@pytest.mark.parametrize("name", PROFILES)
def test_a_withdrawal_and_its_reversal(name: str) -> None:
    with line(name=name) as (host, link):
        assert link.echo()
        answer = link.request(TRACE, SECRETS)
        assert (answer.code, answer.stan, answer.terminal) == ("00", "000123", "ATM00001")
        assert (answer.amount_fen, answer.is_authentic) == (300_000, True)
        assert host.posted_fen == {"000123": 300_000}
        assert link.advise(REVERSAL) == "00"
        assert host.posted_fen == {"000123": 0}
        assert link.advise(replace(REVERSAL, is_repeat=True)) == "94"
        assert [one["t"] for one in host.seen] == ["0800", "0200", "0420", "0421"]
    if name == "iso87-ascii-mac":
        assert answer.token == "TOKEN=00FF"
    assert link.counters["answered"] == 4


def test_a_reversal_repeats_the_original() -> None:
    bank = messages("iso87-bcd-tpdu")
    asked = bank.request(TRACE, SECRETS)
    undone = bank.advice(REVERSAL, lambda: "900001")
    for same in ("2", "3", "4", "7", "12", "13", "37", "41"):
        assert undone[same] == asked[same]
    assert undone["90"][:20] == "0200000123" + asked["7"] == "02000001231125061530"
    assert undone["11"] == "900001"
    assert asked["37"] == "632914000123"
    assert "35" not in undone
    assert "52" not in undone
    raw = bank.pack(asked)
    assert raw[2:13].hex() == "6000030000602200000000"


def test_a_part_is_reversed_only_where_the_bank_takes_it() -> None:
    part = replace(REVERSAL, kind=AdviceKind.PARTIAL_REVERSAL, actual_fen=100_000)
    with line() as (host, link):
        link.request(TRACE, SECRETS)
        assert link.advise(part) == "00"
        assert host.posted_fen == {"000123": 100_000}
        confirm = replace(REVERSAL, kind=AdviceKind.CONFIRMATION, actual_fen=300_000)
        assert link.advise(confirm) == "00"
        assert host.seen[-1]["t"] == "0220"
    with line(name="iso87-ascii") as (_, link), pytest.raises(HostSilentError, match="partial"):
        link.advise(part)


def test_a_bank_without_confirmations_is_sent_none() -> None:
    with line(name="iso87-ascii") as (host, link):
        assert link.advise(replace(REVERSAL, kind=AdviceKind.CONFIRMATION)) == "00"
    assert host.seen == []


def test_a_late_answer_is_told_from_a_silent_host() -> None:
    late: list[str] = []
    with line(first(HostFault.LATE), timeout_s=0.2) as (_, link):
        link._on_late = late.append
        with pytest.raises(HostSilentError):
            link.request(TRACE, SECRETS)
        assert link.advise(REVERSAL) == "00"
    assert late == ["000123"]
    assert (link.counters["late"], link.counters["silent"]) == (1, 1)
    assert link.counters["unmatched"] == 0


def test_an_unmatched_answer_is_counted_beside_the_time_out() -> None:
    with line(first(HostFault.WRONG_STAN), timeout_s=0.2) as (_, link):
        with pytest.raises(HostSilentError):
            link.request(TRACE, SECRETS)
    assert (link.counters["unmatched"], link.counters["late"]) == (1, 0)


def test_a_wrong_mac_is_told_on_a_request_and_no_answer_to_an_advice() -> None:
    with line(lambda message: HostAct(fault=HostFault.WRONG_MAC)) as (_, link):
        assert not link.request(TRACE, SECRETS).is_authentic
        with pytest.raises(HostSilentError, match="MAC"):
            link.advise(REVERSAL)
        assert not link.echo()
    assert link.counters["wrong_mac"] == 3


def test_our_wrong_mac_is_refused_by_the_host() -> None:
    with SimulatedHost(messages()) as host:
        link = client(host, Messages(PROFILES["iso87-ascii-mac"], AesCmac(bytes(16))))
        answer = link.request(TRACE, SECRETS)
        link.close()
    assert (answer.code, answer.is_authentic) == ("A0", False)
    assert host.posted_fen == {}


@pytest.mark.parametrize("fault", [HostFault.DROP, HostFault.CLOSE])
def test_the_line_is_made_again(fault: HostFault) -> None:
    with line(first(fault), timeout_s=0.2) as (host, link):
        with pytest.raises(HostSilentError):
            link.request(TRACE, SECRETS)
        assert link.advise(REVERSAL) == "00"
    assert host.posted_fen == {"000123": 0}


@pytest.mark.parametrize("fault", [HostFault.DOUBLE, HostFault.GARBAGE, HostFault.TORN])
def test_odd_bytes_do_not_hide_the_answer(fault: HostFault) -> None:
    with line(first(fault)) as (_, link):
        assert link.request(TRACE, SECRETS).code == "00"
        assert link.advise(REVERSAL) == "00"
    odd = {HostFault.DOUBLE: "doubled", HostFault.GARBAGE: "unreadable"}
    if fault in odd:
        assert link.counters[odd[fault]] == 1


def test_a_host_that_is_not_there_is_silent() -> None:
    with SimulatedHost(messages()) as host:
        pass
    link = client(host, messages())
    assert not link.echo()
    with pytest.raises(HostSilentError):
        link.request(TRACE, SECRETS)


def test_a_profile_with_macs_needs_one() -> None:
    with pytest.raises(ValueError, match="needs a MAC"):
        Messages(PROFILES["iso87-ascii-mac"])


def test_the_mac_covers_the_whole_message() -> None:
    bank = messages()
    raw = bank.pack(bank.request(TRACE, SECRETS))[2:]
    assert bank.unpack(raw)[1]
    for place in range(0, len(raw), 7):
        changed = (
            raw[:place] + (b"1" if raw[place : place + 1] != b"1" else b"2") + raw[place + 1 :]
        )
        with contextlib.suppress(IsoError):
            assert not bank.unpack(bytes(changed))[1]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [("0200", "0210"), ("0420", "0430"), ("0421", "0430"), ("0220", "0230"), ("0800", "0810")],
)
def test_types_of_answers(asked: str, answer: str) -> None:
    assert answer_type(asked) == answer


@given(raw=st.binary(max_size=120))
def test_any_frame_is_a_message_or_an_iso_error(raw: bytes) -> None:
    for profile in PROFILES.values():
        with contextlib.suppress(IsoError):
            Messages(profile, MAC).unpack(raw)


def test_a_profile_is_data() -> None:
    assert all(isinstance(profile, BankProfile) for profile in PROFILES.values())
