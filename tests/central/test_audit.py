"""The audit log: a removed or changed row shows, and so does a chain cut at its end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from central.actor import Actor, Role
from central.audit import AuditLog, record
from central.store import open_sqlite
from contract.keys import KeySigner
from tests.central.kit import CENTRAL_KEY, Central

OFFICER = Actor("zhao", frozenset({Role.DUTY_OFFICER}), frozenset({"530100"}))
ROWS = 12


@pytest.fixture
def log(central: Central) -> AuditLog:
    made = AuditLog(central.store, central.clock, KeySigner(CENTRAL_KEY))
    for number in range(ROWS):
        made.note(OFFICER, "alert.acknowledge", str(number), detail={"note": "看过 '; DROP"})
        if number == 5:
            assert made.seal()
    return made


def tamper(central: Central, *statements: str) -> None:
    with closing(sqlite3.connect(central.path)) as store, store:
        for statement in statements:
            store.execute(statement)


def test_an_untouched_chain_is_intact(log: AuditLog) -> None:
    verdict = log.verify()
    assert (verdict.rows, verdict.seals, verdict.findings) == (ROWS, 1, ())
    assert log.verify(expect=verdict.head).is_intact


def test_each_single_row_removed_is_found(central: Central, log: AuditLog) -> None:
    for seq in range(1, ROWS + 1):
        tamper(central, f"CREATE TABLE kept AS SELECT * FROM audit WHERE seq = {seq}")
        tamper(central, f"DELETE FROM audit WHERE seq = {seq}")
        assert not log.verify().is_intact, seq
        tamper(central, "INSERT INTO audit SELECT * FROM kept", "DROP TABLE kept")
    assert log.verify().is_intact


@pytest.mark.parametrize(
    "change",
    [
        "at = at + 1",
        "actor = 'li'",
        "roles = '[]'",
        "action = 'x'",
        "subject = 'x'",
        "outcome = 'refused'",
        "detail = '{}'",
        "prev = 'x'",
        "digest = 'x'",
    ],
)
def test_each_changed_column_is_found(central: Central, log: AuditLog, change: str) -> None:
    tamper(central, f"UPDATE audit SET {change} WHERE seq = 7")
    assert {finding.seq for finding in log.verify().findings} >= {7}


def cut_and_mend(central: Central) -> None:
    """Remove the end and set the head back, as somebody would who can write the store."""
    tamper(
        central,
        "DELETE FROM audit WHERE seq > 4",
        "UPDATE audit_head SET seq = 4, digest = (SELECT digest FROM audit WHERE seq = 4)",
    )


def forge_seal(central: Central) -> None:
    cut_and_mend(central)
    tamper(
        central,
        "UPDATE audit_seals SET seq = 4, digest = (SELECT digest FROM audit WHERE seq = 4)",
    )


@pytest.mark.parametrize("attack", [cut_and_mend, forge_seal])
def test_a_chain_cut_before_its_seal_is_found(
    central: Central, log: AuditLog, attack: Callable[[Central], None]
) -> None:
    attack(central)
    assert not log.verify().is_intact


def test_a_store_set_back_is_found_by_a_digest_written_down(
    central: Central, log: AuditLog
) -> None:
    head = log.verify().head
    tamper(
        central,
        "DELETE FROM audit WHERE seq > 8",
        "UPDATE audit_head SET seq = 8, digest = (SELECT digest FROM audit WHERE seq = 8)",
    )
    assert log.verify().is_intact  # nothing in the store itself can tell
    assert not log.verify(expect=head).is_intact


def test_what_did_not_happen_is_not_in_the_log(central: Central, log: AuditLog) -> None:
    def change_that_fails() -> None:
        with central.store.transaction() as tx:
            record(tx, 1, OFFICER, "alert.dismiss", "1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change_that_fails()
    assert log.verify().rows == ROWS


def test_many_writers_make_one_chain(central: Central, log: AuditLog) -> None:
    patient = open_sqlite(central.path)

    def write() -> None:
        for _ in range(5):
            AuditLog(patient, central.clock).note("central", "tick")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patient.close()
    verdict = log.verify()
    assert (verdict.rows, verdict.is_intact) == (ROWS + 20, True)


def test_nothing_new_is_sealed_twice(log: AuditLog) -> None:
    assert log.seal()
    assert not log.seal()
