"""Chooses the face that a picture is about, and says so when that cannot be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atm_face.engines.interface import Face, FaceEngine, Finding, Quality, Template
from atm_face.images import Image
from atm_face.screens import Prompt

RIVAL_SHARE = 0.8
"""A second face this prominent makes the choice arbitrary. The bystanders of 1,583 news portraits
reach at most 0.78; two equal faces side by side have 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """What one picture offers: a face fit to compare, or the reason why there is none."""

    finding: Finding
    face_count: int
    face: Face | None = None
    quality: Quality | None = None
    prompt: Prompt | None = None
    """What would help, unless a face was found."""


def prominence(face: Face, width: int, height: int) -> float:
    """Size of a face, falling linearly from the middle of the picture to zero in its corners."""
    x, y = face.centre
    off = math.hypot(x - width / 2, y - height / 2) / (math.hypot(width, height) / 2)
    return face.side_px * max(0.0, 1.0 - off)


def choose_face(faces: Sequence[Face], width: int, height: int) -> tuple[Face | None, bool]:
    """Return the most prominent face and whether a rival makes that choice arbitrary."""
    ranked = sorted(faces, key=lambda face: prominence(face, width, height), reverse=True)
    if not ranked:
        return None, False
    shares = [prominence(face, width, height) for face in ranked[:2]]
    return ranked[0], len(ranked) > 1 and shares[1] >= RIVAL_SHARE * shares[0]


def inspect(engine: FaceEngine, image: Image) -> Capture:
    """Detect, choose and judge the face of one picture."""
    faces = engine.detect(image)
    face, is_arbitrary = choose_face(faces, image.width, image.height)
    if face is None:
        return Capture(finding=Finding.NO_FACE, face_count=0, prompt=Prompt.LOOK_AT_CAMERA)
    quality = engine.quality(image, face)
    finding, prompt = Finding.FACE, quality.prompt
    if is_arbitrary:
        finding, prompt = Finding.SEVERAL_FACES, Prompt.ONE_PERSON_ONLY
    elif not quality.is_usable:
        finding = Finding.POOR_QUALITY
    return Capture(
        finding=finding, face_count=len(faces), face=face, quality=quality, prompt=prompt
    )


def template_of(engine: FaceEngine, image: Image) -> Template | Capture:
    """Template of a picture's face, or what stands in the way of one (for enrolment)."""
    capture = inspect(engine, image)
    if capture.finding is not Finding.FACE or capture.face is None:
        return capture
    return engine.encode(image, capture.face)
