"""A camera is known by its bus; one made of software or swapped is refused before a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.cameras.identity import (
    SwappedCameraError,
    VirtualCameraError,
    identify,
    require_pinned,
)
from hardware.cameras.interface import CameraError


def attach(
    sysfs: Path, *, driver: str = "uvcvideo", name: str = "ATM Camera", serial: str = "S1"
) -> None:
    """The files that Linux shows for a USB camera at port 1-4."""
    usb = sysfs / "devices/pci0000:00/usb1/1-4"
    video = usb / "1-4:1.0/video4linux/video0"
    video.mkdir(parents=True)
    for file, text in {"idVendor": "05a3", "idProduct": "9230", "serial": "S1"}.items():
        (usb / file).write_text(text + "\n")
    (video / "name").write_text(name + "\n")
    (video / "device").symlink_to(usb / "1-4:1.0")
    (sysfs / "drivers" / driver).mkdir(parents=True)
    (usb / "1-4:1.0/driver").symlink_to(sysfs / "drivers" / driver)
    (sysfs / "class/video4linux").mkdir(parents=True)
    (sysfs / "class/video4linux/video0").symlink_to(video)


def test_a_usb_camera_is_known_by_model_serial_and_port(tmp_path: Path) -> None:
    attach(tmp_path)
    found = identify(Path("/dev/video0"), tmp_path)
    assert (found.driver, found.name) == ("uvcvideo", "ATM Camera")
    assert found.device == "usb:05a3:9230:S1@1-4"
    require_pinned(found, "usb:05a3:9230:S1@1-4")
    with pytest.raises(SwappedCameraError, match="pinned is usb:05a3:9230:S2@1-4"):
        require_pinned(found, "usb:05a3:9230:S2@1-4")


@pytest.mark.parametrize(
    "what", [{"driver": "v4l2loopback"}, {"driver": "vivid"}, {"name": "OBS Camera Virtual"}]
)
def test_a_camera_made_of_software_is_refused(tmp_path: Path, what: dict[str, str]) -> None:
    attach(tmp_path, **what)
    with pytest.raises(VirtualCameraError, match="made of software"):
        identify(Path("/dev/video0"), tmp_path)


def test_a_camera_on_no_bus_is_refused(tmp_path: Path) -> None:
    """v4l2loopback registers its node under /sys/devices/virtual, whatever it calls itself."""
    video = tmp_path / "devices/virtual/video4linux/video0"
    video.mkdir(parents=True)
    (video / "name").write_text("Integrated Camera\n")
    (tmp_path / "class/video4linux").mkdir(parents=True)
    (tmp_path / "class/video4linux/video0").symlink_to(video)
    with pytest.raises(VirtualCameraError, match="no bus"):
        identify(Path("/dev/video0"), tmp_path)
    with pytest.raises(CameraError, match="no such camera"):
        identify(Path("/dev/video1"), tmp_path)
    with pytest.raises(CameraError, match="no such camera"):
        identify(Path("/dev/null"), tmp_path)
