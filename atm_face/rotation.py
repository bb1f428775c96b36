"""A keyed rotation of templates: comparisons stay exact, two systems' vectors cannot be linked.

An orthonormal map keeps every cosine and every distance. Each card has its own, so that the same
face enrolled for two cards, or in two banks, gives unrelated vectors as long as the key holds
(ISO/IEC 24745: unlinkability, renewability). It hides nothing from who has the key.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from atm_face.engines.interface import Template

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DRAWS = 4
"""Uniform numbers added up for one that is nearly normal, so that no direction is preferred."""


class Rotation:
    """As many mirrors as there are numbers: fewer would leave a part of the space unmoved."""

    def __init__(self, key: bytes, dimensions: int) -> None:
        self._key = key
        self._dimensions = dimensions

    @cached_property
    def _mirrors(self) -> NDArray[np.float64]:
        """Unit vectors from SHAKE-256 alone: no library's generator may change them."""
        import numpy as np

        n = self._dimensions
        stream = hashlib.shake_256(b"qianshao/rotation/1\0" + self._key).digest(n * n * _DRAWS * 2)
        draws = np.frombuffer(stream, ">i2").astype(float).reshape(n, n, _DRAWS).sum(axis=2)
        mirrors: NDArray[np.float64] = draws / np.linalg.norm(draws, axis=1, keepdims=True)
        return mirrors

    def turn(self, template: Template) -> Template:
        """The template as this card's store knows it. Numbers past ``dimensions`` stay."""
        return self._mirrored(template, 1)

    def back(self, template: Template) -> Template:
        """The template as the engine knows it: the same mirrors in the other order."""
        return self._mirrored(template, -1)

    def _mirrored(self, template: Template, step: int) -> Template:
        import numpy as np

        vector = np.array(template.vector[: self._dimensions])
        for mirror in self._mirrors[::step]:
            vector -= 2.0 * float(mirror @ vector) * mirror
        rest = template.vector[self._dimensions :]
        return replace(template, vector=(*(float(value) for value in vector), *rest))


def rotated_dimensions(engine: str, length: int) -> int:
    """How many numbers of a template turn: dlib's last one only makes the length one."""
    return length - 1 if engine == "face_recognition" else length
