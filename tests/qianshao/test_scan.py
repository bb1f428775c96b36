"""``devices`` and ``rf scan`` as an operator meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from contract.clock import SystemClock
from contract.words import DetectionKind, Level
from hardware.serial.port import PortCounters
from hardware.serial.ports import AttachedPort
from hardware.simulators.diag import SimulatedDiag, nas_messages
from hardware.simulators.instruments import (
    Mood,
    SimulatedInstrument,
    example_scene,
    simulated,
)
from hardware.simulators.modem import SimulatedModem
from hardware.simulators.modem_scripts import SceneScript
from hardware.simulators.nas import attack_capture
from hardware.simulators.peers import PEERS
from hardware.simulators.scene import CENTRE, GENUINE, RadioScene
from qianshao.devices import show
from qianshao.scan_view import ScanState, detection_row, render
from rf_watch.broadcast.rules import CARRIER, UNLISTED
from tests.hardware.modems.streams import AT_NOON, GOOD_LINES, cells, heard
from tests.samples import a_detection

PORTS = [
    AttachedPort(path="/dev/ttyS0"),
    AttachedPort(path="/dev/ttyUSB2", vid=0x2C7C, pid=0x0125, serial="A1", interface=2),
    AttachedPort(path="/dev/ttyUSB9", vid=0x1A86, pid=0x7523, product="USB Serial"),
]


def test_devices_lists_what_would_be_done() -> None:
    out = StringIO()
    show(PORTS, out, is_json=False, is_all=False)
    text = out.getvalue()
    assert "/dev/ttyUSB2  Quectel modem, AT port" in text
    assert 'kind = "quectel", url = "usb://2c7c:0125/A1?interface=2"' in text
    assert "CH340" in text
    assert text.endswith("2 serial ports, 1 not on USB (--all shows them); nothing was opened\n")


def test_devices_as_json() -> None:
    out = StringIO()
    show(PORTS, out, is_json=True, is_all=True)
    documents = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [d["path"] for d in documents] == ["/dev/ttyS0", "/dev/ttyUSB2", "/dev/ttyUSB9"]
    assert {d["schema"] for d in documents} == {"qianshao.devices/1"}
    assert documents[1]["kind"] == "quectel"


def scan(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qianshao", "rf", "scan", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_scan_asks_nobody_unasked_names_another_and_shows_cells(tmp_path: Path) -> None:
    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    with SimulatedModem(PEERS["telit"](scene), tmp_path / "modem") as modem:
        link = str(modem.link)
        unknown = scan(link)
        assert (unknown.returncode, unknown.stdout) == (1, "")
        assert "nothing was written" in unknown.stderr
        other = scan(link, "--as", "quectel")
        assert other.returncode == 1
        assert "answers as telit (Telit HE910 12.00.004), not as quectel (--as)" in other.stderr
        live = scan(link, "--probe", "--seconds", "1.5", "--json")
    assert live.returncode == 0, live.stderr
    items = [json.loads(line) for line in live.stdout.splitlines()]
    assert items[0]["item"] == "identity"
    assert items[0]["kind"] == "telit"
    channels = {item["channel"] for item in items if item["item"] == "cell"}
    assert channels == {57, 23, 531}


def test_scan_shows_a_detection_and_a_summary(tmp_path: Path) -> None:
    with SimulatedModem(SceneScript("fake_cell", fake_after=1), tmp_path / "modem") as modem:
        live = scan(str(modem.link), "--as", "quectel", "--seconds", "3")
    assert live.returncode == 0, live.stderr  # it refuses to say who it is; --as says it
    lines = live.stdout.splitlines()
    assert any("alert" in line and "460-11" in line for line in lines)
    assert " readings, 1 detection, 0 unreadable places" in lines[-1]


@pytest.mark.parametrize(
    ("kind", "name", "is_silent_until_asked"),
    [
        ("tinysa", "sweep tinysa", True),
        ("rf_explorer", "sweep rf_explorer", True),
        ("nmea", "fix", False),
        ("kraken", "bearing 92.300 MHz", False),
    ],
)
def test_scan_shows_what_is_no_modem(
    tmp_path: Path, kind: str, name: str, is_silent_until_asked: bool
) -> None:
    clock = SystemClock()
    scene = example_scene(0.0, clock.wall())
    with SimulatedInstrument(
        simulated(kind, scene, clock.wall, Mood(sweep_s=0.0)), tmp_path / "x"
    ) as device:
        unasked = [] if not is_silent_until_asked else ["--as", kind]
        live = scan(str(device.link), *unasked, "--seconds", "2", "--json")
    assert live.returncode == 0, live.stderr
    items = [json.loads(line) for line in live.stdout.splitlines()]
    assert (items[0]["item"], items[0]["kind"]) == ("identity", kind)
    assert name in {item.get("name") for item in items}


def test_an_instrument_that_is_another_is_named(tmp_path: Path) -> None:
    clock = SystemClock()
    peer = simulated("nmea", example_scene(0.0, clock.wall()), clock.wall, Mood(sweep_s=0.0))
    with SimulatedInstrument(peer, tmp_path / "x", Mood(sweep_s=0.0)) as device:
        live = scan(str(device.link), "--as", "tinysa", "--seconds", "2")
    assert live.returncode == 1
    assert "answers as nmea (a GNSS receiver (NMEA 0183)), not as tinysa (--as)" in live.stderr


def test_scan_of_a_diag_port_shows_cells_and_messages(tmp_path: Path) -> None:
    scene = RadioScene(GENUINE, CENTRE, lambda: 0.0)
    nas = nas_messages(attack_capture())
    with SimulatedDiag(scene, tmp_path / "diag", nas=nas, period_s=0.2) as port:
        live = scan(str(port.link), "--as", "diag", "--seconds", "2", "--json")
    assert live.returncode == 0, live.stderr
    items = [json.loads(line) for line in live.stdout.splitlines()]
    assert items[0]["kind"] == "diag"
    assert {item["rat"] for item in items if item["item"] == "cell"} == {"GSM", "LTE"}
    assert any(item["item"] == "nas" and item["cause"] == 20 for item in items)
    assert any(item["item"] == "detection" and item["alert"] for item in items)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/dev/no-such-port", "No such file or directory"),
        ("usb://dead:beef", "no attached device has this identity"),
        ("socket://127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_a_port_that_is_not_there_is_told(url: str, words: str) -> None:
    found = scan(url, "--probe")
    assert found.returncode == 1
    assert words in found.stderr
    assert "Traceback" not in found.stderr


def test_the_screen_fits_and_shows_the_serving_cell_first() -> None:
    state = ScanState(port="/dev/ttyUSB2")
    for family, lines in GOOD_LINES.items():
        for line in lines:
            for cell in cells(heard(family, line + b"\r\n")):
                state.take(cell)
    for height in (8, 12, 40):
        screen = render(state, 60, height, AT_NOON.at_us)
        assert len(screen) <= height
        assert all(len(line) <= 60 for line in screen)
    rows = render(state, 120, 40, AT_NOON.at_us)
    assert rows[4].startswith("*")
    assert not any(
        row.startswith("*") for row in render(state, 120, 40, AT_NOON.at_us + 61_000_000)
    )


def test_the_screen_says_what_to_look_at_when_nothing_comes() -> None:
    counters = PortCounters(is_open=True, opens=1)
    state = ScanState(port="/dev/ttyUSB2", counters=lambda: counters)
    assert any("it says nothing more" in row for row in render(state, 120, 40, 0))
    state.is_surveying = lambda: True
    assert not any("cable" in row for row in render(state, 120, 40, 0))
    assert any("it surveys the band" in row for row in render(state, 120, 40, 0))
    state.is_surveying = lambda: False
    counters = PortCounters(is_open=True, opens=1, bytes_in=5000, last_data_age_s=0.1)
    assert any("nothing that reads" in row for row in render(state, 120, 40, 0))
    state.readings = 3
    assert not any("hint" in row for row in render(state, 120, 40, 0))
    counters = replace(counters, other_readers=("ModemManager (pid 812)",))
    assert any("60-qianshao.rules" in row for row in render(state, 120, 40, 0))


def test_stations_stand_in_the_order_of_the_band_and_no_cells_are_promised() -> None:
    state = ScanState(port="/dev/ttyACM0")
    assert not any("lac/tac" in row for row in render(state, 120, 40, 0))
    for name in (
        "tuner 100.80 MHz",
        "tuner 88.70 MHz",
        "sweep fm_tuner",
        "rds 92.30 MHz",
        "rds ? MHz",
    ):
        state.others[name] = "-"
    rows = [row.split()[:2] for row in render(state, 120, 40, 0)]
    shown = [row for row in rows if row and row[0] in {"tuner", "sweep", "rds"}]
    assert shown == [
        ["rds", "?"],
        ["rds", "92.30"],
        ["sweep", "fm_tuner"],
        ["tuner", "88.70"],
        ["tuner", "100.80"],
    ]


def test_the_screen_says_how_many_detections_it_shows_of_how_many() -> None:
    state = ScanState(port="/dev/ttyACM0")
    for number in range(4):
        state.detections[bytes([number])] = f"carrier {number}"
    assert "4 detections" in render(state, 120, 40, 0)
    state.detections[b"more"] = "carrier 4"
    rows = render(state, 120, 40, 0)
    assert "5 detections, the newest 4:" in rows
    assert sum(row.startswith("  carrier") for row in rows) == 4


def test_a_carrier_that_no_list_was_held_against_is_not_called_illegal() -> None:
    reason = a_detection().reasons[0]
    seen = a_detection(
        kind=DetectionKind.ILLEGAL_BROADCAST, level=Level.OBSERVED, alert=None,
        subject={"mhz": 88.1}, reasons=(replace(reason, rule=CARRIER.id),),
    )  # fmt: skip
    row = detection_row(seen)
    assert row.startswith("observed broadcast, compared with no licence list: mhz 88.1; no alert")
    accused = replace(seen, reasons=(*seen.reasons, replace(reason, rule=UNLISTED.id)))
    assert detection_row(accused).startswith("observed illegal broadcast: ")
