"""Tokens and requests: what is damaged, foreign or unsigned never passes, whatever the bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.enrolment import Answer, EnrolmentError, Request, Token
from contract.keys import KeySigner, public_pem
from contract.topics import TopicError
from tests.samples import ED25519, P256

TOKEN = Token.new("van-1", b"p" * 32)


def a_request(token: Token | None = TOKEN, device: str = "van-1") -> Request:
    signer = KeySigner(ED25519)
    return Request.signed(device, "a request", signer, signer.public, token)


def test_a_token_survives_being_carried_and_says_its_secret_to_nobody() -> None:
    assert Token.parse(f"  {TOKEN.text}\n") == TOKEN
    assert TOKEN.text.split(".")[2] not in repr(TOKEN)
    assert TOKEN.secret not in TOKEN.hashed


def test_no_token_for_a_name_that_no_topic_can_hold() -> None:
    with pytest.raises(TopicError):
        Token.new("van/1", b"p" * 32)


@given(st.text(max_size=120))
def test_any_text_is_refused_as_a_token_without_being_quoted(text: str) -> None:
    with pytest.raises(EnrolmentError) as refused:
        Token.parse(text)
    assert len(text.strip()) < 8 or text.strip() not in str(refused.value)


@given(st.integers(0, len(TOKEN.text) - 1))
def test_a_token_cut_short_is_refused(length: int) -> None:
    with pytest.raises(EnrolmentError):
        Token.parse(TOKEN.text[:length])


@pytest.mark.parametrize("token", [TOKEN, None], ids=["enrols", "renews"])
def test_a_request_survives_the_way_and_proves_its_key(token: Token | None) -> None:
    again = Request.from_json(a_request(token).to_json())
    assert again == a_request(token)
    assert again.is_proved


def test_a_signature_serves_for_one_device_one_request_one_token_and_one_purpose() -> None:
    good = json.loads(a_request().to_json())
    other_token = Token.new("van-1", b"p" * 32)
    changes: list[dict[str, str | None]] = [
        {"device": "van-2"},
        {"csr": "another request"},
        {"secret": json.loads(a_request(other_token).to_json())["secret"]},
        {"secret": None},
        {"evidence_key": public_pem(P256.public_key())},
    ]
    for change in changes:
        changed = {k: v for k, v in {**good, **change}.items() if v is not None}
        assert not Request.from_json(json.dumps(changed).encode()).is_proved, change


def a_foreign_key() -> str:
    from contract.keys import public_pem

    return public_pem(P256.public_key())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_raise_nothing_else(raw: bytes) -> None:
    for read in (Request.from_json, Answer.from_json):
        with pytest.raises(EnrolmentError):
            read(raw)


@given(
    st.dictionaries(
        st.sampled_from(["device", "csr", "evidence_key", "signature", "secret", "more"]),
        st.one_of(st.text(max_size=60), st.integers(), st.none(), st.lists(st.none())),
    )
)
def test_any_json_is_refused_or_not_proved(values: dict[str, object]) -> None:
    try:
        request = Request.from_json(json.dumps(values).encode())
    except EnrolmentError:
        return
    assert not request.is_proved


def test_a_key_that_stands_twice_is_refused() -> None:
    raw = a_request().to_json().replace(b'{"device"', b'{"device": "van-2", "device"')
    with pytest.raises(EnrolmentError, match="twice"):
        Request.from_json(raw)


def test_a_flood_and_a_nest_are_refused() -> None:
    with pytest.raises(EnrolmentError, match="at most"):
        Request.from_json(b" " * 40_000)
    with pytest.raises(EnrolmentError, match="no JSON"):
        Request.from_json(b"[" * 30_000)
