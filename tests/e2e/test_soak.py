"""The demo under random kill -9 of its parts, for minutes."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import pytest

from tests.e2e.demo_process import DemoProcess
from tests.e2e.evidence import assert_evidence_holds

SECONDS = 150
SEED = 20260101
PARTS = ("van", "atm", "central", "broker", "modem", "tinysa", "gnss")

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 120)]


def test_random_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    folder = tmp_path / "demo"
    kills = 0
    with DemoProcess(folder, seconds=SECONDS, field_data=None) as demo:
        demo.wait_for("atm     process")
        until = time.monotonic() + SECONDS - 40
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.2, 4.0))
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                demo.kill(
                    chance.choice(["van", "atm", "central", "broker", "modem", "tinysa", "gnss"])
                )
                kills += 1
        status, summary = demo.summary()
    assert kills > 10
    assert (status, summary["lost"], summary["duplicated"]) == (0, 0, 0)
    assert summary["alerts_shown"] == 3
    assert_evidence_holds(folder)
    print(f"{kills} kills: {summary}")
