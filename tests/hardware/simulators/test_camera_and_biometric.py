"""Camera and Biometric services of the machine: our clients, the simulated ATM, both dialects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from contract.clock import UnixMicros, VirtualClock
from hardware.atm.biometric import BiometricError, Confidence, XfsBiometric
from hardware.atm.interface import DeviceLostError
from hardware.atm.xfs4iot import Dialect, XfsMessage
from hardware.atm.xfs_client import XfsClient
from hardware.cameras.interface import CameraError, ChallengeKind
from hardware.cameras.reopened import ReopenedCamera
from hardware.cameras.xfs import CHALLENGE_FRAMES, XfsCamera
from hardware.simulators.biometric import SimulatedBiometric
from hardware.simulators.cash import CashFaults, SimulatedCardSlot, SimulatedDispenser
from hardware.simulators.xfs_atm import XfsAtm, XfsFault
from hardware.simulators.xfs_services import BIOMETRIC, CAMERA, DISPENSER

CLOCK = VirtualClock(UnixMicros(1_000_000))
NONCE = b"n" * 16


def no_fault(message: XfsMessage) -> XfsFault:
    return XfsFault()


@contextlib.contextmanager
def machine(
    dialect: Dialect,
    *,
    picture: Callable[[], bytes] = lambda: b"a picture",
    device: SimulatedBiometric | None = None,
    fault: Callable[[XfsMessage], XfsFault] = no_fault,
) -> Iterator[XfsAtm]:
    faults = CashFaults()
    cash = SimulatedDispenser(faults, lambda name: None)
    slot = SimulatedCardSlot(faults, lambda name: None)
    with XfsAtm(
        cash, slot, dialect, token_key=bytes(32), camera=picture, biometric=device, fault=fault
    ) as atm:
        yield atm


@contextlib.contextmanager
def camera_of(atm: XfsAtm) -> Iterator[XfsCamera]:
    client = XfsClient(atm.url(CAMERA), atm.dialect, timeout_s=2)
    camera = XfsCamera(client, "cam", clock=CLOCK, is_simulated=True, challenge_s=0.0)
    try:
        yield camera
    finally:
        camera.close()


@pytest.mark.parametrize("dialect", Dialect)
def test_pictures_come_for_the_session_they_were_asked_in(dialect: Dialect) -> None:
    with machine(dialect) as atm, camera_of(atm) as camera:
        frame = camera.capture(NONCE)
        assert (frame.encoded, frame.nonce, frame.camera) == (b"a picture", NONCE, "cam")
        assert (frame.captured_us, frame.is_simulated) == (1_000_000, True)
        answer = camera.challenge(ChallengeKind.TURN_LEFT, NONCE)
        assert len(answer.frames) == CHALLENGE_FRAMES


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (XfsFault(is_closed=True), "ConnectionClosed"),
        (XfsFault(code="hardwareError"), "hardwareError"),
    ],
)
def test_a_camera_that_is_lost_is_a_camera_error(fault: XfsFault, problem: str) -> None:
    with (
        machine(Dialect.CURRENT, fault=lambda message: fault) as atm,
        camera_of(atm) as camera,
        pytest.raises(CameraError, match=problem),
    ):
        camera.capture(NONCE)


def test_a_camera_without_a_picture_says_so() -> None:
    with (
        machine(Dialect.CURRENT, picture=bytes) as atm,
        camera_of(atm) as camera,
        pytest.raises(CameraError, match="cameraInoperable"),
    ):
        camera.capture(NONCE)


def test_a_camera_is_opened_again_after_a_fault() -> None:
    is_down = [True]
    opened: list[int] = []
    with machine(Dialect.CURRENT, picture=lambda: b"" if is_down[0] else b"x") as atm:

        def make() -> XfsCamera:
            opened.append(1)
            client = XfsClient(atm.url(CAMERA), Dialect.CURRENT, timeout_s=2)
            return XfsCamera(client, "cam", clock=CLOCK)

        camera = ReopenedCamera(make)
        with pytest.raises(CameraError):
            camera.capture(NONCE)
        is_down[0] = False
        assert camera.capture(NONCE).encoded == b"x"
        assert camera.capture(NONCE).encoded == b"x"
        camera.close()
    assert len(opened) == 2


@pytest.mark.parametrize("dialect", Dialect)
def test_a_scan_is_compared_in_the_service_and_forgotten(dialect: Dialect) -> None:
    device = SimulatedBiometric(lambda: b"owner")
    with machine(dialect, device=device) as atm:
        service = XfsBiometric(XfsClient(atm.url(BIOMETRIC), dialect, timeout_s=2))
        owner, other = service.import_template(b"owner"), service.import_template(b"other")
        with pytest.raises(BiometricError, match="noCaptureData"):
            service.match(owner)
        service.read()
        assert service.match(owner, 80) == Confidence(100)
        assert service.match(other, 80) is None
        assert service.match(other) == Confidence(0)
        service.clear()
        assert (device.imported, device.scanned) == ({}, b"")
        service.close()


@pytest.mark.parametrize("dialect", Dialect)
def test_versions_are_agreed_on_and_others_refused(dialect: Dialect) -> None:
    with machine(dialect) as atm:
        client = XfsClient(atm.url(DISPENSER), dialect, timeout_s=2)
        assert client.agree("CashDispenser", "CashManagement")
        done = client.ask("Common.SetVersions", {"commands": {"CashDispenser.Dispense": 9}})
        assert done.completion_code == "invalidData"
        client.close()


def test_a_lost_biometric_service_is_a_lost_device() -> None:
    device = SimulatedBiometric(lambda: b"owner")
    with machine(
        Dialect.CURRENT, device=device, fault=lambda message: XfsFault(is_closed=True)
    ) as atm:
        service = XfsBiometric(XfsClient(atm.url(BIOMETRIC), Dialect.CURRENT, timeout_s=2))
        with pytest.raises(DeviceLostError):
            service.read()
        service.close()
