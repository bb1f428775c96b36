"""The face factor of one machine in one object: engine, templates, camera; a card to its verdict.

Whoever composes an agent builds one :class:`FaceFactor` and asks it once for each visit. It decides
nothing about cash: its verdict goes to :mod:`atm_face.policy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from atm_face.day_visits import DayVisits
from atm_face.engines.interface import FaceEngine, Template, deciding_threshold
from atm_face.recent_visits import ManyCards, RecentVisits
from atm_face.screens import Prompt
from atm_face.templates import (
    NoConsentError,
    NotEnrolledError,
    ReEnrolError,
    SealError,
    TemplateError,
    TemplateSource,
)
from atm_face.visit import ONE_FRAME, Examination, Session, Vote, examine, open_session
from contract.clock import Clock
from hardware.cameras.interface import Camera, CameraError, ChallengeAnswer, ChallengeKind, Frame

FRAMES_MAX = 5


class NoReference(StrEnum):
    """Why a card has no reference to compare with; the counter is offered for each."""

    NOT_ENROLLED = "not_enrolled"
    NO_CONSENT = "no_consent"
    RE_ENROL = "re_enrol"
    SEAL = "seal"
    STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardVerdict:
    """What the face says about one visit. Holds no picture and no template."""

    examination: Examination
    no_reference: NoReference | None
    camera_trouble: str = ""
    """Why a picture is missing; empty if none is."""
    many_cards: ManyCards | None = None
    """Cards that this face failed to match within the window; None where it did not fail."""

    @property
    def reached_cards(self) -> int | None:
        """The count, at the visit that reached it; this alone leaves the machine."""
        counted = self.many_cards
        return counted.cards if counted is not None and counted.is_reached else None

    @property
    def is_enrolled(self) -> bool:
        """Whether a reference and a consent exist; a store that cannot be asked says neither."""
        return self.no_reference not in {
            NoReference.NOT_ENROLLED,
            NoReference.NO_CONSENT,
            NoReference.RE_ENROL,
        }


@dataclass(slots=True)
class CardVisit:
    """One visit, step by step; pictures and the reference live no longer than it."""

    session: Session
    no_reference: NoReference | None
    _factor: FaceFactor
    _card: bytes = field(repr=False)
    _reference: Template | None = field(repr=False)
    _frames: list[Frame] = field(default_factory=list, repr=False)
    _answer: ChallengeAnswer | None = field(default=None, repr=False)
    _trouble: str = ""

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do."""
        return self.session.challenge

    def capture(self) -> Examination:
        """Take one picture and look at it; its prompts would help before the next."""
        if len(self._frames) >= FRAMES_MAX:
            raise CameraError("visit", f"{FRAMES_MAX} pictures were taken")
        self._frames.append(self._factor.camera.capture(self.session.nonce))
        return self._factor.examined(self.session, None, self._frames[-1:], None, ONE_FRAME)

    def run_challenge(self) -> bool:
        """Take the challenge's pictures; False if the camera cannot. Raises CameraError."""
        self._answer = self._factor.camera.challenge(self.challenge, self.session.nonce)
        return self._answer is not None

    def note(self, trouble: CameraError) -> None:
        """Remember that the camera failed: the verdict says so."""
        self._trouble = str(trouble)

    def verdict(self) -> CardVerdict:
        """Judge what was taken, count a face that failed, and seal the visit where that is kept."""
        factor = self._factor
        vote = factor.vote if self._reference is not None else ONE_FRAME
        seen = factor.examined(self.session, self._reference, self._frames, self._answer, vote)
        return CardVerdict(
            examination=seen,
            no_reference=self.no_reference,
            camera_trouble=self._trouble,
            many_cards=factor.counted(seen, self._card),
        )


class FaceFactor:
    """One machine's face factor. Visits may run one after the other, each in any thread."""

    def __init__(
        self,
        engine: FaceEngine,
        source: TemplateSource,
        camera: Camera,
        *,
        clock: Clock,
        threshold: float | None = None,
        vote: Vote = ONE_FRAME,
        pinned_camera: str | None = None,
        recent: RecentVisits | None = None,
        day: DayVisits | None = None,
    ) -> None:
        """``pinned_camera``: identity of the machine's own camera; frames of others do not count.
        ``day``: where visits are sealed for a case order; None: none is kept.

        Raises ThresholdError for a threshold below the engine's floor: at the start, not at the
        first customer.
        """
        self.engine = engine
        self.camera = camera
        self.vote = vote
        self._source = source
        self._clock = clock
        self._threshold = deciding_threshold(engine, threshold)
        self._pinned = pinned_camera
        self._recent = recent
        self._day = day

    def open(self, card: bytes) -> CardVisit:
        """Begin a visit of a card, known by its HMAC, with a fresh nonce."""
        reference, trouble = self._reference(card)
        session = open_session(self._clock.wall(), self._pinned, self.camera.challenges)
        return CardVisit(session, trouble, self, card, reference)

    def check(
        self,
        card: bytes,
        ask: Callable[[ChallengeKind], None] | None = None,
        tell: Callable[[tuple[Prompt, ...]], None] | None = None,
    ) -> CardVerdict:
        """A whole visit: pictures until one is usable or five were taken, then the challenge.

        ``ask`` shows the customer what to do, ``tell`` what would help before the next picture.
        A camera that fails ends the visit as far as it came.
        """
        visit = self.open(card)
        usable = 0
        try:
            while usable < self.vote.of and len(visit._frames) < FRAMES_MAX:
                seen = visit.capture()
                usable += seen.evidence is not None
                if tell is not None and seen.evidence is None and seen.prompts:
                    tell(seen.prompts)
            if usable:
                if ask is not None:
                    ask(visit.challenge)
                visit.run_challenge()
        except CameraError as error:
            visit.note(error)
        return visit.verdict()

    def examined(
        self,
        session: Session,
        reference: Template | None,
        frames: list[Frame],
        answer: ChallengeAnswer | None,
        vote: Vote,
    ) -> Examination:
        """Examine frames of a session now."""
        return examine(
            self.engine,
            reference,
            frames,
            answer,
            session=session,
            now_us=self._clock.wall(),
            threshold=self._threshold,
            vote=vote,
        )

    def counted(self, seen: Examination, card: bytes) -> ManyCards | None:
        """Seal a visit's face for the day, and count it in the window if it failed to match.

        The owner of several cards is nobody to look at, and a card without a reference was not
        compared: only a face that is not the owner's counts (scenario format, section 4.2).
        """
        if seen.probe is not None and self._day is not None:
            self._day.add(seen.probe, card, self._clock.wall())
        if self._recent is None or seen.probe is None or seen.is_match is not False:
            return None
        return self._recent.add(seen.probe, card, self._clock.mono())

    def _reference(self, card: bytes) -> tuple[Template | None, NoReference | None]:
        try:
            return self._source.fetch(card, self.engine).plain(), None
        except NotEnrolledError:
            return None, NoReference.NOT_ENROLLED
        except NoConsentError:
            return None, NoReference.NO_CONSENT
        except ReEnrolError:
            return None, NoReference.RE_ENROL
        except SealError:
            return None, NoReference.SEAL
        except TemplateError:
            return None, NoReference.STORE
