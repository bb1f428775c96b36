"""A V4L2 camera through OpenCV: identified and pinned first, one fresh frame a call."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from contract.clock import Clock
from hardware.cameras.identity import identify, require_pinned
from hardware.cameras.interface import CameraError, ChallengeAnswer, ChallengeKind, Frame

STALE_FRAMES = 4
"""A driver keeps as many old frames in its buffers; they are read and thrown away."""

CHALLENGE_S = 4.0
CHALLENGE_FRAMES = 12
APPROACH_FRAMES = 18


class VideoCamera:
    """One colour camera of the machine. Raises CameraError when it gives nothing."""

    def __init__(
        self,
        node: Path,
        *,
        clock: Clock,
        pinned: str | None = None,
        size: tuple[int, int] = (640, 480),
        challenges: tuple[ChallengeKind, ...] = tuple(ChallengeKind),
    ) -> None:
        """Open the camera; VirtualCameraError and SwappedCameraError before a picture is taken."""
        self.identity = identify(node)
        if pinned is not None:
            require_pinned(self.identity, pinned)
        import cv2

        self.challenges = challenges
        self._clock = clock
        self._device: Any = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
        self._device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if not self._device.isOpened():
            raise CameraError(str(node), "does not open: busy, or not allowed")

    def capture(self, nonce: bytes) -> Frame:
        """Take one picture; frames that waited in the driver are thrown away."""
        for _ in range(STALE_FRAMES):
            self._device.grab()
        return self._frame(nonce)

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer:
        """Take pictures over four seconds while the customer turns, six if coming closer first."""
        for _ in range(STALE_FRAMES):
            self._device.grab()
        asked_us, frames = int(self._clock.wall()), []
        count = APPROACH_FRAMES if kind.has_approach else CHALLENGE_FRAMES
        for _ in range(count):
            frames.append(self._frame(nonce))
            time.sleep(CHALLENGE_S / CHALLENGE_FRAMES)
        return ChallengeAnswer(kind=kind, asked_us=asked_us, frames=tuple(frames))

    def close(self) -> None:
        """Let go of the device."""
        self._device.release()

    def _frame(self, nonce: bytes) -> Frame:
        import cv2

        is_read, pixels = self._device.read()
        if not is_read:
            raise CameraError(self.identity.node, "gives no picture: unplugged or stuck")
        is_written, encoded = cv2.imencode(".bmp", pixels)
        if not is_written:
            raise CameraError(self.identity.node, "gives pictures that cannot be written")
        return Frame(
            encoded=encoded.tobytes(),
            captured_us=int(self._clock.wall()),
            camera=self.identity.device,
            nonce=nonce,
            is_simulated=False,
        )
