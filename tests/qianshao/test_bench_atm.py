"""The bench of the ATM decides for real; its figures are printed by ``qianshao bench atm``."""

from __future__ import annotations

from qianshao.bench_atm import measure


def test_it_measures_decisions_that_end_in_allow() -> None:
    found = measure(accounts=10_000, decisions=2)
    assert 0 < found.policy_p95_ms < found.decision_p95_ms
