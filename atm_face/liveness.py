"""Presentation-attack detection with one colour camera: did the head turn as it was asked to?

What it is worth: a still print fails, also when it is tilted, because on a flat sheet the nose
stays between the eyes. What it is not: a film of the owner that happens to turn the right way,
a mask and a picture fed in behind the driver all pass. Hence ``pad: challenge`` and never more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atm_face.engines.interface import FaceEngine, Finding, Template
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

PROMPT_OF = {
    ChallengeKind.TURN_LEFT: Prompt.TURN_LEFT,
    ChallengeKind.TURN_RIGHT: Prompt.TURN_RIGHT,
}


@dataclass(frozen=True, slots=True)
class Liveness:
    """What was really done, and what came of it; None: nobody could tell."""

    pad: Pad
    is_live: bool | None


NOT_TESTED = Liveness(Pad.NONE, None)


def challenge_for(nonce: bytes) -> ChallengeKind:
    """Pick the challenge of a session from its random nonce."""
    kinds = list(ChallengeKind)
    return kinds[nonce[0] % len(kinds)]


def judge_turn(
    engine: FaceEngine,
    kind: ChallengeKind,
    *,
    probe: Template,
    probe_yaw_deg: float,
    images: Sequence[Image],
    threshold: float,
) -> Liveness:
    """Judge the pictures of a challenge against the picture that was compared with the reference.

    Live: one of them shows the same person as the probe, turned as asked. Not live: a face was
    there and none did. Without a usable face in any of them nothing was tested.
    """
    sign = 1.0 if kind is ChallengeKind.TURN_LEFT else -1.0
    has_face = False
    for image in images:
        capture = inspect(engine, image)
        if capture.finding is not Finding.FACE or capture.face is None:
            continue
        has_face = True
        turned = sign * capture.face.yaw_deg
        if turned < TURN_MIN_DEG or turned - sign * probe_yaw_deg < CHANGE_MIN_DEG:
            continue
        if engine.compare(probe, engine.encode(image, capture.face)) >= threshold:
            return Liveness(Pad.CHALLENGE, True)
    return Liveness(Pad.CHALLENGE, False) if has_face else NOT_TESTED
