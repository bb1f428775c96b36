"""The machine's own camera behind an XFS4IoT Camera service: pictures of the person, base64.

The standard has one command for pictures and none for a challenge, so a challenge is a row of
pictures. It names no device either: the service's address stands for the camera.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import Final

from contract.clock import Clock
from hardware.atm.interface import DeviceLostError
from hardware.atm.xfs_client import XfsClient
from hardware.cameras.interface import CameraError, ChallengeAnswer, ChallengeKind, Frame

CHALLENGE_S: Final = 4.0
CHALLENGE_FRAMES: Final = 8
APPROACH_FRAMES: Final = 12


class XfsCamera:
    """Takes pictures of the person through one Camera service."""

    def __init__(
        self,
        client: XfsClient,
        name: str,
        *,
        clock: Clock,
        is_simulated: bool = False,
        challenge_s: float = CHALLENGE_S,
        challenges: tuple[ChallengeKind, ...] = tuple(ChallengeKind),
    ) -> None:
        """``name`` stands in every frame; ``is_simulated``: the service is no real machine's."""
        self.challenges = challenges
        self._client = client
        self._name = name
        self._clock = clock
        self._is_simulated = is_simulated
        self._challenge_s = challenge_s

    def capture(self, nonce: bytes) -> Frame:
        """Take one picture; raises CameraError."""
        asked_at = int(self._clock.wall())
        try:
            done = self._client.ask("Camera.TakePicture", {"camera": "person"})
        except DeviceLostError as error:
            raise CameraError(self._name, str(error)) from None
        if done.completion_code != "success":
            raise CameraError(self._name, done.error_code or str(done.completion_code))
        try:
            picture = base64.b64decode(str(done.payload.get("pictureFile", "")), validate=True)
        except binascii.Error:
            raise CameraError(self._name, "pictureFile is no base64") from None
        if not picture:
            raise CameraError(self._name, "pictureFile is empty")
        # The service gives no time: the earliest it can be is when it was asked.
        return Frame(
            encoded=picture,
            captured_us=asked_at,
            camera=self._name,
            nonce=nonce,
            is_simulated=self._is_simulated,
        )

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer:
        """Take a row of pictures while the customer turns, a longer one if coming closer first.

        Raises CameraError.
        """
        asked_us, frames = int(self._clock.wall()), []
        for number in range(APPROACH_FRAMES if kind.has_approach else CHALLENGE_FRAMES):
            if number:
                time.sleep(self._challenge_s / CHALLENGE_FRAMES)
            frames.append(self.capture(nonce))
        return ChallengeAnswer(kind=kind, asked_us=asked_us, frames=tuple(frames))

    def close(self) -> None:
        """Hang up."""
        self._client.close()
