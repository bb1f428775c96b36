"""Sealed templates: comparisons unchanged, every wrong use a distinct error, nothing in clear."""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atm_face.engines.sface import SFaceEngine
from atm_face.rotation import Rotation
from atm_face.simulated import made_up_template
from atm_face.templates import (
    Consent,
    FilingDuty,
    NoConsentError,
    NotEnrolledError,
    ReEnrolError,
    SealError,
    StoreError,
    TemplateStore,
)

KEY, CARD, OTHER = b"k" * 32, b"c" * 32, b"d" * 32
CONSENT = Consent(purpose="withdrawals at this bank's machines", given_on=date(2026, 1, 2))


@pytest.fixture
def store(tmp_path: Path) -> TemplateStore:
    return TemplateStore(tmp_path / "templates.sqlite3", KEY)


def test_a_sealed_reference_compares_as_the_plain_one(
    engine: SFaceEngine, store: TemplateStore
) -> None:
    owner, other = (made_up_template(engine, name) for name in ("owner", "other"))
    store.enrol(CARD, owner, CONSENT)
    reference = store.fetch(CARD, engine)
    assert reference.consent == CONSENT
    assert reference.similarity(engine, owner) == pytest.approx(1.0)
    assert reference.similarity(engine, other) == pytest.approx(engine.compare(owner, other))


def test_one_face_on_two_cards_cannot_be_linked(engine: SFaceEngine, store: TemplateStore) -> None:
    owner = made_up_template(engine, "owner")
    for card in (CARD, OTHER):
        store.enrol(card, owner, CONSENT)
    first, second = (store.fetch(card, engine).template for card in (CARD, OTHER))
    assert abs(engine.compare(first, second)) < 0.4  # two random directions: 0.09 a deviation
    store.enrol(CARD, owner, CONSENT)
    assert abs(engine.compare(first, store.fetch(CARD, engine).template)) < 0.4


def test_every_wrong_use_has_its_own_error(
    engine: SFaceEngine, store: TemplateStore, tmp_path: Path
) -> None:
    owner = made_up_template(engine, "owner")
    store.enrol(CARD, owner, CONSENT)
    with pytest.raises(NotEnrolledError):
        store.fetch(OTHER, engine)
    with pytest.raises(SealError):
        TemplateStore(tmp_path / "templates.sqlite3", b"x" * 32).fetch(CARD, engine)
    with sqlite3.connect(tmp_path / "templates.sqlite3") as raw:
        raw.execute("UPDATE template SET card = ?", (OTHER,))
    raw.close()
    with pytest.raises(SealError, match="another card"):
        store.fetch(OTHER, engine)
    store.enrol(CARD, replace(owner, model_sha256=bytes(32)), CONSENT)
    with pytest.raises(ReEnrolError):
        store.fetch(CARD, engine)
    with pytest.raises(StoreError):
        TemplateStore(tmp_path / "templates.sqlite3", b"short")
    (tmp_path / "garbage").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="garbage"):
        TemplateStore(tmp_path / "garbage", KEY)


def test_a_withdrawn_consent_erases_and_the_date_stays(
    engine: SFaceEngine, store: TemplateStore, tmp_path: Path
) -> None:
    store.enrol(CARD, made_up_template(engine, "owner"), CONSENT)
    path = tmp_path / "templates.sqlite3"
    with sqlite3.connect(path) as raw:
        salt, sealed = raw.execute("SELECT salt, sealed FROM template").fetchone()
    raw.close()
    assert salt in path.read_bytes()
    store.withdraw(CARD, date(2026, 3, 4))
    assert salt not in path.read_bytes()
    assert sealed[-32:] not in path.read_bytes()
    with pytest.raises(NoConsentError, match="2026-03-04"):
        store.fetch(CARD, engine)
    assert store.filing() == FilingDuty(0)
    with pytest.raises(NoConsentError):
        store.enrol(
            CARD, made_up_template(engine, "owner"), replace(CONSENT, withdrawn_on=date(2026, 3, 4))
        )


def test_no_number_of_the_template_is_in_the_file(
    engine: SFaceEngine, store: TemplateStore, tmp_path: Path
) -> None:
    owner = made_up_template(engine, "owner")
    store.enrol(CARD, owner, CONSENT)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    rotated = store.fetch(CARD, engine).template
    for template in (owner, rotated):
        for form in (">d", "<d", "<f", ">f"):
            assert not any(struct.pack(form, value) in written for value in template.vector[:16])
    assert (tmp_path / "templates.sqlite3").stat().st_mode & 0o077 == 0


def test_the_filing_duty_begins_at_100_000() -> None:
    assert not FilingDuty(99_999).is_due
    assert FilingDuty(100_000).is_due


@settings(deadline=None, max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.text(max_size=8), st.text(max_size=8))
def test_any_key_keeps_every_cosine(engine: SFaceEngine, key: bytes, a: str, b: str) -> None:
    one, two = made_up_template(engine, a), made_up_template(engine, b)
    turn = Rotation(key, 128).turn
    assert engine.compare(turn(one), turn(two)) == pytest.approx(engine.compare(one, two), abs=1e-9)
