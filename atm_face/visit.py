"""Examines the face of one visit: pictures in, numbers and three answers out.

Takes no picture and opens no device: the agent brings the frames and carries out the prompts.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from atm_face.decision import likeness
from atm_face.engines.interface import FaceEngine, Finding, Template, deciding_threshold
from atm_face.faces import Capture, inspect
from atm_face.images import Image, ImageError, decode_image
from atm_face.liveness import NOT_TESTED, Liveness, challenge_for, judge_turn
from atm_face.screens import Prompt
from contract.messages import FaceEvidence
from hardware.cameras.interface import ChallengeAnswer, ChallengeKind, Frame

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Binds pictures to one visit: only frames with its nonce, taken since it opened, count."""

    nonce: bytes = field(repr=False)
    opened_us: int
    camera: str | None = None
    """Identity of the machine's own camera; frames of another are foreign. None: not pinned."""

    @property
    def challenge(self) -> ChallengeKind:
        """What the customer will be asked to do; nobody knows it before the session opens."""
        return challenge_for(self.nonce)

    def accepts(self, frame: Frame, now_us: int) -> bool:
        """Whether a frame was taken for this session, after it opened and not in the future."""
        is_ours = hmac.compare_digest(frame.nonce, self.nonce)
        if self.camera is not None and frame.camera != self.camera:
            return False
        return is_ours and self.opened_us <= frame.captured_us <= now_us


def open_session(now_us: int, camera: str | None = None) -> Session:
    """Open a session with a fresh random nonce, for the pinned camera if there is one."""
    return Session(nonce=secrets.token_bytes(NONCE_BYTES), opened_us=now_us, camera=camera)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What the face factor can say about a visit; None means "nobody could tell"."""

    evidence: FaceEvidence | None
    """Absent: no face was captured."""
    is_match: bool | None
    is_live: bool | None
    is_face_covered: bool
    """Pictures came, and none of them shows a face."""
    prompts: tuple[Prompt, ...] = ()
    """What would help before another try."""


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
) -> Examination:
    """Compare the first usable frame with the reference, and judge the challenge.

    The first usable frame, not the most similar one: the best of N tries lets N times as many
    strangers through. Stale, foreign and unreadable frames are as if they had not been taken.
    ``reference`` is None for a card without an enrolled face. Raises ThresholdError for a threshold
    below the engine's floor and TemplateMismatchError for a reference of other weights.
    """
    limit = deciding_threshold(engine, threshold)
    seen = [
        _Seen(frame, image, inspect(engine, image))
        for frame, image in _readable(frames, session, now_us)
    ]
    best = next((one for one in seen if one.capture.finding is Finding.FACE), None)
    if best is None or best.capture.face is None:
        return _without_face([one.capture for one in seen])
    similarity = None
    if reference is None:
        probe = engine.encode(best.image, best.capture.face)
    else:
        found = likeness(engine, reference, best.image, best.capture.face, threshold=limit)
        probe, similarity = found.probe, found.similarity
    liveness = _judge(engine, best, probe, answer, session=session, now_us=now_us, limit=limit)
    sources = [best.frame, *(answer.frames if answer else ())]
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
    )


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
    """No frame can be compared: covered if every one of them is without a face."""
    is_covered = bool(captures) and all(one.finding is Finding.NO_FACE for one in captures)
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
    same_camera = [frame for frame in answer.frames if frame.camera == best.frame.camera]
    images = [image for _, image in _readable(same_camera, session, now_us)]
    return judge_turn(
        engine,
        answer.kind,
        probe=probe,
        probe_yaw_deg=best.capture.face.yaw_deg,
        images=images,
        threshold=limit,
    )
