"""The envelope: what is sealed comes back, what was touched is refused, COSE peers agree."""

from __future__ import annotations

import base64
from typing import Any

import cbor2
import cwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from pycose.headers import KID, Algorithm
from pycose.keys import EC2Key, OKPKey
from pycose.messages import CoseMessage, Sign1Message

from contract import Envelope, EnvelopeError, Refusal, UnixMicros, envelope, open_envelope, seal
from contract.clock import ClockQuality, MonoMicros
from contract.codec import encode, to_map
from contract.envelope import MAX_SEQ, Payload, message_digest, message_id_of
from contract.keys import FindKey, KeySigner, KnownKey, PrivateKey, load_public_pem, verifies
from contract.messages import detection_id
from tests.samples import ED25519, P256, a_detection, sealed


def known(key: PrivateKey = ED25519, owner: str = "van-1") -> FindKey:
    entry = KnownKey(owner, key.public_key())
    kid = KeySigner(key).kid
    return lambda wanted: entry if wanted == kid else None


def opened(raw: bytes, *, tenant: str = "demo", find: FindKey | None = None) -> Envelope:
    return open_envelope(raw, tenant=tenant, find_key=find or known())


@pytest.mark.parametrize("key", [ED25519, P256], ids=["EdDSA", "ES256"])
def test_what_is_sealed_comes_back(key: PrivateKey) -> None:
    envelope = opened(sealed(key=key, seq=9), find=known(key))
    assert envelope.body == a_detection()
    assert (envelope.payload.device, envelope.payload.seq, envelope.payload.type) == (
        "van-1",
        9,
        "detection",
    )
    assert envelope.payload.clock_error_ms == 3
    assert envelope.digest == message_digest(envelope.raw)


@given(
    seq=st.integers(0, MAX_SEQ - 1),
    wall=st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
    mono=st.integers(0, 2**63 - 1),
    quality=st.builds(
        ClockQuality,
        is_synced=st.booleans(),
        estimated_error_ms=st.none() | st.integers(-(2**31), 2**63 - 1),
    ),
    device=st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=300),
)
def test_what_is_written_by_hand_is_what_the_encoder_writes(
    seq: int, wall: int, mono: int, quality: ClockQuality, device: str
) -> None:
    body, signer = a_detection(), KeySigner(ED25519)
    place = {
        "device": device,
        "boot_id": bytes(16),
        "seq": seq,
        "wall": UnixMicros(wall),
        "mono": MonoMicros(mono),
        "prev": bytes(range(32)),
    }
    raw = seal(body, tenant="demo", quality=quality, signer=signer, **place)  # type: ignore[arg-type]
    payload = Payload(
        version=1,
        message_id=message_id_of(body, device, seq, mono),
        is_clock_synced=quality.is_synced,
        clock_error_ms=quality.estimated_error_ms,
        type="detection",
        **place,  # type: ignore[arg-type]
    )
    protected, unprotected, content, signature = cbor2.loads(raw).value
    assert content == encode({**to_map(payload), 11: to_map(body)})
    assert raw == encode(cbor2.CBORTag(18, [protected, unprotected, content, signature]))
    signed = encode(["Signature1", protected, b"qianshao/1\0demo", content])
    assert verifies(ED25519.public_key(), -8, signed, signature)


def test_the_same_message_has_the_same_bytes() -> None:
    assert sealed() == sealed()


def test_no_single_bit_can_be_changed() -> None:
    raw = sealed()
    find = known()
    for position in range(len(raw) * 8):
        touched = bytearray(raw)
        touched[position // 8] ^= 1 << position % 8
        with pytest.raises(EnvelopeError):
            opened(bytes(touched), find=find)


def test_a_message_of_another_tenant_is_refused() -> None:
    with pytest.raises(EnvelopeError) as refused:
        opened(sealed(), tenant="other")
    assert refused.value.refusal is Refusal.BAD_SIGNATURE


def test_a_key_may_sign_only_for_its_owner() -> None:
    with pytest.raises(EnvelopeError) as refused:
        opened(sealed(), find=known(owner="van-2"))
    assert refused.value.refusal is Refusal.WRONG_SENDER


def test_an_unknown_key_is_named_as_such() -> None:
    with pytest.raises(EnvelopeError) as refused:
        opened(sealed(), find=lambda kid: None)
    assert refused.value.refusal is Refusal.UNKNOWN_KEY


def test_a_key_of_the_other_algorithm_never_verifies() -> None:
    entry = KnownKey("van-1", P256.public_key())
    with pytest.raises(EnvelopeError) as refused:
        opened(sealed(), find=lambda kid: entry)
    assert refused.value.refusal is Refusal.BAD_SIGNATURE


NO_ALGORITHMS: tuple[object, ...] = ({}, [], -8.0, "EdDSA", None)


def with_algorithm(algorithm: object) -> bytes:
    """A message whose header names something else as its algorithm."""
    protected, empty, content, signature = cbor2.loads(sealed()).value
    header = {**cbor2.loads(protected), 1: algorithm}
    return encode(cbor2.CBORTag(18, [encode(header), empty, content, signature]))


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        *((f"algorithm {word!r}", with_algorithm(word)) for word in NO_ALGORITHMS),
        ("a tag that holds itself", bytes.fromhex("d284a1d81cd2d81d0040a04040")),
        ("empty", b""),
        ("trailing byte", sealed() + b"\x00"),
        ("untagged", encode(cbor2.loads(sealed()).value)),
        ("another tag", encode(cbor2.CBORTag(98, cbor2.loads(sealed()).value))),
        ("too large", b"\x00" * 70_000),
        ("deep", b"\x81" * 5_000 + b"\x00"),
        ("indefinite length", b"\xd2\x9f\x40\xa0\x40\x40\xff"),
    ],
)
def test_what_is_no_envelope_is_malformed(what: str, raw: bytes) -> None:
    with pytest.raises(EnvelopeError) as refused:
        opened(raw)
    assert refused.value.refusal is Refusal.MALFORMED, what


def signed_as_it_is(content: bytes) -> bytes:
    """A message whose signature is good, whatever its content."""
    protected = cbor2.loads(sealed()).value[0]
    signature = KeySigner(ED25519).sign(envelope._to_be_signed(protected, "demo", content))
    return encode(cbor2.CBORTag(18, [protected, {}, content, signature]))


CONTENT = cbor2.loads(sealed()).value[2]
BODY_KEY, BODY = b"\x0b", encode(cbor2.loads(CONTENT)[11])
ONE_MORE = bytes((CONTENT[0] + 1,)) + CONTENT[1:]


def with_field_of(size: int) -> bytes:
    """Content with a field that a later version may have."""
    return encode({**cbor2.loads(CONTENT), 23: bytes(size)})


def test_a_field_of_a_later_version_is_passed_over_if_the_message_is_small_enough() -> None:
    assert opened(signed_as_it_is(CONTENT)).body == opened(sealed()).body
    assert opened(signed_as_it_is(with_field_of(60_000))).body == opened(sealed()).body


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("oversized", with_field_of(66_000)),
        ("a key twice", ONE_MORE + BODY_KEY + BODY),
        ("nested", CONTENT.removesuffix(BODY_KEY + BODY) + BODY_KEY + b"\x81" * 5_000 + b"\x00"),
        ("nested further", ONE_MORE + b"\x17" + b"\x81" * 60_000 + b"\x00"),
    ],
)
def test_a_device_s_own_signature_lets_no_bad_form_in(what: str, content: bytes) -> None:
    with pytest.raises(EnvelopeError) as refused:
        opened(signed_as_it_is(content))
    assert refused.value.refusal is Refusal.MALFORMED, what


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_raise_nothing_else(raw: bytes) -> None:
    with pytest.raises(EnvelopeError):
        opened(raw)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 400))
def test_spliced_messages_are_refused_and_raise_nothing_else(piece: bytes, at: int) -> None:
    raw = sealed()
    spliced = raw[:at] + piece + raw[at + len(piece) :]
    if spliced != raw:
        with pytest.raises(EnvelopeError):
            opened(spliced)


def test_a_signed_body_with_a_wrong_type_is_refused_by_place() -> None:
    raw = sealed(a_detection(subject={"when": 1}))
    assert opened(raw).body == a_detection(subject={"when": 1})
    with pytest.raises(ValueError, match="no place in a message"):
        sealed(a_detection(score=float("nan")))


def test_detection_ids_derive_from_content() -> None:
    first = detection_id("van-1", "modem0", {"a": 1, "b": 2}, UnixMicros(0))
    assert first == detection_id("van-1", "modem0", {"b": 2, "a": 1}, UnixMicros(0))
    assert first != detection_id("van-1", "modem0", {"a": 1, "b": 2}, UnixMicros(1))
    assert first != detection_id("van-2", "modem0", {"a": 1, "b": 2}, UnixMicros(0))
    one, two = opened(sealed(seq=1)), opened(sealed(seq=2))
    assert one.payload.message_id == two.payload.message_id
    later = opened(sealed(a_detection(revision=1)))
    assert later.payload.message_id != one.payload.message_id


def test_pycose_verifies_ours_and_we_verify_pycose() -> None:
    raw = sealed()
    aad = b"qianshao/1\0demo"
    public = ED25519.public_key().public_bytes_raw()
    theirs: Any = CoseMessage.decode(raw)
    assert isinstance(theirs, Sign1Message)
    theirs.external_aad = aad
    theirs.key = OKPKey(crv="ED25519", x=public)
    assert theirs.verify_signature()

    again = Sign1Message(phdr=dict(theirs.phdr), uhdr={}, payload=theirs.payload)
    assert {Algorithm, KID} <= set(again.phdr)
    again.external_aad = aad
    again.key = OKPKey(crv="ED25519", x=public, d=ED25519.private_bytes_raw())
    assert opened(again.encode()).body == a_detection()


def test_cwt_verifies_ours() -> None:
    okp, ed25519, eddsa = 1, 6, -8  # RFC 9053: key type, curve, algorithm
    public = ED25519.public_key().public_bytes_raw()
    key = cwt.COSEKey.new(
        {1: okp, -1: ed25519, -2: public, 3: eddsa, 2: KeySigner(ED25519).kid, 4: [2]}
    )
    payload = cwt.COSE().decode(sealed(), key, external_aad=b"qianshao/1\0demo")
    decoded = payload if isinstance(payload, dict) else cbor2.loads(payload)
    assert decoded[2] == "van-1"


def test_pycose_and_cwt_verify_a_message_signed_inside_a_token() -> None:
    """ES256 (RFC 9053 section 2.1), as a TPM signs."""
    raw, aad = sealed(key=P256), b"qianshao/1\0demo"
    numbers = P256.public_key().public_numbers()
    x, y = (n.to_bytes(32, "big") for n in (numbers.x, numbers.y))
    theirs: Any = CoseMessage.decode(raw)
    theirs.external_aad = aad
    theirs.key = EC2Key(crv="P_256", x=x, y=y)
    assert theirs.verify_signature()

    ec2, p256, es256 = 2, 1, -7
    kid = KeySigner(P256).kid
    key = cwt.COSEKey.new({1: ec2, -1: p256, -2: x, -3: y, 3: es256, 2: kid, 4: [2]})
    payload = cwt.COSE().decode(raw, key, external_aad=aad)
    decoded = payload if isinstance(payload, dict) else cbor2.loads(payload)
    assert decoded[2] == "van-1"


def test_pycose_and_cwt_refuse_what_was_touched() -> None:
    raw = bytearray(sealed())
    raw[-70] ^= 1  # within the payload, before the signature
    public = ED25519.public_key().public_bytes_raw()
    theirs: Any = CoseMessage.decode(bytes(raw))
    theirs.external_aad = b"qianshao/1\0demo"
    theirs.key = OKPKey(crv="ED25519", x=public)
    assert not theirs.verify_signature()
    key = cwt.COSEKey.new({1: 1, -1: 6, -2: public, 3: -8, 2: KeySigner(ED25519).kid, 4: [2]})
    with pytest.raises(cwt.VerifyError):
        cwt.COSE().decode(bytes(raw), key, external_aad=b"qianshao/1\0demo")


@given(st.integers(0, 600), st.integers(0, 255), st.binary(max_size=3))
def test_the_quick_look_takes_only_what_the_close_look_takes(
    at: int, byte: int, more: bytes
) -> None:
    raw = bytearray(_sealed_for_the_quick_look())
    raw[at % len(raw)] = byte
    changed = bytes(raw) + more
    quick = envelope._quick_parts(changed)
    if quick is not None:
        tag = cbor2.loads(changed)
        assert tag.tag == 18
        assert [quick[0], {}, quick[1], quick[2]] == list(tag.value)
        assert cbor2.dumps(tag, canonical=True) == changed


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65_000])
def test_the_quick_look_takes_every_usual_size(size: int) -> None:
    raw = cbor2.dumps(cbor2.CBORTag(18, [b"p", {}, bytes(size), bytes(64)]), canonical=True)
    assert envelope._quick_parts(raw) == (b"p", bytes(size), bytes(64))


def _sealed_for_the_quick_look() -> bytes:
    return cbor2.dumps(cbor2.CBORTag(18, [bytes(40), {}, bytes(300), bytes(64)]), canonical=True)


def test_a_key_of_an_unknown_kind_is_a_value_error() -> None:
    """One changed byte in a key within a signed order ended whoever read it."""
    der = ED25519.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    strange = base64.b64encode(der.replace(bytes.fromhex("2b6570"), bytes.fromhex("2b5570")))
    with pytest.raises(ValueError, match="no key that signs messages"):
        load_public_pem(
            f"-----BEGIN PUBLIC KEY-----\n{strange.decode()}\n-----END PUBLIC KEY-----\n"
        )
