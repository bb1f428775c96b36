"""The seam of the face factor: detect, judge quality, encode, compare.

An engine never decides who may have cash. It measures; :mod:`atm_face.visit` puts the measures
together and :mod:`atm_face.policy` decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from atm_face.images import Image
from atm_face.opencv import EngineError
from atm_face.screens import Prompt

__all__ = [
    "MEASURES",
    "EngineError",
    "Face",
    "FaceEngine",
    "Finding",
    "Quality",
    "Template",
    "TemplateMismatchError",
    "ThresholdError",
    "WeightsError",
    "deciding_threshold",
    "require_comparable",
]

UNIT_TOLERANCE = 1e-3

MEASURES = (
    "face_px",
    "sharpness",
    "brightness",
    "contrast",
    "yaw_deg",
    "roll_deg",
    "score",
    "lower_chroma",
    "lower_colour",
    "eye_light",
)
"""Numbers of a Quality, as reports and the live view name them."""

Point = tuple[float, float]


class WeightsError(EngineError):
    """A weights file is missing or is not the pinned one; both hashes are in hexadecimal."""

    def __init__(self, file: str, *, expected: str, found: str | None) -> None:
        what = "is missing" if found is None else f"has SHA-256 {found}"
        super().__init__(f"{file} {what}; expected SHA-256 {expected}")
        self.file = file
        self.expected = expected
        self.found = found


class TemplateMismatchError(EngineError):
    """Two templates that no number can compare: other engine, other weights, other length."""


class ThresholdError(EngineError):
    """A threshold below which this engine may not decide."""

    def __init__(self, engine: str, threshold: float, floor: float) -> None:
        super().__init__(f"threshold {threshold} is below {engine}'s floor {floor} for deciding")
        self.engine = engine
        self.threshold = threshold
        self.floor = floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One detected face; pixels of the picture it was found in."""

    x: float
    y: float
    width: float
    height: float
    score: float
    """The detector's confidence, 0..1."""
    right_eye: Point
    """The person's own right eye: left in the picture."""
    left_eye: Point
    nose: Point
    mouth_right: Point
    mouth_left: Point

    @property
    def side_px(self) -> float:
        """Side of a square as large as the box."""
        return math.sqrt(max(self.width, 0.0) * max(self.height, 0.0))

    @property
    def centre(self) -> Point:
        """Middle of the box."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def yaw_deg(self) -> float:
        """Estimated turn of the head; positive: to the person's own left.

        From how far the nose stands from the middle of the eyes, taking it to stand half an
        eye distance in front of them. A flat print that is tilted keeps its nose in the middle.
        """
        along = self._eyes()
        middle = self._middle()
        offset = (self.nose[0] - middle[0]) * along[0] + (self.nose[1] - middle[1]) * along[1]
        return math.degrees(math.atan2(2 * offset, max(along[0] ** 2 + along[1] ** 2, 1e-9)))

    @property
    def roll_deg(self) -> float:
        """Slope of the line between the eyes; positive: clockwise in the picture."""
        along = self._eyes()
        return math.degrees(math.atan2(along[1], along[0]))

    def _eyes(self) -> Point:
        return self.left_eye[0] - self.right_eye[0], self.left_eye[1] - self.right_eye[1]

    def _middle(self) -> Point:
        return (
            (self.left_eye[0] + self.right_eye[0]) / 2,
            (self.left_eye[1] + self.right_eye[1]) / 2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a picture of a face is, and what the customer could do about it."""

    face_px: float
    """Side of the face in pixels."""
    sharpness: float
    """Variance of the Laplacian over the aligned crop of 112 x 112 grey pixels."""
    brightness: float
    """Mean grey of the crop, 0..255."""
    contrast: float
    """Standard deviation of the crop's grey."""
    yaw_deg: float
    roll_deg: float
    score: float
    """The detector's confidence."""
    lower_chroma: float
    """How far the lower face's colour lies from the skin's (:mod:`atm_face.engines.cover`)."""
    lower_colour: float
    """The same with lightness."""
    eye_light: float
    """Lightness around the eyes as a share of the skin's."""
    prompt: Prompt | None
    """Set when the picture is too poor to compare."""

    @property
    def is_usable(self) -> bool:
        """Whether the face may be compared at all."""
        return self.prompt is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What an engine computed from one face: a unit vector. Its text form hides the vector."""

    engine: str
    model_sha256: bytes
    vector: tuple[float, ...] = field(repr=False)
    is_simulated: bool = False
    """True: made up by a simulator, no face behind it."""

    def __post_init__(self) -> None:
        length = math.hypot(*self.vector)
        if not abs(length - 1.0) <= UNIT_TOLERANCE:  # also refuses NaN and an empty vector
            raise ValueError(f"a template is a unit vector; this one has length {length:.6g}")


def require_comparable(reference: Template, probe: Template) -> None:
    """Raise TemplateMismatchError unless both come from the same engine and weights."""
    if reference.engine != probe.engine:
        raise TemplateMismatchError(f"templates of {reference.engine} and {probe.engine}")
    if reference.model_sha256 != probe.model_sha256:
        raise TemplateMismatchError(
            f"{probe.engine} templates of other weights: {reference.model_sha256.hex()}"
            f" and {probe.model_sha256.hex()}"
        )
    if len(reference.vector) != len(probe.vector):
        raise TemplateMismatchError(
            f"{probe.engine} templates of length {len(reference.vector)} and {len(probe.vector)}"
        )


class FaceEngine(Protocol):
    """One way to find, judge, encode and compare faces. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """Engine id, in every template and every message."""

    @property
    def model_sha256(self) -> bytes:
        """SHA-256 over the weights in use."""

    @property
    def default_threshold(self) -> float:
        """Similarity from which two faces count as one person."""

    @property
    def threshold_floor(self) -> float:
        """Lowest threshold at which this engine may decide about cash."""

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face in the picture, in no order."""

    def quality(self, image: Image, face: Face) -> Quality:
        """Measure the picture of one face."""

    def encode(self, image: Image, face: Face) -> Template:
        """Compute the template of one face."""

    def compare(self, reference: Template, probe: Template) -> float:
        """Similarity, higher is more alike; TemplateMismatchError for incomparable ones."""


def deciding_threshold(engine: FaceEngine, threshold: float | None = None) -> float:
    """Return the threshold to decide by; raises ThresholdError below the engine's floor."""
    chosen = engine.default_threshold if threshold is None else threshold
    if not chosen >= engine.threshold_floor:  # NaN is refused too
        raise ThresholdError(engine.name, chosen, engine.threshold_floor)
    return chosen


class Finding(StrEnum):
    """What one picture offers for a comparison."""

    FACE = "face"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    POOR_QUALITY = "poor_quality"
