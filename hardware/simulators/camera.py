"""A simulated camera: gives prepared pictures, and can be unplugged, late or lazy like a device."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from contract.clock import Clock
from hardware.cameras.interface import TURNS, CameraError, ChallengeAnswer, ChallengeKind, Frame


class SimulatedCamera:
    """A camera whose every frame says that it is simulated.

    ``images`` are encoded pictures, given in turn and again from the first. ``turns`` are the
    pictures of a customer who does as asked; a challenge without an entry there shows a customer
    who keeps still. With ``can_approach=True`` customers also come closer: those pictures are
    made from the others, which must show the face at one size. A challenge begins with the
    customer as before: nobody moves in the moment of being asked. With ``can_challenge=False``
    the device itself cannot run challenges.
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
        can_approach: bool = False,
        late_us: int = 0,
        name: str = "simulated0",
    ) -> None:
        if not images:
            raise ValueError("a simulated camera needs at least one picture")
        self.name = name
        self.late_us = late_us
        self.challenges = tuple(ChallengeKind) if can_approach else TURNS
        self._clock = clock
        self._pictures = itertools.cycle(images)
        self._seen = b""
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
        self._seen = next(self._pictures)
        return self._frame(self._seen, nonce)

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        """Return the pictures of the turn asked for, or of a customer who keeps still."""
        self._require_cable()
        if not self._can_challenge:
            return None
        asked_us = int(self._clock.wall()) - self.late_us
        before = self._seen or next(self._pictures)
        pictures = [before, *(self._done(kind, before) or [before])]
        return ChallengeAnswer(
            kind=kind,
            asked_us=asked_us,
            frames=tuple(self._frame(picture, nonce) for picture in pictures),
        )

    def _done(self, kind: ChallengeKind, before: bytes) -> Sequence[bytes]:
        """What the customer does: as prepared, or the turn after coming closer, or nothing."""
        if kind in self._turns or not kind.has_approach:
            return self._turns.get(kind, ())
        turn = self._turns.get(kind.turn)
        if not turn:
            return ()
        from hardware.simulators.portraits import nearer

        return [nearer(before), *(nearer(picture) for picture in turn)]

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
