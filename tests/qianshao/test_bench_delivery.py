"""The delivery bench does the work that it times: small numbers, nothing judged."""

from __future__ import annotations

from qianshao.bench_delivery import enqueue_groups, fsync_us, ingest


def test_groups_and_single_commits_are_timed() -> None:
    ours, peer = enqueue_groups(messages=200, singles=5, runs=1)
    assert ours > 0
    assert peer > 0
    assert fsync_us() > 0


def test_everything_that_is_ingested_is_stored() -> None:
    ours, peer = ingest(messages=60, runs=1)
    assert 0 < ours < peer * 2
