"""Examines the face of one visit: pictures in, numbers and three answers out.

Takes no picture and opens no device: the agent brings the frames and carries out the prompts.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from atm_face.decision import Likeness, likeness
from atm_face.engines.interface import FaceEngine, Finding, Template, deciding_threshold
from atm_face.faces import Capture, inspect
from atm_face.images import Image, ImageError, decode_depth, decode_image
from atm_face.liveness import (
    ANSWER_MAX_US,
    NOT_TESTED,
    Liveness,
    Pose,
    challenge_for,
    judge_challenge,
)
from atm_face.presence import Cue, combined, depth_cue, infrared_cue
from atm_face.screens import Prompt
from contract.messages import FaceEvidence
from hardware.cameras.interface import ChallengeAnswer, ChallengeKind, Frame, FrameKind

NONCE_BYTES = 16

TOGETHER_US = 250_000
"""An infrared or depth frame further than this from the colour frame shows another moment."""


@dataclass(frozen=True, slots=True)
class Vote:
    """How many of the first usable frames have to match: ``needed`` of ``of``."""

    needed: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.of <= 5 or 2 * self.needed <= self.of:
            raise ValueError(f"{self.needed} of {self.of} frames is no majority of 1 to 5")


ONE_FRAME = Vote()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Binds pictures to one visit: only frames with its nonce, taken since it opened, count."""

    nonce: bytes = field(repr=False)
    opened_us: int
    camera: str | None = None
    """Identity of the machine's own camera; frames of another are foreign. None: not pinned."""
    challenges: tuple[ChallengeKind, ...] = tuple(ChallengeKind)
    """What the camera can ask."""

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do; nobody knows it before the session opens."""
        return challenge_for(self.nonce, self.challenges)

    def accepts(self, frame: Frame, now_us: int) -> bool:
        """Whether a frame was taken for this session, after it opened and not in the future."""
        is_ours = hmac.compare_digest(frame.nonce, self.nonce)
        if self.camera is not None and frame.camera != self.camera:
            return False
        return is_ours and self.opened_us <= frame.captured_us <= now_us


def open_session(
    now_us: int,
    camera: str | None = None,
    challenges: tuple[ChallengeKind, ...] = tuple(ChallengeKind),
) -> Session:
    """Open a session with a fresh random nonce, for the pinned camera if there is one."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return Session(nonce=nonce, opened_us=now_us, camera=camera, challenges=challenges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the face factor can say about a visit; None means "nobody could tell"."""

    evidence: FaceEvidence | None
    """Absent: no face was captured."""
    is_match: bool | None
    is_live: bool | None
    is_face_covered: bool
    """Pictures came, and none of them shows a whole face: no face at all, or a covered one."""
    prompts: tuple[Prompt, ...] = ()
    """What would help before another try."""
    probe: Template | None = field(default=None, repr=False)
    """Template of the compared frame, for the window of recent visits; it stays in this process."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One accepted, readable frame and what it offers."""

    frame: Frame
    image: Image
    capture: Capture


def examine(
    engine: FaceEngine,
    reference: Template | None,
    frames: Sequence[Frame],
    answer: ChallengeAnswer | None,
    *,
    session: Session,
    now_us: int,
    threshold: float | None = None,
    vote: Vote = ONE_FRAME,
) -> Examination:
    """Compare the first usable frames with the reference, and judge challenge, infrared and depth.

    The first usable frames, not the most similar one: the best of N tries lets N times as many
    strangers through. With a vote of K of N the K-th best similarity of the first N counts; too few
    usable frames answer nothing. Stale, foreign and unreadable frames are as if never taken.
    ``reference`` is None for a card without an enrolled face. Raises ThresholdError for a threshold
    below the engine's floor and TemplateMismatchError for a reference of other weights.
    """
    limit = deciding_threshold(engine, threshold)
    colour = [frame for frame in frames if frame.kind is FrameKind.RGB]
    seen = [
        _Seen(frame, image, inspect(engine, image))
        for frame, image in _readable(colour, session, now_us)
    ]
    usable = [one for one in seen if one.capture.finding is Finding.FACE][: vote.of]
    if not usable:
        return _without_face([one.capture for one in seen])
    best = usable[0]
    assert best.capture.face is not None
    similarity = None
    if reference is None:
        probe = engine.encode(best.image, best.capture.face)
    else:
        probe, similarity = _voted(engine, reference, usable, vote=vote, limit=limit)
    challenge = _judge(engine, best, probe, answer, session=session, now_us=now_us, limit=limit)
    liveness = combined(challenge, _cues(engine, best, frames, session, now_us))
    sources = [*(one.frame for one in usable), *(answer.frames if answer else ())]
    is_made_up = reference is not None and reference.is_simulated
    return Examination(
        evidence=FaceEvidence(
            engine=engine.name,
            model_sha256=engine.model_sha256,
            similarity=similarity,
            threshold=limit,
            pad=liveness.pad,
            is_simulated=is_made_up or any(frame.is_simulated for frame in sources),
        ),
        is_match=None if similarity is None else similarity >= limit,
        is_live=liveness.is_live,
        is_face_covered=False,
        probe=probe,
    )


def _voted(
    engine: FaceEngine,
    reference: Template,
    usable: Sequence[_Seen],
    *,
    vote: Vote,
    limit: float,
) -> tuple[Template, float | None]:
    """The first frame's template, and the similarity that ``needed`` frames reach."""
    found: list[Likeness] = []
    for one in usable:
        assert one.capture.face is not None
        found.append(likeness(engine, reference, one.image, one.capture.face, threshold=limit))
        if sum(one.similarity >= limit for one in found) >= vote.needed:
            break
    reached = sorted((one.similarity for one in found), reverse=True)
    return found[0].probe, reached[vote.needed - 1] if len(reached) >= vote.needed else None


def _cues(
    engine: FaceEngine, best: _Seen, frames: Sequence[Frame], session: Session, now_us: int
) -> tuple[Cue, ...]:
    """Every infrared and depth frame of the same moment as the compared one."""
    cues = []
    for frame in frames:
        if frame.kind is FrameKind.RGB or not session.accepts(frame, now_us):
            continue
        if abs(frame.captured_us - best.frame.captured_us) > TOGETHER_US:
            continue
        assert best.capture.face is not None
        try:
            if frame.kind is FrameKind.IR:
                infrared = decode_image(frame.encoded, frame.camera)
                cues.append(infrared_cue(engine, best.capture.face, best.image, infrared))
            else:
                depth = decode_depth(frame.encoded, frame.camera)
                cues.append(depth_cue(best.capture.face, best.image, depth))
        except ImageError:
            continue  # a torn frame measures nothing
    return tuple(cues)


def _readable(
    frames: Iterable[Frame], session: Session, now_us: int
) -> Iterable[tuple[Frame, Image]]:
    for frame in frames:
        if not session.accepts(frame, now_us):
            continue
        try:
            image = decode_image(frame.encoded, frame.camera)
        except ImageError:
            continue  # a torn frame shows nobody; with no other frame the visit ends at the counter
        yield frame, image


def _without_face(captures: Sequence[Capture]) -> Examination:
    """No frame can be compared: covered if every one of them is without a whole face."""
    is_covered = bool(captures) and all(
        one.finding is Finding.NO_FACE or one.prompt is Prompt.REMOVE_COVER for one in captures
    )
    prompts = dict.fromkeys(one.prompt for one in captures if one.prompt is not None)
    return Examination(
        evidence=None,
        is_match=None,
        is_live=None,
        is_face_covered=is_covered,
        prompts=(Prompt.REMOVE_COVER,) if is_covered else tuple(prompts),
    )


def _judge(
    engine: FaceEngine,
    best: _Seen,
    probe: Template,
    answer: ChallengeAnswer | None,
    *,
    session: Session,
    now_us: int,
    limit: float,
) -> Liveness:
    """Judge the challenge by the frames of the same camera; another question's answer is none."""
    if answer is None or answer.kind is not session.challenge or best.capture.face is None:
        return NOT_TESTED
    timely = [
        frame
        for frame in answer.frames
        if frame.camera == best.frame.camera
        and answer.asked_us <= frame.captured_us <= answer.asked_us + ANSWER_MAX_US
    ]
    timely.sort(key=lambda frame: frame.captured_us)
    return judge_challenge(
        engine,
        answer.kind,
        probe=probe,
        before=Pose.of(best.capture.face, best.image),
        images=[image for _, image in _readable(timely, session, now_us)],
        threshold=limit,
    )
