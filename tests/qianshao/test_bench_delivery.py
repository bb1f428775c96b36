"""The delivery bench does the work that it times: small numbers, nothing judged."""

from __future__ import annotations

from edge_agent.outbox_store import OutboxStore
from qianshao.bench_delivery import PROCESSES, ingest, sustained
from qianshao.bench_enqueue import enqueue_groups, fsync_us, signing, store_groups


def test_groups_and_single_commits_are_timed() -> None:
    ours, peer = enqueue_groups(messages=200, singles=5, runs=1)
    assert ours > 0
    assert peer > 0
    assert fsync_us() > 0
    assert min(store_groups(messages=200, singles=5, runs=1)) > 0
    ours, peer = signing(calls=20, runs=1)
    assert ours > peer > 0


def test_a_slow_disk_is_slow_for_each_commit_and_only_while_it_is_measured() -> None:
    ours, peer = enqueue_groups(messages=200, singles=5, runs=1, slower_s=0.02)
    assert peer > 20_000
    assert 200 < ours < peer / 4
    assert "slower" not in OutboxStore.transaction.__qualname__


def test_a_steady_state_has_a_rate_at_both_ends() -> None:
    way = sustained(seconds=1.0, runs=1)
    ours, peer = way.rate
    assert set(way.cpu_us) == set(PROCESSES)
    assert all(cost > 0 for pair in way.cpu_us.values() for cost in pair)
    assert ours > 0
    assert peer > 0


def test_everything_that_is_ingested_is_stored() -> None:
    ours, peer = ingest(messages=60, runs=1)
    assert 0 < ours < peer * 2
