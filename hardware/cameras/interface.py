"""The seam of the cameras: a frame says who took it, when, and for which session.

A camera judges nothing. Pictures stay encoded (JPEG, PNG, BMP) until the face factor decodes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class CameraError(Exception):
    """A camera that gives no picture: unplugged, busy or broken."""

    def __init__(self, camera: str, problem: str) -> None:
        super().__init__(f"camera {camera}: {problem}")
        self.camera = camera
        self.problem = problem


class ChallengeKind(StrEnum):
    """What a customer is asked to do; left and right are the customer's own.

    No blink: five landmarks show no eyelid, and what cannot be judged is not asked.
    """

    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"
    APPROACH_LEFT = "approach_left"
    """Come closer, then turn left."""
    APPROACH_RIGHT = "approach_right"

    @property
    def turn(self) -> ChallengeKind:
        """The turn in it: coming closer alone is no answer, a print can be moved too."""
        is_left = self in {ChallengeKind.TURN_LEFT, ChallengeKind.APPROACH_LEFT}
        return ChallengeKind.TURN_LEFT if is_left else ChallengeKind.TURN_RIGHT

    @property
    def has_approach(self) -> bool:
        """Whether the customer is asked to come closer first."""
        return self in {ChallengeKind.APPROACH_LEFT, ChallengeKind.APPROACH_RIGHT}


TURNS = (ChallengeKind.TURN_LEFT, ChallengeKind.TURN_RIGHT)
"""Where nobody can come closer: a barrier, or a camera that sees only what is near."""


class FrameKind(StrEnum):
    """What a frame's numbers are."""

    RGB = "rgb"
    IR = "ir"
    """Brightness in near infrared, 8 bits."""
    DEPTH = "depth"
    """Distance in millimetres, PNG of 16 bits; 0: not measured. Aligned with the RGB frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One still picture. Its text form never shows the picture or the session's nonce."""

    encoded: bytes = field(repr=False)
    """JPEG, PNG or BMP."""
    captured_us: int
    """Wall time of the exposure, microseconds since 1970-01-01T00:00:00Z."""
    camera: str
    """Which camera: a stable id (USB path and serial number), not an index."""
    nonce: bytes = field(repr=False)
    """Nonce of the session the picture was taken for."""
    is_simulated: bool
    kind: FrameKind = FrameKind.RGB


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeAnswer:
    """The pictures taken while the customer was asked to do one thing."""

    kind: ChallengeKind
    asked_us: int
    """Wall time at which the customer was asked; the first picture follows at once."""
    frames: tuple[Frame, ...]


class Camera(Protocol):
    """A camera at a machine. Calls block until the pictures are there."""

    @property
    def challenges(self) -> tuple[ChallengeKind, ...]:
        """What can be asked of whoever stands before it; a session picks one of them."""

    def capture(self, nonce: bytes) -> Frame:
        """Take one picture for the session with this nonce; raises CameraError."""

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        """Take pictures during a challenge; None if this camera cannot. Raises CameraError."""
