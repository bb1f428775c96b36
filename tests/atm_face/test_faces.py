"""Whom a picture is about."""

from __future__ import annotations

import pytest

from atm_face.engines.interface import Face
from atm_face.faces import RIVAL_SHARE, choose_face, prominence


def a_face(x: float, y: float, side: float) -> Face:
    """A square face with its middle at (x, y)."""
    return Face(
        x=x - side / 2,
        y=y - side / 2,
        width=side,
        height=side,
        score=0.9,
        right_eye=(x - side / 5, y),
        left_eye=(x + side / 5, y),
        nose=(x, y + side / 6),
        mouth_right=(x - side / 6, y + side / 3),
        mouth_left=(x + side / 6, y + side / 3),
    )


def test_nobody() -> None:
    assert choose_face([], 640, 480) == (None, False)


def test_a_face_in_the_middle_counts_in_full_and_one_in_the_corner_not_at_all() -> None:
    assert prominence(a_face(320, 240, 100), 640, 480) == 100
    assert prominence(a_face(0, 0, 100), 640, 480) == 0


@pytest.mark.parametrize(
    ("rival", "is_arbitrary"),
    [
        (a_face(320, 240, 100 * RIVAL_SHARE), True),
        (a_face(320, 240, 100 * RIVAL_SHARE - 1), False),
        (a_face(600, 240, 100), False),
        (a_face(600, 240, 60), False),
    ],
    ids=["comparable", "smaller", "at the edge", "small at the edge"],
)
def test_a_comparable_second_face_makes_the_choice_arbitrary(
    rival: Face, is_arbitrary: bool
) -> None:
    customer = a_face(320, 240, 100)
    for faces in ([customer, rival], [rival, customer]):
        assert choose_face(faces, 640, 480) == (customer, is_arbitrary)


def test_a_near_face_beside_the_middle_wins_over_a_far_one_in_it() -> None:
    near, far = a_face(400, 240, 200), a_face(320, 240, 60)
    assert choose_face([far, near], 640, 480) == (near, False)
