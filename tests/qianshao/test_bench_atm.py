"""The bench of the ATM decides for real; its figures are printed by ``qianshao bench atm``."""

from __future__ import annotations

from contract.words import OrderType
from qianshao.bench_atm import measure
from qianshao.bench_atm_orders import measure_orders


def test_it_measures_decisions_that_end_in_allow() -> None:
    found = measure(accounts=10_000, decisions=2)
    assert 0 < found.policy_p95_ms < found.decision_p95_ms


def test_stop_and_release_are_enforced_within_a_second_alike() -> None:
    found = {one.type: one.took_ms for one in measure_orders(rounds=5)}
    assert list(found) == [
        OrderType.STOP_PAYMENT,
        OrderType.RELEASE_STOP,
        OrderType.FREEZE,
        OrderType.RELEASE_FREEZE,
    ]
    assert all(max(took_ms) < 1000 for took_ms in found.values()), found
