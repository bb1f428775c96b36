"""Baselines: what is counted, how odd a value is, the file form, drift."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import Rat
from rf_watch.baseline import (
    NATS_CAP,
    Baseline,
    BaselineError,
    BaselineLearner,
    Network,
    drift,
    effective_cro_db,
    merge,
    parse_baseline,
)
from tests.rf_watch.kit import gsm, learned, lte

CMCC = Network(Rat.GSM, "460-00")


def test_cells_are_counted_not_readings_and_single_misreads_are_not_learned() -> None:
    learner = BaselineLearner()
    for number in range(6):
        for again in range(10):
            misread = again == 0 and number == 3
            learner.feed(gsm(cell_id=number, cro_db=66 if misread else 110))
    found = learner.baseline("x", 1).networks[CMCC]
    assert (found.cells, found.areas) == (6, {0x247C: 6})
    assert found.constants["cro_db"] == {110: 6}


def test_readings_that_name_no_cell_are_not_learned() -> None:
    learner = BaselineLearner()
    for reading in (gsm(plmns=()), gsm(cell_id=None), gsm(cell_id=0xFFFF), gsm(lac_tac=0xFFFE)):
        learner.feed(reading)
    assert (learner.readings, learner.baseline("x", 1).networks) == (0, {})


def test_the_offset_has_its_sign_and_shows_in_what_a_modem_prints() -> None:
    assert effective_cro_db(gsm(cro_db=40, penalty_time=0)) == 40
    assert effective_cro_db(gsm(cro_db=80, penalty_time=31)) == -80
    assert effective_cro_db(gsm(cro_db=None, c1=53, c2=179)) == 126
    assert effective_cro_db(gsm(cro_db=None, c1=53)) is None


def test_a_value_is_odd_against_the_usual_one() -> None:
    baseline = learned(60)
    assert baseline.nats(Rat.GSM, "460-00", "t3212", 19) == 0
    assert baseline.nats(Rat.GSM, "460-00", "t3212", 1) == NATS_CAP
    assert baseline.nats(Rat.GSM, "460-01", "t3212", 1) is None
    few = learned(4)
    assert few.nats(Rat.GSM, "460-00", "t3212", 1) is None
    assert few.areas(Rat.GSM, "460-00") == {}
    ten = learned(10)
    assert ten.nats(Rat.GSM, "460-00", "t3212", 1) == pytest.approx(math.log(11))


def test_a_constant_that_differs_from_cell_to_cell_makes_no_cell_odd() -> None:
    learner = BaselineLearner()
    for number in range(60):
        learner.feed(gsm(cell_id=number, rxlev_access_min=number % 20))
    assert learner.baseline("x", 1).nats(Rat.GSM, "460-00", "rxlev_access_min", 7) == 0


def test_the_highest_offset_leaves_out_a_single_odd_cell_among_many() -> None:
    learner = BaselineLearner()
    for number in range(60):
        learner.feed(gsm(cell_id=number, cro_db=126 if number == 9 else 16))
    assert learner.baseline("x", 1).highest_cro_db("460-00") == 16
    assert Baseline().highest_cro_db("460-00") is None


def test_the_file_form_is_canonical_and_read_back() -> None:
    baseline = learned()
    text = baseline.to_json()
    assert parse_baseline(text) == baseline
    assert parse_baseline(text).sha256 == baseline.sha256
    assert learned(58).sha256 != baseline.sha256


def test_a_later_version_adds_to_the_earlier_one_and_shows_its_drift() -> None:
    before = learned(20)
    learner = BaselineLearner()
    for number in range(20):
        learner.feed(gsm(cell_id=5000 + number, cro_db=60))
        learner.feed(lte(cell_id=5000 + number))
    now = learner.baseline("jincheng", 2, before)
    assert (now.version, now.networks[CMCC].cells) == (2, 40)
    found = {(d.name, d.value): (d.share_before, d.share_now) for d in drift(before, now)}
    assert found[("cro_db", 60)] == (0.0, 0.5)
    assert found[("cro_db", 110)] == (1.0, 0.5)
    assert ("t3212", 19) not in found


def test_a_cell_is_known_only_with_the_very_values_it_was_learned_with() -> None:
    baseline = learned(10)
    cell = gsm(cell_id=1001, lac_tac=0x247C)
    assert baseline.is_known(cell)
    assert baseline.is_known(gsm(cell_id=1001, lac_tac=0x247C, cro_db=None, t3212_decihours=None))
    for odd in (
        replace(cell, cro_db=126),
        replace(cell, channel=5),
        replace(cell, channel=None),
        replace(cell, lac_tac=0x247D),
    ):
        assert not baseline.is_known(odd)
    assert not baseline.is_known(gsm(cell_id=77))
    assert not Baseline().is_known(cell)


def test_several_files_are_one_baseline() -> None:
    both = merge([learned(10), learned(20)])
    assert both.networks[CMCC].cells == 30
    assert both.networks[CMCC].areas == {0x247C: 15, 0x247D: 15}
    assert merge([]) == Baseline()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "other"}',
        learned().to_json().replace('"cells": 60', '"cells": -1'),
        learned().to_json().replace('"cells": 60', '"cells": true'),
        learned().to_json().replace('"rat": "GSM"', '"rat": "5G"'),
        learned().to_json().replace('"areas"', '"other"'),
        learned().to_json().replace('"known"', '"other"'),
    ],
)
def test_what_is_no_baseline_is_refused(text: str) -> None:
    with pytest.raises(BaselineError):
        parse_baseline(text)


@given(st.text(max_size=100))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BaselineError):
        parse_baseline(text)
