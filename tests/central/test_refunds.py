"""Refunds: nobody more than the loss, and nothing lost between the fen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.refunds import Claim, Method, refund
from contract.clock import UnixMicros


def claim(victim: str, loss_fen: int, at: int = 0) -> Claim:
    return Claim(victim, loss_fen, UnixMicros(at))


def test_three_victims_share_to_the_fen() -> None:
    found = refund(10_000, [claim("a", 10_000), claim("b", 10_000), claim("c", 10_000)])
    assert (found.method, found.needs_notice) == (Method.PRO_RATA, True)
    assert found.shares == (("a", 3334), ("b", 3333), ("c", 3333))


def test_a_single_victim_and_a_full_account_are_direct() -> None:
    assert refund(500, [claim("a", 700)]).shares == (("a", 500),)
    found = refund(1000, [claim("a", 300), claim("b", 200)])
    assert (found.method, found.left_fen, found.needs_notice) == (Method.DIRECT, 500, False)


def test_by_time_what_came_last_is_still_there() -> None:
    found = refund(500, [claim("a", 400, 1), claim("b", 300, 2)], traced=True)
    assert (found.method, found.shares) == (Method.BY_TIME, (("a", 200), ("b", 300)))


@given(
    st.integers(0, 10**12),
    st.lists(st.integers(1, 10**12), min_size=1, max_size=8),
    st.booleans(),
)
def test_shares_add_up_and_nobody_gets_more_than_the_loss(
    held: int, losses: list[int], traced: bool
) -> None:
    claims = [claim(str(n), loss, n) for n, loss in enumerate(losses)]
    found = refund(held, claims, traced=traced)
    assert sum(amount for _, amount in found.shares) + found.left_fen == held
    assert found.left_fen == max(0, held - sum(losses))
    for (_, amount), one in zip(found.shares, claims, strict=True):
        assert 0 <= amount <= one.loss_fen
        if found.method is Method.PRO_RATA:
            assert abs(amount * sum(losses) - held * one.loss_fen) < sum(losses)


def test_a_doubled_claim_is_refused() -> None:
    with pytest.raises(ValueError, match="claims once"):
        refund(5, [claim("a", 3), claim("a", 3)])
