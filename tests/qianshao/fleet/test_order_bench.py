"""Orders over a real broker to a few stations: receipts, who is pending, who comes back."""

from __future__ import annotations

import pytest

from qianshao.bench_orders import measure, p95


@pytest.mark.slow
def test_an_order_reaches_the_stations_and_the_one_that_was_away() -> None:
    figures = measure(atms=6, away=1, processes=1)
    assert (len(figures.stop_s), len(figures.release_s)) == (6, 7)
    assert figures.pending == figures.away == ("atm-0007",)
    assert all(took_s > 0 for took_s in (*figures.stop_s, *figures.release_s, *figures.back_s))


def test_the_95th_of_a_hundred() -> None:
    assert p95([float(n) for n in range(1, 101)]) == 95.0
    assert p95([1.0]) == 1.0
