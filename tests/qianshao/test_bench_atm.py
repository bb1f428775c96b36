"""The bench of the ATM decides for real; its figures are printed by ``qianshao bench atm``."""

from __future__ import annotations

from contract.words import OrderType
from qianshao.bench_atm import measure
from qianshao.bench_atm_orders import measure_orders


def test_it_measures_decisions_that_end_in_allow() -> None:
    found = measure(accounts=10_000, decisions=2)
    assert 0 < found.policy_p95_ms < found.decision_p95_ms


def test_each_stop_and_release_is_timed_until_a_decision_would_see_it() -> None:
    found = {one.type: one.took_ms for one in measure_orders(rounds=5)}
    assert list(found) == [
        OrderType.STOP_PAYMENT,
        OrderType.RELEASE_STOP,
        OrderType.FREEZE,
        OrderType.RELEASE_FREEZE,
    ]
    assert all(len(took_ms) == 5 and min(took_ms) > 0 for took_ms in found.values()), found
