"""Made-up templates: a person who exists only by name, for tests, the demo and scenarios."""

from __future__ import annotations

import hashlib
import math
import struct

from atm_face.engines.interface import FaceEngine, Template

DIMENSIONS = 128


def made_up_template(engine: FaceEngine, person: str, dimensions: int = DIMENSIONS) -> Template:
    """Template of a made-up person: the same for the same name, marked simulated.

    Two names are as unlike as two random directions: the cosine of 128 numbers has a standard
    deviation of 0.09. As a reference it stands for somebody other than who is at the camera.
    """
    noise = hashlib.shake_256(person.encode()).digest(2 * dimensions)
    values = struct.unpack(f">{dimensions}h", noise)
    length = math.hypot(*values)
    return Template(
        engine=engine.name,
        model_sha256=engine.model_sha256,
        vector=tuple(value / length for value in values),
        is_simulated=True,
    )
