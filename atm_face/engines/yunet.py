"""YuNet finds faces and their five landmarks; it runs inside OpenCV below 5."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

from atm_face.engines.interface import EngineError, Face
from atm_face.engines.weights import Pin, read_weights
from atm_face.images import Image
from atm_face.opencv import require_opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

YUNET = Pin(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)

_SCORE_MIN = 0.7
"""Lowest score seen on 1,583 news portraits: 0.88. False faces in a blurred picture: 0.63."""

_NMS_IOU = 0.3
_TOP_K = 50

_NEAR_SIDES = (256, 320)
"""Longest sides given to the detector first: who stands at a machine fills much of the picture, and
two fifths of the side take a sixth of the time."""

_NEAR_FACE_PX = 24.0
"""A face smaller than this at the near scale is looked for again in the whole picture."""

_NEAR_FACES = 2
"""More faces than this are no customer alone: the whole picture is searched at full scale."""

_CLEAR_FACE_PX = 72.0
"""A face as large as this at the near scale needs no closer look."""

_ROI = 3.0
_ROI_FACE_PX = 120.0
"""Around a near face, a square of so many face sides is searched again with the face this large:
landmarks read from half the pixels move the estimated turn of a head by up to 15 degrees."""

_SIDES = (640, 1280)
"""Longest sides tried next: 640 for a face further off, 1280 for a small one in a large picture."""

_MIN_SIDE = 64
"""Narrower pictures are padded: on a strip of 640 x 2 the detector answers 1e20."""


_STEADY_ROI = 3.0
_STEADY_FACE_PX = 120.0
_STEADY_SCALES = (0.8, 1.28)
"""The landmarks of one face are read again at these scales and in the mirrored picture; a face
larger than 120 pixels is first brought to that. A landmark read once is off by pixels that depend
on the scale; docs/face.md has what the mean of four readings gains."""


class YunetDetector:
    """Finds faces. One call at a time: the detector keeps the picture's size as its state."""

    def __init__(self, folder: Path) -> None:
        """Load the weights; WeightsError for others than the pinned, EngineError for OpenCV 5."""
        require_opencv()
        import cv2
        import numpy as np

        if int(cv2.__version__.split(".", 1)[0]) >= 5:
            raise EngineError(f"OpenCV {cv2.__version__} cannot run YuNet; install one below 5")
        # The checked bytes are what is parsed: a file swapped in between would not be noticed.
        weights = np.frombuffer(read_weights(folder, YUNET), np.uint8)
        self._detector = cv2.FaceDetectorYN.create(
            "onnx", weights, np.empty(0, np.uint8), (320, 320), _SCORE_MIN, _NMS_IOU, _TOP_K
        )
        self._lock = threading.Lock()

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face with a score of at least 0.7, at the first scale that shows one well."""
        longest = max(image.width, image.height)
        found: tuple[Face, ...] = ()
        near = 1.0
        for near in dict.fromkeys(min(1.0, side / longest) for side in _NEAR_SIDES):
            found = self._detect_at(image, near)
            is_clear = all(one.side_px * near >= _CLEAR_FACE_PX for one in found)
            if found and (near == 1.0 or is_clear):
                return found
        if 0 < len(found) <= _NEAR_FACES and all(
            face.side_px * near >= _NEAR_FACE_PX for face in found
        ):
            closer = [self._look_closer(image, face) for face in found]
            if all(closer):
                return tuple(face for face in closer if face is not None)
        for scale in dict.fromkeys(min(1.0, side / longest) for side in _SIDES):
            if scale > near and (faces := self._detect_at(image, scale)):
                return faces
        return found

    def steady(self, image: Image, face: Face) -> Face:
        """The face with the mean of its landmarks over two sizes and the mirrored picture."""
        import numpy as np

        left, top, part = _around(image, face, _STEADY_ROI)
        if part is None:
            return face
        mirrored = Image(image.file, np.ascontiguousarray(part.pixels[:, ::-1]))
        own = _moved(face, -left, -top)
        full = min(1.0, _STEADY_FACE_PX / face.side_px)
        readings = [self._near(part, full * scale, own) for scale in _STEADY_SCALES]
        turned_over = self._near(mirrored, full, _flipped(own, part.width))
        readings.append(_flipped(turned_over, part.width))
        return _moved(_mean([own, *(one for one in readings if one is not None)]), left, top)

    def _near(self, part: Image, scale: float, own: Face | None) -> Face | None:
        """The detection nearest to where the face is known to be; None if there is none."""
        if own is None:
            return None
        found = self._detect_at(part, scale)
        near = [one for one in found if math.dist(one.centre, own.centre) < own.side_px / 4]
        return min(near, key=lambda one: math.dist(one.centre, own.centre), default=None)

    def _look_closer(self, image: Image, face: Face) -> Face | None:
        """Find one face again in the square around it; None if it is not there."""
        left, top, part = _around(image, face, _ROI)
        if part is None:
            return None
        seen = self._detect_at(part, min(1.0, _ROI_FACE_PX / face.side_px))
        x, y = face.centre[0] - left, face.centre[1] - top
        near = [one for one in seen if math.dist(one.centre, (x, y)) < face.side_px / 2]
        if not near:
            return None
        return _moved(max(near, key=lambda one: one.score), left, top)

    def _detect_at(self, image: Image, scale: float) -> tuple[Face, ...]:
        import cv2
        import numpy as np

        width, height = (max(1, round(n * scale)) for n in (image.width, image.height))
        pixels = image.pixels
        if scale != 1.0:
            kind = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
            resized = cv2.resize(pixels, (width, height), interpolation=kind)
            pixels = resized.astype(np.uint8, copy=False)
        right, below = max(0, _MIN_SIDE - width), max(0, _MIN_SIDE - height)
        if right or below:
            pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)))
        with self._lock:
            self._detector.setInputSize((pixels.shape[1], pixels.shape[0]))
            # None without a face, whatever OpenCV's stubs say.
            rows = cast("NDArray[np.float32] | None", self._detector.detect(pixels)[1])
        if rows is None:
            return ()
        return tuple(face_of_row(row, scale) for row in rows if _is_plausible(row, width, height))


def _around(image: Image, face: Face, sides: float) -> tuple[int, int, Image | None]:
    """(left, top, picture) of the square of so many face sides; None outside the picture."""
    half = face.side_px * sides / 2
    left, top = (max(0, round(middle - half)) for middle in face.centre)
    right, bottom = (round(middle + half) for middle in face.centre)
    part = Image(image.file, image.pixels[top:bottom, left:right])
    return left, top, part if part.width > 0 and part.height > 0 else None


def _points(face: Face) -> tuple[tuple[float, float], ...]:
    return face.right_eye, face.left_eye, face.nose, face.mouth_right, face.mouth_left


def _with_points(face: Face, points: Sequence[tuple[float, float]]) -> Face:
    right_eye, left_eye, nose, mouth_right, mouth_left = points
    return replace(
        face,
        right_eye=right_eye,
        left_eye=left_eye,
        nose=nose,
        mouth_right=mouth_right,
        mouth_left=mouth_left,
    )


def _moved(face: Face, x: float, y: float) -> Face:
    """The same face in a picture whose corner lies further up and left."""
    points = [(u + x, v + y) for u, v in _points(face)]
    return replace(_with_points(face, points), x=face.x + x, y=face.y + y)


@overload
def _flipped(face: Face, width: int) -> Face: ...
@overload
def _flipped(face: Face | None, width: int) -> Face | None: ...
def _flipped(face: Face | None, width: int) -> Face | None:
    """The same face in the mirrored picture: left and right change their names too."""
    if face is None:
        return None
    right_eye, left_eye, nose, mouth_right, mouth_left = (
        (width - 1 - u, v) for u, v in _points(face)
    )
    points = (left_eye, right_eye, nose, mouth_left, mouth_right)
    return replace(_with_points(face, points), x=width - face.x - face.width)


def _mean(faces: Sequence[Face]) -> Face:
    """The first face with the mean landmarks of all."""
    columns = zip(*(_points(face) for face in faces), strict=True)
    points = [
        (sum(u for u, _ in column) / len(faces), sum(v for _, v in column) / len(faces))
        for column in columns
    ]
    return _with_points(faces[0], points)


def face_of_row(row: NDArray[np.float32], scale: float) -> Face:
    """Build a face from the detector's row of 15 numbers, in the full picture's pixels."""
    values = [float(value) / scale for value in row[:14]]
    points = [(values[i], values[i + 1]) for i in range(4, 14, 2)]
    return Face(
        x=values[0],
        y=values[1],
        width=values[2],
        height=values[3],
        score=float(row[14]),
        right_eye=points[0],
        left_eye=points[1],
        nose=points[2],
        mouth_right=points[3],
        mouth_left=points[4],
    )


def _is_plausible(row: NDArray[np.float32], width: int, height: int) -> bool:
    """Whether the numbers are finite and the middle of a box with an area is in the picture."""
    x, y, across, down = (float(value) for value in row[:4])
    if not all(math.isfinite(value) for value in row) or across <= 0 or down <= 0:
        return False
    return 0 <= x + across / 2 < width and 0 <= y + down / 2 < height
