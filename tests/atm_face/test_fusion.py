"""A reference of several frames is nearer to its person than each frame, and holds one person."""

from __future__ import annotations

import pytest

from atm_face.engines.dlib_face import FaceRecognitionEngine
from atm_face.engines.interface import EngineError, FaceEngine, Template, TemplateMismatchError
from atm_face.engines.sface import SFaceEngine
from atm_face.fusion import FusionError, fused
from atm_face.images import decode_image
from atm_face.simulated import made_up_template
from hardware.simulators import portraits
from tests.needs import missing

PICTURES = [portraits.portrait(), portraits.rotated(10), portraits.noisy(40), portraits.turned(20)]


def templates(engine: FaceEngine, count: int = 4) -> list[Template]:
    images = [decode_image(raw, "frame") for raw in PICTURES[:count]]
    return [engine.encode(image, engine.detect(image)[0]) for image in images]


def test_the_mean_is_nearer_to_a_new_picture_than_the_worst_frame(engine: SFaceEngine) -> None:
    *frames, new = templates(engine)
    alone = [engine.compare(frame, new) for frame in frames]
    assert engine.compare(fused(engine, frames), new) > sum(alone) / len(alone)
    assert fused(engine, frames[:1]) == frames[0]


def test_dlib_vectors_keep_their_distance() -> None:
    try:
        engine = FaceRecognitionEngine()
    except EngineError:
        missing("dlib is not installed")
    frames = templates(engine, 2)
    mean = fused(engine, frames)
    half = [1 - engine.compare(mean, frame) for frame in frames]
    assert half[0] == pytest.approx(half[1])
    assert half[0] + half[1] == pytest.approx(1 - engine.compare(*frames))


def test_another_person_or_engine_is_named_with_its_frame(engine: SFaceEngine) -> None:
    frames = templates(engine)
    with pytest.raises(FusionError, match="frame 3: is not clearly the person"):
        fused(engine, [*frames[:2], made_up_template(engine, "somebody")])
    with pytest.raises(FusionError, match="1 to 5 frames"):
        fused(engine, [])
    foreign = Template(engine="onnx:own", model_sha256=bytes(32), vector=frames[0].vector)
    with pytest.raises(TemplateMismatchError):
        fused(engine, [frames[0], foreign])
