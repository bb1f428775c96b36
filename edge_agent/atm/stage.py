"""The script's people before a simulated camera: who stands there, and who the card belongs to.

Camera and references in one, as both follow from the visit that is being played. Every frame and
every made-up reference says that it is simulated.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from pathlib import Path

import structlog

from atm_face.engines.interface import FaceEngine, Template
from atm_face.faces import template_of
from atm_face.images import ImageError, load_image
from atm_face.rotation import Rotation, rotated_dimensions
from atm_face.simulated import made_up_template
from atm_face.templates import KEY_BYTES, Consent, NotEnrolledError, Reference
from contract.accounts import CardRef
from contract.clock import Clock
from edge_agent.atm.script import ScriptedVisit, VisitScript
from hardware.cameras.interface import (
    TURNS,
    CameraError,
    ChallengeAnswer,
    ChallengeKind,
    Frame,
)
from hardware.simulators.camera import SimulatedCamera

NAME = "simulated0"
CONSENT = Consent(purpose="scripted customers", given_on=dt.date(2026, 1, 1))

log = structlog.get_logger("atm")


class Stage:
    """A simulated camera and the references of a script; one visit at a time."""

    def __init__(
        self, script: VisitScript, refs_of: Callable[[str], tuple[CardRef, ...]], clock: Clock
    ) -> None:
        """``refs_of``: a card under each key that it is known by now."""
        self._clock = clock
        self._visit: ScriptedVisit | None = None
        self._camera: SimulatedCamera | None = None
        self._references: dict[Path, Template] = {}
        self._rotation_key = secrets.token_bytes(KEY_BYTES)
        self._visits = script.visits
        self._refs_of = refs_of

    def expect(self, visit: ScriptedVisit) -> None:
        """Let this visit's customer come."""
        self._visit, self._camera = visit, None

    def expect_card(self, card: bytes) -> None:
        """Let the customer come whom the script has for a card; nobody where it has none."""
        self._camera = None
        self._visit = next(
            (v for v in self._visits if card in {ref.hmac for ref in self._refs_of(v.pan)}), None
        )

    # -- the camera --------------------------------------------------------------------------------

    def capture(self, nonce: bytes) -> Frame:
        """Take a picture of who stands there; CameraError where the script has nobody."""
        return self._opened().capture(nonce)

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        """Take the pictures of the turn; raises CameraError."""
        return self._opened().challenge(kind, nonce)

    @property
    def challenges(self) -> tuple[ChallengeKind, ...]:
        """What the visit's customer can be asked."""
        can_approach = self._visit is not None and self._visit.can_approach
        return tuple(ChallengeKind) if can_approach else TURNS

    def _opened(self) -> SimulatedCamera:
        """Return the camera of this visit; CameraError for a script without a picture."""
        if self._camera is None:
            self._camera = self._made()
        return self._camera

    def _made(self) -> SimulatedCamera:
        visit = self._visit
        if visit is None:
            raise CameraError(NAME, "the script knows nobody with this card")
        try:
            return SimulatedCamera(
                [path.read_bytes() for path in visit.faces],
                clock=self._clock,
                turns={
                    ChallengeKind.TURN_LEFT: [path.read_bytes() for path in visit.turn_left],
                    ChallengeKind.TURN_RIGHT: [path.read_bytes() for path in visit.turn_right],
                },
                can_challenge=visit.answers_challenge,
                can_approach=visit.can_approach,
                name=NAME,
            )
        except OSError as error:
            raise CameraError(NAME, str(error)) from None

    # -- the references ----------------------------------------------------------------------------

    def fetch(self, card: bytes, engine: FaceEngine) -> Reference:
        """Return the reference of the visit that is played; raises NotEnrolledError."""
        visit = self._visit
        template = None
        if visit is not None and visit.stranger is not None:
            template = made_up_template(engine, visit.stranger)
        elif visit is not None and visit.reference is not None:
            template = self._enrolled(engine, visit.reference)
        if template is None:
            raise NotEnrolledError("the script has no reference for this card")
        dimensions = rotated_dimensions(engine.name, len(template.vector))
        rotation = Rotation(self._rotation_key, dimensions)
        return Reference(template=rotation.turn(template), consent=CONSENT, rotation=rotation)

    def _enrolled(self, engine: FaceEngine, path: Path) -> Template | None:
        """Enrolment in miniature: the template is made here and stays in this process."""
        if path not in self._references:
            try:
                found = template_of(engine, load_image(path))
            except ImageError as error:
                log.warning("reference_unreadable", problem=str(error))
                return None
            if not isinstance(found, Template):
                log.warning("reference_unusable", file=path.name, finding=found.finding.value)
                return None
            self._references[path] = found
        return self._references[path]
