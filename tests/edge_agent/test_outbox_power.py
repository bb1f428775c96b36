"""Power cuts: what the disk may hold at any moment, reopened; and memory with a long backlog."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract import Detection
from contract.topics import Lane, receipts
from mqtt_bridge.intake import Intake
from mqtt_bridge.testing import HostileBroker
from tests.edge_agent.outboxes import (
    DEVICE,
    NOON,
    TENANT,
    Bench,
    numbered_detection,
    opened,
    receipt_bytes,
    rows_of,
)

ROOT = Path(__file__).parents[2]
WAL_HEADER, FRAME_HEADER = 32, 24
BACKLOG = 1_000_000
MEGABYTE = 1024 * 1024


def read_now(pipe: int) -> bytes:
    data = b""
    while select.select([pipe], [], [], 0.0)[0]:
        data += os.read(pipe, 65536)
    return data


def frames_of(wal: bytes) -> list[tuple[int, int, bool]]:
    """(end of the frame, page, whether it ends a transaction), SQLite file format section 4.1."""
    if len(wal) < WAL_HEADER:
        return []
    page_bytes, salts, found = struct.unpack_from(">I", wal, 8)[0], wal[16:24], []
    for at in range(
        WAL_HEADER, len(wal) - page_bytes - FRAME_HEADER + 1, page_bytes + FRAME_HEADER
    ):
        page, commit = struct.unpack_from(">II", wal, at)
        if wal[at + 8 : at + 16] != salts:
            break  # left over from before the log was begun anew
        found.append((at + FRAME_HEADER + page_bytes, page, commit != 0))
    return found


def last_seq_if_cut(folder: Path, scratch: Path, end: int) -> int:
    copy_of(folder, scratch)
    wal = scratch / "outbox.db-wal"
    os.truncate(wal, end)
    with sqlite3.connect(scratch / "outbox.db") as db:
        ((last,),) = db.execute("SELECT last_seq FROM chain")
    db.close()
    return int(last)


def copy_of(folder: Path, scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(folder, scratch, ignore=shutil.ignore_patterns("*-shm"))


def promised_end(folder: Path, scratch: Path, top: int) -> int:
    """End of the log that the disk must have: the commit of the newest durable message."""
    ends = [
        end for end, _, is_commit in frames_of((folder / "outbox.db-wal").read_bytes()) if is_commit
    ]
    low, high = 0, len(ends)
    while low < high:  # the first commit that holds it
        middle = (low + high) // 2
        is_in = last_seq_if_cut(folder, scratch, ends[middle]) >= top
        low, high = (low, middle) if is_in else (middle + 1, high)
    return ends[low] if low < len(ends) else WAL_HEADER


def check_reopened(folder: Path, durable: dict[int, int]) -> None:
    with Bench(folder).open() as outbox:
        assert outbox.opening.quarantined is None
        rows = {row.seq: opened(row).body for row in rows_of(outbox)}
        for seq, number in durable.items():
            detection = rows[seq]
            assert isinstance(detection, Detection)
            assert detection.detection_id == numbered_detection(number).detection_id


def test_a_power_cut_at_any_moment_loses_nothing_that_was_called_durable(tmp_path: Path) -> None:
    """Stopped in mid-write: the log's unsynced tail is lost or garbage, pages are half written."""
    chance, store, scratch = random.Random(4), tmp_path / "store", tmp_path / "cut"
    store.mkdir()
    producer = subprocess.Popen(
        [sys.executable, "-m", "tests.edge_agent.crash_producer", str(store), "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert producer.stdout is not None
    said, snapshots = b"", []
    try:
        said += os.read(producer.stdout.fileno(), 65536)  # it has begun
        for number in range(6):
            time.sleep(chance.uniform(0.02, 0.3))
            os.kill(producer.pid, signal.SIGSTOP)
            time.sleep(0.02)
            said += read_now(producer.stdout.fileno())
            folder = tmp_path / f"snapshot-{number}"
            copy_of(store, folder)
            snapshots.append((folder, said.rpartition(b"\n")[0]))
            os.kill(producer.pid, signal.SIGCONT)
    finally:
        producer.kill()
        producer.stdout.close()
        producer.wait(30)
    for folder, words in snapshots:
        durable = {int(s): int(n) for s, n in (line.split() for line in words.decode().split("\n"))}
        least = promised_end(folder, scratch, max(durable))
        wal = (folder / "outbox.db-wal").read_bytes()
        covered = {page for end, page, _ in frames_of(wal) if end <= least} - {1}
        for _ in range(4):
            copy_of(folder, scratch)
            cut = chance.randint(least, len(wal))
            tail = (
                bytes(len(wal) - cut) if chance.random() < 0.5 else chance.randbytes(len(wal) - cut)
            )
            (scratch / "outbox.db-wal").write_bytes(
                wal[:cut] + (tail if chance.random() < 0.7 else b"")
            )
            with (scratch / "outbox.db").open("r+b") as file:
                for page in chance.sample(sorted(covered), min(3, len(covered))):
                    file.seek((page - 1) * 4096 + 2048)  # half a page of an unfinished checkpoint
                    file.write(chance.randbytes(2048))
            check_reopened(scratch, durable)


def fill_directly(bench: Bench, count: int) -> None:
    """A backlog without the hours that signing takes: memory does not look at what a row says."""
    bench.open().close()
    with sqlite3.connect(bench.path) as db:
        lanes = [lane.value for lane in Lane]
        rows = (
            (seq, lanes[seq % 4], seq.to_bytes(32, "big"), NOON, seq.to_bytes(500, "big"))
            for seq in range(1, count + 1)
        )
        db.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("UPDATE chain SET last_seq = ?", (count,))
    db.close()
    (bench.folder / "seq.floor").write_text(f"{count}\n")


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_memory_stays_flat_with_a_million_messages_waiting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_directly(Bench(tmp_path), BACKLOG)
    broker = HostileBroker()
    intake = Intake(broker.address, TENANT, client_id="central-1")
    intake.start()
    probe = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.edge_agent.memory_probe",
            str(tmp_path),
            str(broker.address.port),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert probe.stdout is not None
    figures: list[tuple[int, int]] = []  # (waiting, resident bytes) once a second
    topic, told = receipts(TENANT, DEVICE), time.monotonic()
    came: set[int] = set()
    try:
        while len(figures) < 90:
            for delivery in intake.batch(2000, 0.05):
                if "/up/" in delivery.topic:
                    came.add(int.from_bytes(delivery.payload, "big"))
                delivery.ack()
            broker.published.clear()
            if came and time.monotonic() - told > 1.0:
                named = sorted(came)[:1900]
                intake.publish(topic, receipt_bytes(ranges=[(seq, seq) for seq in named]))
                came.difference_update(named)
                told = time.monotonic()
            while select.select([probe.stdout], [], [], 0.0)[0]:
                words = probe.stdout.readline().split()
                if len(words) == 2:  # the others are log lines
                    figures.append((int(words[0]), int(words[1])))
    finally:
        probe.kill()
        probe.stdout.close()
        probe.wait(30)
        intake.stop()
        broker.close()
    settled = [resident for _, resident in figures[15:]]
    spread_mb = (max(settled) - min(settled)) / MEGABYTE
    with capsys.disabled():
        print(
            f"\nbacklog {figures[0][0]} to {figures[-1][0]}: resident "
            f"{min(settled) / MEGABYTE:.1f} to {max(settled) / MEGABYTE:.1f} MB"
        )
    assert figures[0][0] > BACKLOG * 0.99
    assert figures[-1][0] < figures[0][0] - 5000
    assert spread_mb <= 10  # five to either side
