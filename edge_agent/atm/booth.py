"""The face factor of one machine: engine, camera and references, as the script sets them up.

One engine serves every part of the agent that looks at faces; it is loaded once. Where the camera
is simulated, the script says who stands before it, and each decision says that it was simulated.
"""

from __future__ import annotations

import threading
from pathlib import Path

import structlog

from atm_face.engines.interface import EngineError, FaceEngine, Finding, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import inspect
from atm_face.images import ImageError, load_image
from atm_face.simulated import made_up_template
from atm_face.visit import Examination, examine, open_session
from contract.accounts import CardRef
from contract.clock import Clock
from contract.words import PartState
from edge_agent.atm.examiner import Examiner
from edge_agent.atm.key_ring import KeyRing
from edge_agent.atm.script import ScriptedVisit, VisitScript, load_script
from edge_agent.atm_config import AtmConfig
from edge_agent.health import HealthBook
from hardware.cameras.interface import (
    TURNS,
    Camera,
    CameraError,
    ChallengeAnswer,
    ChallengeKind,
    Frame,
)
from hardware.simulators.camera import SimulatedCamera

NO_FACE = Examination(evidence=None, is_match=None, is_live=None, is_face_covered=False)
"""A camera that failed has seen nobody: the customer is sent to the counter."""

log = structlog.get_logger("atm")


class _NoPicture:
    """A camera that cannot say who is there."""

    challenges = TURNS

    def __init__(self, problem: str) -> None:
        self._problem = problem

    def capture(self, nonce: bytes) -> Frame:
        raise CameraError("simulated0", self._problem)

    def challenge(self, kind: ChallengeKind, nonce: bytes) -> ChallengeAnswer | None:
        raise CameraError("simulated0", self._problem)


class Booth:
    """Engine, camera and references; methods block and may be called from any thread."""

    def __init__(self, config: AtmConfig, *, clock: Clock, book: HealthBook) -> None:
        """Read the script and the key for card numbers; raises ConfigError, IdentityError."""
        self._config = config
        self._clock = clock
        self._book = book
        self.keys = KeyRing(config.tenant_key_file)
        self.script: VisitScript = load_script(config.script)
        self._references: dict[Path, Template] = {}
        self._lock = threading.Lock()
        self._engine: FaceEngine | None = None
        for part in ("camera", "face engine"):
            book.register(part)

    def load_engine(self) -> FaceEngine | None:
        """Return the engine; None, said in health, where its weights cannot be used."""
        with self._lock:
            if self._engine is not None:
                return self._engine
            try:
                engine = self._engine = SFaceEngine(self._config.models)
            except EngineError as error:
                self._book.report("face engine", PartState.FAILED, str(error))
                log.warning("engine_failed", problem=str(error))
                return None
        detail = f"{engine.name} {engine.model_sha256.hex()[:12]}"
        self._book.report("face engine", PartState.OK, detail)
        return engine

    def reference(self, engine: FaceEngine, scripted: ScriptedVisit) -> Template | None:
        """Enrolment in miniature: the template is made here and stays in this process."""
        if scripted.stranger is not None:
            return made_up_template(engine, scripted.stranger)
        path = scripted.reference
        if path is None:
            return None
        if path not in self._references:
            try:
                image = load_image(path)
            except ImageError as error:
                log.warning("reference_unreadable", problem=str(error))
                return None
            capture = inspect(engine, image)
            if capture.finding is not Finding.FACE or capture.face is None:
                log.warning("reference_unusable", file=path.name, finding=capture.finding.value)
                return None
            self._references[path] = engine.encode(image, capture.face)
        return self._references[path]

    def examine(self, engine: FaceEngine, scripted: ScriptedVisit) -> Examination:
        """Take the pictures of one visit and judge them; a broken camera has seen nobody."""
        try:
            camera = self._camera(scripted)
            session = open_session(self._clock.wall(), challenges=camera.challenges)
            frame = camera.capture(session.nonce)
            answer = camera.challenge(session.challenge, session.nonce)
        except (CameraError, OSError) as error:
            self._book.report("camera", PartState.FAILED, str(error))
            log.warning("camera_failed", problem=str(error))
            return NO_FACE
        self._book.report("camera", PartState.OK, "simulated")
        return examine(
            engine,
            self.reference(engine, scripted),
            [frame],
            answer,
            session=session,
            now_us=self._clock.wall(),
            threshold=self._config.threshold,
        )

    def examiner(self, engine: FaceEngine) -> Examiner:
        """Return what opens visits by card, for the bank's application."""

        def camera_for(card: CardRef) -> Camera:
            scripted = self._scripted(card)
            if scripted is None:
                return _NoPicture("the script knows nobody with this card")
            try:
                return self._camera(scripted)
            except OSError as error:
                return _NoPicture(str(error))

        def reference_of(card: CardRef) -> Template | None:
            scripted = self._scripted(card)
            return None if scripted is None else self.reference(engine, scripted)

        return Examiner(
            engine,
            camera_for=camera_for,
            reference_of=reference_of,
            clock=self._clock,
            threshold=self._config.threshold,
        )

    def _scripted(self, card: CardRef) -> ScriptedVisit | None:
        """The first visit of a card in the script, under whichever key it is named."""
        return next((v for v in self.script.visits if card in self.keys.all_refs(v.pan)), None)

    def _camera(self, scripted: ScriptedVisit) -> SimulatedCamera:
        return SimulatedCamera(
            [path.read_bytes() for path in scripted.faces],
            clock=self._clock,
            turns={
                ChallengeKind.TURN_LEFT: [path.read_bytes() for path in scripted.turn_left],
                ChallengeKind.TURN_RIGHT: [path.read_bytes() for path in scripted.turn_right],
            },
            can_challenge=scripted.answers_challenge,
            can_approach=scripted.can_approach,
        )
