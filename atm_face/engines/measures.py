"""What every engine does alike: measure a picture's quality, make and compare unit vectors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from atm_face.engines.alignment import aligned
from atm_face.engines.cover import cover_of
from atm_face.engines.interface import EngineError, Face, Quality, Template, require_comparable
from atm_face.images import Image
from atm_face.screens import Prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Only hopeless pictures are refused. In brackets the worst of the 1,583 news portraits.
_MIN_FACE_PX = 30.0  # (75) the similarity to oneself falls below 0.8 under 30 pixels
_MIN_SHARPNESS = 6.0  # (18.8) a blur of 4 pixels on a 100 pixel face: 4.0, and 0.33 to oneself
_MIN_CONTRAST = 5.0  # (18.7)
_MAX_BRIGHTNESS = 215.0  # (183) burnt out: 0.28 to oneself at 223
_MAX_YAW_DEG = 60.0  # nearly profile: one eye is guessed
_MAX_ROLL_DEG = 45.0  # (21) lying on its side: 0.0 to oneself at 90


def quality_of(image: Image, face: Face) -> Quality:
    """Measure size, sharpness, light, pose and cover; names a prompt only for hopeless pictures."""
    return quality_of_crop(aligned(image, face), face)


def quality_of_crop(crop: NDArray[np.uint8], face: Face) -> Quality:
    """The same from a crop that is aligned already."""
    import cv2

    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    brightness, contrast = float(grey.mean()), float(grey.std())
    cover = cover_of(crop)
    prompt = _prompt(face, sharpness, brightness, contrast)
    if prompt is None and cover.hides(face.yaw_deg):
        prompt = Prompt.REMOVE_COVER
    return Quality(
        face_px=face.side_px,
        sharpness=sharpness,
        brightness=brightness,
        contrast=contrast,
        yaw_deg=face.yaw_deg,
        roll_deg=face.roll_deg,
        score=face.score,
        lower_chroma=cover.lower_chroma,
        lower_colour=cover.lower_colour,
        eye_light=cover.eye_light,
        prompt=prompt,
    )


def unit_template(engine: str, model_sha256: bytes, raw: Iterable[float], file: str) -> Template:
    """Template of length one; raises EngineError for a vector without a length."""
    values = [float(value) for value in raw]
    length = math.hypot(*values)
    if not 0.0 < length < math.inf:
        raise EngineError(f"{engine} gave a vector of length {length} for {file}")
    vector = tuple(value / length for value in values)
    return Template(engine=engine, model_sha256=model_sha256, vector=vector)


def cosine(reference: Template, probe: Template) -> float:
    """Cosine of two comparable templates, -1..1."""
    require_comparable(reference, probe)
    product = math.fsum(a * b for a, b in zip(reference.vector, probe.vector, strict=True))
    return max(-1.0, min(1.0, product))


def _prompt(face: Face, sharpness: float, brightness: float, contrast: float) -> Prompt | None:
    """What to ask of the customer when the picture cannot be compared at all."""
    if face.side_px < _MIN_FACE_PX:
        return Prompt.COME_CLOSER
    if abs(face.yaw_deg) > _MAX_YAW_DEG or abs(face.roll_deg) > _MAX_ROLL_DEG:
        return Prompt.LOOK_AT_CAMERA
    if contrast < _MIN_CONTRAST or brightness > _MAX_BRIGHTNESS:
        return Prompt.FIND_EVEN_LIGHT
    if sharpness < _MIN_SHARPNESS:
        return Prompt.HOLD_STILL
    return None
