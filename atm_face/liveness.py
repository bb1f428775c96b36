"""Presentation-attack detection with one colour camera: was done what was asked, and then?

What it is worth: a still print fails, also when it is tilted or moved, because on a flat sheet the
nose stays between the eyes. What it is not: a film of the owner that happens to do one of the four
things asked, a mask and a picture fed in behind the driver all pass. Hence ``pad: challenge`` and
never more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from atm_face.decision import likeness
from atm_face.engines.interface import Face, FaceEngine, Finding, Template
from atm_face.faces import inspect
from atm_face.images import Image
from atm_face.screens import Prompt
from contract.words import Pad
from hardware.cameras.interface import ChallengeKind

TURN_MIN_DEG = 18.0
"""Estimated yaw that counts as turned, of landmarks read four times. The portrait as a flat print,
tilted by up to 60 degrees and seen from 2.5 face widths and more at three sizes, reached 15.5; a
simulated head turned by 45 degrees 16 to 24, by 50 and more 19 to 27. Read once the same heads gave
10 to 33."""

_LOOK_AGAIN_DEG = 8.0
"""A single reading from which the landmarks are read again."""

CHANGE_MIN_DEG = 12.0
"""How far that is from the yaw of the first picture, so that a still of a turned head fails."""

NEARER_MIN = 1.2
"""How much taller a face has to become to count as nearer: 10 cm at half a metre. The height of
one face read twice by the detector differs by up to 5 %."""

NEARER_AFTER_MIN = 1.1
"""And how much taller it still is when it turns: who comes closer stays."""

ANSWER_MAX_US = 10_000_000
"""A picture taken later than this after asking answers nothing."""

PROMPT_OF = {
    ChallengeKind.TURN_LEFT: Prompt.TURN_LEFT,
    ChallengeKind.TURN_RIGHT: Prompt.TURN_RIGHT,
    ChallengeKind.APPROACH_LEFT: Prompt.APPROACH_LEFT,
    ChallengeKind.APPROACH_RIGHT: Prompt.APPROACH_RIGHT,
}


@runtime_checkable
class SteadyEngine(FaceEngine, Protocol):
    """An engine that can read the landmarks of a face more than once."""

    def steady(self, image: Image, face: Face) -> Face:
        """The face with the mean of several readings."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """What was really done, and what came of it; None: nobody could tell."""

    pad: Pad
    is_live: bool | None


NOT_TESTED = Liveness(Pad.NONE, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How a face is held in one picture."""

    yaw_deg: float
    height_share: float
    """Height of the face as a share of the picture's."""

    @staticmethod
    def of(face: Face, image: Image) -> Pose:
        """The pose of a face in its picture."""
        return Pose(yaw_deg=face.yaw_deg, height_share=face.height / image.height)


def challenge_for(nonce: bytes, kinds: Sequence[ChallengeKind]) -> ChallengeKind:
    """Pick the challenge of a session from its random nonce."""
    return kinds[nonce[0] % len(kinds)]


def judge_challenge(
    engine: FaceEngine,
    kind: ChallengeKind,
    *,
    probe: Template,
    before: Pose,
    images: Sequence[Image],
    threshold: float,
) -> Liveness:
    """Judge the pictures of a challenge, in the order in which they were taken.

    ``probe`` and ``before`` are of the picture that was compared with the reference. Live: the
    same person is seen as before, then (where asked) nearer, then turned as asked. What was done
    already in the first picture was not done because it was asked. Not live: a face was there and
    did not do that. Without a usable face after the first picture nothing was tested.
    """
    has_face = has_begun = False
    is_near = not kind.has_approach
    for image in images:
        capture = inspect(engine, image)
        if capture.finding is not Finding.FACE or capture.face is None:
            continue
        now = Pose.of(_closer(engine, kind, image, capture.face), image)
        has_face = has_face or has_begun
        if not has_begun:
            has_begun = not _turned(kind, now, before) and not _grown(now, before, NEARER_MIN)
            has_face = has_face or not has_begun
            continue
        if not is_near:
            is_near = _grown(now, before, NEARER_MIN) and not _turned(kind, now, before)
            continue
        if kind.has_approach and not _grown(now, before, NEARER_AFTER_MIN):
            continue
        if not _turned(kind, now, before):
            continue
        seen = likeness(engine, probe, image, capture.face, threshold=threshold)
        if seen.similarity >= threshold:
            return Liveness(Pad.CHALLENGE, True)
    return Liveness(Pad.CHALLENGE, False) if has_face else NOT_TESTED


def _closer(engine: FaceEngine, kind: ChallengeKind, image: Image, face: Face) -> Face:
    """The face, read again where it may be turned as asked."""
    if _towards(kind) * face.yaw_deg < _LOOK_AGAIN_DEG or not isinstance(engine, SteadyEngine):
        return face
    return engine.steady(image, face)


def _towards(kind: ChallengeKind) -> float:
    """Sign of the yaw that the challenge asks for."""
    return 1.0 if kind.turn is ChallengeKind.TURN_LEFT else -1.0


def _turned(kind: ChallengeKind, now: Pose, before: Pose) -> bool:
    """Whether the head is turned as asked, and further than in the first picture."""
    turned = _towards(kind) * now.yaw_deg
    change = turned - _towards(kind) * before.yaw_deg
    return turned >= TURN_MIN_DEG and change >= CHANGE_MIN_DEG


def _grown(now: Pose, before: Pose, factor: float) -> bool:
    return now.height_share >= factor * before.height_share
