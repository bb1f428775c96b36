"""The simulated modem: as a thread, and as the program an operator starts."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from hardware.modems.quectel import read_transcript
from hardware.readings import CellReading, Rat
from hardware.simulators.modem import SimulatedModem, main
from hardware.simulators.modem_scripts import (
    SceneName,
    SceneScript,
    Script,
    TranscriptError,
    TranscriptScript,
)

SERVING = 'AT+QENG="servingcell"'
NEIGHBOURS = 'AT+QENG="neighbourcell"'
LOG = b"""AT+QENG="servingcell"
AT+QENG="servingcell"
+QENG: "servingcell","SEARCH"

OK
AT+QENG="servingcell"
+QENG: "servingcell","LIMSRV"

OK
AT+QENG="neighbourcell"
+CME ERROR: 10
+QENG: "servingcell","NOCONN"
"""


def ask(port: serial.Serial, command: str) -> bytes:
    """Send a command and read up to its final result."""
    port.write(command.encode() + b"\r")
    answer = b""
    while not answer.endswith((b"\r\nOK\r\n", b"ERROR\r\n", b"ERROR: 10\r\n")):
        chunk = port.read(1)
        assert chunk, f"no answer to {command}: {answer!r}"
        answer += chunk
    return answer


@contextmanager
def opened(path: Path) -> Iterator[serial.Serial]:
    with serial.Serial(str(path), timeout=3) as port:
        yield port


def cells(script: Script, polls: int) -> list[list[CellReading]]:
    """What a dialect reads of each of some polls."""
    rounds = []
    for _ in range(polls):
        lines = [*(script.answer(SERVING) or ()), *(script.answer(NEIGHBOURS) or ())]
        items = list(read_transcript("\n".join(lines).encode(), "scene", "modem0"))
        rounds.append([item for item in items if isinstance(item, CellReading)])
        assert len(items) == len(rounds[-1])
    return rounds


def test_a_serial_program_talks_to_it_as_to_a_modem(tmp_path: Path) -> None:
    with (
        SimulatedModem(SceneScript("genuine"), tmp_path / "m") as modem,
        opened(modem.link) as port,
    ):
        assert ask(port, "AT") == b"AT\r\r\nOK\r\n"
        assert ask(port, "AT+CNONSENSE") == b"AT+CNONSENSE\r\r\nERROR\r\n"
        answer = ask(port, 'at+qeng="servingcell"')
        assert answer.startswith(b'at+qeng="servingcell"\r\r\n+QENG: "servingcell","NOCONN"')
        assert ask(port, "ATE0").endswith(b"OK\r\n")
        assert ask(port, "AT") == b"\r\nOK\r\n"
        assert ask(port, "ATE1") == b"\r\nOK\r\n"
        assert ask(port, "AT") == b"AT\r\r\nOK\r\n"
        assert ask(port, "A" * 5000).endswith(b"\r\nERROR\r\n")
    assert not os.path.lexists(tmp_path / "m")


def test_an_unplugged_modem_hangs_up_and_returns_under_the_same_link(tmp_path: Path) -> None:
    with SimulatedModem(SceneScript("genuine"), tmp_path / "m") as modem:
        with opened(modem.link) as port:
            modem.unplug()
            assert not os.path.lexists(modem.link)
            with pytest.raises(serial.SerialException):
                port.read(1)
        modem.plug_in()
        with opened(modem.link) as port:
            assert ask(port, "AT").endswith(b"OK\r\n")


def test_a_plug_that_falls_out_by_itself_comes_back_by_itself(tmp_path: Path) -> None:
    modem = SimulatedModem(SceneScript("genuine"), tmp_path / "m", unplug_every_s=0.05, away_s=0.02)
    with modem:
        seen: list[bool] = []
        until = time.monotonic() + 5
        while len(seen) < 5 and time.monotonic() < until:
            is_there = os.path.lexists(modem.link)
            if not seen or seen[-1] is not is_there:
                seen.append(is_there)
            time.sleep(0.001)
    assert len(seen) == 5


def test_output_nobody_reads_is_dropped_and_counted_and_the_modem_lives(tmp_path: Path) -> None:
    with (
        SimulatedModem(SceneScript("genuine"), tmp_path / "m") as modem,
        opened(modem.link) as port,
    ):
        for _ in range(2000):
            port.write(SERVING.encode() + b"\r")
        until = time.monotonic() + 5
        while not modem.dropped_bytes and time.monotonic() < until:
            time.sleep(0.01)
        assert modem.dropped_bytes > 0


# -- what it says ---------------------------------------------------------------------------------


def test_a_transcript_is_answered_command_by_command_in_turn() -> None:
    script = TranscriptScript(LOG, "log")
    search = ('+QENG: "servingcell","SEARCH"', "OK")
    limited = ('+QENG: "servingcell","LIMSRV"', "OK")
    unasked = ('+QENG: "servingcell","NOCONN"', "OK")  # no echo in the log: told by its content
    assert [script.answer(SERVING) for _ in range(4)] == [search, limited, unasked, search]
    assert script.answer(NEIGHBOURS) == ("+CME ERROR: 10",)
    assert script.answer("AT+QSCAN=3") is None
    assert script.commands == (SERVING.upper(), NEIGHBOURS.upper())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no .QENG"),
        (b"hello\nworld\n", "no .QENG"),
        (b"\xd4\xc3\xb2\xa1" + bytes(100), "no .QENG"),
        (b'AT+QENG="servingcell"\n', "no recorded answer"),
    ],
)
def test_a_transcript_without_answers_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem):
        TranscriptScript(content, "log")


def test_the_genuine_scene_holds_only_ordinary_cells() -> None:
    rounds = cells(SceneScript("genuine"), 10)
    every = [cell for cells_of_round in rounds for cell in cells_of_round]
    assert {cell.rat for cell in every} == {Rat.GSM, Rat.LTE}
    assert {cell.plmns for cell in every} == {("460-00",), ()}
    offsets = {c.c2 - c.c1 for c in every if c.c1 is not None and c.c2 is not None}
    assert offsets == {60}
    assert all(sum(cell.is_serving for cell in one) == 1 for one in rounds)


def test_the_fake_cell_comes_after_its_polls_and_is_impossible_and_strong() -> None:
    script = SceneScript("fake_cell", fake_after=3)
    rounds = cells(script, 6)
    serving = [one[0] for one in rounds]
    assert [cell.plmns == ("460-11",) for cell in serving] == [False] * 3 + [True] * 3
    fake = serving[-1]
    assert fake.rat is Rat.GSM
    assert fake.level_dbm is not None
    assert fake.level_dbm > max(cell.level_dbm or -200 for cell in rounds[-1][1:])


@pytest.mark.parametrize("scene", ["genuine", "fake_cell"])
def test_the_same_seed_gives_the_same_scene(scene: SceneName) -> None:
    first = cells(SceneScript(scene, seed=7), 8)
    assert first == cells(SceneScript(scene, seed=7), 8)
    assert first != cells(SceneScript(scene, seed=8), 8)


@pytest.mark.field_data
@pytest.mark.parametrize(
    "name", ["quectel_ec2x_qeng_cn.txt", "quectel_5g_qscan_cn.txt", "quectel_rm520n_it.txt"]
)
def test_a_recorded_log_plays_every_line_it_holds(field_data: Path, name: str) -> None:
    path = field_data / "cellular" / "modem_logs" / name
    script = TranscriptScript.from_file(path)
    recorded = [line for line in path.read_text().splitlines() if line.startswith("+Q")]
    played = [
        line
        for command in script.commands
        for _ in range(len(recorded))
        for line in script.answer(command) or ()
        if line.startswith("+Q")
    ]
    assert set(played) == set(recorded)


# -- the program ----------------------------------------------------------------------------------


@contextmanager
def program(*arguments: str, link: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the simulator until its device is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hardware.simulators.modem", "--link", str(link), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        select.select([process.stdout], [], [], 10)
        assert process.stdout.readline() == f"modem at {link}\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_ends_cleanly_and_takes_its_link_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    link = tmp_path / "m"
    with program("--scene", "fake_cell", "--fake-after", "0", "--torn", link=link) as process:
        with opened(link) as port:
            assert b"460,11" in ask(port, SERVING)
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert not os.path.lexists(link)


def test_the_program_plays_a_transcript(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(LOG)
    with program("--transcript", str(log), link=tmp_path / "m"), opened(tmp_path / "m") as port:
        assert b"SEARCH" in ask(port, SERVING)
        assert b"LIMSRV" in ask(port, SERVING)


def test_a_stale_link_of_a_killed_simulator_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "m"
    link.symlink_to("/dev/pts/no-longer")
    with SimulatedModem(SceneScript("genuine"), link), opened(link) as port:
        assert ask(port, "AT").endswith(b"OK\r\n")


@pytest.mark.parametrize("content", [b"", b"not a log"])
def test_an_unusable_transcript_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    assert main(["--link", str(tmp_path / "m"), "--transcript", str(log)]) == 2
    assert str(log) in capsys.readouterr().err


def test_a_missing_transcript_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--link", str(tmp_path / "m"), "--transcript", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_link_that_would_overwrite_a_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "precious"
    link.write_text("mine")
    assert main(["--link", str(link)]) == 2
    assert "precious" in capsys.readouterr().err
    assert link.read_text() == "mine"


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "soon"])
def test_a_wrong_period_is_a_usage_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--link", str(tmp_path / "m"), "--unplug-every", value])
    assert caught.value.code == 2
