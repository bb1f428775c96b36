"""Power and processes fail, files rot: what was durable stays, no number is used twice."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from contract import Detection
from contract.envelope import NO_PREVIOUS, message_digest
from contract.topics import Lane
from edge_agent.outbox import OutboxError, ReceiptMismatchError, SeqFloorError
from edge_agent.seq_floor import BLOCK
from mqtt_bridge.ports import OutboxRow
from tests.edge_agent.outboxes import (
    Bench,
    assert_chained,
    fill,
    numbered_detection,
    opened,
    receipt_bytes,
    rows_of,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def floor_of(bench: Bench) -> int:
    return int((bench.folder / "seq.floor").read_text())


# -- kill -9 -----------------------------------------------------------------------------------


def durable_until_killed(folder: Path, first: int, after_s: float) -> dict[int, int]:
    """Run the producer, kill it, and return seq -> number of what it called durable."""
    producer = subprocess.Popen(
        [sys.executable, "-m", "tests.edge_agent.crash_producer", str(folder), str(first)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert producer.stdout is not None
    with producer.stdout as pipe:
        head = pipe.readline()  # it has begun
        time.sleep(after_s)
        producer.kill()
        lines = (head + pipe.read()).decode().split("\n")[:-1]  # the last one may be torn
    assert producer.wait(30) == -9
    return {int(seq): int(number) for seq, number in (line.split() for line in lines)}


def test_kill_9_loses_nothing_durable_and_reuses_no_number(bench: Bench) -> None:
    chance = random.Random(20)
    head, below = NO_PREVIOUS, 0
    for run in range(4):
        durable = durable_until_killed(bench.folder, run * 1_000_000, chance.uniform(0.02, 0.3))
        assert durable
        with bench.open() as outbox:
            rows = rows_of(outbox)
            assert_chained(rows, head, below + 1)
            detections = {row.seq: opened(row).body for row in rows}
            for seq, number in durable.items():
                detection = detections[seq]
                assert isinstance(detection, Detection)
                assert detection.detection_id == numbered_detection(number).detection_id
            middle = rows[len(rows) // 2]  # the next run goes on over a receipted prefix
            head, below = message_digest(middle.cose), middle.seq
            assert outbox.apply_receipt(receipt_bytes(below, head)) > 0
            assert floor_of(bench) >= outbox.stats().last_seq


# -- broken files ------------------------------------------------------------------------------


def overwrite(path: Path, offset: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * size)


def test_a_file_that_is_no_data_base_is_put_aside_and_the_numbers_go_on_above_the_floor(
    bench: Bench,
) -> None:
    with bench.open() as outbox:
        fill(outbox, 5)
    floor = floor_of(bench)
    rubbish = b"no data base at all" * 1000
    bench.path.write_bytes(rubbish)
    with bench.open() as outbox:
        opening = outbox.opening
        assert opening.quarantined is not None
        assert opening.quarantined.read_bytes() == rubbish
        assert "20231114T221320Z" in opening.quarantined.name
        assert (opening.salvaged, opening.new_chain_after) == (0, floor)
        assert outbox.stats().quarantined == opening.quarantined
        assert fill(outbox, 3) == [floor + 1, floor + 2, floor + 3]
        assert_chained(rows_of(outbox), NO_PREVIOUS, floor + 1)
        head = message_digest(rows_of(outbox)[1].cose)
        assert outbox.apply_receipt(receipt_bytes(4, b"\1" * 32, [(floor + 3, floor + 3)])) == 1
        assert outbox.apply_receipt(receipt_bytes(floor + 2, head)) == 2
    with bench.open() as outbox:
        assert outbox.opening.quarantined is None
        assert fill(outbox, 1, first=9) == [floor + 4]


def test_what_can_be_read_of_a_broken_store_still_waits_for_its_receipt(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 400)
        before = {row.seq: row for row in rows_of(outbox)}
    size = bench.path.stat().st_size
    overwrite(bench.path, size // 4096 // 2 * 4096, 4096)
    with bench.open() as outbox:
        after = rows_of(outbox)
        lost = set(before) - {row.seq for row in after}
        assert 0 < len(lost) < 200
        assert all(before[row.seq] == row for row in after)
        assert outbox.opening.salvaged == len(after)
        assert {1, 400} <= {row.seq for row in after}
        # The central received one of the lost ones before: its hash is nobody's to compare.
        known_to_central = max(lost)
        gone = outbox.apply_receipt(
            receipt_bytes(known_to_central, message_digest(before[known_to_central].cose))
        )
        assert gone == known_to_central - len(lost)
        with pytest.raises(ReceiptMismatchError):  # but what is here is compared
            outbox.apply_receipt(receipt_bytes(400, b"\1" * 32))


def test_two_broken_files_in_one_second_are_both_kept(bench: Bench) -> None:
    bench.open().close()
    (bench.folder / "seq.floor").write_text("10")
    for text in ("first" * 1000, "second" * 1000):
        bench.path.write_text(text)
        bench.open().close()
    kept = sorted(path.read_text()[:5] for path in bench.folder.glob("outbox.db.broken-*"))
    assert kept == ["first", "secon"]


def test_a_lost_file_does_not_make_the_numbers_begin_again(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 2)
    bench.path.unlink()
    floor = floor_of(bench)
    with bench.open() as outbox:
        assert outbox.opening.new_chain_after == floor
        assert fill(outbox, 1) == [floor + 1]


def test_without_store_and_floor_nothing_is_moved_and_the_error_says_what_to_do(
    bench: Bench,
) -> None:
    bench.path.write_text("rubbish" * 1000)
    with pytest.raises(SeqFloorError, match="write a number into it"):
        bench.open()
    assert [path.name for path in bench.folder.iterdir()] == ["outbox.db"]
    (bench.folder / "seq.floor").write_text("many")
    with pytest.raises(SeqFloorError, match="does not hold a sequence number"):
        bench.open()


@pytest.mark.parametrize("floor", [None, "", "-5", "9" * 30, "\xff"])
def test_a_sound_store_needs_no_floor_and_writes_it_anew(bench: Bench, floor: str | None) -> None:
    with bench.open() as outbox:
        fill(outbox, 2)
    (bench.folder / "seq.floor").unlink()
    if floor is not None:
        (bench.folder / "seq.floor").write_text(floor)
    with bench.open() as outbox:
        assert fill(outbox, 1, first=2) == [3]
        assert_chained(rows_of(outbox))
    assert floor_of(bench) >= 3


def test_an_old_copy_put_back_does_not_use_its_numbers_again(bench: Bench) -> None:
    with bench.open() as outbox:
        fill(outbox, 2)
    shutil.copy(bench.path, bench.folder / "copy")
    with bench.open() as outbox:
        fill(outbox, BLOCK + 500, first=2)
    shutil.copy(bench.folder / "copy", bench.path)
    floor = floor_of(bench)
    with bench.open() as outbox:
        assert outbox.opening.new_chain_after == floor
        assert fill(outbox, 1, first=9000) == [floor + 1]
        assert [row.seq for row in rows_of(outbox)] == [1, 2, floor + 1]
        assert outbox.apply_receipt(receipt_bytes(700, b"\1" * 32)) == 2


def test_the_floor_always_lies_above_the_numbers_in_use(bench: Bench) -> None:
    with bench.open() as outbox:
        for first in range(0, 2 * BLOCK + 200, 200):
            assert fill(outbox, 200, first)[-1] <= floor_of(bench)


def test_a_folder_that_is_missing_is_a_clear_error(bench: Bench) -> None:
    with pytest.raises(OutboxError, match="cannot be opened"):
        Bench(bench.folder / "nowhere").open()


def test_an_empty_file_after_a_power_cut_is_a_new_store(bench: Bench) -> None:
    bench.path.touch()
    with bench.open() as outbox:
        assert fill(outbox, 1) == [1]


def test_two_processes_on_one_store_never_fork_the_chain(bench: Bench) -> None:
    with bench.open() as one, bench.open() as other:
        for first in range(0, 40, 10):
            fill(one, 5, first)
            fill(other, 5, first + 5)
        rows: Sequence[OutboxRow] = rows_of(one)
    assert len(rows) == 40
    assert_chained(rows)


def rename_table(path: Path, old: str, new: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"ALTER TABLE {old} RENAME TO {new}")
    db.close()


def test_a_store_that_fails_while_it_runs_fails_each_call_and_works_again_later(
    bench: Bench,
) -> None:
    with bench.open() as outbox:
        fill(outbox, 3)
        rename_table(bench.path, "outbox", "gone")
        error = outbox.put(numbered_detection(9), Lane.EVIDENCE).exception(10)
        assert isinstance(error, OutboxError)
        assert isinstance(error.__cause__, sqlite3.Error)
        for call in (
            lambda: outbox.apply_receipt(receipt_bytes()),
            lambda: rows_of(outbox),
            outbox.stats,
        ):
            with pytest.raises(OutboxError, match="outbox"):
                call()
        with pytest.raises(OutboxError, match="outbox"):
            bench.open()
        rename_table(bench.path, "gone", "outbox")
        assert fill(outbox, 1, first=9) == [4]
        assert_chained(rows_of(outbox))
