"""The peers of ``face compare``: others' code on the same pictures, called as they publish it.

They only measure. A peer takes the detection that our engine would take, the most prominent one,
so that a bystander is nobody's error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from atm_face.engines.interface import Face, FaceEngine, Quality, Template, require_comparable
from atm_face.engines.measures import cosine, quality_of, unit_template
from atm_face.engines.weights import carried_folder
from atm_face.engines.yunet import face_of_row
from atm_face.images import Image
from atm_face.opencv import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STOCK = "opencv"
DLIB = "face_recognition"


def open_peer(name: str) -> FaceEngine:
    """Load a peer; raises EngineError where it is not installed."""
    if name == STOCK:
        return OpencvPeer()
    return FaceRecognitionPeer()


class OpencvPeer:
    """YuNet and SFace through OpenCV on the whole picture, with OpenCV's own crop."""

    name = STOCK
    default_threshold = threshold_floor = 0.363  # as OpenCV publishes it

    def __init__(self) -> None:
        import cv2

        from atm_face.engines.sface import PINS, SFACE
        from atm_face.engines.weights import combined_sha256, read_weights
        from atm_face.engines.yunet import YUNET

        folder = carried_folder()
        for pin in PINS:
            read_weights(folder, pin)
        self.model_sha256 = combined_sha256(PINS)
        self._detector = cv2.FaceDetectorYN.create(
            str(folder / YUNET.file), "", (320, 320), score_threshold=0.6
        )
        self._recogniser = cv2.FaceRecognizerSF.create(str(folder / SFACE.file), "")
        self._rows: dict[Face, NDArray[np.float32]] = {}

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face from OpenCV's detector; the rows are kept for the crop."""
        self._detector.setInputSize((image.width, image.height))
        rows: Any = self._detector.detect(image.pixels)[1]
        self._rows = {} if rows is None else {face_of_row(row, 1.0): row for row in rows}
        return tuple(self._rows)

    def quality(self, image: Image, face: Face) -> Quality:
        """Measured by our limits, and told beside the figures only."""
        return quality_of(image, face)

    def encode(self, image: Image, face: Face) -> Template:
        """One SFace vector of OpenCV's crop."""
        crop = self._recogniser.alignCrop(image.pixels, self._rows[face])
        raw = self._recogniser.feature(crop).ravel()
        return unit_template(self.name, self.model_sha256, raw, image.file)

    def compare(self, reference: Template, probe: Template) -> float:
        """Cosine."""
        return cosine(reference, probe)


class FaceRecognitionPeer:
    """``face_recognition``'s own functions with its own defaults: doubled picture, no jitter."""

    name = DLIB
    default_threshold = threshold_floor = 0.4  # its tolerance is a distance of 0.6
    _radius = 4.0

    def __init__(self) -> None:
        if find_spec("face_recognition") is None:
            raise MissingExtraError("face_recognition", "face-recognition 1.3.0 with dlib-bin")
        self._library: Any = import_module("face_recognition")
        self.model_sha256 = hashlib.sha256(b"face_recognition 1.3.0").digest()

    def detect(self, image: Image) -> Sequence[Face]:
        """Boxes from its detector; landmarks from its five-point model."""
        pixels = _rgb(image)
        boxes = self._library.face_locations(pixels)
        points = self._library.face_landmarks(pixels, boxes, model="small")
        return tuple(_face(box, found) for box, found in zip(boxes, points, strict=True))

    def quality(self, image: Image, face: Face) -> Quality:
        """Measured by our limits, and told beside the figures only."""
        return quality_of(image, face)

    def encode(self, image: Image, face: Face) -> Template:
        """Its encoding of the same box; scaled, and one number more makes the length one."""
        edges = (face.y, face.x + face.width, face.y + face.height, face.x)
        box = tuple(round(edge) for edge in edges)
        raw = self._library.face_encodings(_rgb(image), [box])[0] / self._radius
        rest = max(0.0, 1.0 - float(raw @ raw)) ** 0.5
        return unit_template(self.name, self.model_sha256, [*raw, rest], image.file)

    def compare(self, reference: Template, probe: Template) -> float:
        """1 - its distance."""
        import math

        require_comparable(reference, probe)
        return 1.0 - self._radius * math.dist(reference.vector[:-1], probe.vector[:-1])


def _rgb(image: Image) -> NDArray[np.uint8]:
    import numpy as np

    return np.ascontiguousarray(image.pixels[:, :, ::-1])


def _face(box: tuple[int, int, int, int], found: dict[str, list[tuple[int, int]]]) -> Face:
    """Box of (top, right, bottom, left); its five points name no mouth: the box stands for it."""
    top, right, bottom, left = box
    eyes = [
        (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
        for points in (found["right_eye"], found["left_eye"])
    ]
    eyes.sort()  # the person's right eye is left in the picture
    nose = found["nose_tip"][0]
    width, height = right - left, bottom - top
    return Face(
        x=float(left),
        y=float(top),
        width=float(width),
        height=float(height),
        score=1.0,
        right_eye=eyes[0],
        left_eye=eyes[1],
        nose=(float(nose[0]), float(nose[1])),
        mouth_right=(left + 0.35 * width, top + 0.8 * height),
        mouth_left=(left + 0.65 * width, top + 0.8 * height),
    )
