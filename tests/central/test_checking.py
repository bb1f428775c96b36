"""Signatures checked by a process beside: the same answers, whatever becomes of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from central import checking
from central.checking import CheckBeside, CheckHere
from contract.envelope import Signed
from contract.keys import KeySigner, KnownKey
from tests.mqtt_bridge.doubles import eventually

SIGNERS = (
    KeySigner(ed25519.Ed25519PrivateKey.generate()),
    KeySigner(ec.generate_private_key(ec.SECP256R1())),
)


def signed(number: int, *, is_good: bool = True, size: int = 500) -> Signed:
    signer = SIGNERS[number % len(SIGNERS)]
    data = number.to_bytes(4, "big") + bytes(size)
    signature = signer.sign(data)
    if not is_good:
        signature = bytes((signature[0] ^ 1,)) + signature[1:]
    known = KnownKey("van-1", signer.public)
    return Signed(b"", signer.kid, known, int(signer.algorithm), b"", data, signature)


def some(count: int, first: int = 0) -> tuple[list[Signed], list[bool]]:
    """Messages of both algorithms, every third altered, and what is to be found."""
    wanted = [n % 3 != 0 for n in range(first, first + count)]
    return [signed(first + n, is_good=good) for n, good in enumerate(wanted)], wanted


@pytest.fixture
def beside() -> Iterator[CheckBeside]:
    check = CheckBeside(rest_s=0.0)
    yield check
    check.close()


def test_here_and_beside_find_the_same(beside: CheckBeside) -> None:
    messages, wanted = some(40)
    assert CheckHere().begin(messages)() == wanted
    assert beside.begin(messages)() == wanted
    assert beside.pid not in {None, os.getpid()}
    assert beside.begin([])() == []


def test_a_key_of_the_other_algorithm_never_verifies_beside(beside: CheckBeside) -> None:
    edwards, curve = signed(0), signed(1)
    swapped = Signed(
        b"", edwards.kid, edwards.known, curve.algorithm, b"", edwards.signed, edwards.signature
    )
    assert beside.begin([swapped, edwards])() == [False, True]


def test_far_more_than_a_pipe_holds_may_wait_for_its_results(beside: CheckBeside) -> None:
    begun = []
    for part in range(40):
        messages = [signed(part % 2, is_good=part % 3 != 0, size=1 << 16)]
        begun.append(beside.begin(messages))
    assert [results()[0] for results in begun] == [part % 3 != 0 for part in range(40)]


def test_results_that_nobody_asked_for_shift_no_others(beside: CheckBeside) -> None:
    beside.begin(some(7)[0])
    beside.begin(some(9)[0])
    messages, wanted = some(9, first=1)
    assert beside.begin(messages)() == wanted


@pytest.mark.parametrize("when", ["before it is asked", "before it answers"])
def test_a_killed_process_costs_no_answer_and_another_one_comes(
    beside: CheckBeside, when: str
) -> None:
    messages, wanted = some(30)
    assert beside.begin(messages)() == wanted
    pid = beside.pid
    assert pid is not None
    if when == "before it answers":
        os.kill(pid, signal.SIGSTOP)
        results = beside.begin(messages)
        os.kill(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: "Z" in state_of(pid))
        results = beside.begin(messages)
    assert results() == wanted
    assert beside.begin(messages)() == wanted
    assert beside.pid not in {None, pid}


def state_of(pid: int) -> str:
    """State letter of a process; empty if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def test_a_process_that_says_nothing_is_ended() -> None:
    check = CheckBeside()
    messages, wanted = some(30)
    assert check.begin([])() == []  # it may take its time to start
    pid = check.pid
    assert pid is not None
    check._patience_s = 0.2
    os.kill(pid, signal.SIGSTOP)
    first, second = check.begin(messages), check.begin(messages[:3])
    assert first() == wanted
    assert second() == wanted[:3]
    assert state_of(pid) == ""
    assert check.begin(messages)() == wanted
    assert check.pid is None, "it rests before it tries another"
    check.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_of_the_central_is_not_for_it(beside: CheckBeside, number: int) -> None:
    messages, wanted = some(30)
    assert beside.begin(messages)() == wanted
    pid = beside.pid
    assert pid is not None
    os.kill(pid, number)
    assert beside.begin(messages)() == wanted
    assert beside.pid == pid


def test_too_few_answers_are_no_answers(
    beside: CheckBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checking._read
    monkeypatch.setattr(
        checking,
        "_read",
        lambda *args: (real(*args)[0], bytes(29)),  # all of them bad
    )
    messages, wanted = some(30)
    assert beside.begin(messages)() == wanted


def test_where_no_process_starts_signatures_are_checked_here(
    beside: CheckBeside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    messages, wanted = some(30)
    assert beside.begin(messages)() == wanted
    assert beside.pid is None


def test_once_closed_it_is_gone_and_stays_away(beside: CheckBeside) -> None:
    messages, wanted = some(30)
    assert beside.begin(messages)() == wanted
    pid = beside.pid
    assert pid is not None
    pending = beside.begin(messages)
    beside.close()
    assert state_of(pid) == ""
    assert pending() == wanted
    assert beside.begin(messages)() == wanted
    assert beside.pid is None


OWNER = """
import sys, time
from central.checking import CheckBeside
check = CheckBeside()
assert check.begin([])() == []
print(check.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_with_the_central_that_was_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert state_of(pid)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert eventually(lambda: state_of(pid) in {"", "Z"})
