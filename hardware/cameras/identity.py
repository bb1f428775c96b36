"""Which camera is it? A stable identity from sysfs, and a refusal of cameras made of software.

A picture that is fed in behind the driver defeats every look at the picture itself, so the device
is asked for first: a V4L2 node without a bus, or of a loop-back driver, is no camera. A kernel that
lies is out of reach of this check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hardware.cameras.interface import CameraError

VIRTUAL_DRIVERS = frozenset({"v4l2loopback", "v4l2_loopback", "akvcam", "vivid", "vimc", "vim2m"})
"""Drivers that show what a program writes, or a pattern."""

VIRTUAL_NAMES = ("loopback", "virtual", "obs cam", "dummy video", "droidcam", "iriun", "manycam")

_NODE = re.compile(r"video\d{1,3}")


class VirtualCameraError(CameraError):
    """A camera made of software: whoever controls the machine chooses its pictures."""


class SwappedCameraError(CameraError):
    """Another camera than the one pinned for this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraIdentity:
    """One attached camera."""

    node: str
    name: str
    driver: str
    device: str
    """``usb:VID:PID:SERIAL@PORT`` or ``BUS:ADDRESS``: the same after a restart, another after a
    swap; two cameras of one model without serial numbers differ by their port."""


def identify(node: Path, sysfs: Path = Path("/sys")) -> CameraIdentity:
    """Read a camera's identity; raises VirtualCameraError, or CameraError where there is none."""
    name = node.resolve().name
    entry = sysfs / "class" / "video4linux" / name
    if not _NODE.fullmatch(name) or not entry.exists():
        raise CameraError(str(node), "no such camera")
    title = _read(entry / "name")
    device = entry / "device"
    driver = (device / "driver").resolve().name if (device / "driver").exists() else ""
    if "/devices/virtual/" in f"{entry.resolve()}/" or not device.exists():
        raise VirtualCameraError(str(node), f"{title or 'it'} hangs on no bus: made of software")
    if driver in VIRTUAL_DRIVERS or any(word in title.lower() for word in VIRTUAL_NAMES):
        raise VirtualCameraError(str(node), f"{title or 'it'} ({driver}) is made of software")
    return CameraIdentity(node=str(node), name=title, driver=driver, device=_device(device))


def require_pinned(found: CameraIdentity, pinned: str) -> None:
    """Raise SwappedCameraError unless this is the machine's own camera."""
    if found.device != pinned:
        raise SwappedCameraError(found.node, f"is {found.device}, pinned is {pinned}")


def _device(device: Path) -> str:
    """The USB device above the interface, or bus and address."""
    real = device.resolve()
    for folder in (real, *real.parents[:3]):
        vendor, product = _read(folder / "idVendor"), _read(folder / "idProduct")
        if vendor and product:
            return f"usb:{vendor}:{product}:{_read(folder / 'serial')}@{folder.name}"
    bus = (real / "subsystem").resolve().name if (real / "subsystem").exists() else "bus"
    return f"{bus}:{real.name}"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()[:120]
    except OSError:
        return ""
