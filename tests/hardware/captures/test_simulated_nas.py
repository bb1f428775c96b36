"""The synthetic recording: it reads like an attack, like an ordinary network, and names nobody."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.captures import CaptureReader
from hardware.readings import NasReading, NasType
from hardware.simulators.nas import DEFAULT_START_US, attack_capture, main, ordinary_capture


def read(data: bytes) -> list[NasReading]:
    reader = CaptureReader("modem0", "simulated")
    items = reader.feed(data) + reader.close()
    readings = [item for item in items if isinstance(item, NasReading)]
    assert len(readings) == len(items)
    return readings


ORDINARY = [
    NasType.ATTACH_REQUEST,
    NasType.AUTHENTICATION_REQUEST,
    NasType.AUTHENTICATION_RESPONSE,
    NasType.SECURITY_MODE_COMMAND,
    NasType.OTHER,
    NasType.ATTACH_ACCEPT,
    NasType.ATTACH_COMPLETE,
]


def test_an_ordinary_attach_is_authenticated_and_ciphered() -> None:
    readings = read(ordinary_capture(attaches=2))
    assert [reading.type for reading in readings] == ORDINARY * 2
    assert all(reading.cause is None for reading in readings)
    assert (readings[3].ciphering, readings[3].integrity) == (2, 2)
    assert readings[5].plmns == ("001-01",)


@given(st.integers(0, 4), st.integers(0, 9))
def test_episodes_hold_the_failures_asked_for(episodes: int, failures: int) -> None:
    readings = read(attack_capture(episodes=episodes, failures=failures))
    pair = [NasType.AUTHENTICATION_REQUEST, NasType.AUTHENTICATION_FAILURE]
    episode = [NasType.ATTACH_REQUEST, *pair * failures]
    assert [reading.type for reading in readings] == ORDINARY + episode * episodes
    causes = [r.cause for r in readings if r.type is NasType.AUTHENTICATION_FAILURE]
    assert causes == [20] * (episodes * failures)


def test_times_run_forward_from_the_start() -> None:
    times = [reading.stamp.at_us for reading in read(attack_capture(start_us=DEFAULT_START_US))]
    assert times[0] == DEFAULT_START_US
    assert all(a < b for a, b in pairwise(times))


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert attack_capture(episodes=2) == attack_capture(episodes=2)


def test_the_command_writes_what_the_function_returns(tmp_path: Path) -> None:
    out = tmp_path / "out.pcap"
    arguments = ["--episodes", "2", "--failures", "3", "--start", "1700000000"]
    assert main([str(out), *arguments]) == 0
    assert out.read_bytes() == attack_capture(
        start_us=1_700_000_000_000_000, episodes=2, failures=3
    )


def test_the_command_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as usage:
        main([str(tmp_path / "x"), "--failures", "-1"])
    assert usage.value.code == 2
    with pytest.raises(SystemExit) as failed:
        main([str(tmp_path / "absent" / "x.pcap")])
    assert failed.value.code == 1
    told = capsys.readouterr().err
    assert "--failures must not be negative" in told
    assert "No such file" in told
