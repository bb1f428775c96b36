"""Engine ``face_recognition``: dlib's detector, five landmarks and network, without compiling.

It is here for comparison and for banks that hold its templates. At the library's own tolerance of
0.6 it took 37 % of the wrong East Asian pairs of Labeled Faces in the Wild for one person (YuNet +
SFace: 0.17 %), so that setting may decide nothing at a machine. Of the weights that its carrier
brings only two files are opened: the 68-point file was trained on pictures whose licence excludes
commercial use.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from atm_face.engines.interface import EngineError, Face, Quality, Template, require_comparable
from atm_face.engines.measures import quality_of
from atm_face.engines.weights import Pin, combined_sha256, package_folder, read_weights
from atm_face.images import Image
from atm_face.opencv import MissingExtraError

NAME = "face_recognition"
CARRIER = "face_recognition_models"
EXTRA = "qianshao[dlib]"

FIVE_POINTS = Pin(
    "shape_predictor_5_face_landmarks.dat",
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)
RESNET = Pin(
    "dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
PINS = (FIVE_POINTS, RESNET)

DEFAULT_THRESHOLD = 0.4
"""The library's own tolerance, a distance of 0.6. Below the floor: it never decides about cash."""

THRESHOLD_FLOOR = 0.57
"""A distance of 0.43 took 1 in 100,000 of all wrong pairs; one of 0.48 took 1 in 10,000 of all, but
4.3 % of the wrong East Asian ones. Even below the floor it is no factor to rely on alone."""

UPSAMPLE = 1
"""The library's default: the picture is doubled once before the search."""

_RADIUS = 4.0
"""dlib compares by distance between vectors of about length 1.4. Divided by this and given one more
number, each becomes a unit vector from which the distance can be had again exactly."""


class FaceRecognitionEngine:
    """dlib as ``face_recognition`` uses it, with the five-point landmarks."""

    def __init__(self, models: Path | None = None) -> None:
        """Load two files of weights; MissingExtraError without dlib, WeightsError for others."""
        if find_spec("_dlib_pybind11") is None and find_spec("dlib") is None:
            raise MissingExtraError("dlib", EXTRA)
        dlib: Any = import_module("dlib")
        folder = package_folder(CARRIER, EXTRA) / "models" if models is None else models
        for pin in PINS:
            read_weights(folder, pin)
        self._detector: Any = dlib.get_frontal_face_detector()
        self._landmarks: Any = dlib.shape_predictor(str(folder / FIVE_POINTS.file))
        self._network: Any = dlib.face_recognition_model_v1(str(folder / RESNET.file))
        self._rectangle: Any = dlib.rectangle
        self._model_sha256 = combined_sha256(PINS)
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Engine id."""
        return NAME

    @property
    def model_sha256(self) -> bytes:
        """SHA-256 over the digests of both files."""
        return self._model_sha256

    @property
    def default_threshold(self) -> float:
        """1 - the library's tolerance."""
        return DEFAULT_THRESHOLD

    @property
    def threshold_floor(self) -> float:
        """1 - the largest tolerance at which it may decide."""
        return THRESHOLD_FLOOR

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face that the gradient detector sees in the doubled picture."""
        pixels = _rgb(image)
        with self._lock:
            boxes, scores, _ = self._detector.run(pixels, UPSAMPLE)
            shapes = [self._landmarks(pixels, box) for box in boxes]
        return tuple(
            _face(box, score, shape)
            for box, score, shape in zip(boxes, scores, shapes, strict=True)
        )

    def quality(self, image: Image, face: Face) -> Quality:
        """Measure size, sharpness, light and pose, by the same limits as the default engine."""
        return quality_of(image, face)

    def encode(self, image: Image, face: Face) -> Template:
        """Template of 129 numbers: dlib's 128, scaled, and one that makes the length one."""
        pixels = _rgb(image)
        edges = (face.x, face.y, face.x + face.width, face.y + face.height)
        with self._lock:
            shape = self._landmarks(pixels, self._rectangle(*(round(edge) for edge in edges)))
            raw = list(self._network.compute_face_descriptor(pixels, shape, 0))
        scaled = [value / _RADIUS for value in raw]
        rest = 1.0 - math.fsum(value * value for value in scaled)
        if not rest >= 0.0:
            raise EngineError(f"dlib gave a vector longer than {_RADIUS} for {image.file}")
        return Template(
            engine=NAME, model_sha256=self._model_sha256, vector=(*scaled, math.sqrt(rest))
        )

    def compare(self, reference: Template, probe: Template) -> float:
        """1 - the distance that the library compares with its tolerance; may fall below 0."""
        require_comparable(reference, probe)
        return 1.0 - _RADIUS * math.dist(reference.vector[:-1], probe.vector[:-1])


def _rgb(image: Image) -> Any:
    import numpy as np

    return np.ascontiguousarray(image.pixels[:, :, ::-1])


def _face(box: Any, score: float, shape: Any) -> Face:
    """Landmarks 0-1 and 2-3 are the corners of the eyes, 4 is the foot of the nose.

    dlib's five points have no mouth: it is put where the layout of a face has it, for the crop that
    quality is measured on, and nothing else uses it.
    """
    points = [(float(p.x), float(p.y)) for p in (shape.part(n) for n in range(5))]
    left_eye, right_eye = _between(points[0], points[1]), _between(points[2], points[3])
    nose = points[4]
    along = (left_eye[0] - right_eye[0], left_eye[1] - right_eye[1])
    middle = _between(left_eye, right_eye)
    mouth = (middle[0] - 1.15 * along[1], middle[1] + 1.15 * along[0])
    return Face(
        x=float(box.left()),
        y=float(box.top()),
        width=float(box.width()),
        height=float(box.height()),
        score=max(0.0, min(1.0, 0.5 + score / 4)),
        right_eye=right_eye,
        left_eye=left_eye,
        nose=nose,
        mouth_right=(mouth[0] - 0.41 * along[0], mouth[1] - 0.41 * along[1]),
        mouth_left=(mouth[0] + 0.41 * along[0], mouth[1] + 0.41 * along[1]),
    )


def _between(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
