"""A reference goes to one device, for one card and one request, or it does not open."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atm_face.delivery import Request, opened, sealed_for
from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from atm_face.templates import Consent, Reference, SealError, TemplateStore

CARD = b"c" * 32
OWN = X25519PrivateKey.generate()


@pytest.fixture
def reference(engine: SFaceEngine, tmp_path: Path) -> Reference:
    store = TemplateStore(tmp_path / "templates", b"k" * 32)
    consent = Consent(purpose="withdrawal", given_on=date(2026, 11, 1))
    store.enrol(CARD, made_up_template(engine, "owner"), consent)
    return store.fetch(CARD, engine)


def test_what_is_sealed_for_a_device_opens_there_and_compares(
    engine: SFaceEngine, reference: Reference
) -> None:
    request = Request.of(CARD, engine)
    sealed = sealed_for(OWN.public_key(), request, reference)
    found = opened(OWN, request, sealed)
    assert found.consent == reference.consent
    owner, other = made_up_template(engine, "owner"), made_up_template(engine, "other")
    assert found.similarity(engine, owner) == pytest.approx(1.0)
    assert found.similarity(engine, other) == pytest.approx(engine.compare(owner, other))
    assert math.dist(found.template.vector, owner.vector) > 0.1  # turned in memory


@pytest.mark.parametrize(
    "change",
    [
        {"card": b"d" * 32},
        {"engine": "onnx:own"},
        {"model_sha256": bytes(32)},
        {"nonce": bytes(16)},
    ],
)
def test_another_card_engine_model_or_request_opens_nothing(
    engine: SFaceEngine, reference: Reference, change: dict[str, bytes]
) -> None:
    request = Request.of(CARD, engine)
    sealed = sealed_for(OWN.public_key(), request, reference)
    with pytest.raises(SealError, match="another device, card, engine or request"):
        opened(OWN, replace(request, **change), sealed)  # type: ignore[arg-type]


def test_another_device_and_any_changed_byte_open_nothing(
    engine: SFaceEngine, reference: Reference
) -> None:
    request = Request.of(CARD, engine)
    sealed = sealed_for(OWN.public_key(), request, reference)
    with pytest.raises(SealError):
        opened(X25519PrivateKey.generate(), request, sealed)
    for place in range(0, len(sealed), 97):
        touched = bytearray(sealed)
        touched[place] ^= 1
        with pytest.raises(SealError):
            opened(OWN, request, bytes(touched))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_reason_and_open_nothing(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"request|length|engine"):
        Request.from_bytes(raw)
    request = Request(card=CARD, engine="sface", model_sha256=bytes(32))
    assert Request.from_bytes(request.as_bytes()) == request
    with pytest.raises(SealError):
        opened(OWN, request, raw)
