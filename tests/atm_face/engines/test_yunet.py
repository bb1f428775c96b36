"""Detection of near, far and large faces: the same face whatever the size of the picture."""

from __future__ import annotations

import math

import pytest

from atm_face.engines.interface import Face
from atm_face.engines.weights import carried_folder
from atm_face.engines.yunet import YunetDetector
from atm_face.images import decode_image
from hardware.simulators import portraits


@pytest.fixture(scope="module")
def detector() -> YunetDetector:
    return YunetDetector(carried_folder())


@pytest.mark.parametrize("factor", [0.4, 0.6, 1.0, 2.0, 4.0])
def test_a_face_keeps_its_place_at_any_size(detector: YunetDetector, factor: float) -> None:
    """0.6 and less: seen at once; 1 and more: looked at again from near."""
    (known,) = detector.detect(decode_image(portraits.portrait(), "known"))
    (face,) = detector.detect(decode_image(portraits.scaled(factor), "scaled"))
    for ours, theirs in ((face.right_eye, known.right_eye), (face.mouth_left, known.mouth_left)):
        off = math.dist(ours, (theirs[0] * factor, theirs[1] * factor))
        assert off < 0.06 * face.side_px


def test_two_people_are_both_found_from_near(detector: YunetDetector) -> None:
    assert len(detector.detect(decode_image(portraits.two_people(), "two"))) == 2


def test_steady_landmarks_are_the_same_for_the_mirrored_picture(detector: YunetDetector) -> None:
    """One reading is off by pixels that depend on the side; the mean of four is less so."""
    image = decode_image(portraits.portrait(), "known")
    mirror = decode_image(portraits.mirrored(), "mirror")
    (face,), (other,) = detector.detect(image), detector.detect(mirror)
    steady, steady_other = detector.steady(image, face), detector.steady(mirror, other)

    def apart(a: Face, b: Face) -> float:
        return math.dist(a.right_eye, (image.width - 1 - b.left_eye[0], b.left_eye[1]))

    assert apart(steady, steady_other) < 0.03 * face.side_px
    assert (steady.x, steady.width, steady.score) == (face.x, face.width, face.score)
    assert math.dist(steady.nose, face.nose) < 0.1 * face.side_px


def test_a_face_that_is_not_there_again_is_left_as_it_was(detector: YunetDetector) -> None:
    (face,) = detector.detect(decode_image(portraits.portrait(), "known"))
    assert detector.steady(decode_image(portraits.nobody(), "nobody"), face) == face
