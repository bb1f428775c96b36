"""Face assertions: bound to one request, good once, and nothing else is taken."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from contract.assertion import (
    MAX_ASSERTION_CHARS,
    MAX_LIFE_US,
    MAX_SKEW_US,
    AssertionRefusal,
    AssertionRefusedError,
    Expected,
    FaceAssertion,
    open_assertion,
    read_assertion,
    seal_assertion,
)
from contract.clock import UnixMicros
from contract.keys import KeySigner, KnownKey
from contract.spent import SpentAssertions
from contract.words import Pad

NOW = UnixMicros(1_764_000_000_000_000)
SIGNER = KeySigner(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEYS = {SIGNER.kid: KnownKey("atm-1", SIGNER.public)}
GOOD = FaceAssertion(
    version=1,
    assertion_id=b"\x01" * 16,
    device="atm-1",
    terminal="ATM00001",
    stan="000123",
    amount_fen=300_000,
    currency="CNY",
    card=b"\x02" * 32,
    nonce=b"\x03" * 16,
    pad=Pad.CHALLENGE,
    policy_version="2026-11.1/pad>=challenge",
    issued_at=NOW,
    expires_at=UnixMicros(NOW + 60_000_000),
    is_simulated=False,
)
EXPECTED = Expected(
    device="atm-1",
    terminal="ATM00001",
    stan="000123",
    amount_fen=300_000,
    currency="CNY",
    card=b"\x02" * 32,
    nonce=b"\x03" * 16,
)


def never_spent(assertion_id: bytes, expires: int) -> bool:
    return True


def check(text: str, expected: Expected = EXPECTED, **changes: Any) -> FaceAssertion:
    arguments: dict[str, Any] = {
        "tenant": "bank",
        "find_key": KEYS.get,
        "now": NOW,
        "spend": never_spent,
    }
    return open_assertion(text, expected, **(arguments | changes))


def refusal(call: Callable[[], object]) -> AssertionRefusal:
    with pytest.raises(AssertionRefusedError) as caught:
        call()
    return caught.value.refusal


TEXT = seal_assertion(GOOD, "bank", SIGNER)


def test_a_good_assertion_is_taken_and_fits_its_field() -> None:
    assert check(TEXT) == GOOD
    assert len(TEXT) < MAX_ASSERTION_CHARS
    es256 = KeySigner(ec.generate_private_key(ec.SECP256R1()))
    keys = {es256.kid: KnownKey("atm-1", es256.public)}
    assert check(seal_assertion(GOOD, "bank", es256), find_key=keys.get) == GOOD


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("terminal", "ATM00002", AssertionRefusal.WRONG_TERMINAL),
        ("stan", "000124", AssertionRefusal.WRONG_STAN),
        ("amount_fen", 300_001, AssertionRefusal.WRONG_AMOUNT),
        ("currency", "HKD", AssertionRefusal.WRONG_AMOUNT),
        ("card", b"\x00" * 32, AssertionRefusal.WRONG_CARD),
        ("nonce", b"\x00" * 16, AssertionRefusal.WRONG_NONCE),
        ("device", "atm-2", AssertionRefusal.WRONG_DEVICE),
    ],
)
def test_each_binding_is_checked(field: str, value: object, wanted: AssertionRefusal) -> None:
    expected = replace(EXPECTED, **{field: value})  # type: ignore[arg-type]
    spent: list[bytes] = []

    def spend(assertion_id: bytes, expires: int) -> bool:
        spent.append(assertion_id)
        return True

    assert refusal(lambda: check(TEXT, expected, spend=spend)) is wanted
    assert spent == []


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (NOW - MAX_SKEW_US, None),
        (NOW - MAX_SKEW_US - 1, AssertionRefusal.NOT_YET_VALID),
        (NOW + 59_999_999, None),
        (NOW + 60_000_000, AssertionRefusal.EXPIRED),
    ],
)
def test_its_time(now: int, wanted: AssertionRefusal | None) -> None:
    if wanted is None:
        check(TEXT, now=now)
    else:
        assert refusal(lambda: check(TEXT, now=now)) is wanted


def test_who_signed_and_for_whom() -> None:
    assert refusal(lambda: check(TEXT, tenant="other")) is AssertionRefusal.BAD_SIGNATURE
    assert refusal(lambda: check(TEXT, find_key={}.get)) is AssertionRefusal.UNKNOWN_KEY
    foreign = {SIGNER.kid: KnownKey("atm-9", SIGNER.public)}
    wanted = AssertionRefusal.WRONG_DEVICE
    assert refusal(lambda: check(TEXT, find_key=foreign.get)) is wanted


def test_weak_or_simulated_is_not_taken() -> None:
    weak = seal_assertion(replace(GOOD, pad=Pad.NONE), "bank", SIGNER)
    assert refusal(lambda: check(weak)) is AssertionRefusal.WEAK_LIVENESS
    assert refusal(lambda: check(TEXT, pad_floor=Pad.IR)) is AssertionRefusal.WEAK_LIVENESS
    made_up = seal_assertion(replace(GOOD, is_simulated=True), "bank", SIGNER)
    assert refusal(lambda: check(made_up)) is AssertionRefusal.SIMULATED
    assert check(made_up, accepts_simulated=True).is_simulated


def test_it_is_good_once_over_a_restart(tmp_path: Path) -> None:
    spent = SpentAssertions(tmp_path / "spent.db")
    check(TEXT, spend=spent.spend)
    assert refusal(lambda: check(TEXT, spend=spent.spend)) is AssertionRefusal.SPENT
    spent.close()
    again = SpentAssertions(tmp_path / "spent.db")
    assert refusal(lambda: check(TEXT, spend=again.spend)) is AssertionRefusal.SPENT
    assert again.forget(NOW) == 0
    assert again.forget(GOOD.expires_at + 1) == 1
    again.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"nonce": b"short"},
        {"card": b"short"},
        {"amount_fen": 0},
        {"expires_at": NOW},
        {"expires_at": UnixMicros(NOW + MAX_LIFE_US + 1)},
    ],
)
def test_what_cannot_be_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"version|bytes|positive|expires"):
        replace(GOOD, **changes)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_any_text_is_refused(text: str) -> None:
    assert refusal(lambda: check(text)) is AssertionRefusal.MALFORMED


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_no_changed_character_is_taken(place: int, char: str) -> None:
    changed = TEXT[:place] + char + TEXT[place + 1 :]
    if changed != TEXT:
        with pytest.raises(AssertionRefusedError):
            read_assertion(changed, tenant="bank", find_key=KEYS.get)


def test_padding_and_other_forms_are_refused() -> None:
    for text in (TEXT + "=", TEXT + "AAAA", "A" * 1000, TEXT[:-1]):
        with contextlib.suppress(AssertionRefusedError):
            check(text)
            raise AssertionError(text)
