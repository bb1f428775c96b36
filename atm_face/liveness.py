"""Presentation-attack detection with one colour camera: was done what was asked, and then?

What it is worth: a still print fails, also when it is tilted or moved, because on a flat sheet the
nose stays between the eyes. What it is not: a film of the owner that happens to do one of the four
things asked, a mask and a picture fed in behind the driver all pass. Hence ``pad: challenge`` and
never more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atm_face.engines.interface import Face, FaceEngine, Finding, Template
from atm_face.faces import inspect
from atm_face.images import Image
from atm_face.screens import Prompt
from contract.words import Pad
from hardware.cameras.interface import ChallengeKind

TURN_MIN_DEG = 18.0
"""Estimated yaw that counts as turned. The portrait as a flat print, tilted by up to 50 degrees and
seen from 2.5 face widths, reached 14; wrapped round a tube and turned by 40 degrees 16; a simulated
head turned by 45 degrees 22 and more."""

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
    did not do that. Without a usable face in any of them nothing was tested.
    """
    has_face = has_begun = False
    is_near = not kind.has_approach
    for image in images:
        capture = inspect(engine, image)
        if capture.finding is not Finding.FACE or capture.face is None:
            continue
        has_face = True
        now = Pose.of(capture.face, image)
        if not has_begun:
            has_begun = not _turned(kind, now, before) and not _grown(now, before, NEARER_MIN)
            continue
        if not is_near:
            is_near = _grown(now, before, NEARER_MIN) and not _turned(kind, now, before)
            continue
        if kind.has_approach and not _grown(now, before, NEARER_AFTER_MIN):
            continue
        if not _turned(kind, now, before):
            continue
        if engine.compare(probe, engine.encode(image, capture.face)) >= threshold:
            return Liveness(Pad.CHALLENGE, True)
    return Liveness(Pad.CHALLENGE, False) if has_face else NOT_TESTED


def _turned(kind: ChallengeKind, now: Pose, before: Pose) -> bool:
    """Whether the head is turned as asked, and further than in the first picture."""
    sign = 1.0 if kind.turn is ChallengeKind.TURN_LEFT else -1.0
    turned = sign * now.yaw_deg
    return turned >= TURN_MIN_DEG and turned - sign * before.yaw_deg >= CHANGE_MIN_DEG


def _grown(now: Pose, before: Pose, factor: float) -> bool:
    return now.height_share >= factor * before.height_share
