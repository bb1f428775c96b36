"""What makes room for what, and that everything given up is said, signed and in the chain."""

from __future__ import annotations

import hashlib
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.clock import ClockQuality, VirtualClock
from contract.envelope import EnvelopeError, message_digest
from contract.messages import Gap
from contract.topics import Lane
from contract.words import GapReason
from edge_agent.outbox import LaneQuota, Outbox, OutboxFullError, Quota, Trouble
from edge_agent.outbox_writer import spans_of
from tests.edge_agent.outboxes import (
    NOON,
    Bench,
    a_health,
    numbered_detection,
    opened,
    receipt_bytes,
    rows_of,
)

DAY_US = 86_400_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class DoubtfulClock(VirtualClock):
    """A wall clock that nobody has set yet."""

    is_synced = False

    def quality(self) -> ClockQuality:
        return ClockQuality(is_synced=self.is_synced)


def put(outbox: Outbox, lane: Lane, count: int, first: int = 0) -> int:
    """How many of some messages were taken."""
    futures = [outbox.put(numbered_detection(first + n), lane) for n in range(count)]
    return sum(future.exception(10) is None for future in futures)


def gaps_of(outbox: Outbox) -> list[tuple[int, Gap]]:
    bodies = [(row.seq, opened(row).body) for row in rows_of(outbox)]
    return [(seq, body) for seq, body in bodies if isinstance(body, Gap)]


def assert_all_is_accounted_for(outbox: Outbox) -> None:
    """Each number is a message that waits or stands in one gap; the chain fits where it can."""
    rows = rows_of(outbox)
    waiting = {row.seq for row in rows}
    spans = [span for _, gap in gaps_of(outbox) for span in gap.spans]
    given_up = [seq for span in spans for seq in range(span.first, span.last + 1)]
    assert len(given_up) == len(set(given_up))
    assert waiting | set(given_up) == set(range(1, outbox.stats().last_seq + 1))
    assert not waiting & set(given_up)
    digests = {row.seq: message_digest(row.cose) for row in rows}
    for row in rows:
        if row.seq - 1 in digests:
            assert opened(row).payload.prev == digests[row.seq - 1]


def test_telemetry_is_thinned_every_second_and_a_gap_says_so(bench: Bench) -> None:
    lanes = {Lane.TELEMETRY: LaneQuota(max_bytes=10_000)}
    with bench.open(quota=Quota(min_free_bytes=0, lanes=lanes)) as outbox:
        assert put(outbox, Lane.TELEMETRY, 100) == 100
        waiting = [row for row in rows_of(outbox) if row.lane is Lane.TELEMETRY]
        assert sum(len(row.cose) for row in waiting) <= 10_000
        assert waiting[0].seq == 1  # thinned, not cut off
        assert_all_is_accounted_for(outbox)
        stats = outbox.stats()
        (first_at, first), *_ = gaps_of(outbox)
        assert (first.lane, first.reason) == (Lane.TELEMETRY, GapReason.CAPACITY)
        assert [s.first for s in first.spans] == list(range(2, first_at, 2))
        assert first.count * 2 <= first_at
        assert stats.dropped[Lane.TELEMETRY] == sum(gap.count for _, gap in gaps_of(outbox))
        assert Trouble.DROPPED in stats.lately
        assert stats.size_bytes == sum(len(row.cose) for row in rows_of(outbox))


def test_a_gap_proves_what_is_missing(bench: Bench) -> None:
    with bench.open(quota=Quota(max_rows=10, min_free_bytes=0)) as outbox:
        put(outbox, Lane.HEALTH, 5)
        before = {row.seq: row for row in rows_of(outbox)}
        put(outbox, Lane.HEALTH, 1, first=9)
        ((_, gap),) = gaps_of(outbox)
        lost = [before[seq] for span in gap.spans for seq in range(span.first, span.last + 1)]
        assert (
            gap.digest
            == hashlib.sha256(b"".join(message_digest(row.cose) for row in lost)).digest()
        )
        assert gap.size_bytes == sum(len(row.cose) for row in lost)
        assert (gap.first_put, gap.last_put) == (NOON, NOON)


def test_evidence_pushes_out_telemetry_and_health_but_no_decision(bench: Bench) -> None:
    with bench.open(quota=Quota(max_rows=100, min_free_bytes=0)) as outbox:
        put(outbox, Lane.HEALTH, 20)
        put(outbox, Lane.TELEMETRY, 40, first=100)
        put(outbox, Lane.DECISIONS, 10, first=200)
        taken = put(outbox, Lane.EVIDENCE, 150, first=300)
        lanes = [row.lane for row in rows_of(outbox)]
        assert 50 < taken < 150  # until nothing that is worth less is left
        assert lanes.count(Lane.DECISIONS) == 10
        assert lanes.count(Lane.TELEMETRY) == lanes.count(Lane.HEALTH) == 0
        assert lanes.count(Lane.EVIDENCE) == taken + len(gaps_of(outbox)) >= 90
        assert_all_is_accounted_for(outbox)
        assert Trouble.REFUSED in outbox.stats().lately


def test_low_lanes_never_push_out_others(bench: Bench) -> None:
    with bench.open(quota=Quota(max_rows=20, min_free_bytes=0)) as outbox:
        assert put(outbox, Lane.EVIDENCE, 14) == 14
        assert put(outbox, Lane.TELEMETRY, 5, first=100) == 0
        assert put(outbox, Lane.HEALTH, 5, first=200) == 0
        assert put(outbox, Lane.DECISIONS, 9, first=300) == 4
        assert gaps_of(outbox) == []


def test_age_drops_what_is_old_once_the_clock_is_right(tmp_path: Path) -> None:
    clock = DoubtfulClock(NOON)
    bench = Bench(tmp_path, clock)
    lanes = {Lane.HEALTH: LaneQuota(max_age_s=86_400)}
    with bench.open(quota=Quota(min_free_bytes=0, lanes=lanes)) as outbox:
        put(outbox, Lane.HEALTH, 2500)
        put(outbox, Lane.EVIDENCE, 1, first=5000)
        clock.advance(2 * DAY_US)
        put(outbox, Lane.HEALTH, 1, first=6000)
        assert gaps_of(outbox) == []
        clock.is_synced = True
        put(outbox, Lane.HEALTH, 1, first=7000)
        put(outbox, Lane.HEALTH, 1, first=8000)
        assert [gap.count for _, gap in gaps_of(outbox)] == [1000, 1000, 500]
        assert {gap.reason for _, gap in gaps_of(outbox)} == {GapReason.AGE}
        assert_all_is_accounted_for(outbox)


def test_a_disk_that_fills_up_stops_the_low_lanes_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        total, used, free = 0, 0, 0

    disk: Any = Disk()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    with bench.open(quota=Quota(min_free_bytes=1000_000)) as outbox:
        taken = {}
        for free_mb in (9, 7, 3, 1.5, 0.5):
            disk.free = round(free_mb * 1e6)
            first = round(free_mb * 1000)
            taken[free_mb] = [
                put(outbox, lane, 1, first + n) for n, lane in enumerate(reversed(Lane))
            ]
        assert taken == {
            9: [1, 1, 1, 1],
            7: [0, 1, 1, 1],
            3: [0, 0, 1, 1],
            1.5: [0, 0, 0, 1],
            0.5: [0, 0, 0, 0],
        }
        error = outbox.put(a_health(), Lane.HEALTH).exception(10)
        assert isinstance(error, OutboxFullError)
        assert "free on the disk" in str(error)
        assert Trouble.REFUSED in outbox.stats().lately


def test_a_refused_message_is_put_aside_and_a_gap_takes_its_place(bench: Bench) -> None:
    with bench.open() as outbox:
        put(outbox, Lane.EVIDENCE, 3)
        middle = rows_of(outbox)[1]
        assert outbox.put_aside(2, "overtaken")
        assert not outbox.put_aside(2, "overtaken")
        assert [row.seq for row in rows_of(outbox)] == [1, 3, 4]
        ((at, gap),) = gaps_of(outbox)
        assert (at, gap.reason, [s.first for s in gap.spans]) == (4, GapReason.REFUSED, [2])
        assert not outbox.put_aside(4, "a gap goes on waiting")
        head = message_digest(rows_of(outbox)[-1].cose)
        assert outbox.apply_receipt(receipt_bytes(4, head)) == 3
        assert outbox.stats().aside == 1
    with bench.open() as outbox:  # it is kept
        assert outbox.stats().aside == 1
        assert outbox._store._db.execute("SELECT cose FROM refused").fetchone()[0] == middle.cose


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(Lane), st.integers(1, 30)), max_size=12), st.integers(5, 60)
)
def test_whatever_comes_every_number_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[Lane, int]], rows: int
) -> None:
    bench, first = Bench(tmp_path_factory.mktemp("quota")), 0
    with bench.open(quota=Quota(max_rows=rows, min_free_bytes=0)) as outbox:
        for lane, count in script:
            put(outbox, lane, count, first)
            first += count
        assert_all_is_accounted_for(outbox)
        usage = outbox._writer.usage
        assert usage == outbox._store.usage()


@given(st.sets(st.integers(1, 60)))
def test_spans_are_the_numbers(seqs: set[int]) -> None:
    spans = spans_of(sorted(seqs))
    assert [n for s in spans for n in range(s.first, s.last + 1)] == sorted(seqs)
    assert all(b.first > a.last + 1 for a, b in itertools.pairwise(spans))


def test_a_forged_receipt_is_told_for_a_while_and_then_only_counted(bench: Bench) -> None:
    with bench.open() as outbox:
        put(outbox, Lane.EVIDENCE, 1)
        with pytest.raises(EnvelopeError):
            outbox.apply_receipt(b"forged")
        assert outbox.stats().lately == {Trouble.STRANGE_RECEIPT}
        bench.clock.advance(599_000_000)
        assert outbox.stats().lately == {Trouble.STRANGE_RECEIPT}
        bench.clock.advance(1_000_000)
        assert outbox.stats().lately == set()
        assert outbox.stats().receipts_refused == 1
