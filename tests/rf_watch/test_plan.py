"""Plans and registers as CSV: what is taken, what is refused with its line, what matches."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.readings import Rat
from rf_watch.plan import (
    PLAN_COLUMNS,
    REGISTER_COLUMNS,
    CellPlan,
    parse_plan,
    parse_register,
)
from tests.rf_watch.kit import gsm

HEADER = ",".join(PLAN_COLUMNS) + "\n"
ROW = "GSM,460-00,62,9340,4903,,35.5,112.8,110,0,19,2020-01-01,2030-12-31\n"


def test_a_row_is_read_whole_and_columns_may_stand_in_any_order() -> None:
    plan, bad = parse_plan("\ufeff" + HEADER + ROW)
    assert bad == []
    (row,) = plan.rows
    assert (row.rat, row.plmn, row.channel, row.lac_tac, row.ci) == (
        Rat.GSM,
        "460-00",
        62,
        0x247C,
        0x1327,
    )
    assert (row.pci, row.lat, row.lon, row.cro_db) == (None, 35.5, 112.8, 110)
    assert (row.valid_from, row.valid_to) == (dt.date(2020, 1, 1), dt.date(2030, 12, 31))
    turned = [",".join(reversed(line.split(","))) for line in (HEADER.strip(), ROW.strip())]
    assert parse_plan("\n".join(turned))[0].rows == plan.rows


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("5G,460-00,,,,,,,,,,,", "rat '5G'"),
        ("GSM,46000,,,,,,,,,,,", "plmn '46000'"),
        ("GSM,460-00,-1,,,,,,,,,,", "channel -1"),
        ("GSM,460-00,,1e3,,,,,,,,,", "lac_tac '1e3'"),
        ("GSM,460-00,,,,,91,,,,,,", "lat 91"),
        ("GSM,460-00,,,,,nan,,,,,,", "lat nan"),
        ("GSM,460-00,,,,,,,,32,,,", "penalty_time 32"),
        ("GSM,460-00,,,,,,,,,,yesterday,", "valid_from 'yesterday'"),
        ("GSM", "plmn ''"),
    ],
)
def test_a_bad_row_is_named_with_its_line(row: str, reason: str) -> None:
    plan, bad = parse_plan(HEADER + row + "\n" + ROW)
    assert len(plan.rows) == 1
    assert [b.line for b in bad] == [2]
    assert bad[0].reason.startswith(reason)


def test_a_reading_matches_a_row_in_the_fields_that_both_name() -> None:
    plan, _ = parse_plan(HEADER + ROW)
    at_us = gsm().stamp.at_us
    assert plan.match(gsm(), at_us) is plan.rows[0]
    assert plan.match(gsm(cro_db=None, t3212_decihours=None), at_us) is plan.rows[0]
    for odd in ({"cro_db": 112}, {"channel": 20}, {"lac_tac": 1}, {"cell_id": 1}, {"plmns": ()}):
        assert plan.match(gsm(**odd), at_us) is None
    assert plan.match(gsm(cell_id=None, physical_id=None), at_us) is None
    assert plan.match(gsm(), 0) is None  # before the row was in force
    assert plan.match(gsm(), None) is plan.rows[0]


def test_a_network_without_gsm_rows_is_compared_with_the_city() -> None:
    plan, _ = parse_plan(HEADER + ROW)
    assert plan.is_area_unplanned(Rat.GSM, "460-01", 5121, None)
    assert not plan.is_area_unplanned(Rat.GSM, "460-01", 0x247C, None)
    assert not plan.is_area_unplanned(Rat.LTE, "460-01", 5121, None)
    assert not CellPlan().is_area_unplanned(Rat.GSM, "460-01", 5121, None)


def test_the_highest_planned_offset_leaves_out_penalty_time_31() -> None:
    rows = ROW + ROW.replace("110,0", "126,31")
    plan, _ = parse_plan(HEADER + rows)
    assert plan.highest_cro_db("460-00") == 110
    assert plan.highest_cro_db("460-01") == 0
    assert CellPlan().highest_cro_db("460-00") is None


def test_a_register_row_must_name_channel_and_area_to_match() -> None:
    header = ",".join(REGISTER_COLUMNS) + "\n"
    register, bad = parse_register(
        header
        + "E-1,MU,GSM,460-00,62,9340,,2020-01-01,\nE-2,MU,GSM,460-01,,,,,\n,MU,GSM,460-00,,,,,\n"
    )
    assert [b.reason for b in bad] == ["plate is empty"]
    found = register.match(gsm(), gsm().stamp.at_us)
    assert found is not None
    assert found.plate == "E-1"
    assert register.match(replace(gsm(), plmns=("460-01",)), None) is None


@given(st.text(max_size=300))
def test_any_text_after_the_header_is_taken_or_refused(text: str) -> None:
    plan, bad = parse_plan(HEADER + text)
    assert len(plan.rows) + len(bad) <= text.count("\n") + text.count("\r") + 1
    parse_register(text)
