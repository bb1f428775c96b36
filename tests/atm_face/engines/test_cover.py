"""Each way of seeing a cover alone, on the crop that is measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from atm_face.engines.alignment import aligned
from atm_face.engines.cover import Cover, cover_of
from atm_face.engines.sface import SFaceEngine
from atm_face.images import decode_image
from hardware.simulators import portraits

BARE = Cover(lower_chroma=3.0, lower_colour=5.0, eye_light=0.9)


@pytest.fixture(scope="module")
def crop(engine: SFaceEngine) -> NDArray[np.uint8]:
    image = decode_image(portraits.portrait(), "portrait")
    return aligned(image, engine.detect(image)[0])


def test_a_bare_face_hides_nothing(crop: NDArray[np.uint8]) -> None:
    assert not cover_of(crop).hides(0.0)


def test_dark_glass_over_both_eyes_is_seen_by_light_and_over_one_is_not(
    crop: NDArray[np.uint8],
) -> None:
    dark = crop.copy()
    dark[45:59, 29:48] = 20
    one = cover_of(dark)
    assert not one.hides(0.0)
    dark[45:59, 65:84] = 20
    both = cover_of(dark)
    assert both.eye_light < 0.4
    assert not replace(both, eye_light=0.9).hides(0.0)  # by light alone
    assert both.hides(0.0)


def test_a_cloth_is_seen_by_colour_and_a_beard_is_not(crop: NDArray[np.uint8]) -> None:
    cloth = crop.copy()
    cloth[76:] = (215, 190, 150)
    assert cover_of(cloth).hides(0.0)
    beard = crop.copy()
    beard[76:] = 25
    beard[84:100, 48:64] = crop[84:100, 48:64]  # the mouth shows
    assert not cover_of(beard).hides(0.0)


@pytest.mark.parametrize("part", ["lower_chroma", "lower_colour", "eye_light"])
def test_each_measure_alone_is_enough_and_none_counts_on_a_turned_head(part: str) -> None:
    value = 0.5 if part == "eye_light" else 21.0
    hidden = replace(BARE, **{part: value})
    assert not BARE.hides(0.0)
    assert hidden.hides(0.0)
    assert hidden.hides(-25.0)
    assert not hidden.hides(26.0)
