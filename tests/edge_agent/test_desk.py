"""The desk: durable first, then told; evidence waits until there is room."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contract import SystemClock
from contract.envelope import message_digest
from contract.words import PartState
from edge_agent import desk as desk_module
from edge_agent.desk import Desk
from edge_agent.health import HealthBook
from edge_agent.outbox import Quota
from tests.edge_agent.outboxes import (
    Bench,
    a_health,
    fill,
    numbered_detection,
    receipt_bytes,
    rows_of,
)


def test_evidence_waits_for_room_and_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "RETRY_S", 0.05)
    book = HealthBook(clock=SystemClock(), version="test")
    with Bench(tmp_path).open(quota=Quota(max_rows=3, min_free_bytes=0)) as outbox:
        fill(outbox, 3)
        desk = Desk(outbox, book)

        async def send() -> None:
            waiting = asyncio.create_task(desk.send_evidence(numbered_detection(77)))
            while book.state("outbox") is not PartState.FAILED:
                await asyncio.sleep(0.01)
            assert not waiting.done()
            last = rows_of(outbox)[-1]
            outbox.apply_receipt(receipt_bytes(last.seq, message_digest(last.cose)))
            await asyncio.wait_for(waiting, 10)

        asyncio.run(send())
        assert [row.seq for row in rows_of(outbox)] == [4]


def test_a_refused_message_is_said_once_and_returned(tmp_path: Path) -> None:
    book = HealthBook(clock=SystemClock(), version="test")
    with Bench(tmp_path).open(quota=Quota(max_rows=0, min_free_bytes=0)) as outbox:
        is_taken = asyncio.run(Desk(outbox, book).send(a_health()))
    assert not is_taken
    assert book.state("outbox") is PartState.FAILED
