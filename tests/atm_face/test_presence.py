"""Infrared and depth: each cue denies what it is for, and is silent where it saw nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm_face.engines.interface import Face
from atm_face.engines.sface import SFaceEngine
from atm_face.images import Image, ImageError, decode_depth, decode_image
from atm_face.liveness import NOT_TESTED, Liveness
from atm_face.presence import Cue, combined, depth_cue, infrared_cue
from contract.words import Pad
from hardware.simulators import portraits


@pytest.fixture(scope="module")
def seen(engine: SFaceEngine) -> tuple[Image, Face]:
    image = decode_image(portraits.portrait(), "colour")
    return image, engine.detect(image)[0]


def test_a_screen_shows_nothing_in_infrared(engine: SFaceEngine, seen: tuple[Image, Face]) -> None:
    image, face = seen
    skin = decode_image(portraits.infrared(), "infrared")
    screen = decode_image(portraits.dark_screen(), "infrared")
    assert infrared_cue(engine, face, image, skin).is_denied is False
    assert infrared_cue(engine, face, image, screen).is_denied is True
    smaller = decode_image(portraits.scaled(0.5), "infrared")
    assert infrared_cue(engine, face, image, smaller).is_denied is False
    elsewhere = decode_image(portraits.cropped(), "infrared")
    assert infrared_cue(engine, face, image, elsewhere).is_denied is True


@pytest.mark.parametrize("depth", [{}, {"tilt": 0.5}, {"bend_mm": 35.0}, {"bend_mm": -35.0}])
def test_a_sheet_has_no_nose(seen: tuple[Image, Face], depth: dict[str, float]) -> None:
    image, face = seen
    sheet = decode_depth(portraits.depth_of_print(**depth), "depth")
    assert depth_cue(face, image, sheet).is_denied is True
    head = decode_depth(portraits.depth_of_head(), "depth")
    assert depth_cue(face, image, head).is_denied is False
    assert depth_cue(face, image, head[::2, ::2]).is_denied is False
    assert depth_cue(face, image, head * 0).is_denied is None
    far = decode_depth(portraits.depth_of_head(2500.0), "depth")
    assert "mm away" in depth_cue(face, image, far).reason


def test_a_cue_denies_and_never_allows_against_another() -> None:
    turned, still = Liveness(Pad.CHALLENGE, True), Liveness(Pad.CHALLENGE, False)
    fine, fake = Cue(pad=Pad.IR, is_denied=False), Cue(pad=Pad.DEPTH, is_denied=True)
    nothing = Cue(pad=Pad.DEPTH, is_denied=None)
    assert combined(NOT_TESTED, (nothing,)) == NOT_TESTED
    assert combined(turned, (nothing,)) == turned
    assert combined(turned, (fine,)) == Liveness(Pad.IR, True)
    assert combined(still, (fine,)) == Liveness(Pad.IR, False)
    assert combined(turned, (fine, fake)) == Liveness(Pad.DEPTH, False)


@given(st.binary(max_size=200), st.integers(0, 80))
def test_any_bytes_are_a_depth_frame_or_an_image_error(noise: bytes, cut: int) -> None:
    raw = portraits.nobody()
    for encoded in (noise, raw[:cut] + noise + raw[cut:], raw):
        with pytest.raises(ImageError):
            decode_depth(encoded, "depth")
