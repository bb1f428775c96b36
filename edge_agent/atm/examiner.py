"""The face of one visit, step by step as the bank's application asks: open, capture, challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from atm_face.engines.interface import FaceEngine, Template
from atm_face.screens import Prompt
from atm_face.visit import Examination, Session, examine, open_session
from contract.accounts import CardRef
from contract.clock import Clock
from hardware.cameras.interface import Camera, CameraError, ChallengeAnswer, ChallengeKind, Frame

MAX_FRAMES = 5
"""So many pictures may be taken in a visit; the first usable one counts."""


class FaceVisit(Protocol):
    """One visit at the camera."""

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do."""

    @property
    def is_enrolled(self) -> bool:
        """Whether the card's owner has a reference and a consent."""

    def capture(self) -> tuple[Prompt, ...]:
        """Take a picture; what would help before the next. Raises CameraError."""

    def run_challenge(self) -> bool:
        """Take the challenge's pictures; False if the camera cannot. Raises CameraError."""

    def examine(self) -> Examination:
        """Judge what was taken."""


@dataclass(slots=True)
class CameraVisit:
    """A visit with a camera and an engine; pictures live no longer than it."""

    engine: FaceEngine
    camera: Camera
    reference: Template | None
    clock: Clock
    threshold: float | None
    session: Session
    frames: list[Frame] = field(default_factory=list)
    answer: ChallengeAnswer | None = None

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do."""
        return self.session.challenge

    @property
    def is_enrolled(self) -> bool:
        """Whether there is a reference."""
        return self.reference is not None

    def capture(self) -> tuple[Prompt, ...]:
        """Take a picture and look at it alone."""
        if len(self.frames) >= MAX_FRAMES:
            raise CameraError("visit", f"{MAX_FRAMES} pictures were taken")
        self.frames.append(self.camera.capture(self.session.nonce))
        alone = replace(self)
        alone.frames, alone.answer = [self.frames[-1]], None
        return alone.examine().prompts

    def run_challenge(self) -> bool:
        """Ask for the turn and take its pictures."""
        self.answer = self.camera.challenge(self.session.challenge, self.session.nonce)
        return self.answer is not None

    def examine(self) -> Examination:
        """Compare and judge."""
        return examine(
            self.engine,
            self.reference,
            self.frames,
            self.answer,
            session=self.session,
            now_us=self.clock.wall(),
            threshold=self.threshold,
        )


class Examiner:
    """Opens visits at one machine's camera."""

    def __init__(
        self,
        engine: FaceEngine,
        *,
        camera_for: Callable[[CardRef], Camera],
        reference_of: Callable[[CardRef], Template | None],
        clock: Clock,
        threshold: float | None = None,
    ) -> None:
        """``camera_for``: always the same one, but a simulated one knows who will stand there."""
        self._engine = engine
        self._camera_for = camera_for
        self._reference_of = reference_of
        self._clock = clock
        self._threshold = threshold

    def open(self, card: CardRef) -> FaceVisit:
        """Begin a visit with a fresh nonce."""
        camera = self._camera_for(card)
        return CameraVisit(
            engine=self._engine,
            camera=camera,
            reference=self._reference_of(card),
            clock=self._clock,
            threshold=self._threshold,
            session=open_session(self._clock.wall(), challenges=camera.challenges),
        )
