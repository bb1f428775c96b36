"""The decision table: every combination of inputs, against an independent reading of the format."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from atm_face import screens
from atm_face.policy import (
    LIST_MAX_AGE_S,
    SOURCES,
    TABLE,
    TABLE_VERSION,
    Business,
    ListMode,
    Policy,
    PolicyError,
    SanctionRegime,
    Verdict,
    Visit,
    decide,
    explain,
    list_mode,
)
from atm_face.screens import Prompt, Text
from contract.words import Decision, DecisionReason, Pad, PinVerdict

GOOD: dict[str, Any] = {
    "business": Business.WITHDRAW,
    "pin": PinVerdict.OK,
    "is_enrolled": True,
    "is_face_covered": False,
    "pad": Pad.CHALLENGE,
    "is_live": True,
    "is_match": True,
    "list_mode": ListMode.ONLINE,
}

# Words that would tell a customer, or who looks over the shoulder, why.
TELLING = ("police", "list", "order", "stop", "freez", "frozen", "sanction", "fraud", "suspect")
TELLING_ZH = ("警", "公安", "名单", "止付", "冻结", "惩戒", "诈骗", "嫌疑", "指令", "管控")


def a_visit(**changes: Any) -> Visit:
    return Visit(**{**GOOD, **changes})


def every_visit() -> Iterator[Visit]:
    yes_no = (False, True)
    told = (None, False, True)
    for values in itertools.product(
        Business,
        PinVerdict,
        yes_no,
        yes_no,
        Pad,
        told,
        told,
        ListMode,
        yes_no,
        yes_no,
        (None, *SanctionRegime),
    ):
        yield Visit(
            business=values[0],
            pin=values[1],
            is_enrolled=values[2],
            is_face_covered=values[3],
            pad=values[4],
            is_live=values[5],
            is_match=values[6],
            list_mode=values[7],
            has_stop=values[8],
            has_freeze=values[9],
            sanction=values[10],
        )


def reasons_that_hold(visit: Visit, floor: Pad) -> Iterator[str]:
    """Independent reading of the scenario format, section 4.1, each row by itself, in its order."""
    takes_back = visit.business.value == "revoke"  # not of the format: the money stays
    goes_out = visit.business.value != "deposit" and not takes_back
    strengths = ["none", "challenge", "ir", "depth"]
    too_weak = strengths.index(visit.pad.value) < strengths.index(floor.value)
    if visit.has_stop and goes_out:
        yield "STOP_PAYMENT"
    if visit.has_freeze and goes_out:
        yield "FROZEN"
    if visit.pin.value == "blocked":
        yield "PIN_BLOCKED"
    if visit.pin.value == "wrong":
        yield "PIN_INVALID"
    if not visit.is_enrolled:
        yield "NOT_ENROLLED"
    if visit.is_face_covered:
        yield "FACE_COVERED"
    if visit.is_live is None or (visit.is_live and (visit.is_match is None or too_weak)):
        yield "LIVENESS_UNAVAILABLE"
    if visit.is_live is False:
        yield "LIVENESS_FAILED"
    if visit.is_match is False:
        yield "FACE_MISMATCH"
    is_forbidden = goes_out or (visit.sanction or "") != "JOINT-2024"
    if visit.sanction is not None and is_forbidden and not takes_back:
        yield "NONCOUNTER_OUTFLOW_SUSPENDED"
    if visit.list_mode.value == "OFFLINE_STALE" and not takes_back:
        yield "LIST_STALE"


OF_THE_FORMAT = {
    "STOP_PAYMENT",
    "FROZEN",
    "PIN_BLOCKED",
    "PIN_INVALID",
    "NOT_ENROLLED",
    "FACE_COVERED",
    "LIVENESS_UNAVAILABLE",
    "LIVENESS_FAILED",
    "FACE_MISMATCH",
    "NONCOUNTER_OUTFLOW_SUSPENDED",
    "LIST_STALE",
}
REFERRED = {"NOT_ENROLLED", "FACE_COVERED", "LIVENESS_UNAVAILABLE", "LIST_STALE"}


@pytest.mark.parametrize("floor", [Pad.CHALLENGE, Pad.IR, Pad.DEPTH])
def test_over_all_combinations_the_first_row_that_holds_decides(floor: Pad) -> None:
    policy = Policy(pad_floor=floor)
    seen = set()
    for visit in every_visit():
        verdict = decide(visit, policy)
        expected = next(reasons_that_hold(visit, floor), None)
        assert verdict.reason == expected, visit
        if expected is None:
            is_delayed = visit.business is Business.TRANSFER_OTHER
            assert verdict.decision is (Decision.ALLOW_DELAYED if is_delayed else Decision.ALLOW), (
                visit
            )
            assert visit.pin is PinVerdict.OK
            assert visit.is_enrolled
            assert visit.is_match is True
            assert visit.is_live is True
            assert visit.pad.rank >= floor.rank
        else:
            referred = expected in REFERRED
            assert verdict.decision is (Decision.REFER_TO_COUNTER if referred else Decision.DENY)
        seen.add(verdict.reason)
    assert seen == {None, *OF_THE_FORMAT}


def test_the_table_has_every_reason_once_in_the_order_of_the_contract() -> None:
    own = [row.reason for row in TABLE if row.reason in OF_THE_FORMAT]
    assert own == [reason for reason in DecisionReason if reason in OF_THE_FORMAT]
    assert [row.reason for row in TABLE[: len(own)]] == own  # nothing of ours comes before
    assert [row.reason for row in TABLE] == list(DecisionReason)[: len(TABLE)]
    # The rest is what the machine meets after the table: clock, devices, host.
    assert {reason.value for reason in list(DecisionReason)[len(TABLE) :]} == {
        "CLOCK_UNTRUSTED",
        "OUT_OF_SERVICE",
        "HOST_DECLINED",
        "HOST_SILENT",
        "DEVICE_FAULT",
    }


OWN_TERMS: list[tuple[dict[str, Any], DecisionReason]] = [
    ({"is_dormant": True}, DecisionReason.DORMANT),
    ({"needs_step_up": True}, DecisionReason.STEP_UP_REQUIRED),
    (
        {"is_payee_listed": True, "business": Business.TRANSFER_OTHER},
        DecisionReason.LISTED_PAYEE,
    ),
    ({"amount_fen": 300_001}, DecisionReason.LIMIT_EXCEEDED),
    ({"amount_fen": 1, "day_fen": 500_000}, DecisionReason.LIMIT_EXCEEDED),
]


@pytest.mark.parametrize(("change", "reason"), OWN_TERMS)
def test_a_banks_own_terms_come_after_everything_of_the_format(
    change: dict[str, Any], reason: DecisionReason
) -> None:
    policy = Policy(max_once_fen=300_000, max_day_fen=500_000)
    verdict = decide(a_visit(**change), policy)
    assert verdict.reason is reason
    assert verdict.decision in {Decision.DENY, Decision.REFER_TO_COUNTER}
    stale = a_visit(**change, list_mode=ListMode.OFFLINE_STALE)
    assert decide(stale, policy).reason is DecisionReason.LIST_STALE


def test_limits_hold_to_the_fen_and_only_for_money_that_goes_out() -> None:
    policy = Policy(max_once_fen=300_000, max_day_fen=500_000)
    assert decide(a_visit(amount_fen=300_000, day_fen=200_000), policy).reason is None
    assert decide(a_visit(amount_fen=300_000, day_fen=200_001), policy).reason is not None
    deposit = a_visit(business=Business.DEPOSIT, amount_fen=9_000_000, day_fen=9_000_000)
    assert decide(deposit, policy).reason is None
    assert decide(a_visit(amount_fen=9_000_000), Policy()).reason is None
    assert policy.version.endswith("/once<=300000/day<=500000")
    with pytest.raises(PolicyError, match="max_once_fen: 0 is no limit"):
        Policy(max_once_fen=0)
    with pytest.raises(PolicyError, match="max_day_fen: -1 is no limit"):
        Policy(max_day_fen=-1)


def test_a_payee_on_the_list_is_about_transfers_to_others_alone() -> None:
    for business in (Business.WITHDRAW, Business.DEPOSIT, Business.TRANSFER_OWN):
        assert decide(a_visit(is_payee_listed=True, business=business), Policy()).reason is None


def test_the_question_before_money_goes() -> None:
    asked = (Prompt.ANTI_FRAUD_VOICE_ZH,)
    assert decide(a_visit(business=Business.TRANSFER_OTHER), Policy()).prompts == asked
    assert decide(a_visit(is_warned=True), Policy()).prompts == asked
    assert decide(a_visit(), Policy()).prompts == ()
    assert decide(a_visit(is_warned=True, business=Business.DEPOSIT), Policy()).prompts == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"pin": PinVerdict.WRONG}, DecisionReason.PIN_INVALID),
        ({"pin": PinVerdict.BLOCKED}, DecisionReason.PIN_BLOCKED),
        ({"is_enrolled": False}, DecisionReason.NOT_ENROLLED),
        ({"is_match": False}, DecisionReason.FACE_MISMATCH),
        ({"is_match": None}, DecisionReason.LIVENESS_UNAVAILABLE),
        ({"is_live": False}, DecisionReason.LIVENESS_FAILED),
        ({"is_live": None}, DecisionReason.LIVENESS_UNAVAILABLE),
        ({"pad": Pad.NONE}, DecisionReason.LIVENESS_UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("business", list(Business))
def test_one_missing_factor_is_enough_to_move_no_money(
    business: Business, change: dict[str, Any], reason: DecisionReason
) -> None:
    verdict = decide(a_visit(business=business, **change), Policy())
    assert verdict.decision in {Decision.DENY, Decision.REFER_TO_COUNTER}
    assert verdict.reason is reason


def test_a_dead_camera_sends_to_the_counter_and_never_down_to_card_and_pin() -> None:
    visit = a_visit(pad=Pad.NONE, is_live=None, is_match=None)
    assert decide(visit, Policy()).decision is Decision.REFER_TO_COUNTER


def test_a_failed_weak_test_denies_even_where_the_policy_asks_for_a_stronger_one() -> None:
    visit = a_visit(pad=Pad.CHALLENGE, is_live=False)
    assert decide(visit, Policy(pad_floor=Pad.DEPTH)).reason is DecisionReason.LIVENESS_FAILED


def test_deposits_pass_a_stop_a_freeze_and_the_regime_of_2024() -> None:
    visit = a_visit(
        business=Business.DEPOSIT,
        has_stop=True,
        has_freeze=True,
        sanction=SanctionRegime.JOINT_2024,
    )
    assert decide(visit, Policy()).decision is Decision.ALLOW


def test_only_a_transfer_to_others_is_delayed_and_by_a_day() -> None:
    delays = {
        business: decide(a_visit(business=business), Policy()).delay_s for business in Business
    }
    assert delays == {
        Business.WITHDRAW: 0,
        Business.DEPOSIT: 0,
        Business.TRANSFER_OWN: 0,
        Business.TRANSFER_OTHER: 86_400,
        Business.REVOKE: 0,
    }


def test_a_covered_face_is_prompted_to_uncover() -> None:
    assert decide(a_visit(is_face_covered=True), Policy()).prompts == (Prompt.REMOVE_COVER,)


def test_every_refusal_offers_the_counter_and_tells_nothing() -> None:
    for row in TABLE:
        assert "go to the counter" in row.screen.en
        assert "请到柜台办理" in row.screen.zh
    for text in all_texts():
        assert not [word for word in TELLING if word in text.en.lower()]
        assert not [word for word in TELLING_ZH if word in text.zh]


def all_texts() -> list[Text]:
    named = [value for value in vars(screens).values() if isinstance(value, Text)]
    assert len(named) >= 6
    return [*named, *screens.PROMPTS.values()]


def test_screens_of_orders_sanctions_and_the_face_cannot_be_told_apart() -> None:
    silent = {
        DecisionReason.STOP_PAYMENT,
        DecisionReason.FROZEN,
        DecisionReason.LIVENESS_UNAVAILABLE,
        DecisionReason.LIVENESS_FAILED,
        DecisionReason.FACE_MISMATCH,
        DecisionReason.NONCOUNTER_OUTFLOW_SUSPENDED,
        DecisionReason.LIST_STALE,
    }
    assert {row.screen for row in TABLE if row.reason in silent} == {screens.COUNTER}


def test_every_prompt_has_a_text() -> None:
    assert set(screens.PROMPTS) == set(Prompt)


def test_no_policy_may_lower_the_liveness_floor() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(pad_floor=Pad.NONE)
    assert caught.value.key == "pad_floor"


def test_the_version_names_table_and_floor() -> None:
    assert Policy(pad_floor=Pad.IR).version == f"{TABLE_VERSION}/pad>=ir"


@pytest.mark.parametrize(
    ("is_online", "age_s", "mode"),
    [
        (True, 0.0, ListMode.ONLINE),
        (True, 10_000.0, ListMode.ONLINE),
        (False, float(LIST_MAX_AGE_S), ListMode.OFFLINE_FRESH),
        (False, LIST_MAX_AGE_S + 0.1, ListMode.OFFLINE_STALE),
        (False, None, ListMode.OFFLINE_STALE),
        (True, None, ListMode.OFFLINE_STALE),
    ],
)
def test_a_list_is_stale_by_age_without_a_link_or_if_never_confirmed(
    is_online: bool, age_s: float | None, mode: ListMode
) -> None:
    assert list_mode(is_online=is_online, age_s=age_s) is mode


def test_business_words_are_those_of_the_signed_message() -> None:
    assert {business.word for business in Business} == {
        "withdraw",
        "deposit",
        "transfer",
        "revoke",
    }


def test_the_policy_does_not_load_the_face_engine() -> None:
    program = (
        "import sys, atm_face.policy;"
        "sys.exit(any(name in sys.modules for name in ('cv2', 'numpy', 'hardware')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_verdict_is_a_value() -> None:
    assert decide(a_visit(), Policy()) == Verdict(Decision.ALLOW, None, screens.ALLOWED)


def test_every_rule_that_held_is_explained_and_the_first_decided() -> None:
    assert set(SOURCES) == {row.reason for row in TABLE}
    assert explain(a_visit(), Policy()) == ()
    bad = a_visit(has_stop=True, pin=PinVerdict.WRONG, is_match=False)
    told = explain(bad, Policy())
    assert [one.rule for one in told] == [
        "atm.stop_payment",
        "atm.pin_invalid",
        "atm.face_mismatch",
    ]
    assert [one.is_deciding for one in told] == [True, False, False]
    assert all(one.source for one in told)
    for visit in itertools.islice(every_visit(), 0, 20_000, 97):
        first = explain(visit, Policy())[:1]
        assert decide(visit, Policy()).reason == (first[0].reason if first else None)
