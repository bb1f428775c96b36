"""Is part of the face behind a mask, a scarf, a hand or dark glasses? Colour and light say so.

Detector and recogniser do not: a mask lowers the detector's score from 0.93 to 0.90 and a covered
face still gets a template, only a worse one. So a customer in a mask would be told that the face is
another person's, where asking to take the mask off is all that is needed.

What it sees: a cover whose colour is not the skin's, and dark glasses. What it does not: a cover of
the skin's own colour, patterned cloth in half of the cases, any cover in a grey picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SKIN = ((38, 63, 4), (74, 63, 4), (56, 48, 4), (46, 44, 4), (66, 44, 4))
"""x, y and half side in the crop of 112: under both eyes, between them, and the brows' inner ends.
These stay visible above a mask; their median is the skin under the light of the moment."""

_LOWER = ((56, 92, 6), (38, 88, 5), (74, 88, 5), (56, 104, 5), (56, 84, 4))
"""Mouth, both lower cheeks, chin, upper lip: a beard leaves one of them the colour of skin."""

_EYES = ((38, 52), (74, 52))
_EYE_HALF = (8, 6)
_BRIGHT_PERCENT = 80
"""White of the eye and lid are the brightest fifth around an eye; dark glass hides them."""

_LOWER_CHROMA_MAX = 15.0
_LOWER_COLOUR_MAX = 20.0
_LIGHTNESS_WEIGHT = 0.5
"""A shaded chin is darker than the cheeks; that counts half."""
_EYE_LIGHT_MIN = 0.55
_TURN_MAX_DEG = 25.0
"""Further round, the far eye lies in shadow and the patches leave the face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How far the covered parts of a face differ from its skin."""

    lower_chroma: float
    """CIELAB distance in a and b from the skin, of the most skin-like part of the lower face."""
    lower_colour: float
    """The same with half of the difference in lightness."""
    eye_light: float
    """Lightness of the brighter eye's surroundings as a share of the skin's."""

    def hides(self, yaw_deg: float) -> bool:
        """Whether the customer should be asked to take something off."""
        if abs(yaw_deg) > _TURN_MAX_DEG:
            return False
        is_lower = self.lower_chroma > _LOWER_CHROMA_MAX or self.lower_colour > _LOWER_COLOUR_MAX
        return is_lower or self.eye_light < _EYE_LIGHT_MIN


def cover_of(crop: NDArray[np.uint8]) -> Cover:
    """Measure an aligned crop, BGR, 112 x 112."""
    import cv2
    import numpy as np

    scaled = np.asarray(crop, dtype=np.float32) / 255
    lab = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), dtype=np.float32)
    skin = np.median(np.concatenate([_patch(lab, *place) for place in _SKIN]), axis=0)
    away = np.array([np.median(_patch(lab, *place), axis=0) - skin for place in _LOWER])
    across, down = _EYE_HALF
    lights = [
        float(
            np.percentile(lab[y - down : y + down, x - across : x + across + 1, 0], _BRIGHT_PERCENT)
        )
        for x, y in _EYES
    ]
    return Cover(
        lower_chroma=float(np.hypot(away[:, 1], away[:, 2]).min()),
        lower_colour=float(np.linalg.norm(away * (_LIGHTNESS_WEIGHT, 1, 1), axis=1).min()),
        eye_light=max(lights) / max(float(skin[0]), 1.0),
    )


def _patch(lab: NDArray[np.float32], x: int, y: int, half: int) -> NDArray[np.float32]:
    return lab[y - half : y + half + 1, x - half : x + half + 1].reshape(-1, 3)
