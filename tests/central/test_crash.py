"""Killed at every joint of the ingest: nothing is lost and nothing counts twice."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from contract import UnixMicros
from contract.envelope import message_digest
from contract.messages import Receipt
from contract.topics import Lane
from tests.central.kit import START, Central, Station, a_health, an_attack
from tests.samples import a_detection

ROOT = Path(__file__).parents[2]


def run_until_death(folder: Path, step: str, messages: list[tuple[str, bytes]]) -> int:
    file = folder / "messages"
    file.write_bytes(pickle.dumps(messages))
    done = subprocess.run(
        [sys.executable, "-m", "tests.central.dying_ingest", str(folder), step, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 9}, done.stderr
    return done.returncode


@pytest.mark.parametrize("step", ["before commit", "before ack", "between acks", "before receipt"])
def test_killed_at_a_joint_and_delivered_again(tmp_path: Path, step: str) -> None:
    central = Central(tmp_path)
    van = central.enrol(Station())
    messages = [
        (van.topic(), van.next(a_detection(fired_at=UnixMicros(START)))),
        (van.topic(Lane.HEALTH), van.next(a_health())),
        (van.topic(Lane.DECISIONS), van.next(an_attack())),
    ]
    central.store.close()

    assert run_until_death(tmp_path, step, messages) == 9

    again = Central(tmp_path)
    committed = 0 if step == "before commit" else 3
    assert again.store.totals().messages == committed
    assert len(again.store.events_after(0, 99)) == (0 if committed == 0 else 4)
    for topic, raw in messages:  # what was not receipted comes again
        again.take(topic, raw)
    totals = again.store.totals()
    assert (totals.messages, totals.detections, totals.decisions, totals.alerts) == (3, 1, 1, 2)
    assert totals.duplicates == committed
    assert all(alert.count == 1 for alert in again.store.alerts(9))
    assert sum(e.kind.value == "alert" for e in again.store.events_after(0, 99)) == 2
    assert again.intake.receipts()[-1] == Receipt(
        device="van-1", up_to=3, head=message_digest(messages[-1][1]), ranges=()
    )
    again.store.close()
