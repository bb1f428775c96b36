"""Nothing lost, nothing twice, no broken chain, whatever is killed and whenever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qianshao.logs import configure_logs
from tests.e2e.campaign import HEAD, Outcome, perform, script_of

IN_EVERY_TEST_RUN = (1, 2, 7, 11, 12)
"""Both brokers, each victim, the central there and late."""
IN_SOAK = range(1, 51)


def _judge(outcome: Outcome) -> None:
    assert outcome.is_drained, outcome.line
    assert outcome.landed >= 1, outcome.line
    assert outcome.verdict.is_clean, outcome.line
    assert outcome.verdict.durable == outcome.verdict.stored == 3000, outcome.line


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", IN_EVERY_TEST_RUN)
def test_kill_9_loses_nothing_and_doubles_nothing(
    number: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    script = script_of(number)
    if script.broker == "mosquitto":
        request.getfixturevalue("mosquitto")
    outcome = perform(script, tmp_path / "fleet")
    print(f"{HEAD}\n{outcome.line}")
    _judge(outcome)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("mosquitto")
def test_fifty_random_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = []
    configure_logs(least="error")  # a table, and brokers that are started again do not interrupt it
    with capsys.disabled():
        print(f"\n{HEAD}")
        for number in IN_SOAK:
            folder = tmp_path / str(number)
            outcomes.append(perform(script_of(number), folder))
            print(outcomes[-1].line, flush=True)
            shutil.rmtree(folder)
        verdicts = [outcome.verdict for outcome in outcomes]
        print(
            f"{len(outcomes)} runs, {sum(o.landed for o in outcomes)} processes killed, "
            f"{sum(v.stored for v in verdicts)} messages stored: "
            f"{sum(v.lost for v in verdicts)} lost, {sum(v.twice for v in verdicts)} twice, "
            f"{sum(v.chain_breaks for v in verdicts)} chain breaks"
        )
    for outcome in outcomes:
        _judge(outcome)
