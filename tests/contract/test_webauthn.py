"""WebAuthn under an order: what it takes to count, and that nothing else does."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from contract.codec import DecodeError
from contract.cosign import (
    OrderError,
    OrderKey,
    Signature,
    assemble,
    officer_header,
    officer_key,
    open_order,
    order_content,
    sign_content,
)
from contract.keys import KeySigner, key_id, load_public_pem
from contract.orders import Officers
from contract.webauthn import (
    MAX_TOGETHER,
    Assertion,
    Passkey,
    WebAuthnError,
    challenge_of,
    check_assertion,
    check_client_data,
    pack,
    unpack,
)
from contract.words import OrderRefusal, OrderType
from tests.authenticator import ORIGIN, PRESENT, RP_ID, VERIFIED, Authenticator
from tests.orders import FIND, OFFICERS, TENANT, a_body, an_order

CHEN = Authenticator("chen", ec.derive_private_key(7, ec.SECP256R1()))
LIU = Authenticator("liu", Ed25519PrivateKey.from_private_bytes(b"\x07" * 32), b"another one")
STOP = order_content(an_order(OrderType.STOP_PAYMENT), a_body(OrderType.STOP_PAYMENT))
OTHER = order_content(an_order(OrderType.STOP_PAYMENT, 2), a_body(OrderType.STOP_PAYMENT))
LI = sign_content(STOP, tenant=TENANT, signer=KeySigner(OFFICERS["li"]))


def find(kid: bytes, *known: Authenticator) -> OrderKey | None:
    bundle = Officers(
        bundle=1,
        officers=tuple(one.entry for one in known or (CHEN, LIU)),
        rp_id=RP_ID,
        origins=(ORIGIN,),
    )
    for entry in bundle.officers:
        if key_id(load_public_pem(entry.public_pem)) == kid:
            return officer_key(bundle, entry)
    return FIND(kid)


def refusal(*parts: Signature, content: bytes = STOP) -> OrderError:
    with pytest.raises(OrderError) as refused:
        open_order(assemble(content, parts), tenant=TENANT, find_key=find)
    return refused.value


@pytest.mark.parametrize("who", [CHEN, LIU])
def test_an_authenticator_and_a_key_file_make_two_officers(who: Authenticator) -> None:
    opened = open_order(assemble(STOP, [LI, who.sign(STOP)]), tenant=TENANT, find_key=find)
    assert opened.signers == tuple(sorted(("li", who.officer)))
    assert set(opened.kids) == {
        key_id(OFFICERS["li"].public_key()),
        key_id(who.key.public_key()),
    }


def test_two_authenticators_make_two_officers_and_one_makes_one() -> None:
    both = assemble(STOP, [CHEN.sign(STOP), LIU.sign(STOP)])
    assert open_order(both, tenant=TENANT, find_key=find).signers == ("chen", "liu")
    assert refusal(CHEN.sign(STOP)).refusal is OrderRefusal.NOT_SIGNED_BY_TWO
    assert refusal(CHEN.sign(STOP), CHEN.sign(STOP)).refusal is OrderRefusal.NOT_SIGNED_BY_TWO


def test_one_press_signs_orders_that_stand_together_and_no_further_one() -> None:
    part = CHEN.sign(STOP, OTHER)
    for content in (STOP, OTHER):
        li = sign_content(content, tenant=TENANT, signer=KeySigner(OFFICERS["li"]))
        assert open_order(assemble(content, [li, part]), tenant=TENANT, find_key=find)
    third = order_content(an_order(OrderType.FREEZE, 3), a_body(OrderType.FREEZE))
    li = sign_content(third, tenant=TENANT, signer=KeySigner(OFFICERS["li"]))
    error = refusal(li, part, content=third)
    assert (error.refusal, "not among" in error.detail) == (OrderRefusal.BAD_SIGNATURE, True)


def changed(**client: Any) -> Authenticator:
    return dataclasses.replace(CHEN, client={**CHEN.client, **client})


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (changed(origin="https://evil.example"), "another page"),
        (changed(origin=ORIGIN + ":444"), "another page"),
        (changed(origin=None), "another page"),
        (changed(crossOrigin=True), "inside another site"),
        (changed(crossOrigin=0), "inside another site"),
        (changed(topOrigin=ORIGIN), "inside another site"),
        (changed(type="webauthn.create"), "its type"),
        (changed(challenge="AAAA"), "its challenge"),
        (changed(padding="x" * 1024), "at most 1024 bytes"),
        (dataclasses.replace(CHEN, rp_id="evil.example"), "another domain"),
        (dataclasses.replace(CHEN, flags=PRESENT), "not verified"),
        (dataclasses.replace(CHEN, flags=VERIFIED), "nobody was present"),
        (dataclasses.replace(CHEN, flags=PRESENT | VERIFIED | 0x10), "contradict"),
        (dataclasses.replace(CHEN, flags=PRESENT | VERIFIED | 0x40), "announce"),
        (dataclasses.replace(CHEN, flags=PRESENT | VERIFIED | 0x80), "announce"),
    ],
)
def test_what_was_signed_elsewhere_or_without_its_user_is_refused(
    who: Authenticator, why: str
) -> None:
    error = refusal(LI, who.sign(STOP))
    assert error.refusal is OrderRefusal.BAD_SIGNATURE
    assert why in error.detail


def test_a_key_signs_in_its_own_way_alone() -> None:
    as_a_file = sign_content(STOP, tenant=TENANT, signer=KeySigner(CHEN.key))
    assert refusal(LI, as_a_file).refusal is OrderRefusal.UNKNOWN_SIGNER
    as_an_authenticator = Authenticator("wang", OFFICERS["wang"]).sign(STOP)
    assert refusal(LI, as_an_authenticator).refusal is OrderRefusal.UNKNOWN_SIGNER
    other_credential = dataclasses.replace(CHEN, credential_id=b"not the one in the bundle")
    assert refusal(LI, other_credential.sign(STOP)).refusal is OrderRefusal.UNKNOWN_SIGNER
    stolen = Signature(CHEN.sign(STOP).protected, LIU.sign(STOP).value)
    assert refusal(LI, stolen).refusal is OrderRefusal.BAD_SIGNATURE
    header = officer_header(CHEN.entry)
    for protected in (
        cbor2.dumps({**cbor2.loads(header), 2: []}, canonical=True),
        cbor2.dumps({**cbor2.loads(header), -65537: "text"}, canonical=True),
        cbor2.dumps({**cbor2.loads(header), 5: b""}, canonical=True),
        cbor2.dumps({1: -7, 4: KeySigner(CHEN.key).kid, -65537: b"x"}, canonical=True),
    ):
        error = refusal(LI, Signature(protected, CHEN.sign(STOP).value))
        assert error.refusal is OrderRefusal.MALFORMED


def test_a_removed_officers_authenticator_signs_nothing() -> None:
    raw = assemble(STOP, [LI, CHEN.sign(STOP)])
    with pytest.raises(OrderError) as refused:
        open_order(raw, tenant=TENANT, find_key=lambda kid: find(kid, LIU))
    assert refused.value.refusal is OrderRefusal.UNKNOWN_SIGNER


def test_an_assertion_for_another_tenant_does_not_count() -> None:
    assert refusal(LI, CHEN.sign(STOP, tenant="other")).refusal is OrderRefusal.BAD_SIGNATURE


@pytest.mark.parametrize("who", [CHEN, LIU])
def test_no_single_bit_of_an_order_signed_by_an_authenticator_can_be_changed(
    who: Authenticator,
) -> None:
    part = who.sign(STOP)
    for field in ("protected", "value"):
        good = getattr(part, field)
        for position in range(len(good) * 8):
            touched = bytearray(good)
            touched[position // 8] ^= 1 << position % 8
            refusal(LI, dataclasses.replace(part, **{field: bytes(touched)}))


GOOD = CHEN.assertion([STOP])
_NAMES = [field.name for field in dataclasses.fields(Assertion)]
_BYTES = st.binary(max_size=80)


@given(st.sampled_from(_NAMES), st.data())
def test_no_altered_field_of_an_assertion_is_accepted(name: str, data: st.DataObject) -> None:
    good = getattr(GOOD, name)
    if name == "digests":
        other: Any = data.draw(st.lists(st.one_of(_BYTES, st.just(good[0])), max_size=4).map(tuple))
    else:
        start = data.draw(st.integers(0, len(good)))
        end = data.draw(st.integers(start, len(good)))
        other = good[:start] + data.draw(_BYTES) + good[end:]
    altered = dataclasses.replace(GOOD, **{name: other})
    if other != good:
        value = pack(altered)
        error = refusal(LI, Signature(officer_header(CHEN.entry), value))
        assert error.refusal in {OrderRefusal.BAD_SIGNATURE, OrderRefusal.MALFORMED}


@given(st.one_of(_BYTES, st.recursive(_BYTES, st.lists, max_leaves=8).map(cbor2.dumps)))
def test_arbitrary_values_are_refused_and_raise_nothing_else(value: bytes) -> None:
    refusal(LI, Signature(officer_header(CHEN.entry), value))


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "challenge", "origin", "crossOrigin", "topOrigin", "more"]), _JSON
    )
)
def test_client_data_count_only_as_they_have_to_be(changes: dict[str, Any]) -> None:
    challenge = challenge_of(GOOD.digests)
    good = json.loads(GOOD.client_data)
    said = good | changes
    raw = json.dumps(said).encode()
    fits = {k: v for k, v in said.items() if k != "more"} == good and said["crossOrigin"] is False
    try:
        check_client_data(raw, "webauthn.get", challenge, [ORIGIN])
    except WebAuthnError:
        assert not fits or len(raw) > 1024
    else:
        assert fits


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.client_data.replace(b'{"type"', b'{"type":"webauthn.get","type"'),
        GOOD.client_data.replace(b"false", b"NaN"),
        GOOD.client_data.replace(b"false", b"9" * 900),
        GOOD.client_data + b"}",
        b"\xef\xbb\xbf" + GOOD.client_data,
        GOOD.client_data.decode().encode("utf-16"),
        b"[" * 1000,
        b"[]",
        b"null",
        b"\xff",
        b"",
    ],
)
def test_client_data_that_are_no_plain_object_are_refused(raw: bytes) -> None:
    with pytest.raises(WebAuthnError):
        check_client_data(raw, "webauthn.get", challenge_of(GOOD.digests), [ORIGIN])


def test_a_signature_has_one_encoding() -> None:
    header = officer_header(CHEN.entry)
    r, s = decode_dss_signature(GOOD.signature)
    for der in (
        GOOD.signature + b"\x00",
        b"\x30\x81" + GOOD.signature[1:],
        encode_dss_signature(r, 2**600),
        encode_dss_signature(0, s),
        r.to_bytes(32, "big") + s.to_bytes(32, "big"),
    ):
        value = pack(dataclasses.replace(GOOD, signature=der))
        assert refusal(LI, Signature(header, value)).refusal is OrderRefusal.BAD_SIGNATURE


def test_digests_are_a_sorted_set_of_bounded_size() -> None:
    one, two = sorted([b"\x01" * 32, b"\x02" * 32])
    good = cbor2.loads(pack(GOOD))[:3]
    assert unpack(cbor2.dumps([*good, [one, two]])).digests == (one, two)
    many = [bytes([n]) * 32 for n in range(MAX_TOGETHER + 1)]
    for digests in ([], [two, one], [one, one], [b"short"], ["text" * 8], many, one):
        with pytest.raises(DecodeError):
            unpack(cbor2.dumps([*good, digests]))
    passkey = Passkey(credential_id=b"x", rp_id=RP_ID, origins=(ORIGIN,))
    with pytest.raises(WebAuthnError, match="not among"):
        check_assertion(GOOD, b"something else", CHEN.key.public_key(), passkey)


@pytest.mark.parametrize(
    ("rp_id", "origins"),
    [
        ("", ()),
        (RP_ID, ()),
        ("", (ORIGIN,)),
        ("CENTRAL.example", (ORIGIN,)),
        (RP_ID, ("http://central.example",)),
        (RP_ID, ("https://evil.example",)),
        (RP_ID, ("https://evilcentral.example",)),
        (RP_ID, (ORIGIN + "/",)),
        (RP_ID, (ORIGIN, ORIGIN)),
        (RP_ID, tuple(f"{ORIGIN}:{port}" for port in range(1, 11))),
        ("a" * 254, ("https://" + "a" * 254,)),
    ],
)
def test_a_bundle_with_credentials_says_on_which_safe_pages(
    rp_id: str, origins: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"domain|origin|page|HTTP"):
        Officers(bundle=1, officers=(CHEN.entry,), rp_id=rp_id, origins=origins)


def test_a_bundle_holds_each_credential_once() -> None:
    double = dataclasses.replace(LIU, credential_id=CHEN.credential_id)
    with pytest.raises(ValueError, match="stands twice"):
        Officers(bundle=1, officers=(CHEN.entry, double.entry), rp_id=RP_ID, origins=(ORIGIN,))
    for size in (0, 513):
        with pytest.raises(ValueError, match="credential id"):
            assert dataclasses.replace(CHEN, credential_id=bytes(size)).entry
    local = Officers(bundle=1, officers=(), rp_id="localhost", origins=("http://localhost:8470",))
    assert local.rp_id == "localhost"
