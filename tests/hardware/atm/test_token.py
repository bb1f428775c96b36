"""End-to-end tokens: the form, the HMAC, and each defect of the reference library turned around."""

from __future__ import annotations

import hashlib
import hmac as hmac_module
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.atm.money import EXPONENTS, MAX_MINOR, AmountError, Money, parse_money
from hardware.atm.token import (
    DispenseGuard,
    PresentStatus,
    TokenError,
    TokenProblem,
    new_nonce,
    open_present_status,
    open_token,
    parse_token,
    seal_dispense,
    seal_present_status,
    seal_token,
)

KEY = bytes(range(32))
NONCE = "254611E63B2531576314E86527338D61"
# The published pattern of the specification, as an independent judge of the form.
PATTERN = re.compile(
    r"^(?=[!-~]{0,1024}$)NONCE=[0-9A-F]+,TOKENFORMAT=1,TOKENLENGTH=[0-9]{4},"
    r"(?:[A-Z0-9]+=[^,=]+?,)+HMACSHA256=[0-9A-F]{64}$"
)


def forge(pairs: str, nonce: str = NONCE, form: str = "1", length: str | None = None) -> str:
    """A token with a valid HMAC, well-formed or not."""
    head, tail = f"NONCE={nonce},TOKENFORMAT={form},TOKENLENGTH=", f",{pairs}HMACSHA256="
    signed = head + (length or f"{len(head) + 4 + len(tail) + 64:04}") + tail
    return signed + hmac_module.new(KEY, signed.encode(), hashlib.sha256).hexdigest().upper()


def refusal(text: str, key: bytes = KEY) -> TokenProblem:
    with pytest.raises(TokenError) as caught:
        open_token(text, key)
    return caught.value.problem


def guard_with(text_for_nonce: str) -> tuple[DispenseGuard, str]:
    guard = DispenseGuard(KEY)
    return guard, seal_dispense(guard.issue_nonce(), parse_money(text_for_nonce), KEY)


def test_the_sample_of_the_specification_has_its_length() -> None:
    text = seal_dispense(NONCE, parse_money("50.00EUR"), KEY)
    assert "TOKENLENGTH=0164" in text
    assert len(text) == 164


def test_a_sealed_token_opens() -> None:
    token = open_token(seal_dispense(NONCE, parse_money("3000.00CNY"), KEY), KEY)
    assert token.nonce == NONCE
    assert token.dispense_limits() == (Money(300_000, "CNY"),)
    assert PATTERN.match(token.text)


def test_recorded_tokens_are_refused_by_their_form(field_data: Path) -> None:
    path = field_data / "atm/xfs4iot/kal_e2e_token_unit_cases.json"
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    tokens = [text for case in cases for text in case["tokens"]]
    assert len(tokens) == 49
    assert {refusal(text) for text in tokens} == {TokenProblem.FORMAT}


# -- each defect of the reference library ----------------------------------------------------------


def test_the_sum_of_the_fractions_is_held() -> None:
    guard, text = guard_with("100.00CNY")
    guard.authorise(text, Money(5050, "CNY"))
    guard.confirm(Money(5050, "CNY"))
    with pytest.raises(TokenError, match="more than the token allows"):
        guard.authorise(text, Money(4999, "CNY"))
    guard.authorise(text, Money(4950, "CNY"))
    guard.confirm(Money(4950, "CNY"))
    assert guard.nonce is None


@pytest.mark.parametrize("length", ["9999", "0000", "164", "00A4", "0x9f"])
def test_a_wrong_length_is_refused(length: str) -> None:
    assert refusal(forge("DISPENSE1=100.00CNY,", length=length)) is TokenProblem.FORMAT


@pytest.mark.parametrize("form", ["7", "01", "", "1 "])
def test_another_format_is_refused(form: str) -> None:
    assert refusal(forge("DISPENSE1=100.00CNY,", form=form)) is TokenProblem.FORMAT


@pytest.mark.parametrize("last", ["g", "G", " ", "é", "\x00"])
def test_an_hmac_out_of_form_is_refused_before_the_key_is_used(last: str) -> None:
    text = seal_dispense(NONCE, parse_money("100.00CNY"), KEY)
    assert refusal(text[:-1] + last) is TokenProblem.FORMAT


def test_a_lower_case_hmac_is_refused() -> None:
    text = seal_dispense(NONCE, parse_money("100.00CNY"), KEY)
    assert refusal(text[:-64] + text[-64:].lower()) is TokenProblem.FORMAT


@pytest.mark.parametrize("key", ["NODISPENSE1", "DISPENSE12", "DISPENSE1X", "DISPENSE01"])
def test_a_key_that_only_contains_dispense1_is_not_it(key: str) -> None:
    token = open_token(forge(f"{key}=100.00CNY,"), KEY)
    assert token.get("DISPENSE1") is None
    with pytest.raises(TokenError):
        token.dispense_limits()


def test_a_short_fraction_is_a_decimal_fraction() -> None:
    guard = DispenseGuard(KEY)
    text = forge("DISPENSE1=100.5CNY,", nonce=guard.issue_nonce())
    guard.authorise(text, Money(10_050, "CNY"))
    with pytest.raises(TokenError):
        guard.authorise(text, Money(10_051, "CNY"))


def test_a_refused_try_changes_nothing() -> None:
    guard, text = guard_with("100.00CNY")
    with pytest.raises(TokenError):
        guard.authorise(text, Money(20_000, "CNY"))
    assert guard.token is None
    guard.authorise(text, Money(10_000, "CNY"))


def test_present_status_can_be_verified() -> None:
    status = PresentStatus(
        dispense_id="AB" * 32,
        dispensed=Money(10_000, "CNY"),
        is_presented=True,
        presented=Money(10_000, "CNY"),
        is_retracted=False,
        retracted=None,
    )
    nonce = new_nonce()
    text = seal_present_status(nonce, status, KEY)
    assert "DISPENSED1=100.00CNY" in text
    assert "RETRACTEDAMOUNT1=?" in text
    assert open_present_status(text, nonce, KEY) == status
    with pytest.raises(TokenError, match="invalidTokenNonce"):
        open_present_status(text, new_nonce(), KEY)
    with pytest.raises(TokenError, match="not a present status"):
        open_present_status(seal_token(nonce, {"DISPENSEID": "A"}, KEY), nonce, KEY)


@pytest.mark.parametrize("text", ["0.00CNY", "0CNY"])
def test_nothing_is_not_dispensed(text: str) -> None:
    with pytest.raises(TokenError):
        seal_dispense(NONCE, parse_money(text), KEY)
    guard = DispenseGuard(KEY)
    token = forge(f"DISPENSE1={text},", nonce=guard.issue_nonce())
    for minor in (0, 1):
        with pytest.raises(TokenError):
            guard.authorise(token, Money(minor, "CNY"))


def test_nonces_are_random_and_in_form() -> None:
    nonces = [new_nonce() for _ in range(64)]
    assert len(set(nonces)) == 64
    assert all(re.fullmatch("[0-9A-F]{32}", nonce) for nonce in nonces)


# -- the dispenser's side --------------------------------------------------------------------------


def problem_of(guard: DispenseGuard, text: str, minor: int = 10_000) -> TokenProblem:
    with pytest.raises(TokenError) as caught:
        guard.authorise(text, Money(minor, "CNY"))
    return caught.value.problem


def test_a_token_lives_and_dies_with_its_nonce() -> None:
    guard, text = guard_with("100.00CNY")
    guard.authorise(text, Money(10_000, "CNY"))
    guard.authorise(text, Money(10_000, "CNY"))  # asked again: the same answer
    guard.clear()
    assert problem_of(guard, text) is TokenProblem.NO_NONCE
    guard.issue_nonce()
    assert problem_of(guard, text) is TokenProblem.NONCE


def test_a_second_token_under_one_nonce_is_refused() -> None:
    guard, text = guard_with("100.00CNY")
    assert guard.nonce is not None
    other = seal_dispense(guard.nonce, parse_money("500.00CNY"), KEY)
    guard.authorise(text, Money(10_000, "CNY"))
    assert problem_of(guard, other) is TokenProblem.TOKEN


def test_nothing_is_spent_that_was_not_authorised() -> None:
    guard, text = guard_with("100.00CNY")
    with pytest.raises(TokenError):
        guard.confirm(Money(1, "CNY"))
    guard.authorise(text, Money(100, "CNY"))
    with pytest.raises(TokenError):
        guard.confirm(Money(10_001, "CNY"))
    with pytest.raises(TokenError):
        guard.authorise(text, Money(1, "EUR"))


@pytest.mark.parametrize(
    "pairs",
    [
        "DISPENSE2=1.00CNY,",
        "DISPENSE2=1.00CNY,DISPENSE1=1.00EUR,",
        "DISPENSE1=1.00CNY,DISPENSE3=1.00EUR,",
        "DISPENSE1=1.00CNY,DISPENSE2=1.00CNY,",
        "DISPENSE1=1.000CNY,",
        "DISPENSE1=1.00XYZ,",
        "DISPENSE1=.10CNY,",
        "DISPENSE1=1.CNY,",
        "DISPENSE1=-1CNY,",
        "DISPENSE1=1.5JPY,",
        "OTHER=1,",
    ],
)
def test_amounts_out_of_form_are_refused(pairs: str) -> None:
    with pytest.raises(TokenError) as caught:
        open_token(forge(pairs), KEY).dispense_limits()
    assert caught.value.problem is TokenProblem.FORMAT


@pytest.mark.parametrize(
    "pairs",
    ["", "A=1,A=2,", "=1,", "A=,", "A,", "A=B=C,", "a=1,", "A=1,,", "NONCE=1,", "A=" + "1" * 1000],
)
def test_keys_out_of_form_are_refused(pairs: str) -> None:
    assert refusal(forge(pairs)) is TokenProblem.FORMAT


def test_a_wrong_key_or_a_changed_character_is_refused() -> None:
    text = seal_dispense(NONCE, parse_money("100.00CNY"), KEY)
    assert refusal(text, bytes(32)) is TokenProblem.HMAC
    assert refusal(text.replace("100.00", "900.00")) is TokenProblem.HMAC
    with pytest.raises(ValueError, match="32 bytes"):
        open_token(text, b"short")


# -- fuzz ------------------------------------------------------------------------------------------

CURRENCIES = st.sampled_from(sorted(EXPONENTS))


@given(st.integers(0, MAX_MINOR), CURRENCIES)
def test_money_comes_back(minor: int, currency: str) -> None:
    assert parse_money(str(Money(minor, currency))) == Money(minor, currency)


@given(st.text(max_size=20))
def test_money_never_fails_otherwise(text: str) -> None:
    try:
        amount = parse_money(text)
    except AmountError:
        return
    assert amount.currency == text[-3:]


@given(st.text(max_size=1100) | st.text("NOCETKFRMALGH=,10A9", max_size=200))
def test_any_text_is_a_token_or_a_token_error(text: str) -> None:
    try:
        token = parse_token(text)
    except TokenError:
        return
    assert PATTERN.match(token.text)


@given(st.integers(0, 163), st.characters())
def test_no_changed_character_opens(place: int, char: str) -> None:
    text = seal_dispense(NONCE, parse_money("50.00EUR"), KEY)
    changed = text[:place] + char + text[place + 1 :]
    if changed != text:
        with pytest.raises(TokenError):
            open_token(changed, KEY)
