"""A camera that is opened when it is needed, and anew after it failed: cables come loose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hardware.cameras.interface import Camera, CameraError, ChallengeAnswer, ChallengeKind, Frame


class OpenCamera(Camera, Protocol):
    """A camera that holds a device."""

    def close(self) -> None:
        """Let go of the device."""


class ReopenedCamera:
    """Opens at the first picture; after a failure the next picture opens it again."""

    def __init__(
        self,
        make: Callable[[], OpenCamera],
        challenges: tuple[ChallengeKind, ...] = tuple(ChallengeKind),
    ) -> None:
        """``make`` opens the device; it raises CameraError."""
        self.challenges = challenges
        self._make = make
        self._camera: OpenCamera | None = None

    def capture(self, nonce: bytes) -> Frame:
        """Take one picture; raises CameraError."""
        try:
            return self._opened().capture(nonce)
        except CameraError:
            self.close()
            raise

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        """Take the challenge's pictures; raises CameraError."""
        try:
            return self._opened().challenge(kind, nonce)
        except CameraError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the device, if it is open."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _opened(self) -> OpenCamera:
        if self._camera is None:
            self._camera = self._make()
        return self._camera
