"""Classes of short messages: what a text is reduced to, the model's file, and its refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rf_watch.sms_class import (
    ModelError,
    SmsModel,
    make_model,
    ngrams,
    normalised,
    parse_model,
)

MODEL = make_model(
    ["loan", "gambling"],
    [0.0, -0.1],
    ["贷", "款", "贷款", "赌", "\ue006"],
    [1.0, 1.0, 2.0, 1.0, 1.0],
    [[1.0, 1.0, 1.0, -1.0, 0.0], [-1.0, -1.0, -1.0, 1.0, 0.0]],
)


def test_a_message_is_reduced_to_what_anonymised_corpora_hold() -> None:
    mark = normalised
    assert mark("贷 款 DIGIT 万") == mark("贷款30万") == "贷款\ue002万"
    assert mark("点 URL 领取") == mark("点http://a.cn/x?y=1领取") == mark("点wap.icbcq.com领取")
    assert mark("电 CELLPHONE") == mark("电13800138000")
    assert mark("电 PHONE") == mark("电010-62345678") == mark("电4008123123")
    assert mark("NAME NAME 你好") == mark("NAME你好")


def test_ngrams_are_counted_up_to_three_characters() -> None:
    assert ngrams("aab") == {"a": 2, "b": 1, "aa": 1, "ab": 1, "aab": 1}
    assert ngrams("") == {}


def test_the_highest_decision_wins_and_an_unknown_text_has_no_class() -> None:
    assert MODEL.classify("贷款") == "loan"
    assert MODEL.classify("赌") == "gambling"
    assert MODEL.classify("xyz") == "unclassified"
    assert MODEL.classify("") == "unclassified"


def test_a_model_survives_its_file_form() -> None:
    again = parse_model(MODEL.to_bytes())
    assert again == MODEL
    assert isinstance(again, SmsModel)


@pytest.mark.parametrize("cut", [0, 3, 10, 100, -1, -9])
def test_a_torn_model_is_refused(cut: int) -> None:
    with pytest.raises(ModelError):
        parse_model(MODEL.to_bytes()[:cut])


def test_a_model_with_a_number_that_is_none_is_refused() -> None:
    data = MODEL.to_bytes()
    with pytest.raises(ModelError, match="no number"):
        parse_model(data[:-4] + b"\x00\x00\xc0\x7f")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_model(data: bytes) -> None:
    with pytest.raises(ModelError):
        parse_model(data)


@given(st.text(max_size=200))
def test_any_text_gets_a_class(text: str) -> None:
    assert MODEL.classify(text) in {"loan", "gambling", "unclassified"}
