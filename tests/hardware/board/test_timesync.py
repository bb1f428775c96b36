"""Clock comparison: the true time lies within the stated error."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hardware.board.timesync import Exchange, TimeSync


def exchanges(seed: int, ppm: float, offset: int, count: int, apart_s: float) -> list[Exchange]:
    """Of a board whose clock runs ``ppm`` too fast, over a line with uneven delays."""
    rng = random.Random(seed)
    made = []
    for i in range(count):
        sent = round(i * apart_s * 1e6) + 1_000_000
        there, back = (round(rng.expovariate(1 / 400) + 50) for _ in range(2))
        received = sent + there
        replied = received + 100
        board = [round((t - offset) * (1 + ppm * 1e-6)) for t in (received, replied)]
        made.append(Exchange(sent, board[0], board[1], replied + back))
    return made


@given(
    st.integers(0, 10**6), st.floats(-40, 40), st.integers(-(10**9), 900_000), st.integers(1, 40)
)
def test_the_truth_lies_within_the_error(seed: int, ppm: float, offset: int, count: int) -> None:
    sync = TimeSync()
    for exchange in exchanges(seed, ppm, offset, count, 10.0):
        sync.add(exchange)
    for later_s in (0, 5, 60):
        true_us = 1_000_000 + round((count * 10 + later_s) * 1e6)
        board_us = (true_us - offset) * (1 + ppm * 1e-6)
        at = sync.translate(int(board_us // 1000) % (1 << 32))
        assert at is not None
        assert abs(at.at_us - true_us) <= at.error_us
        assert at.error_us < 40_000


def test_nothing_is_said_before_the_first_exchange_or_of_nonsense() -> None:
    sync = TimeSync()
    assert sync.translate(5) is None
    sync.add(Exchange(100, 50, 60, 90))  # received before it was sent
    assert sync.translate(5) is None


def test_milliseconds_across_their_wrap() -> None:
    sync = TimeSync()
    board_us = ((1 << 32) - 10) * 1000
    sync.add(Exchange(5_000_000, board_us, board_us + 10, 5_000_400))
    at = sync.translate(5)  # 15 ms later, wrapped
    assert at is not None
    assert abs(at.at_us - 5_015_000) <= at.error_us
