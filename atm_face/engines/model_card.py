"""The card of an operator's own model: what it is, under which licence, how it wants its pixels.

A model without figures from ``qianshao face calibrate`` for exactly these weights decides nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atm_face.engines.interface import EngineError
from atm_face.evaluation import can_carry

SCHEMA = "qianshao.face_model_card/1"
CALIBRATION_SCHEMA = "qianshao.face_calibration/1"
MAX_CARD_BYTES = 64 * 1024


class CardError(EngineError):
    """A card that cannot be used; the message names file and key."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(f"{file}: {key}: {problem}")
        self.file = file
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One operator's model."""

    name: str
    licence: str
    file: str
    sha256: str
    is_rgb: bool
    mean: float
    std: float
    default_threshold: float
    """From the calibration at 1e-4; without one, 1."""
    threshold_floor: float
    """From the calibration at 1e-3; without one, infinite: the model decides nothing."""


def read_card(path: Path) -> ModelCard:
    """Read a card from a file; raises CardError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CardError(str(path), "file", error.strerror or str(error)) from error
    return parse_card(raw, path.name)


def parse_card(raw: bytes, file: str) -> ModelCard:
    """Read a card from JSON bytes; raises CardError and nothing else."""
    if len(raw) > MAX_CARD_BYTES:
        raise CardError(file, "file", f"larger than {MAX_CARD_BYTES} bytes")
    try:
        card = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CardError(file, "file", f"not JSON: {error}") from error
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise CardError(file, "schema", f"is not {SCHEMA}")
    sha256 = _text(card, "sha256", file).lower()
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise CardError(file, "sha256", "is not 64 hexadecimal digits")
    name, model = _text(card, "name", file), _text(card, "file", file)
    if "/" in model or "\\" in model or model.startswith("."):
        raise CardError(file, "file", "names a folder; the model stands beside its card")
    pixels = card.get("input")
    if not isinstance(pixels, dict) or pixels.get("colour") not in {"rgb", "bgr"}:
        raise CardError(file, "input.colour", "is neither rgb nor bgr")
    std = _number(pixels, "std", file)
    if std <= 0:
        raise CardError(file, "input.std", "is not above 0")
    default, floor = _thresholds(card.get("calibration"), name, sha256, file)
    return ModelCard(
        name=name,
        licence=_text(card, "licence", file),
        file=model,
        sha256=sha256,
        is_rgb=pixels["colour"] == "rgb",
        mean=_number(pixels, "mean", file),
        std=std,
        default_threshold=default,
        threshold_floor=floor,
    )


def _thresholds(found: Any, name: str, sha256: str, file: str) -> tuple[float, float]:
    """(default, floor) from the calibration, if it is of this model and carries both rates."""
    if found is None:
        return 1.0, math.inf
    if not isinstance(found, dict) or found.get("schema") != CALIBRATION_SCHEMA:
        raise CardError(file, "calibration.schema", f"is not {CALIBRATION_SCHEMA}")
    if found.get("engine") != f"onnx:{name}" or found.get("weights_sha256") != sha256:
        raise CardError(file, "calibration", "was measured with another model")
    points = []
    for rate in ("1e-4", "1e-3"):
        point = (found.get("thresholds") or {}).get(rate)
        key = f"calibration.thresholds.{rate}"
        if not isinstance(point, dict):
            raise CardError(file, key, "is missing")
        comparisons = _number(point, "impostor_comparisons", file)
        if not can_carry(float(rate), int(comparisons)):
            raise CardError(file, key, f"rests on {int(comparisons)} comparisons: too few")
        points.append(_number(point, "threshold", file))
    if not -1.0 <= points[1] <= points[0] <= 1.0:
        raise CardError(file, "calibration.thresholds", "are out of order")
    return points[0], points[1]


def _text(card: dict[str, Any], key: str, file: str) -> str:
    value = card.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise CardError(file, key, "is missing or no text")
    return value


def _number(table: dict[str, Any], key: str, file: str) -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise CardError(file, key, "is missing or no number")
    return float(value)
