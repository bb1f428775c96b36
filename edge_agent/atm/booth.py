"""The face factor of one machine, composed as its configuration says: engine, camera, references.

One engine serves every part of the agent that looks at faces; it is loaded once. Where camera or
references are the script's, each decision says that it was simulated.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.bank_templates import BankTemplates
from atm_face.day_visits import DayVisits
from atm_face.device_key import DeviceKeyError, file_key, require_key_beside
from atm_face.engines.interface import EngineError, FaceEngine, deciding_threshold
from atm_face.engines.table import open_engine
from atm_face.factor import CardVerdict, FaceFactor
from atm_face.liveness import PROMPT_OF
from atm_face.recent_visits import RecentVisits
from atm_face.screens import Prompt
from atm_face.templates import TemplateSource, TemplateStore
from atm_face.visit import Vote
from contract.accounts import CardRef
from contract.clock import Clock
from contract.settings import ConfigError, Problem
from contract.words import PartState
from edge_agent.atm.examiner import Examiner
from edge_agent.atm.key_ring import KeyRing
from edge_agent.atm.script import ScriptedVisit, VisitScript, load_script
from edge_agent.atm.stage import Stage
from edge_agent.atm_config import XFS_CAMERA, AtmConfig, BankTemplatesConfig, FaceConfig
from edge_agent.health import HealthBook
from hardware.atm.discovery import SIMULATED_VENDOR, ServiceKind, discover, standard_publishers
from hardware.atm.xfs_client import XfsClient
from hardware.cameras.interface import TURNS, Camera, CameraError, ChallengeKind
from hardware.cameras.reopened import OpenCamera, ReopenedCamera
from hardware.cameras.video import VideoCamera
from hardware.cameras.xfs import XfsCamera

TELL_S = 1.0
"""How long a customer has between two pictures to do what the prompt says."""
CAMERA_S = 10.0

log = structlog.get_logger("atm")


class Booth:
    """Where a customer's face is looked at; methods block and may be called from any thread."""

    def __init__(
        self,
        config: AtmConfig,
        *,
        clock: Clock,
        book: HealthBook,
        make_day: Callable[[FaceEngine], DayVisits | None] = lambda engine: None,
    ) -> None:
        """Read script and keys; raises ConfigError, IdentityError.

        ``make_day`` opens the store of the day's visits, where they are kept.
        """
        self._config = config
        self._clock = clock
        self._book = book
        self._make_day = make_day
        self.keys = KeyRing(config.tenant_key_file)
        self.script: VisitScript | None = None
        self._stage: Stage | None = None
        if config.script is not None:
            self.script = load_script(config.script)
            self._stage = Stage(self.script, self.keys.all_refs, clock)
        self._source = self._make_source()
        self._lock = threading.Lock()
        self._factor: FaceFactor | None = None
        for part in ("camera", "face engine"):
            book.register(part)

    def load(self) -> FaceFactor | None:
        """Return the factor; None, said in health, where engine or store cannot be used."""
        with self._lock:
            if self._factor is None:
                try:
                    self._factor = self._make_factor()
                except EngineError as error:
                    self._book.report("face engine", PartState.FAILED, str(error))
                    log.warning("engine_failed", problem=str(error))
            return self._factor

    def check(
        self,
        factor: FaceFactor,
        card: CardRef,
        scripted: ScriptedVisit | None = None,
        say: Callable[[Prompt], None] = lambda prompt: None,
    ) -> CardVerdict:
        """Look at one customer; a broken camera has seen nobody.

        ``say`` puts a prompt on the customer's screen.
        """
        if self._stage is not None and scripted is not None:
            self._stage.expect(scripted)
        is_live = self._config.face.camera is not None

        def tell(prompts: tuple[Prompt, ...]) -> None:
            say(prompts[0])
            if is_live:
                time.sleep(TELL_S)

        def ask(kind: ChallengeKind) -> None:
            say(PROMPT_OF[kind])

        say(Prompt.LOOK_AT_CAMERA)
        verdict = factor.check(card.hmac, ask, tell)
        self.report_camera(verdict)
        return verdict

    def report_camera(self, verdict: CardVerdict) -> None:
        """Say in health how the camera did, and whether the references could be asked for."""
        if verdict.camera_trouble:
            self._book.report("camera", PartState.FAILED, verdict.camera_trouble)
            log.warning("camera_failed", problem=verdict.camera_trouble)
        else:
            name = self._config.face.camera
            self._book.report("camera", PartState.OK, name or "simulated")
        if verdict.no_reference is not None:
            self._book.count("face engine", f"no_reference_{verdict.no_reference.value}")
            log.info("no_reference", cause=verdict.no_reference.value)

    def examiner(self, factor: FaceFactor) -> Examiner:
        """Return what opens visits by card, for the bank's application."""
        if self._stage is not None:
            return Examiner(factor, self._stage.expect_card)
        return Examiner(factor)

    # -- composing ---------------------------------------------------------------------------------

    def _make_factor(self) -> FaceFactor:
        config, face = self._config, self._config.face
        engine = open_engine(face.engine, config.models)
        threshold = deciding_threshold(engine, config.threshold)
        recent = None
        if engine.name != "face_recognition":  # it compares by distance, the window by cosine
            recent = RecentVisits(engine, threshold=threshold)
        factor = FaceFactor(
            engine,
            self._source,
            self._camera(face),
            clock=self._clock,
            threshold=threshold,
            vote=Vote(face.needed, face.of),
            pinned_camera=face.camera_id,
            recent=recent,
            day=self._make_day(engine),
        )
        detail = f"{engine.name} {engine.model_sha256.hex()[:12]}"
        self._book.report("face engine", PartState.OK, detail)
        return factor

    def _camera(self, face: FaceConfig) -> Camera:
        if face.camera is None:
            assert self._stage is not None  # the configuration has a script then
            return self._stage
        challenges = tuple(ChallengeKind) if face.can_approach else TURNS
        if face.camera == XFS_CAMERA:
            return ReopenedCamera(self._xfs_camera, challenges)
        node = Path(face.camera)
        return ReopenedCamera(
            lambda: VideoCamera(node, clock=self._clock, pinned=face.camera_id), challenges
        )

    def _xfs_camera(self) -> OpenCamera:
        """Find the machine's Camera service; raises CameraError."""
        config = self._config
        machine, face = config.machine, config.face
        publisher = face.publisher or (machine.publisher if machine is not None else None)
        dialect = face.dialect if machine is None else machine.dialect
        found = discover(standard_publishers() if publisher is None else [publisher], dialect)
        url = found.services.get(ServiceKind.CAMERA)
        if url is None:
            raise CameraError(XFS_CAMERA, "; ".join(("no Camera service", *found.problems)))
        return XfsCamera(
            XfsClient(url, dialect, timeout_s=CAMERA_S),
            url,
            clock=self._clock,
            is_simulated=found.vendors.get(url) == SIMULATED_VENDOR,
        )

    def _make_source(self) -> TemplateSource:
        """Open the references; raises ConfigError, with the key that is wrong."""
        templates = self._config.face.templates
        if templates is None:
            assert self._stage is not None
            return self._stage
        try:
            if not isinstance(templates, BankTemplatesConfig):
                require_key_beside(templates.file, templates.key_file)
                return TemplateStore(templates.file, file_key(templates.key_file))
            own = X25519PrivateKey.from_private_bytes(file_key(templates.device_key_file))
            tls = ssl.create_default_context(cafile=str(templates.ca))
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
            tls.load_cert_chain(templates.certificate, templates.private_key)
        except (OSError, EngineError, DeviceKeyError) as error:
            problem = Problem(self._config.tenant_key_file, None, "atm.face", str(error))
            raise ConfigError([problem]) from None
        public = own.public_key().public_bytes_raw().hex()
        # The bank's service has to know it: qianshao face serve-templates --devices.
        self._book.report("templates", PartState.OK, f"this device's key: {public}")
        return BankTemplates(templates.url, tls, own)
