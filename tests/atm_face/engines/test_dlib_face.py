"""The engine ``face_recognition``: as the library answers, and refused where it may not decide."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest

from atm_face.engines.dlib_face import CARRIER, FaceRecognitionEngine
from atm_face.engines.interface import (
    TemplateMismatchError,
    ThresholdError,
    deciding_threshold,
)
from atm_face.engines.sface import SFaceEngine
from atm_face.engines.weights import package_folder
from atm_face.faces import inspect
from atm_face.images import decode_image
from atm_face.simulated import made_up_template
from hardware.simulators import portraits


@pytest.fixture(scope="module")
def dlib_engine() -> FaceRecognitionEngine:
    return FaceRecognitionEngine()


def test_the_similarity_is_one_less_the_librarys_distance(
    dlib_engine: FaceRecognitionEngine,
) -> None:
    import numpy as np

    dlib: Any = import_module("dlib")
    models = package_folder(CARRIER) / "models"
    network = dlib.face_recognition_model_v1(
        str(models / "dlib_face_recognition_resnet_model_v1.dat")
    )
    points = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    templates, raw = [], []
    for picture in (portraits.portrait(), portraits.rotated(10)):
        image = decode_image(picture, "portrait")
        capture = inspect(dlib_engine, image)
        assert capture.face is not None
        templates.append(dlib_engine.encode(image, capture.face))
        pixels = np.ascontiguousarray(image.pixels[:, :, ::-1])
        box = dlib.get_frontal_face_detector()(pixels, 1)[0]
        raw.append(list(network.compute_face_descriptor(pixels, points(pixels, box), 0)))
    distance = math.dist(raw[0], raw[1])
    assert dlib_engine.compare(templates[0], templates[1]) == pytest.approx(1 - distance, abs=0.02)
    assert distance < 0.6


def test_its_own_tolerance_may_not_decide(dlib_engine: FaceRecognitionEngine) -> None:
    with pytest.raises(ThresholdError, match=r"face_recognition's floor 0\.57"):
        deciding_threshold(dlib_engine)
    assert deciding_threshold(dlib_engine, 0.57) == 0.57


def test_templates_of_two_engines_never_compare(
    dlib_engine: FaceRecognitionEngine, engine: SFaceEngine
) -> None:
    own = made_up_template(dlib_engine, "somebody", 129)
    with pytest.raises(TemplateMismatchError, match="templates of sface and face_recognition"):
        dlib_engine.compare(made_up_template(engine, "somebody", 129), own)
