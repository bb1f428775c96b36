"""Which serial devices are attached, by what stays the same when they are plugged in again.

``usb://VID:PID/SERIAL?interface=N`` names a device by its USB identity (hexadecimal, as lsusb
prints it); the serial number may be left out, and so may the interface of a device with one port.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict
from urllib.parse import parse_qsl, unquote, urlsplit

from serial.tools.list_ports import comports

ROOT = Path("/")
_INTERFACE = re.compile(r":[0-9]+\.([0-9]+)$")
_USB = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})")
_PTY = re.compile(r"/dev/pts/([0-9]+)")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedPort:
    """One serial device as the system lists it."""

    path: str
    vid: int | None = None
    pid: int | None = None
    serial: str | None = None
    """Of the USB device; several cheap adapters have none, or all the same."""
    interface: int | None = None
    """Number of the USB interface: a modem has several ports."""
    product: str | None = None
    driver: str | None = None
    """The kernel's driver, where it tells."""
    by_id: str | None = None
    by_path: str | None = None

    @property
    def usb(self) -> str | None:
        """``2c7c:0125``, None for a port that is not on USB."""
        if self.vid is None or self.pid is None:
            return None
        return f"{self.vid:04x}:{self.pid:04x}"

    @property
    def stable_url(self) -> str:
        """The name to put into a configuration: the same after every replugging."""
        if self.usb is None:
            return self.by_path or self.path
        if self.serial is None:  # two of a kind could not be told apart: the socket names it
            return self.by_path or self.path
        suffix = "" if self.interface is None else f"?interface={self.interface}"
        return f"usb://{self.usb}/{self.serial}{suffix}"


Lister = Callable[[], Sequence[AttachedPort]]


def attached_ports(root: Path = ROOT) -> list[AttachedPort]:
    """List the serial devices of this machine, by path.

    ``root`` is where the machine's ``sys`` and ``dev`` lie, for a container that is given the
    host's; paths are then named below it.
    """
    ports = _ports_here() if root == ROOT else _ports_below(root)
    by_id, by_path = _links(root / "dev/serial/by-id"), _links(root / "dev/serial/by-path")
    for place, port in enumerate(ports):
        real = _real(port.path)
        ports[place] = replace(port, by_id=by_id.get(real), by_path=by_path.get(real))
    return sorted(ports, key=lambda port: port.path)


def _ports_below(root: Path) -> list[AttachedPort]:
    """Ports of another tree of sysfs: pyserial, which lists this machine, knows only ``/sys``."""
    ttys = root / "sys/class/tty"
    ports = []
    for entry in ttys.iterdir() if ttys.is_dir() else ():
        device, path = entry / "device", root / "dev" / entry.name
        subsystem = _name_of(device / "subsystem")
        # a serial port of the board that has no chip behind it is "platform", as pyserial has it
        if not device.exists() or not path.exists() or subsystem == "platform":
            continue
        usb = _usb_of(Path(_real(str(device))), subsystem)
        ports.append(AttachedPort(path=str(path), **usb))
    return ports


class _Usb(TypedDict, total=False):
    """What sysfs tells of a port's USB interface and device."""

    vid: int
    pid: int
    serial: str | None
    interface: int | None
    product: str | None
    driver: str | None


def _usb_of(device: Path, subsystem: str) -> _Usb:
    """Identity of the USB device of a tty; empty where it is not on USB or is vanishing."""
    if subsystem not in {"usb", "usb-serial"}:
        return {}
    interface = device.parent if subsystem == "usb-serial" else device
    whole = interface.parent
    try:
        vid, pid = int(_line(whole / "idVendor"), 16), int(_line(whole / "idProduct"), 16)
    except ValueError:
        return {}
    match = _INTERFACE.search(interface.name)
    return {
        "vid": vid,
        "pid": pid,
        "serial": _line(whole / "serial") or None,
        "interface": int(match.group(1)) if match else None,
        "product": _line(whole / "product") or None,
        "driver": _name_of(device / "driver") or None,
    }


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _name_of(link: Path) -> str:
    """Last part of where a link of sysfs leads; empty where there is none."""
    return link.resolve().name if link.is_symlink() else ""


def _ports_here() -> list[AttachedPort]:
    ports = []
    for info in comports():
        match = _INTERFACE.search(info.location or "")
        tty = ROOT / "sys/class/tty" / Path(info.device).name
        ports.append(
            AttachedPort(
                path=info.device,
                vid=info.vid,
                pid=info.pid,
                serial=info.serial_number or None,
                interface=int(match.group(1)) if match else None,
                product=info.product or info.description,
                driver=None if info.vid is None else _name_of(tty / "device/driver") or None,
            )
        )
    return ports


def _real(path: str) -> str:
    """Where a name leads; itself if it vanishes while one looks (an unplugged device's link)."""
    try:
        return os.path.realpath(path)
    except OSError:
        return path


def _links(folder: Path) -> dict[str, str]:
    try:
        return {_real(str(link)): str(link) for link in sorted(folder.iterdir())}
    except OSError:  # no udev, or nothing attached
        return {}


class NoSuchPort(ValueError):  # noqa: N818 - told as a PortError by the transport
    """A ``usb://`` name that fits no attached device, or several; the text is for a person."""


def resolve(url: str, ports: Iterable[AttachedPort]) -> str:
    """Return the path of the one attached port that a ``usb://`` URL names."""
    parts = urlsplit(url)
    match = _USB.fullmatch(parts.netloc)
    if match is None:
        raise NoSuchPort("usb:// wants VID:PID, four hexadecimal digits each")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    interface = options.pop("interface", None)
    if options:
        raise NoSuchPort(f"unknown option {next(iter(options))!r}")
    if interface is not None and not interface.isdecimal():
        raise NoSuchPort(f"interface is {interface!r}, a number is needed")
    serial = unquote(parts.path.strip("/")) or None
    wanted = (int(match[1], 16), int(match[2], 16))
    found = [
        port
        for port in ports
        if (port.vid, port.pid) == wanted
        and serial in {None, port.serial}
        and (interface is None or port.interface == int(interface))
    ]
    if not found:
        raise NoSuchPort("no attached device has this identity")
    if len(found) > 1:
        names = ", ".join(port.path for port in found)
        raise NoSuchPort(f"{len(found)} ports have this identity ({names}): say more of it")
    return found[0].path


def other_readers(path: str) -> list[str]:
    """Programs beside this one that have the device open: they steal bytes.

    An exclusive lock keeps out only those who ask for one. As an ordinary user one sees one's own
    processes alone; the list is then short of the others, never wrong. Who is the far end of a
    pseudo-terminal, as a simulator or socat, is no reader of it.
    """
    try:
        device = Path(path).stat().st_rdev
        far_end = _PTY.fullmatch(os.path.realpath(path))
    except OSError:
        return []
    if not device:
        return []  # a file that is no device has no number of its own to look for
    own = str(os.getpid())
    return sorted(
        f"{_command(process)} ({process.name})"
        for process in _PROC.iterdir()
        if process.name.isdecimal()
        and process.name != own
        and any(_is_device(descriptor, device) for descriptor in _descriptors(process))
        and not (far_end and _is_far_end(process, int(far_end[1])))
    )


def _descriptors(process: Path) -> list[Path]:
    try:
        return list((process / "fd").iterdir())
    except OSError:  # ended meanwhile, or not ours to look at
        return []


def _is_far_end(process: Path, number: int) -> bool:
    """Whether a program holds the master of a pseudo-terminal (proc_pid_fdinfo(5), tty-index)."""
    for descriptor in _descriptors(process):
        try:
            if descriptor.readlink().name != "ptmx":
                continue
            told = (process / "fdinfo" / descriptor.name).read_text(encoding="ascii")
        except OSError:
            continue
        if re.search(rf"^tty-index:\s*{number}$", told, re.MULTILINE):
            return True
    return False


def _is_device(descriptor: Path, device: int) -> bool:
    """The link's text first: a stat of a dead network share would hang."""
    try:
        return (
            str(descriptor.readlink()).startswith("/dev/") and descriptor.stat().st_rdev == device
        )
    except OSError:
        return False


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
