"""Every seed through its target in every test run; minutes of coverage-guided fuzzing in soak."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

SOAK_S = 60
SHORT_S = 4
ROOT = Path(__file__).parents[2]

needs_atheris = pytest.mark.usefixtures("atheris")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_their_near_misses(name: str) -> None:
    chance = random.Random(name)
    target = TARGETS[name]
    for seed in target.seeds:
        target.run(seed)
        for _ in range(30):
            touched = bytearray(seed)
            touched[chance.randrange(len(touched))] ^= 1 << chance.randrange(8)
            target.run(bytes(touched))


def fuzz(name: str, folder: Path, seconds: int) -> str:
    command = [sys.executable, "-m", "tests.fuzz", name, str(folder)]
    command += [f"-max_total_time={seconds}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=10"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 120, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stderr


@needs_atheris
@pytest.mark.parametrize("name", ["envelope", "order"])
def test_the_fuzzer_runs(name: str, tmp_path: Path) -> None:
    assert re.search(r"Done \d+ runs", fuzz(name, tmp_path, SHORT_S))


@needs_atheris
@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 180)
@pytest.mark.parametrize("name", TARGETS)
def test_a_minute_of_fuzzing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"Done (\d+) runs", fuzz(name, tmp_path, SOAK_S))
    assert found is not None
    with capsys.disabled():
        print(f"\natheris {name}: {found[1]} inputs in {SOAK_S} s, nothing found")
