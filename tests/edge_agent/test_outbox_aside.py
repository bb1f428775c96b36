"""What was put aside can go again: under a new number, once, also beside a running agent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contract.clock import SystemClock
from contract.envelope import message_digest
from contract.keys import public_pem
from contract.topics import Lane
from contract.words import GapReason
from edge_agent.identity import Identity
from edge_agent.outbox import Outbox, OutboxError
from tests.edge_agent.outboxes import (
    CENTRAL_KEY,
    Bench,
    a_health,
    assert_chained,
    fill,
    numbered_detection,
    opened,
    receipt_bytes,
    rows_of,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def receipt_all(outbox: Outbox) -> None:
    last = rows_of(outbox)[-1]
    outbox.apply_receipt(receipt_bytes(last.seq, message_digest(last.cose)))


def test_a_released_message_waits_under_a_new_number_with_its_old_content(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 3)
        before = opened(rows_of(outbox)[1])
        assert outbox.put_aside(2, "refused by the broker")
        receipt_all(outbox)  # the gap is 4; receipts go past 2
        assert outbox.release(2) == 5
        (row,) = rows_of(outbox)
        after = opened(row)
        assert (after.body, after.payload.message_id) == (before.body, before.payload.message_id)
        assert after.payload.seq == 5
        assert outbox.stats().aside == 0
        assert outbox.put(numbered_detection(1), Lane.EVIDENCE).result(30).seq == 5  # known
        receipt_all(outbox)
        assert not rows_of(outbox)
    with bench.open() as outbox:
        assert (outbox.stats().aside, outbox.stats().last_seq) == (0, 5)


def test_what_was_not_put_aside_cannot_be_released(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 1)
        for seq in (1, 7):
            with pytest.raises(OutboxError, match="was put aside"):
                outbox.release(seq)
        assert_chained(rows_of(outbox))


def test_a_second_hand_on_the_store_is_noticed(bench: Bench) -> None:
    """An operator's command works on the store of an agent that runs."""
    with bench.open() as agent:
        fill(agent, 4)
        with bench.open() as hand:
            assert hand.put_aside(2, "by hand")
            assert hand.put_aside(3, "by hand")
            assert hand.release(3) == 7
        agent.put(a_health(), Lane.HEALTH).result(30)
        assert [row.seq for row in rows_of(agent)] == [1, 4, 5, 6, 7, 8]
        assert agent.top_seq() == 8
        stats = agent.stats()
        assert (stats.depth, stats.aside, stats.last_seq) == (6, 1, 8)
        assert agent._writer.usage == agent._store.usage()


def an_agent(folder: Path) -> Path:
    key = folder / "central.pub.pem"
    key.write_text(public_pem(CENTRAL_KEY.public_key()))
    config = folder / "agent.toml"
    config.write_text(
        f'tenant = "demo"\ndevice = "van-1"\nkind = "van"\nstate_dir = "state"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = 1\n[central]\npublic_key = "{key}"\n'
        '[[sensors]]\nname = "modem0"\nkind = "quectel"\nurl = "/dev/ttyUSB2"\n'
    )
    return config


def run(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process, as beside an agent."""
    command = [sys.executable, "-m", "qianshao", "outbox", *words, "--config", str(config)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_the_command_shows_puts_aside_and_releases(tmp_path: Path) -> None:
    config, state = an_agent(tmp_path), tmp_path / "state"
    absent = run(config, "show")
    assert (absent.returncode, "is not there" in absent.stderr) == (1, True)
    state.mkdir(mode=0o700)
    with Outbox.open(
        state / "outbox.sqlite3",
        tenant="demo",
        device="van-1",
        signer=Identity.load_or_create(state, "van-1").signer,
        clock=SystemClock(),
        boot_id=bytes(16),
        central_keys=lambda kid: None,
    ) as agent:
        fill(agent, 2)
        assert run(config, "put-aside", "1", "--why", "the broker chokes on it").returncode == 0
        assert run(config, "put-aside", "1", "--why", "twice").returncode == 1
        shown = json.loads(run(config, "show", "--json", "--save", str(tmp_path / "x")).stdout)
        assert shown["waiting"]["evt"] == 2  # the other one and the gap
        (row,) = shown["put_aside"]
        assert (row["seq"], row["type"], row["why"]) == (1, "detection", "the broker chokes on it")
        assert len((tmp_path / "x" / "1.cose").read_bytes()) == row["size_bytes"]
        assert run(config, "release").returncode == 2
        assert run(config, "release", "9").returncode == 1
        assert "1 goes again as 4" in run(config, "release", "--all").stdout
        assert "put aside: 0" in run(config, "show").stdout
        assert fill(agent, 1, first=9) == [5]


def test_a_gap_says_why_a_message_is_missing(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 1)
        outbox.put_aside(1, "by hand")
        (gap,) = rows_of(outbox)
        assert opened(gap).body.reason is GapReason.REFUSED  # type: ignore[union-attr]
