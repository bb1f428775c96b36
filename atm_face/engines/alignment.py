"""Turns, scales and moves a face onto the 112 x 112 pixels that recognisers are trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atm_face.engines.interface import Face
from atm_face.images import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 112

LAYOUT = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where eyes, nose and mouth corners belong: the layout of ArcFace (Deng et al. 2019), which OpenCV
uses for SFace."""


def aligned(image: Image, face: Face) -> NDArray[np.uint8]:
    """Crop of the face, BGR; the similarity that brings its five landmarks nearest to the layout.

    A face more than twice as large as the crop is shrunk by areas first: taken point by point it
    would lose what lies between the points.
    """
    import cv2
    import numpy as np

    points = np.array(
        [face.right_eye, face.left_eye, face.nose, face.mouth_right, face.mouth_left], dtype=float
    )
    pixels = image.pixels
    matrix = similarity_to(points, np.array(LAYOUT))
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        pixels, corner = _part(pixels, matrix)
        height, width = pixels.shape[:2]
        size = (round(width * scale * 1.5) or 1, round(height * scale * 1.5) or 1)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        points = (points - corner) * (np.array(size) / (width, height))
        matrix = similarity_to(points, np.array(LAYOUT))
    return cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR).astype(
        np.uint8, copy=False
    )


def _part(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part that the crop will be taken from, and its corner: the rest need not be shrunk."""
    import numpy as np

    ends = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)], dtype=float)
    sources = (ends - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    margin = 4 / float(np.hypot(matrix[0, 0], matrix[1, 0]))
    size = np.array(pixels.shape[1::-1])
    low = np.clip(np.floor(sources.min(axis=0) - margin), 0, size - 1).astype(int)
    high = np.clip(np.ceil(sources.max(axis=0) + margin), low + 1, size).astype(int)
    return pixels[low[1] : high[1], low[0] : high[0]], low.astype(float)


def similarity_to(points: NDArray[np.float64], layout: NDArray[np.float64]) -> NDArray[np.float64]:
    """2 x 3 matrix of the rotation, scale and shift of least squares, without a reflection."""
    import numpy as np

    from_centre, to_centre = points.mean(axis=0), layout.mean(axis=0)
    p, t = points - from_centre, layout - to_centre
    spread = max(float((p * p).sum()), 1e-9)
    a = float((p * t).sum()) / spread
    b = float((p[:, 0] * t[:, 1] - p[:, 1] * t[:, 0]).sum()) / spread
    turn = np.array([[a, -b], [b, a]])
    return np.hstack([turn, (to_centre - turn @ from_centre)[:, None]])
