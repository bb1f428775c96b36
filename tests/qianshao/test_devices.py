"""``qianshao devices`` on a machine's tree of sysfs: several kinds at once, ModemManager there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qianshao.__main__ import main

PORTS = {
    # tty: (USB device, its idVendor, idProduct, serial, interface, driver, product)
    "ttyUSB0": ("1-1", "2c7c", "0125", "A1B2", 0, "option1", "EG25-G"),
    "ttyUSB2": ("1-1", "2c7c", "0125", "A1B2", 2, "option1", "EG25-G"),
    "ttyUSB4": ("1-2", "1a86", "7523", None, 0, "ch341-uart", "USB Serial"),
    "ttyACM0": ("1-3", "0483", "5740", "400", 0, "cdc_acm", "tinySA"),
    "ttyACM1": ("1-4", "2e8a", "0005", "e66\xfc", 0, "cdc_acm", "Board in FS mode"),
    "ttyACM2": ("1-5", "1546", "01a8", None, 0, "cdc_acm", "u-blox GNSS receiver"),
}


def plug(root: Path, tty: str, node: Path) -> None:
    """Make one port as the kernel and udev show it."""
    name, vid, pid, serial, interface, driver, product = PORTS[tty]
    usb = root / "sys/devices/pci0000:00/usb1" / name
    at = usb / f"{name}:1.{interface}"
    at.mkdir(parents=True)
    for file, text in {"idVendor": vid, "idProduct": pid, "product": product}.items():
        (usb / file).write_text(text + "\n", encoding="utf-8")
    if serial is not None:
        (usb / "serial").write_bytes(serial.encode("latin-1") + b"\n")
    is_converter = tty.startswith("ttyUSB")  # its tty hangs below a device of its own
    bus = "usb-serial" if is_converter else "usb"
    device = at / tty if is_converter else at
    link(device / "subsystem", root / "sys/bus" / bus)
    link(device / "driver", root / "sys/bus" / bus / "drivers" / driver)
    link(device / "tty" / tty / "device", device)
    link(root / "sys/class/tty" / tty, device / "tty" / tty)
    link(root / "dev" / tty, node)
    by_path = f"pci-0000:00:14.0-usb-0:{name[2:]}:1.{interface}-port0"
    link(root / "dev/serial/by-path" / by_path, root / "dev" / tty)
    if serial is not None:
        by_id = f"usb-{product.replace(' ', '_')}_{serial}-if{interface:02}-port0"
        link(root / "dev/serial/by-id" / by_id, root / "dev" / tty)


def link(at: Path, to: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    if not to.exists() and "sys" in to.parts:
        to.mkdir(parents=True)
    at.symlink_to(to)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A tree with all ports, each on a terminal of its own, and a serial port without USB."""
    ends = [os.openpty() for _ in PORTS]
    for tty, (_, slave) in zip(PORTS, ends, strict=True):
        plug(tmp_path, tty, Path(os.ttyname(slave)))
    for tty, bus in (("ttyS0", "pnp"), ("ttyS1", "platform")):
        device = tmp_path / "sys/devices" / bus / tty
        link(device / "subsystem", tmp_path / "sys/bus" / bus)
        link(tmp_path / "sys/class/tty" / tty / "device", device)
        link(tmp_path / "dev" / tty, Path(os.devnull))
    (tmp_path / "sys/class/tty/console").mkdir()
    yield tmp_path
    for fd in {fd for pair in ends for fd in pair}:
        os.close(fd)


@contextmanager
def modem_manager(port: Path, folder: Path) -> Iterator[int]:
    """A program of this name that really has the port open."""
    program = folder / "ModemManager"
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with port.open("rb", buffering=0) as opened:
        running = subprocess.Popen([program], stdin=opened, stdout=subprocess.DEVNULL)
    try:
        yield running.pid
    finally:
        running.kill()
        running.wait()


def devices(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qianshao", "devices", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_kind_at_once_with_modem_manager_at_one(machine: Path) -> None:
    with modem_manager(machine / "dev/ttyUSB2", machine) as pid:
        done = devices("--json", "--root", str(machine))
    assert (done.returncode, done.stderr) == (0, "")
    ports = {Path(row["path"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: (row["kind"], row["trust"]) for name, row in ports.items()} == {
        "ttyUSB0": ("diag", "other_port"),
        "ttyUSB2": ("quectel", "known"),
        "ttyUSB4": (None, "unknown"),
        "ttyACM0": ("tinysa", "unknown"),
        "ttyACM1": ("board", "unknown"),
        "ttyACM2": ("nmea", "known"),
    }
    for name, (_, vid, pid_, _, interface, driver, product) in PORTS.items():
        row = ports[name]
        assert row["usb"] == f"{vid}:{pid_}"
        assert (row["interface"], row["driver"], row["product"]) == (interface, driver, product)
    assert ports["ttyUSB2"]["url"] == "usb://2c7c:0125/A1B2?interface=2"
    assert ports["ttyUSB4"]["url"].endswith(
        "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0"
    )
    assert f"ModemManager ({pid})" in ports["ttyUSB2"]["other_readers"]
    assert not any("ModemManager" in who for who in ports["ttyACM0"]["other_readers"])


def test_a_person_reads_what_to_do(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with modem_manager(machine / "dev/ttyUSB2", machine):
        assert main(["devices", "--root", str(machine)]) == 0
    said = capsys.readouterr().out
    assert said.count("hint    ModemManager takes its answers") == 1
    assert "serial number A1B2, interface 2, driver option1" in said
    assert said.endswith("6 serial ports, 1 not on USB (--all shows them); nothing was opened\n")


def test_a_device_that_vanishes_while_one_looks_hides_no_other(
    machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine / "sys/devices/pci0000:00/usb1/1-3/idVendor").unlink()
    (machine / "dev/ttyUSB4").unlink()
    assert main(["devices", "--json", "--root", str(machine)]) == 0
    names = [Path(json.loads(row)["path"]).name for row in capsys.readouterr().out.splitlines()]
    assert names == ["ttyACM1", "ttyACM2", "ttyUSB0", "ttyUSB2"]


def test_a_root_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--root", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["devices", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no serial ports; nothing was opened\n"
