"""Parcels of visits: whatever comes opens into templates or is a ParcelError."""

from __future__ import annotations

import os
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from atm_face.visit_parcels import (
    MAX_FACES,
    ParcelError,
    bound_to,
    open_parcel,
    packed,
    seal_parcel,
    templates_of,
    unpacked,
)

OWN = X25519PrivateKey.generate()
PUBLIC = OWN.public_key().public_bytes_raw()
DIGEST = b"d" * 32


@given(st.binary(max_size=100))
def test_any_bytes_are_vectors_or_an_error(raw: bytes) -> None:
    try:
        vectors = unpacked(raw)
    except (ValueError, struct.error):
        return
    assert struct.pack(">H", len(vectors)) + b"".join(map(packed, vectors)) == raw or any(
        value != value for vector in vectors for value in vector
    )


@given(raw=st.binary(max_size=300))
def test_any_bytes_that_came_are_a_parcel_error(engine: SFaceEngine, raw: bytes) -> None:
    bound = bound_to(DIGEST, engine, "atm-1", "atm-2")
    with pytest.raises(ParcelError):
        open_parcel(raw, OWN, bound, engine)


@given(
    vectors=st.lists(st.lists(st.floats(width=64), max_size=6).map(tuple), min_size=1, max_size=4)
)
def test_what_a_machine_seals_falsely_is_templates_or_a_parcel_error(
    engine: SFaceEngine, vectors: list[tuple[float, ...]]
) -> None:
    """Sealed well by one of the machines, and nonsense all the same."""
    bound = bound_to(DIGEST, engine, "atm-1", "atm-2")
    raw = seal_parcel(vectors, PUBLIC, bound)
    try:
        templates = open_parcel(raw, OWN, bound, engine)
    except ParcelError:
        return
    assert [template.vector for template in templates] == vectors


@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_each_flipped_bit_is_noticed(engine: SFaceEngine, at: int, bit: int) -> None:
    bound = bound_to(DIGEST, engine, "atm-1", "atm-2")
    raw = bytearray(seal_parcel([made_up_template(engine, "mule").vector], PUBLIC, bound))
    raw[at % len(raw)] ^= 1 << bit
    # The top bit of an X25519 key is not looked at (RFC 7748): the key derivation binds it.
    with pytest.raises(ParcelError):
        open_parcel(bytes(raw), OWN, bound, engine)


def test_a_parcel_is_bound_to_order_engine_sender_and_recipient(engine: SFaceEngine) -> None:
    bound = bound_to(DIGEST, engine, "atm-1", "atm-2")
    vector = made_up_template(engine, "mule").vector
    raw = seal_parcel([vector], PUBLIC, bound)
    assert [one.vector for one in open_parcel(raw, OWN, bound, engine)] == [vector]
    assert struct.pack(">d", vector[0]) not in raw
    others = (
        bound_to(b"e" * 32, engine, "atm-1", "atm-2"),
        bound_to(DIGEST, engine, "atm-2", "atm-1"),
        bound_to(DIGEST, engine, "atm-1a", "tm-2"),
    )
    for other in others:
        with pytest.raises(ParcelError, match="another machine, order, sender or engine"):
            open_parcel(raw, OWN, other, engine)
    with pytest.raises(ParcelError, match="too long"):
        open_parcel(os.urandom(2 * 1024 * 1024 + 1), OWN, bound, engine)


def test_more_faces_than_one_comparison_bears_are_refused(engine: SFaceEngine) -> None:
    vector = made_up_template(engine, "mule").vector
    plain = struct.pack(">H", MAX_FACES + 1) + packed(vector) * (MAX_FACES + 1)
    with pytest.raises(ValueError, match="at most 100"):
        templates_of(plain, engine)
