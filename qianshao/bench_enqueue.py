"""What it costs to make messages durable: in groups and one by one, signed here or before."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract import seal
from contract.clock import SystemClock
from contract.envelope import NO_PREVIOUS, message_digest
from contract.keys import KeySigner
from contract.topics import Lane
from edge_agent.outbox_store import OutboxStore, StoredRow
from qianshao.bench import DELIVERY_RUNS as RUNS
from qianshao.bench_samples import open_outbox, sample_bodies, seal_sample

Pair = tuple[float, float]
"""Ours and the peer's."""

GROUP = 100
SLOW_DISK_S = 0.003
"""What a flush costs on an SD card or a busy disk."""
SLOW_FROM_US = 1000.0
"""A disk whose flush takes less hides what grouping is for."""
_PATIENCE_S = 60.0


def enqueue_groups(
    messages: int = 1000, singles: int = 100, runs: int = RUNS, slower_s: float = 0.0
) -> Pair:
    """Microseconds a message: durably enqueued a hundred together, and each by itself.

    Both through the same outbox, one commit for each hand-over, each waited for. ``slower_s`` is
    slept in every commit, in the place of a disk that takes so much longer.
    """
    ours, peer = [], []
    for run in range(runs):
        with tempfile.TemporaryDirectory() as name, _slower_commits(slower_s):
            outbox = open_outbox(Path(name) / "outbox.sqlite3")
            bodies = sample_bodies(messages + singles, run)
            started = time.perf_counter()
            for first in range(0, messages, GROUP):
                for done in outbox.put_many(bodies[first : first + GROUP]):
                    done.result(_PATIENCE_S)
            middle = time.perf_counter()
            for body, lane in bodies[messages:]:
                outbox.put(body, lane).result(_PATIENCE_S)
            peer.append((time.perf_counter() - middle) / singles * 1e6)
            ours.append((middle - started) / messages * 1e6)
            outbox.close()
    return statistics.median(ours), statistics.median(peer)


def store_groups(messages: int = 1000, singles: int = 100, runs: int = RUNS) -> Pair:
    """The same of messages that are signed already: the store alone, no thread, no signature."""
    ours, peer = [], []
    for run in range(runs):
        rows = _signed_rows(messages + singles, run)
        with tempfile.TemporaryDirectory() as name:
            store = OutboxStore(Path(name) / "outbox.sqlite3")
            with store.transaction():
                store.begin_chain("demo", "van-01", 0)
            started = time.perf_counter()
            for first in range(0, messages, GROUP):
                _store(store, rows[first : first + GROUP])
            middle = time.perf_counter()
            for row in rows[messages:]:
                _store(store, [row])
            peer.append((time.perf_counter() - middle) / singles * 1e6)
            ours.append((middle - started) / messages * 1e6)
            store.close()
    return statistics.median(ours), statistics.median(peer)


def signing(calls: int = 1000, runs: int = RUNS) -> Pair:
    """Microseconds to pack, sign and hash one message; and of its Ed25519 signature alone."""
    key = Ed25519PrivateKey.generate()
    signer, data = KeySigner(key), seal_sample(KeySigner(key))
    ours, peer = [], []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(calls):
            message_digest(seal_sample(signer))
        middle = time.perf_counter()
        for _ in range(calls):
            key.sign(data)
        peer.append((time.perf_counter() - middle) / calls * 1e6)
        ours.append((middle - started) / calls * 1e6)
    return statistics.median(ours), statistics.median(peer)


def fsync_us() -> float:
    """Microseconds that this disk takes to make 4 KiB durable."""
    times = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(50):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


@contextmanager
def _slower_commits(slower_s: float) -> Iterator[None]:
    """Let every transaction of an outbox's store last longer, just before it commits."""
    former = OutboxStore.transaction

    @contextmanager
    def transaction(store: OutboxStore) -> Iterator[None]:
        with former(store):
            yield
            time.sleep(slower_s)

    if slower_s:
        OutboxStore.transaction = transaction  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        OutboxStore.transaction = former  # type: ignore[method-assign]


def _store(store: OutboxStore, rows: list[StoredRow]) -> None:
    with store.transaction():
        store.insert(rows)
        store.remember([(row.digest[:16], row.seq, row.put_at) for row in rows])
        store.set_head(rows[-1].seq, rows[-1].digest)


def _signed_rows(count: int, run: int) -> list[StoredRow]:
    signer, clock, prev, rows = (
        KeySigner(Ed25519PrivateKey.generate()),
        SystemClock(),
        NO_PREVIOUS,
        [],
    )
    for seq, (body, _) in enumerate(sample_bodies(count, run), start=1):
        wall = clock.wall()
        raw = seal(
            body,
            tenant="demo",
            device="van-01",
            boot_id=bytes(16),
            seq=seq,
            wall=wall,
            mono=clock.mono(),
            quality=clock.quality(),
            prev=prev,
            signer=signer,
        )
        prev = message_digest(raw)
        rows.append(StoredRow(seq, Lane.EVIDENCE, prev, wall, raw))
    return rows
