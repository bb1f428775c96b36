"""The face of one visit, step by step as the bank's application asks: open, capture, challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from atm_face.factor import CardVerdict, CardVisit, FaceFactor
from atm_face.screens import Prompt
from contract.accounts import CardRef
from hardware.cameras.interface import CameraError, ChallengeKind


class FaceVisit(Protocol):
    """One visit at the camera."""

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do."""

    def capture(self) -> tuple[Prompt, ...]:
        """Take a picture; what would help before the next. Raises CameraError."""

    def run_challenge(self) -> bool:
        """Take the challenge's pictures; False if the camera cannot. Raises CameraError."""

    def verdict(self) -> CardVerdict:
        """Judge what was taken."""


@dataclass(slots=True)
class FactorVisit:
    """A visit of the machine's face factor."""

    visit: CardVisit

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do."""
        return self.visit.challenge

    def capture(self) -> tuple[Prompt, ...]:
        """Take a picture and look at it alone."""
        try:
            return self.visit.capture().prompts
        except CameraError as error:
            self.visit.note(error)
            raise

    def run_challenge(self) -> bool:
        """Ask for the turn and take its pictures."""
        try:
            return self.visit.run_challenge()
        except CameraError as error:
            self.visit.note(error)
            raise

    def verdict(self) -> CardVerdict:
        """Compare and judge."""
        return self.visit.verdict()


class Examiner:
    """Opens visits of one machine's face factor."""

    def __init__(
        self, factor: FaceFactor, on_open: Callable[[bytes], None] = lambda card: None
    ) -> None:
        """``on_open`` is told the card first: a simulated camera has to know who comes."""
        self._factor = factor
        self._on_open = on_open

    def open(self, card: CardRef) -> FaceVisit:
        """Begin a visit with a fresh nonce."""
        self._on_open(card.hmac)
        return FactorVisit(self._factor.open(card.hmac))
