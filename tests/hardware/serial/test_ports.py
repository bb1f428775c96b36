"""Names that survive replugging, and other programs at the same device."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tty
from pathlib import Path

import pytest
from serial.tools.list_ports import comports

from hardware.serial.ports import AttachedPort, NoSuchPort, attached_ports, other_readers, resolve
from hardware.serial.transport import PortError, open_transport


def modem(path: str, serial: str | None = "A1", interface: int | None = 2) -> AttachedPort:
    return AttachedPort(path=path, vid=0x2C7C, pid=0x0125, serial=serial, interface=interface)


PORTS = [
    AttachedPort(path="/dev/ttyS0"),
    modem("/dev/ttyUSB2"),
    modem("/dev/ttyUSB3", interface=3),
    AttachedPort(path="/dev/ttyUSB9", vid=0x1A86, pid=0x7523, by_path="/dev/serial/by-path/p1"),
]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("usb://2c7c:0125/A1?interface=2", "/dev/ttyUSB2"),
        ("usb://2C7C:0125?interface=3", "/dev/ttyUSB3"),
        ("usb://1a86:7523", "/dev/ttyUSB9"),
    ],
)
def test_an_identity_finds_its_port(url: str, path: str) -> None:
    assert resolve(url, PORTS) == path


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("usb://2c7c:0125/A1", "2 ports have this identity (/dev/ttyUSB2, /dev/ttyUSB3)"),
        ("usb://2c7c:0125/B2?interface=2", "no attached device has this identity"),
        ("usb://2c7c", "wants VID:PID"),
        ("usb://2c7c:0125/A1?speed=9600", "unknown option 'speed'"),
        ("usb://2c7c:0125/A1?interface=x", "interface is 'x'"),
    ],
)
def test_what_names_no_port_or_several_is_told(url: str, problem: str) -> None:
    with pytest.raises(NoSuchPort) as caught:
        resolve(url, PORTS)
    assert problem in str(caught.value)
    with pytest.raises(PortError) as told:
        open_transport(url, lister=lambda: PORTS)
    assert told.value.port == url


def test_a_device_that_comes_back_under_another_number_is_found() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        ports = [modem("/dev/no-such-port")]
        url = "usb://2c7c:0125/A1?interface=2"
        with pytest.raises(PortError, match="No such file"):
            open_transport(url, lister=lambda: ports)
        ports = [modem(os.ttyname(slave))]
        port = open_transport(url, lister=lambda: ports)
        assert (port.name, port.device) == (url, os.ttyname(slave))
        os.write(master, b"x")
        assert port.read(1, 1.0) == b"x"
        port.close()
    finally:
        os.close(master)
        os.close(slave)


def test_the_stable_name_of_a_port_finds_it_again() -> None:
    assert [port.stable_url for port in PORTS] == [
        "/dev/ttyS0",
        "usb://2c7c:0125/A1?interface=2",
        "usb://2c7c:0125/A1?interface=3",
        "/dev/serial/by-path/p1",
    ]
    for port in PORTS[1:3]:
        assert resolve(port.stable_url, PORTS) == port.path


def test_every_port_of_this_machine_is_listed_also_from_its_own_tree(tmp_path: Path) -> None:
    """A container's view of the host, a link to this machine's own root, misses none of them."""
    here = {port.path: port for port in attached_ports()}
    assert set(here) == {info.device for info in comports()}
    (tmp_path / "host").symlink_to("/")
    there = {
        port.path.removeprefix(str(tmp_path / "host")): port
        for port in attached_ports(tmp_path / "host")
    }
    assert set(here) <= set(there)
    for path, port in here.items():
        assert (there[path].vid, there[path].serial) == (port.vid, port.serial)


def test_another_program_at_the_device_is_named() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    script = f"f = open({path!r}, 'rb', buffering=0); print('open', flush=True); input()"
    try:
        # A number of a pty comes again while somebody still holds the former one of that name.
        before = other_readers(path)
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as thief:
            assert thief.stdout is not None
            assert thief.stdout.readline() == b"open\n"
            named = [name for name in other_readers(path) if name not in before]
            assert [name.rpartition(" ")[2] for name in named] == [f"({thief.pid})"]
            thief.communicate(b"\n")
        assert [name for name in other_readers(path) if name not in before] == []
    finally:
        os.close(master)
        os.close(slave)
    assert other_readers("/dev/no-such-port") == []


def test_who_has_a_file_in_memory_open_reads_no_device(tmp_path: Path) -> None:
    """Such files lie below /dev and have, as any file that is no device, the number 0."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as here:
        script = f"f = open({here.name!r}); print('open', flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            assert other_readers(str(tmp_path)) == []
            other.communicate(b"\n")
