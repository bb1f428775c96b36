"""The withdrawal journal: durable steps, a chain that shows tampering, an ordered queue."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from atm_face.withdrawal import Event, Happened, Outcome, State, Terms, Withdrawal, step
from contract.clock import UnixMicros, VirtualClock
from edge_agent.atm.journal import Journal, JournalError, Opening
from edge_agent.atm.reversals import ALARM_TRIES, QueueLimits, ReversalQueue
from edge_agent.atm.sealing import Seal, SealError
from hardware.atm.interface import Advice, CardSecrets, HostAnswer, HostSilentError, Trace

SEAL = Seal(b"\x22" * 32)
PAN = "6217000000000000020"
CARD = b"\x01" * 32


def opening(name: str, card: bytes = CARD) -> Opening:
    return Opening(
        id=name,
        terminal="ATM00001",
        amount_fen=50_000,
        local_time="20261125120000",
        card=card,
        sealed_pan=SEAL.close(PAN, name),
        evidence="",
    )


def reversed_one(journal: Journal, name: str, card: bytes = CARD) -> Withdrawal:
    """A withdrawal that was sent and then lost its power."""
    asked = replace(journal.open(opening(name, card), 1), state=State.REQUESTING)
    made = step(asked, Happened(event=Event.BOOT), Terms())
    journal.write(made, 2)
    return made.after


class Host:
    """Answers with the next code; silent for an empty one."""

    def __init__(self, *codes: str) -> None:
        self.codes = list(codes)
        self.seen: list[Advice] = []

    def request(self, trace: Trace, secrets: CardSecrets) -> HostAnswer:
        raise AssertionError

    def advise(self, advice: Advice) -> str:
        self.seen.append(advice)
        code = self.codes.pop(0)
        if not code:
            raise HostSilentError("nothing")
        return code

    def echo(self) -> bool:
        return True


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(UnixMicros(1_000_000_000))


def test_a_step_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path)
    after = reversed_one(journal, "a")
    journal.close()
    assert path.stat().st_mode & 0o777 == 0o600
    again = Journal(path)
    assert again.unfinished() == [after]
    assert after.outcome is Outcome.REVERSED
    assert [one.withdrawal for one in again.waiting()] == ["a"]


def test_stans_go_on_over_a_restart_and_wrap(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path)
    assert [journal.open(opening(n), 0).stan for n in "ab"] == ["000001", "000002"]
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE counters SET value = 999999 WHERE name = 'stan'")
    db.close()
    assert Journal(path).open(opening("c"), 0).stan == "000001"


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE records SET body = replace(body, 'boot', 'taken') WHERE number = 2",
        "DELETE FROM records WHERE number = 2",
        "UPDATE records SET hash = zeroblob(32) WHERE number = 3",
        "INSERT INTO records VALUES (9, '{}', zeroblob(32))",
    ],
)
def test_a_changed_journal_is_not_opened(tmp_path: Path, tamper: str) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path)
    for name in "ab":
        reversed_one(journal, name)
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute(tamper)
    db.close()
    with pytest.raises(JournalError, match="chain is broken at record"):
        Journal(path)


def test_the_check_sees_a_foreign_record_and_a_disk_that_refuses(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    is_full = False

    def disk(when: str) -> None:
        if is_full:
            raise sqlite3.OperationalError("database or disk is full")

    journal = Journal(path, on_commit=disk)
    assert journal.check()
    reversed_one(journal, "a")
    assert journal.check()
    is_full = True
    assert not journal.check()
    with pytest.raises(JournalError, match="full"):
        journal.open(opening("b"), 0)
    is_full = False
    assert journal.open(opening("b"), 0).stan == "000002"
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO records VALUES (99, '{}', zeroblob(32))")
    db.close()
    assert not journal.check()


def test_a_file_that_is_no_journal_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(JournalError):
        Journal(path)


def test_a_machine_goes_back_into_service_by_a_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.close_machine("retracting: boot", 1)
    journal.close_machine("later", 2)
    assert journal.problem() == "retracting: boot"
    journal.open_machine("Zhao", 3)
    assert journal.problem() is None


def test_the_card_number_goes_when_the_host_knows(tmp_path: Path, clock: VirtualClock) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path)
    after = reversed_one(journal, "a")
    for event in (Event.CARD_TAKEN,):
        after_step = step(after, Happened(event=event), Terms())
        journal.write(after_step, 3)
    assert journal.waiting()[0].sealed_pan is not None
    host = Host("25")
    assert ReversalQueue(journal, host, clock, SEAL).step()
    assert host.seen[0].pan == PAN
    assert PAN not in repr(host.seen[0])
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT sealed_pan FROM withdrawals").fetchall() == [(None,)]
    db.close()


def test_the_queue_keeps_its_order_backs_off_and_marks_repeats(
    tmp_path: Path, clock: VirtualClock
) -> None:
    journal = Journal(tmp_path / "j.db")
    for name in "ab":
        reversed_one(journal, name)
    host = Host("", "96", "94", "00")
    queue = ReversalQueue(journal, host, clock, SEAL)
    assert not queue.step()
    assert not queue.step()  # not due: nothing is sent
    assert len(host.seen) == 1
    clock.advance(5_000_000)
    assert not queue.step()
    clock.advance(5_000_000)
    assert not queue.step()
    clock.advance(5_000_000)
    assert queue.step()
    assert queue.step()
    assert [(one.trace.stan, one.is_repeat) for one in host.seen] == [
        ("000001", False),
        ("000001", True),
        ("000001", True),
        ("000002", False),
    ]
    assert queue.counters["settled"] == 2
    assert not queue.step()


def test_an_advice_is_never_given_up_and_raises_an_alarm(
    tmp_path: Path, clock: VirtualClock
) -> None:
    journal = Journal(tmp_path / "j.db")
    reversed_one(journal, "a")
    host = Host(*[""] * 20)
    queue = ReversalQueue(journal, host, clock, SEAL)
    for _ in range(20):
        queue.step(is_due_now=True)
    assert queue.counters["alarms"] == 1
    assert queue.counters["unanswered"] == 20 > ALARM_TRIES
    assert len(journal.waiting()) == 1


def test_what_waits_keeps_new_withdrawals_away(tmp_path: Path, clock: VirtualClock) -> None:
    journal = Journal(tmp_path / "j.db")
    queue = ReversalQueue(journal, Host(), clock, SEAL, QueueLimits(most_waiting=2, oldest_s=2000))
    assert queue.allows(CARD)
    reversed_one(journal, "a")
    assert not queue.allows(CARD)
    assert queue.allows(b"\x02" * 32)
    clock.advance(2_000_000_000)
    assert not queue.allows(b"\x02" * 32)
    younger = ReversalQueue(journal, Host(), VirtualClock(UnixMicros(10)), SEAL)
    assert younger.allows(b"\x02" * 32)
    for name in "bcdefghijk":
        reversed_one(journal, name, b"\x03" * 32)
    assert not younger.allows(b"\x02" * 32)


def test_a_seal_opens_only_what_it_closed(tmp_path: Path) -> None:
    sealed = SEAL.close(PAN, "a")
    assert SEAL.open(sealed, "a") == PAN
    assert PAN.encode() not in sealed
    for bad, name in ((sealed, "b"), (sealed[:-1], "a"), (b"", "a")):
        with pytest.raises(SealError):
            SEAL.open(bad, name)
    path = tmp_path / "seal.key"
    assert Seal.of_file(path).open(Seal.of_file(path).close("x", "y"), "y") == "x"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SealError):
        Seal(b"short")


def test_a_seal_that_does_not_open_is_no_answer(tmp_path: Path, clock: VirtualClock) -> None:
    journal = Journal(tmp_path / "j.db")
    reversed_one(journal, "a")
    host = Host("00")
    queue = ReversalQueue(journal, host, clock, Seal(b"\x33" * 32))
    assert not queue.step()
    assert host.seen == []
