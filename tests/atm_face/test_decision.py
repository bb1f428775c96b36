"""A glance where it is clear, a closer look where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atm_face.decision import CLEAR_MARGIN, GlancingEngine, is_clear, likeness
from atm_face.engines.interface import Face, Template, TemplateMismatchError
from atm_face.engines.sface import SFaceEngine
from atm_face.images import Image, decode_image
from atm_face.simulated import made_up_template
from hardware.simulators import portraits


def seen(engine: SFaceEngine, encoded: bytes) -> tuple[Image, Face]:
    image = decode_image(encoded, "picture")
    return image, engine.detect(image)[0]


def test_the_owner_needs_one_encoding_and_a_stranger_gets_the_closer_look(
    engine: SFaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, face = seen(engine, portraits.portrait())
    owner, stranger = engine.encode(image, face), made_up_template(engine, "somebody")
    image, face = seen(engine, portraits.rotated(8))
    clear = likeness(engine, owner, image, face, threshold=engine.default_threshold)
    assert not clear.is_closer_look
    assert clear.similarity >= engine.default_threshold + CLEAR_MARGIN
    close = likeness(engine, stranger, image, face, threshold=engine.default_threshold)
    assert close.is_closer_look
    assert close.probe == engine.encode(image, face)
    # The closer look's word counts, also where the glance alone would have matched.
    looks: list[Template] = []

    def other(self: SFaceEngine, image: Image, face: Face) -> Template:
        looks.append(stranger)
        return stranger

    monkeypatch.setattr(SFaceEngine, "encode", other)
    limit = clear.similarity - CLEAR_MARGIN / 2
    assert not is_clear(clear.similarity, limit)
    assert likeness(engine, owner, image, face, threshold=limit).similarity < limit
    assert looks == [stranger]


def test_a_reference_of_other_weights_is_refused_at_the_glance(engine: SFaceEngine) -> None:
    assert isinstance(engine, GlancingEngine)
    image, face = seen(engine, portraits.portrait())
    foreign = replace(engine.encode(image, face), model_sha256=bytes(32))
    with pytest.raises(TemplateMismatchError, match="other weights"):
        likeness(engine, foreign, image, face, threshold=0.4)
