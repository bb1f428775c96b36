"""Engine ``onnx``: an operator's own recogniser with its card; YuNet finds and aligns the face."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from atm_face.engines.alignment import SIDE, aligned
from atm_face.engines.graph import GraphError, open_graph, run_graph
from atm_face.engines.interface import Face, Quality, Template
from atm_face.engines.measures import cosine, quality_of, unit_template
from atm_face.engines.model_card import ModelCard, read_card
from atm_face.engines.weights import Pin, carried_folder, read_weights
from atm_face.engines.yunet import YUNET, YunetDetector
from atm_face.images import Image

DIMENSIONS_MAX = 4096


class OnnxEngine:
    """A model of the ArcFace kind: 112 x 112 pixels in, one vector out."""

    def __init__(self, card: Path, detector: Path | None = None) -> None:
        """Load the model beside its card; CardError, WeightsError or GraphError say what is wrong.

        The card is part of the model's hash: the same weights fed with other pixels give other
        templates. Thresholds are not: a new calibration leaves enrolled templates valid.
        """
        self._card: ModelCard = read_card(card)
        weights = read_weights(card.parent, Pin(self._card.file, self._card.sha256))
        self._detector = YunetDetector(carried_folder() if detector is None else detector)
        self._session = open_graph(weights)
        shape = [one.shape for one in self._session.get_inputs()]
        if len(shape) != 1 or list(shape[0][1:]) != [3, SIDE, SIDE]:
            raise GraphError(f"{self._card.file} wants {shape}, not one input of 3 x 112 x 112")
        pixels = f"{self._card.is_rgb}/{self._card.mean!r}/{self._card.std!r}"
        parts = (YUNET.sha256, self._card.sha256, pixels)
        self._model_sha256 = hashlib.sha256("|".join(parts).encode()).digest()
        self._lock = threading.Lock()

    @property
    def card(self) -> ModelCard:
        """What the operator says of the model."""
        return self._card

    @property
    def name(self) -> str:
        """Engine id: ``onnx:`` and the card's name."""
        return f"onnx:{self._card.name}"

    @property
    def model_sha256(self) -> bytes:
        """SHA-256 over detector, model and how it is fed."""
        return self._model_sha256

    @property
    def default_threshold(self) -> float:
        """From the card's calibration at a false match rate of 1e-4."""
        return self._card.default_threshold

    @property
    def threshold_floor(self) -> float:
        """From the card's calibration at 1e-3; infinite without one."""
        return self._card.threshold_floor

    def detect(self, image: Image) -> Sequence[Face]:
        """Every face that YuNet finds."""
        return self._detector.detect(image)

    def steady(self, image: Image, face: Face) -> Face:
        """The face with the mean of four readings of its landmarks."""
        return self._detector.steady(image, face)

    def quality(self, image: Image, face: Face) -> Quality:
        """Measure size, sharpness, light and pose."""
        return quality_of(image, face)

    def encode(self, image: Image, face: Face) -> Template:
        """Template as long as the model makes it, normalised to length one."""
        import numpy as np

        crop = aligned(image, face)
        planes = (crop[:, :, ::-1] if self._card.is_rgb else crop).transpose(2, 0, 1)[None]
        blob = (planes.astype(np.float32) - self._card.mean) / self._card.std
        with self._lock:
            raw = run_graph(self._session, np.ascontiguousarray(blob, dtype=np.float32))
        if not 2 <= len(raw) <= DIMENSIONS_MAX:
            raise GraphError(f"{self._card.file} gives {len(raw)} numbers, not a face vector")
        return unit_template(self.name, self._model_sha256, raw, image.file)

    def compare(self, reference: Template, probe: Template) -> float:
        """Cosine, -1..1."""
        return cosine(reference, probe)
