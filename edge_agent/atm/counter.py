"""The ATM agent's visits: card, keypad verdict, camera and policy to one signed decision each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from atm_face.engines.interface import EngineError, FaceEngine, Finding, Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import inspect
from atm_face.images import ImageError, load_image
from atm_face.policy import Policy, Visit, decide, list_mode
from atm_face.simulated import made_up_template
from atm_face.visit import Examination, examine, open_session
from contract.accounts import CardRef, card_ref
from contract.clock import Clock
from contract.files import replace_durably
from contract.messages import WithdrawalDecision
from contract.words import Decision, DecisionReason, Pad, PartState
from edge_agent.atm.script import ScriptedVisit, VisitScript, load_script
from edge_agent.config import AtmConfig
from edge_agent.desk import Desk
from edge_agent.health import HealthBook
from edge_agent.identity import read_tenant_key
from hardware.cameras.interface import CameraError, ChallengeKind
from hardware.simulators.camera import SimulatedCamera

NO_FACE = Examination(evidence=None, is_match=None, is_live=None, is_face_covered=False)
"""A camera that failed has seen nobody: the customer is sent to the counter."""

log = structlog.get_logger("atm")


class AtmCounter:
    """Plays the scripted visits through the real face engine and the real policy."""

    def __init__(
        self,
        config: AtmConfig,
        *,
        state_dir: Path,
        clock: Clock,
        desk: Desk,
        book: HealthBook,
        hold_on: Callable[[CardRef], DecisionReason | None] = lambda card: None,
    ) -> None:
        """``hold_on`` says whether an order holds an account now."""
        self._hold_on = hold_on
        self._clock = clock
        self._desk = desk
        self._book = book
        self._config = config
        self._policy = Policy()
        self._tenant_key = read_tenant_key(config.tenant_key_file)
        self._script: VisitScript = load_script(config.script)
        self._visit_file = state_dir / "last_visit"
        self._references: dict[Path, Template] = {}
        for part in ("camera", "face engine", "visits"):
            book.register(part)

    async def run(self) -> None:
        """Serve customers until the agent stops."""
        try:
            engine: FaceEngine = await asyncio.to_thread(SFaceEngine, self._config.models)
        except EngineError as error:
            self._book.report("face engine", PartState.FAILED, str(error))
            log.warning("engine_failed", problem=str(error))
            return
        detail = f"{engine.name} {engine.model_sha256.hex()[:12]}"
        self._book.report("face engine", PartState.OK, detail)
        number = self._last_visit()
        while True:
            number += 1
            # Written before the visit: a number that was given out is never given out again.
            replace_durably(self._visit_file, str(number).encode())
            scripted = self._script.visits[(number - 1) % len(self._script.visits)]
            decision = await asyncio.to_thread(self._serve, engine, scripted, str(number))
            is_durable = await self._desk.send(decision)
            self._book.count("visits", decision.decision.value.lower())
            state = PartState.OK if is_durable else PartState.FAILED
            self._book.report("visits", state, "scripted customers, simulated camera and keypad")
            await asyncio.sleep(self._script.pause_s)

    def _last_visit(self) -> int:
        try:
            return int(self._visit_file.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:
            log.warning("visit_number_lost", file=self._visit_file.name)
            return self._clock.wall() // 1_000_000  # later than any number given out before

    def _serve(
        self, engine: FaceEngine, scripted: ScriptedVisit, number: str
    ) -> WithdrawalDecision:
        """Run one visit to its decision; blocking, off the event loop."""
        started = self._clock.wall()
        reference = self._reference(engine, scripted)
        seen = self._examine(engine, reference, scripted)
        card = card_ref(scripted.pan, self._tenant_key)
        hold = self._hold_on(card)
        visit = Visit(
            has_stop=hold is DecisionReason.STOP_PAYMENT,
            has_freeze=hold is DecisionReason.FROZEN,
            business=scripted.business,
            pin=scripted.pin,
            is_enrolled=reference is not None,
            is_face_covered=seen.is_face_covered,
            pad=seen.evidence.pad if seen.evidence else Pad.NONE,
            is_live=seen.is_live,
            is_match=seen.is_match,
            list_mode=list_mode(is_online=self._script.is_online, age_s=self._script.list_age_s),
        )
        verdict = decide(visit, self._policy)
        return WithdrawalDecision(
            visit=number,
            business=scripted.business.word,
            amount_fen=scripted.amount_fen,
            card=card,
            pin=scripted.pin,
            face=seen.evidence,
            decision=Decision(verdict.decision),
            reason=verdict.reason,
            policy_version=self._policy.version,
            started_at=started,
            decided_at=self._clock.wall(),
        )

    def _reference(self, engine: FaceEngine, scripted: ScriptedVisit) -> Template | None:
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

    def _examine(
        self, engine: FaceEngine, reference: Template | None, scripted: ScriptedVisit
    ) -> Examination:
        session = open_session(self._clock.wall())
        try:
            camera = self._camera(scripted)
            frame = camera.capture(session.nonce)
            answer = camera.challenge(session.challenge, session.nonce)
        except (CameraError, OSError) as error:
            self._book.report("camera", PartState.FAILED, str(error))
            log.warning("camera_failed", problem=str(error))
            return NO_FACE
        self._book.report("camera", PartState.OK, "simulated")
        return examine(
            engine,
            reference,
            [frame],
            answer,
            session=session,
            now_us=self._clock.wall(),
            threshold=self._config.threshold,
        )

    def _camera(self, scripted: ScriptedVisit) -> SimulatedCamera:
        return SimulatedCamera(
            [path.read_bytes() for path in scripted.faces],
            clock=self._clock,
            turns={
                ChallengeKind.TURN_LEFT: [path.read_bytes() for path in scripted.turn_left],
                ChallengeKind.TURN_RIGHT: [path.read_bytes() for path in scripted.turn_right],
            },
            can_challenge=scripted.answers_challenge,
        )
