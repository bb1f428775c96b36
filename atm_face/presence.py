"""Presentation-attack cues from infrared and depth frames: each may deny, none allows by itself.

What each is worth. Infrared: a lit screen shows a face to the colour camera and nothing to the
infrared one, so a phone or tablet fails; a print whose ink reflects infrared passes. Depth: a flat
or evenly bent sheet fails; a mask of the right shape passes. Both were tried on simulated frames
only, so no error rate stands behind them: measure at the machine (``face evaluate
--presentations``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atm_face.engines.interface import Face, FaceEngine
from atm_face.images import Image
from atm_face.liveness import NOT_TESTED, Liveness
from contract.words import Pad

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IR_OFFSET_SHARE = 0.5
"""The infrared face stands within so many face sides of the colour one: the two lenses of one
module lie a few centimetres apart, a face at half a metre is 15 wide."""

IR_SIZE_RATIO = 1.5

RELIEF_MIN_MM = 12.0
"""How far the nose stands before the plane of eyes and mouth corners. Adults: 15 and more; a sheet
held flat or bent round a tube of 10 cm: under 5, both in the simulated scene."""

RELIEF_MAX_MM = 70.0
"""More is no nose: an edge between face and wall was measured."""

DISTANCE_MM = (200.0, 1500.0)
"""Where the customer of a machine stands."""

_PATCH_SHARE = 0.04
_KNOWN_MIN = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One measurement; ``is_denied`` None: nothing could be measured."""

    pad: Pad
    is_denied: bool | None
    reason: str = ""


def infrared_cue(engine: FaceEngine, face: Face, image: Image, infrared: Image) -> Cue:
    """Look for the same face at the same place in the infrared frame."""
    across, down = infrared.width / image.width, infrared.height / image.height
    x, y = face.centre[0] * across, face.centre[1] * down
    side = face.side_px * math.sqrt(across * down)
    for found in engine.detect(infrared):
        is_near = math.dist(found.centre, (x, y)) <= IR_OFFSET_SHARE * side
        ratio = found.side_px / max(side, 1e-9)
        if is_near and 1 / IR_SIZE_RATIO <= ratio <= IR_SIZE_RATIO:
            return Cue(pad=Pad.IR, is_denied=False)
    return Cue(pad=Pad.IR, is_denied=True, reason="no face at the same place in infrared")


def depth_cue(face: Face, image: Image, depth: NDArray[np.uint16]) -> Cue:
    """Measure how far the nose stands before the plane through eyes and mouth corners."""
    import numpy as np

    scale = depth.shape[1] / image.width, depth.shape[0] / image.height
    radius = max(1, round(_PATCH_SHARE * face.side_px * scale[0]))
    corners = [face.right_eye, face.left_eye, face.mouth_right, face.mouth_left]
    known = [(*point, _patch(depth, point, scale, radius)) for point in corners]
    nose = _patch(depth, face.nose, scale, radius)
    if nose is None or any(distance is None for *_, distance in known):
        return Cue(pad=Pad.DEPTH, is_denied=None, reason="the depth camera measured no face")
    rows = np.array(known, dtype=float)
    if not DISTANCE_MM[0] <= nose <= DISTANCE_MM[1]:
        return Cue(pad=Pad.DEPTH, is_denied=True, reason=f"the face is {nose:.0f} mm away")
    design = np.column_stack([rows[:, :2], np.ones(len(rows))])
    plane = np.linalg.lstsq(design, rows[:, 2], rcond=None)[0]
    relief = float(plane @ np.array([*face.nose, 1.0])) - nose
    if RELIEF_MIN_MM <= relief <= RELIEF_MAX_MM:
        return Cue(pad=Pad.DEPTH, is_denied=False)
    return Cue(pad=Pad.DEPTH, is_denied=True, reason=f"the nose stands out by {relief:.0f} mm")


def combined(challenge: Liveness, cues: tuple[Cue, ...]) -> Liveness:
    """The strongest measurement, and live only if nothing that was measured denies."""
    measured = [cue for cue in cues if cue.is_denied is not None]
    tested = [] if challenge == NOT_TESTED else [challenge]
    found = [*tested, *(Liveness(cue.pad, not cue.is_denied) for cue in measured)]
    if not found:
        return NOT_TESTED
    strongest = max((one.pad for one in found), key=lambda pad: pad.rank)
    return Liveness(strongest, all(one.is_live for one in found))


def _patch(
    depth: NDArray[np.uint16], point: tuple[float, float], scale: tuple[float, float], radius: int
) -> float | None:
    """Median distance around a point; None where too little of it was measured."""
    import numpy as np

    x, y = round(point[0] * scale[0]), round(point[1] * scale[1])
    part = depth[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
    known = part[part > 0]
    if part.size == 0 or known.size < _KNOWN_MIN * part.size:
        return None
    return float(np.median(known))
