"""Templates, thresholds and the geometry of a face."""

from __future__ import annotations

import dataclasses
import math

import pytest

from atm_face.engines.interface import (
    Face,
    Template,
    TemplateMismatchError,
    ThresholdError,
    deciding_threshold,
    require_comparable,
)
from atm_face.engines.sface import DEFAULT_THRESHOLD, THRESHOLD_FLOOR, SFaceEngine

TEMPLATE = Template(engine="sface", model_sha256=bytes(32), vector=(0.6, 0.8))

FACE = Face(
    x=10,
    y=20,
    width=40,
    height=90,
    score=0.9,
    right_eye=(20, 50),
    left_eye=(40, 50),
    nose=(30, 62),
    mouth_right=(22, 75),
    mouth_left=(38, 75),
)


def test_the_text_form_of_a_template_hides_the_vector() -> None:
    for text in (repr(TEMPLATE), str(TEMPLATE), f"{TEMPLATE}"):
        assert "0.6" not in text
        assert "vector" not in text


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(TEMPLATE, engine="dlib"),
        dataclasses.replace(TEMPLATE, model_sha256=b"\x01" * 32),
        dataclasses.replace(TEMPLATE, vector=(0.6, 0.8, 0.0)),
    ],
    ids=["engine", "weights", "length"],
)
def test_templates_of_other_engines_or_weights_never_compare(
    engine: SFaceEngine, other: Template
) -> None:
    with pytest.raises(TemplateMismatchError) as caught:
        require_comparable(TEMPLATE, other)
    assert "0.6" not in str(caught.value)
    with pytest.raises(TemplateMismatchError):
        engine.compare(TEMPLATE, other)


@pytest.mark.parametrize("vector", [(), (0.0, 0.0), (1.0, 1.0), (math.nan, 1.0), (math.inf, 0.0)])
def test_a_template_is_a_unit_vector(vector: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="unit vector"):
        Template(engine="sface", model_sha256=bytes(32), vector=vector)


def test_a_threshold_may_be_raised_and_not_dropped_below_the_floor(engine: SFaceEngine) -> None:
    assert deciding_threshold(engine) == DEFAULT_THRESHOLD == 0.414
    assert deciding_threshold(engine, 0.9) == 0.9
    assert deciding_threshold(engine, THRESHOLD_FLOOR) == THRESHOLD_FLOOR
    for low in (THRESHOLD_FLOOR - 0.001, -1.0, math.nan):
        with pytest.raises(ThresholdError):
            deciding_threshold(engine, low)


def test_size_and_centre_of_a_face() -> None:
    assert FACE.side_px == 60
    assert FACE.centre == (30, 65)


@pytest.mark.parametrize(("nose_x", "yaw_deg"), [(30, 0.0), (40, 45.0), (20, -45.0)])
def test_yaw_follows_the_nose(nose_x: float, yaw_deg: float) -> None:
    assert dataclasses.replace(FACE, nose=(nose_x, 62)).yaw_deg == pytest.approx(yaw_deg)


def test_yaw_does_not_follow_a_leaning_head() -> None:
    """The same head leaning by 30 degrees: roll says so, yaw stays."""
    angle = math.radians(30)

    def lean(point: tuple[float, float]) -> tuple[float, float]:
        x, y = point[0] - 30, point[1] - 50
        return (
            30 + x * math.cos(angle) - y * math.sin(angle),
            50 + x * math.sin(angle) + y * math.cos(angle),
        )

    upright = dataclasses.replace(FACE, nose=(33, 62))
    leaning = dataclasses.replace(
        upright,
        right_eye=lean(upright.right_eye),
        left_eye=lean(upright.left_eye),
        nose=lean(upright.nose),
    )
    assert leaning.roll_deg == pytest.approx(30)
    assert leaning.yaw_deg == pytest.approx(upright.yaw_deg)


def test_eyes_on_one_point_are_no_division_by_zero() -> None:
    assert math.isfinite(dataclasses.replace(FACE, left_eye=FACE.right_eye).yaw_deg)
