"""The simulated camera behaves like a device and never passes for a real one."""

from __future__ import annotations

import hashlib

import pytest

from contract import UnixMicros, VirtualClock
from hardware.cameras.interface import Camera, CameraError, ChallengeKind
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera

NONCE = b"n" * 16


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(UnixMicros(1_000_000))


def test_it_is_a_camera_and_says_that_it_is_simulated(clock: VirtualClock) -> None:
    camera: Camera = SimulatedCamera([b"one"], clock=clock, name="lobby")
    frame = camera.capture(NONCE)
    assert frame.is_simulated
    assert (frame.camera, frame.nonce, frame.encoded) == ("lobby", NONCE, b"one")


def test_pictures_come_in_turn_with_the_time_of_their_capture(clock: VirtualClock) -> None:
    camera = SimulatedCamera([b"one", b"two"], clock=clock)
    seen = []
    for _ in range(3):
        frame = camera.capture(NONCE)
        seen.append((frame.encoded, frame.captured_us))
        clock.advance(10)
    assert seen == [(b"one", 1_000_000), (b"two", 1_000_010), (b"one", 1_000_020)]


def test_a_late_frame_is_older_than_the_moment_it_is_asked_for(clock: VirtualClock) -> None:
    camera = SimulatedCamera([b"one"], clock=clock, late_us=400_000)
    assert camera.capture(NONCE).captured_us == 600_000


def test_an_unplugged_camera_gives_nothing_until_it_is_back(clock: VirtualClock) -> None:
    camera = SimulatedCamera([b"one"], clock=clock, name="lobby")
    camera.unplug()
    with pytest.raises(CameraError, match="camera lobby: unplugged") as caught:
        camera.capture(NONCE)
    assert caught.value.camera == "lobby"
    with pytest.raises(CameraError):
        camera.challenge(ChallengeKind.TURN_LEFT, NONCE)
    camera.plug()
    assert camera.capture(NONCE).encoded == b"one"


def test_a_challenge_shows_the_turn_or_who_keeps_still(clock: VirtualClock) -> None:
    camera = SimulatedCamera(
        [b"still"], clock=clock, turns={ChallengeKind.TURN_LEFT: [b"begun", b"turned"]}
    )
    turned = camera.challenge(ChallengeKind.TURN_LEFT, NONCE)
    still = camera.challenge(ChallengeKind.TURN_RIGHT, NONCE)
    assert turned is not None
    assert still is not None
    assert [frame.encoded for frame in turned.frames] == [b"still", b"begun", b"turned"]
    assert [frame.encoded for frame in still.frames] == [b"still", b"still"]
    assert all(frame.is_simulated for frame in (*turned.frames, *still.frames))


def test_a_camera_without_challenges_answers_none(clock: VirtualClock) -> None:
    camera = SimulatedCamera([b"one"], clock=clock, can_challenge=False)
    assert camera.challenge(ChallengeKind.TURN_LEFT, NONCE) is None


def test_a_camera_without_pictures_is_a_mistake(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SimulatedCamera([], clock=clock)


def test_the_text_form_of_a_frame_shows_neither_picture_nor_nonce(clock: VirtualClock) -> None:
    text = repr(SimulatedCamera([b"secret picture"], clock=clock).capture(b"secret nonce"))
    assert "secret" not in text


def test_portraits_are_the_same_bytes_every_time_and_differ_from_each_other() -> None:
    def once() -> list[bytes]:
        return [
            portraits.portrait(),
            portraits.portrait_jpeg(),
            portraits.with_brightness(0.5),
            portraits.rotated(10),
            portraits.noisy(),
            portraits.mirrored(),
            portraits.turned(30),
            portraits.tilted_print(30),
            portraits.nobody(),
        ]

    first = once()
    assert first == once()
    assert len({hashlib.sha256(raw).digest() for raw in first}) == len(first)


def test_a_head_turned_by_nothing_is_the_portrait() -> None:
    assert portraits.turned(0) == portraits.portrait()
