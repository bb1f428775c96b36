"""A simulated camera: gives prepared pictures, and can be unplugged, late or lazy like a device."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from contract.clock import Clock
from hardware.cameras.interface import CameraError, ChallengeAnswer, ChallengeKind, Frame


class SimulatedCamera:
    """A camera whose every frame says that it is simulated.

    ``images`` are encoded pictures, given in turn and again from the first. ``turns`` are the
    pictures of a customer who does as asked; a challenge without an entry there shows a customer
    who keeps still. With ``can_challenge=False`` the device itself cannot run challenges.
    ``late_us`` makes every frame that much older than the moment it is asked for, like a driver
    that serves a stale buffer.
    """

    def __init__(
        self,
        images: Sequence[bytes],
        *,
        clock: Clock,
        turns: Mapping[ChallengeKind, Sequence[bytes]] | None = None,
        can_challenge: bool = True,
        late_us: int = 0,
        name: str = "simulated0",
    ) -> None:
        if not images:
            raise ValueError("a simulated camera needs at least one picture")
        self.name = name
        self.late_us = late_us
        self._clock = clock
        self._pictures = itertools.cycle(images)
        self._turns = dict(turns or {})
        self._can_challenge = can_challenge
        self._is_plugged = True

    def unplug(self) -> None:
        """Pull the cable: every further call raises CameraError."""
        self._is_plugged = False

    def plug(self) -> None:
        """Put the cable back."""
        self._is_plugged = True

    def capture(self, nonce: bytes) -> Frame:
        """Return the next picture."""
        self._require_cable()
        return self._frame(next(self._pictures), nonce)

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        """Return the pictures of the turn asked for, or of a customer who keeps still."""
        self._require_cable()
        if not self._can_challenge:
            return None
        pictures = self._turns.get(kind) or [next(self._pictures)]
        return ChallengeAnswer(
            kind=kind, frames=tuple(self._frame(picture, nonce) for picture in pictures)
        )

    def _require_cable(self) -> None:
        if not self._is_plugged:
            raise CameraError(self.name, "unplugged")

    def _frame(self, picture: bytes, nonce: bytes) -> Frame:
        return Frame(
            encoded=picture,
            captured_us=int(self._clock.wall()) - self.late_us,
            camera=self.name,
            nonce=nonce,
            is_simulated=True,
        )
