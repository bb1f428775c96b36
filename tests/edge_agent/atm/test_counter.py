"""Scripted customers through the real face engine and the real policy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import SystemClock, WithdrawalDecision
from contract.settings import ConfigError
from contract.words import Decision, DecisionReason, Pad, PartState
from edge_agent.atm.booth import Booth
from edge_agent.atm.counter import AtmCounter
from edge_agent.atm.script import load_script
from edge_agent.atm_config import AtmConfig
from edge_agent.desk import Desk
from edge_agent.health import HealthBook
from edge_agent.outbox import Outbox
from hardware.simulators import portraits
from tests.edge_agent.outboxes import Bench, opened

PAN = "6216261000000000018"
VISIT = f"""
[[visits]]
pan = "{PAN}"
amount_fen = 200000
pin = "ok"
reference = "reference.png"
faces = ["face.png"]
turn_left = ["left.png"]
turn_right = ["right.png"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = {
        "reference.png": portraits.portrait(),
        "face.png": portraits.with_brightness(0.8),
        "left.png": portraits.turned(45),
        "right.png": portraits.turned(-45),
        "wall.png": portraits.nobody(),
    }
    for name, picture in pictures.items():
        (tmp_path / name).write_bytes(picture)
    key = tmp_path / "card.key"
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    return tmp_path


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    (tmp_path / "outbox").mkdir()
    with Bench(tmp_path / "outbox").open() as box:
        yield box


def serve(folder: Path, outbox: Outbox, visits: str, count: int = 1) -> list[WithdrawalDecision]:
    """Play the script until so many decisions are durable; returns all that are."""
    (folder / "visits.toml").write_text("pause_s = 0.05\n" + visits, encoding="utf-8")
    clock = SystemClock()
    book = HealthBook(clock=clock, version="test")
    config = AtmConfig(
        tenant_key_file=folder / "card.key",
        script=folder / "visits.toml",
        threshold=None,
        models=None,
    )
    booth = Booth(config, clock=clock, book=book)
    counter = AtmCounter(booth, state_dir=folder, clock=clock, desk=Desk(outbox, book), book=book)

    async def play() -> None:
        task = asyncio.create_task(counter.run())
        while len(decisions(outbox)) < count and not task.done():
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(play(), 60))
    assert book.state("face engine") is PartState.OK
    return decisions(outbox)


def decisions(outbox: Outbox) -> list[WithdrawalDecision]:
    bodies = [opened(row).body for row in outbox.unreceipted(0, 100)]
    return [body for body in bodies if isinstance(body, WithdrawalDecision)]


def test_the_owner_who_turns_the_head_gets_cash(folder: Path, outbox: Outbox) -> None:
    found = serve(folder, outbox, VISIT)[0]
    assert (found.decision, found.reason) == (Decision.ALLOW, None)
    assert found.face is not None
    assert (found.face.pad, found.face.is_simulated) == (Pad.CHALLENGE, True)
    assert found.card.last4 == PAN[-4:]


@pytest.mark.parametrize(
    ("changes", "decision", "reason"),
    [
        (
            {'reference = "reference.png"': 'stranger = "somebody else"'},
            Decision.DENY,
            DecisionReason.FACE_MISMATCH,
        ),
        (
            {'turn_left = ["left.png"]': "answers_challenge = false"},
            Decision.REFER_TO_COUNTER,
            DecisionReason.LIVENESS_UNAVAILABLE,
        ),
        (
            {'["left.png"]': '["face.png"]', '["right.png"]': '["face.png"]'},
            Decision.DENY,
            DecisionReason.LIVENESS_FAILED,
        ),
        (
            {'faces = ["face.png"]': 'faces = ["wall.png"]'},
            Decision.REFER_TO_COUNTER,
            DecisionReason.FACE_COVERED,
        ),
        (
            {'faces = ["face.png"]': 'faces = ["gone.png"]'},
            Decision.REFER_TO_COUNTER,
            DecisionReason.LIVENESS_UNAVAILABLE,
        ),
        (
            {'reference = "reference.png"': ""},
            Decision.REFER_TO_COUNTER,
            DecisionReason.NOT_ENROLLED,
        ),
        ({'pin = "ok"': 'pin = "wrong"'}, Decision.DENY, DecisionReason.PIN_INVALID),
    ],
)
def test_without_every_factor_no_cash_moves(
    folder: Path,
    outbox: Outbox,
    changes: dict[str, str],
    decision: Decision,
    reason: DecisionReason,
) -> None:
    visit = VISIT
    for old, new in changes.items():
        assert old in visit
        visit = visit.replace(old, new)
    found = serve(folder, outbox, visit)[0]
    assert (found.decision, found.reason) == (decision, reason)


def test_a_list_that_was_never_confirmed_refers(folder: Path, outbox: Outbox) -> None:
    found = serve(folder, outbox, "list_age_s = 100000\nis_online = false\n" + VISIT)[0]
    assert found.reason is DecisionReason.LIST_STALE


def test_visit_numbers_go_on_after_a_restart(folder: Path, outbox: Outbox) -> None:
    serve(folder, outbox, VISIT, count=2)
    last = serve(folder, outbox, VISIT, count=len(decisions(outbox)) + 1)
    numbers = [int(d.visit) for d in last]
    assert numbers == sorted(set(numbers))


def test_neither_card_number_nor_picture_leaves_the_atm(folder: Path, outbox: Outbox) -> None:
    serve(folder, outbox, VISIT)
    for row in outbox.unreceipted(0, 100):
        assert PAN.encode() not in row.cose
        assert b"PNG" not in row.cose
        assert len(row.cose) < 1024


def test_a_script_names_every_mistake_but_never_the_card(tmp_path: Path) -> None:
    script = tmp_path / "visits.toml"
    script.write_text(VISIT.replace(PAN, "62162610000x").replace('"ok"', '"okay"'), "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_script(script)
    text = str(refused.value)
    assert "visits.toml:3: visits[0].pan: a card number has 12 to 19 digits" in text
    assert "visits[0].pin" in text
    assert "62162610000x" not in text
