"""The outbox: durable, chained, deduplicated, bounded; only a true receipt deletes."""

from __future__ import annotations

import math
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import EnvelopeError, Refusal
from contract.codec import MAX_MESSAGE_BYTES
from contract.envelope import message_digest
from contract.keys import Algorithm, KeySigner
from contract.topics import Lane
from edge_agent import outbox as outbox_module
from edge_agent import outbox_writer
from edge_agent.outbox import (
    MessageRefusedError,
    OutboxClosedError,
    OutboxError,
    OutboxFullError,
    Quota,
    ReceiptMismatchError,
)
from edge_agent.outbox_store import _marked
from mqtt_bridge.ports import OutboxPort, OutboxRow
from tests.edge_agent.outboxes import (
    CENTRAL_KEY,
    Bench,
    a_health,
    assert_chained,
    fill,
    finds,
    numbered_detection,
    opened,
    receipt_bytes,
    rows_of,
)
from tests.samples import ED25519, P256


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- putting -----------------------------------------------------------------------------------


def test_a_put_message_is_durable_signed_and_numbered_from_one(bench: Bench) -> None:
    with bench.open() as outbox:
        port: OutboxPort = outbox
        enqueued = outbox.put(a_health(7), Lane.HEALTH).result(30)
        (row,) = port.lane_rows(Lane.HEALTH, 0, port.top_seq(), 10)
    assert (enqueued.seq, enqueued.is_known) == (1, False)
    envelope = opened(row)
    assert (row.seq, row.lane, envelope.body) == (1, Lane.HEALTH, a_health(7))
    assert envelope.payload.wall == bench.clock.wall()


def test_the_chain_goes_on_over_restarts(bench: Bench) -> None:
    for first in (0, 50, 100):
        with bench.open() as outbox:
            fill(outbox, 50, first)
    with bench.open() as outbox:
        rows = rows_of(outbox)
    assert len(rows) == 150
    assert_chained(rows)


def test_a_detection_is_enqueued_once_even_after_its_receipt_and_a_restart(bench: Bench) -> None:
    with bench.open() as outbox:
        first, twin = outbox.put_many([(numbered_detection(1), Lane.EVIDENCE)] * 2)
        assert (first.result(30).is_known, twin.result(30).is_known) == (False, True)
        outbox.apply_receipt(receipt_bytes(1, message_digest(rows_of(outbox)[0].cose)))
    with bench.open() as outbox:
        again = outbox.put(numbered_detection(1), Lane.EVIDENCE).result(30)
        revised = outbox.put(numbered_detection(1, revision=1), Lane.EVIDENCE).result(30)
        assert (again.seq, again.is_known) == (1, True)
        assert (revised.seq, revised.is_known) == (2, False)
        assert [row.seq for row in rows_of(outbox)] == [2]
        assert outbox.stats().known == 1


def test_an_id_is_forgotten_after_thirty_days(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 1)
        bench.clock.advance(31 * 24 * 3600 * 1_000_000)
        outbox.put(a_health(), Lane.HEALTH).result(30)
        outbox.put(a_health(), Lane.HEALTH).result(30)  # the pruning after the first is over
        assert fill(outbox, 1) == [4]


def test_messages_that_look_alike_but_do_not_derive_from_content_all_count(bench: Bench) -> None:
    with bench.open() as outbox:
        seqs = [outbox.put(a_health(), Lane.HEALTH).result(30).seq for _ in range(3)]
    assert seqs == [1, 2, 3]


def test_many_threads_put_at_once_and_the_chain_stays_one(bench: Bench) -> None:
    with bench.open() as outbox:
        seqs: list[int] = []

        def produce(first: int) -> None:
            seqs.extend(fill(outbox, 50, first))

        threads = [threading.Thread(target=produce, args=(n * 50,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seqs) == list(range(1, 401))
        assert_chained(rows_of(outbox))


def test_a_body_that_cannot_be_a_message_is_refused_and_its_neighbours_are_not(
    bench: Bench,
) -> None:
    too_large = numbered_detection(2, track_id="x" * MAX_MESSAGE_BYTES)
    bad = [
        numbered_detection(3, score=math.nan),
        numbered_detection(4, revision=2**70),
        numbered_detection(5, sensor=None),
        too_large,
    ]
    with bench.open() as outbox:
        messages = [numbered_detection(1), *bad, numbered_detection(6)]
        futures = outbox.put_many([(body, Lane.EVIDENCE) for body in messages])
        assert [futures[0].result(30).seq, futures[-1].result(30).seq] == [1, 2]
        for future in futures[1:-1]:
            assert isinstance(future.exception(10), MessageRefusedError)
        assert_chained(rows_of(outbox))
        assert outbox.stats().refused[Lane.EVIDENCE] == len(bad)


class BrokenSigner:
    """A chip that does not answer."""

    algorithm = Algorithm.EDDSA
    kid = bytes(32)

    def sign(self, data: bytes) -> bytes:
        raise RuntimeError("TPM is gone")


def test_a_failing_signer_fails_the_put_and_leaves_the_store_alone(bench: Bench) -> None:
    with bench.open(signer=BrokenSigner()) as outbox:
        for _ in range(2):  # the writer lives on
            with pytest.raises(OutboxError, match="TPM is gone"):
                outbox.put(numbered_detection(1), Lane.EVIDENCE).result(30)
    with bench.open() as outbox:
        assert fill(outbox, 1, first=1) == [1]


def test_a_waiting_caller_that_gives_up_does_not_take_its_message_back(bench: Bench) -> None:
    with bench.open() as outbox:
        future = outbox.put(numbered_detection(1), Lane.EVIDENCE)
        assert not future.cancel()
        assert future.result(30).seq == 1


def test_closing_writes_what_was_handed_over_and_refuses_what_comes_later(bench: Bench) -> None:
    outbox = bench.open()
    futures = outbox.put_many([(numbered_detection(n), Lane.EVIDENCE) for n in range(250)])
    outbox.close()
    outbox.close()
    assert [future.result(0).seq for future in futures] == list(range(1, 251))
    assert isinstance(outbox.put(a_health(), Lane.HEALTH).exception(0), OutboxClosedError)
    for call in (lambda: rows_of(outbox), outbox.stats, lambda: outbox.apply_receipt(b"")):
        with pytest.raises((OutboxClosedError, EnvelopeError)):
            call()
    with pytest.raises(OutboxClosedError):
        outbox.apply_receipt(receipt_bytes())


# -- being told --------------------------------------------------------------------------------


def test_who_asked_is_told_once_a_row_can_be_read(bench: Bench) -> None:
    told: queue.Queue[int] = queue.Queue()
    with bench.open() as outbox:
        fill(outbox, 1)
        outbox.tell_of_rows(lambda: told.put(outbox.top_seq()))
        fill(outbox, 1, first=1)
        assert told.get(timeout=30) == 2
        outbox.apply_receipt(receipt_bytes(2, message_digest(rows_of(outbox)[1].cose)))
        assert told.empty()  # what is gone is no news
        fill(outbox, 1, first=2)
        assert told.get(timeout=30) == 3
        outbox.tell_of_rows(None)
        fill(outbox, 1, first=3)
        assert told.empty()


# -- receipts ----------------------------------------------------------------------------------


def test_a_receipt_deletes_what_it_covers_and_is_kept(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 10)
        raw = receipt_bytes(6, message_digest(rows_of(outbox)[5].cose))
        assert outbox.apply_receipt(raw) == 6
        assert [row.seq for row in rows_of(outbox)] == [7, 8, 9, 10]
        assert outbox.apply_receipt(raw) == 0  # a replay
        stats = outbox.stats()
    assert (stats.depth, stats.receipted, stats.last_seq, stats.mismatches) == (4, 6, 10, 0)
    with bench.open() as outbox:
        assert outbox.last_receipt() == raw
        assert len(rows_of(outbox)) == 4
        assert outbox.stats().depth == 4


def test_ranges_delete_beyond_a_hole_and_the_prefix_may_later_end_in_one(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 10)
        heads = [message_digest(row.cose) for row in rows_of(outbox)]
        beyond = receipt_bytes(2, heads[1], [(4, 5), (8, 10)])
        assert outbox.apply_receipt(beyond) == 7
        assert [row.seq for row in rows_of(outbox)] == [3, 6, 7]
        with pytest.raises(ReceiptMismatchError):
            outbox.apply_receipt(receipt_bytes(5, heads[5]))  # deleted, its hash is remembered
        assert outbox.apply_receipt(receipt_bytes(5, heads[4])) == 1
        assert outbox.apply_receipt(beyond) == 0  # older: harmless
        assert outbox.apply_receipt(receipt_bytes(10, heads[9])) == 2
        assert outbox.stats().depth == 0
        assert outbox.stats().size_bytes == 0


def test_ranges_alone_delete_when_the_first_message_is_missing(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 3)
        assert outbox.apply_receipt(receipt_bytes(ranges=[(2, 3)])) == 2
        assert [row.seq for row in rows_of(outbox)] == [1]


def test_a_receipt_that_contradicts_the_chain_deletes_nothing(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 5)
        heads = [message_digest(row.cose) for row in rows_of(outbox)]
        contradictions = [
            receipt_bytes(3, heads[3]),  # the hash of another message
            receipt_bytes(3, b""),
            receipt_bytes(6, heads[4]),  # beyond the last message
            receipt_bytes(0, heads[0]),
            receipt_bytes(-1, heads[0]),
            receipt_bytes(2, heads[1], [(4, 6)]),
            receipt_bytes(2, heads[1], [(5, 4)]),
            receipt_bytes(2, heads[1], [(0, 4)]),
            receipt_bytes(2, heads[1], [(4, 2**62)]),  # numbers that were never sent
            receipt_bytes(2, heads[1], [(4, 2**63 - 1)]),
            receipt_bytes(2**63 - 1, heads[4]),
        ]
        for raw in contradictions:
            with pytest.raises(ReceiptMismatchError) as caught:
                outbox.apply_receipt(raw)
            assert caught.value.refusal is Refusal.BROKEN_CHAIN
        assert outbox.stats().mismatches == len(contradictions)
        assert len(rows_of(outbox)) == 5
        assert outbox.last_receipt() is None


def test_only_the_centrals_own_receipt_for_this_device_counts(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 1)
        head = message_digest(rows_of(outbox)[0].cose)
        forged = [
            receipt_bytes(1, head, key=ED25519),
            receipt_bytes(1, head, key=P256),
            receipt_bytes(1, head, sender="van-1"),
            receipt_bytes(1, head, device="van-2"),
            receipt_bytes(1, head, tenant="other"),
            receipt_bytes(body=a_health()),
        ]
        for raw in forged:
            with pytest.raises(EnvelopeError):
                outbox.apply_receipt(raw)
        assert len(rows_of(outbox)) == 1
        stats = outbox.stats()
        assert (stats.receipts_refused, stats.mismatches) == (len(forged), 0)


def test_a_devices_own_key_does_not_receipt_even_if_the_look_up_knows_it(bench: Bench) -> None:
    with bench.open(central_keys=finds(ED25519, "van-1")) as outbox:
        fill(outbox, 1)
        head = message_digest(rows_of(outbox)[0].cose)
        with pytest.raises(EnvelopeError) as caught:
            outbox.apply_receipt(receipt_bytes(1, head, key=ED25519, sender="van-1"))
        assert caught.value.refusal is Refusal.WRONG_SENDER


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_no_damaged_bytes_ever_delete_anything(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    with Bench(tmp_path_factory.mktemp("fuzz")).open() as outbox:
        fill(outbox, 3)
        good = receipt_bytes(2, message_digest(rows_of(outbox)[1].cose))
        position = data.draw(st.integers(0, len(good) - 1))
        flipped = bytearray(good)
        flipped[position] ^= data.draw(st.integers(1, 255))
        for raw in (bytes(flipped), good[:position], good + b"\0", data.draw(st.binary())):
            with pytest.raises(EnvelopeError):
                outbox.apply_receipt(raw)
        assert len(rows_of(outbox)) == 3


@given(
    up_to=st.integers(-2, 14),
    head_of=st.integers(1, 10),
    ranges=st.lists(st.tuples(st.integers(-1, 13), st.integers(-1, 13)), max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_any_signed_receipt_deletes_just_what_it_says_or_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    up_to: int,
    head_of: int,
    ranges: list[tuple[int, int]],
) -> None:
    with Bench(tmp_path_factory.mktemp("model")).open() as outbox:
        fill(outbox, 10)
        head = b"" if up_to == 0 else message_digest(rows_of(outbox)[head_of - 1].cose)
        is_true = up_to in {0, head_of} and all(1 <= a <= b <= 10 for a, b in ranges)
        covered = {seq for a, b in [(1, up_to), *ranges] for seq in range(a, b + 1)}
        expected = set(range(1, 11)) - (covered if is_true else set())
        try:
            gone = outbox.apply_receipt(receipt_bytes(up_to, head, ranges))
            assert is_true
            assert gone == 10 - len(expected)
        except ReceiptMismatchError:
            assert not is_true
        assert {row.seq for row in rows_of(outbox)} == expected


def test_receipts_are_kept_but_not_without_end(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 50)
        for row in rows_of(outbox):
            outbox.apply_receipt(receipt_bytes(row.seq, message_digest(row.cose)))
    with sqlite3.connect(bench.path) as db:
        ((count, newest),) = db.execute("SELECT count(*), max(up_to) FROM receipts")
    db.close()
    assert (count, newest) == (32, 50)


# -- limits ------------------------------------------------------------------------------------


def test_a_full_file_refuses_and_takes_messages_again_after_a_receipt(bench: Bench) -> None:
    with bench.open(quota=Quota(max_file_bytes=200_000, min_free_bytes=0)) as outbox:
        futures = [
            future
            for n in range(0, 1000, 10)
            for future in outbox.put_many(
                [(numbered_detection(m), Lane.EVIDENCE) for m in range(n, n + 10)]
            )
        ]
        errors = [future.exception(10) for future in futures]
        refused = [error for error in errors if error is not None]
        assert refused
        assert all(isinstance(error, OutboxFullError) for error in refused)
        rows = rows_of(outbox)
        assert len(rows) == len(futures) - len(refused)
        assert_chained(rows)
        assert outbox.stats().refused[Lane.EVIDENCE] == len(refused)
        half = rows[len(rows) // 2]
        assert outbox.apply_receipt(receipt_bytes(half.seq, message_digest(half.cose))) == half.seq
        assert fill(outbox, 10, first=5000) == list(range(len(rows) + 1, len(rows) + 11))
        assert_chained(rows_of(outbox), message_digest(half.cose), half.seq + 1)


def test_a_full_file_still_takes_a_receipt_with_ranges(bench: Bench) -> None:
    with bench.open(quota=Quota(max_file_bytes=200_000, min_free_bytes=0)) as outbox:
        futures = [outbox.put(numbered_detection(n), Lane.EVIDENCE) for n in range(1000)]
        kept = sum(future.exception(10) is None for future in futures)
        assert outbox.apply_receipt(receipt_bytes(ranges=[(2, kept)])) == kept - 1
        assert fill(outbox, 5, first=5000) == list(range(kept + 1, kept + 6))


def test_bytes_are_a_limit_too(bench: Bench) -> None:
    with bench.open(quota=Quota(max_bytes=2000, min_free_bytes=0)) as outbox:
        futures = [outbox.put(numbered_detection(n), Lane.EVIDENCE) for n in range(20)]
        taken = sum(future.exception(10) is None for future in futures)
        stats = outbox.stats()
    assert 2 <= taken < 20
    assert stats.size_bytes == sum(len(row.cose) for row in rows_after_reopening(bench)) <= 2000


def rows_after_reopening(bench: Bench) -> list[OutboxRow]:
    with bench.open() as outbox:
        return list(rows_of(outbox))


def test_no_message_takes_the_last_space_of_the_disk_but_receipts_go_through(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 3)
    with bench.open(quota=Quota(min_free_bytes=2**62)) as outbox:
        error = outbox.put(numbered_detection(9), Lane.EVIDENCE).exception(10)
        assert isinstance(error, OutboxFullError)
        assert "free on the disk" in str(error)
        assert outbox.apply_receipt(receipt_bytes(ranges=[(1, 3)])) == 3


# -- reports and other people's files -------------------------------------------------------------


def test_stats_tell_depth_age_and_size(bench: Bench) -> None:
    with bench.open() as outbox:
        assert outbox.stats().oldest_age_s is None
        fill(outbox, 2)
        bench.clock.advance(90_000_000)
        fill(outbox, 1, first=2)
        stats = outbox.stats()
        sizes = sum(len(row.cose) for row in rows_of(outbox))
    assert (stats.depth, stats.oldest_age_s, stats.size_bytes) == (3, 90.0, sizes)
    assert (stats.enqueued, stats.last_seq, stats.receipted) == (3, 3, 0)
    assert stats.file_bytes > sizes
    assert stats.counters()["refused_evt"] == 0


def test_an_outbox_of_another_device_or_another_program_is_left_alone(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 1)
    with pytest.raises(OutboxError, match="belongs to van-1 of demo, not to van-2"):
        bench.open(device="van-2")
    other = Bench(bench.folder / "other")
    other.folder.mkdir()
    with sqlite3.connect(other.path) as db:
        db.execute("CREATE TABLE diary (day)")
    db.close()
    before = other.path.read_bytes()
    with pytest.raises(OutboxError, match="not an outbox"):
        other.open()
    assert other.path.read_bytes() == before


def test_a_store_of_a_newer_version_is_not_touched(bench: Bench) -> None:
    bench.open().close()
    with sqlite3.connect(bench.path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(OutboxError, match="schema version 99"):
        bench.open()


def test_a_chip_with_another_algorithm_signs_the_same_chain(bench: Bench) -> None:
    with bench.open(signer=KeySigner(P256)) as outbox:
        fill(outbox, 1)
    with bench.open(signer=KeySigner(CENTRAL_KEY)) as outbox:
        fill(outbox, 1, first=1)
        first, second = rows_of(outbox)
    assert message_digest(first.cose) in second.cose


def test_rows_are_read_lane_by_lane_and_those_that_wait_are_told(bench: Bench) -> None:
    lanes = [Lane.HEALTH, Lane.EVIDENCE, Lane.HEALTH, Lane.EVIDENCE]
    with bench.open() as outbox:
        for number, lane in enumerate(lanes):
            outbox.put(numbered_detection(number), lane).result(30)
        heads = [message_digest(row.cose) for row in rows_of(outbox)]
        assert [r.seq for r in outbox.lane_rows(Lane.HEALTH, 0, 4, 10)] == [1, 3]
        assert [r.seq for r in outbox.lane_rows(Lane.HEALTH, 1, 4, 10)] == [3]
        assert [r.seq for r in outbox.lane_rows(Lane.EVIDENCE, 0, 3, 10)] == [2]
        assert [r.seq for r in outbox.lane_rows(Lane.EVIDENCE, 0, 4, 1)] == [2]
        assert outbox.top_seq() == 4
        outbox.apply_receipt(receipt_bytes(1, heads[0], [(3, 3)]))
        assert outbox.held(range(5000)) == {2, 4}


# -- the writer's thread -------------------------------------------------------------------------


class _BrokenLog:
    """A log whose disk is full."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        return fail


@pytest.mark.timeout(30)
def test_a_log_that_fails_hangs_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with bench.open(quota=Quota(max_rows=40)) as outbox:
        for module in (outbox_module, outbox_writer):
            monkeypatch.setattr(module._log, "_log", _BrokenLog())
        fill(outbox, 3)
        contradiction = receipt_bytes(up_to=3, head=bytes(32))
        with pytest.raises(ReceiptMismatchError):
            outbox.apply_receipt(contradiction)
        for number in range(35):  # at quota older telemetry is dropped, which the log is told
            outbox.put(numbered_detection(100 + number), Lane.TELEMETRY).result(30)
        assert sum(outbox.stats().dropped.values()) > 0
        assert outbox.put(a_health(), Lane.EVIDENCE).result(30).seq == outbox.stats().last_seq


@pytest.mark.timeout(30)
def test_whatever_fails_in_the_writers_thread_is_told_to_who_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.open() as outbox:

        def fail() -> None:
            raise RuntimeError("a defect")

        with monkeypatch.context() as patch:
            patch.setattr(outbox, "_show_writer", fail)
            with pytest.raises(OutboxError, match="a defect"):
                outbox.put(a_health(), Lane.HEALTH).result(30)
        assert outbox.put(a_health(2), Lane.HEALTH).result(30).seq == 2, "the thread lives on"


@given(st.lists(st.integers(0, 2**40), max_size=70))
def test_marks_of_a_statement_come_in_few_counts(values: list[int]) -> None:
    """A prepared statement is kept for each text: a text for each count took megabytes."""
    marks, filled = _marked(values)
    count = marks.count("?")
    assert count == len(filled)
    assert count & (count - 1) == 0
    assert len(values) <= count <= max(1, 2 * len(values))
    assert filled[: len(values)] == values
    assert set(filled[len(values) :]) <= {None}
