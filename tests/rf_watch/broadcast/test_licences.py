"""The licence list: our columns, others' columns, ragged text; errors by line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rf_watch.broadcast import read_licences


@pytest.mark.field_data
def test_the_recorded_list_is_read_whole(field_data: Path) -> None:
    text = (field_data / "fm" / "fcc_fm_stations_fmlocator.csv").read_text("utf-8")
    rows, problems = read_licences(text)
    assert (len(rows), problems) == (16_800, [])
    first = next(row for row in rows if row.name == "K246AX-FM")
    assert first.mhz == 97.1
    assert first.site is not None
    assert (first.site.lat, first.site.lon) == (14.31733333, -170.7674444)
    assert all(row.site is not None for row in rows)


def test_all_columns_of_our_own_form_are_read() -> None:
    rows, problems = read_licences(
        "id,name,mhz,lat,lon,erp_w,schedule,pi,ps,audio,valid_from,valid_to\n"
        "a,交通广播,91.8,25.0,102.7,3000,06:00-24:00,3A1B,TRAFFIC,ref-1,2020-01-01,2030-12-31\n"
        "b,,100.8,,,,,,,,,\n"
    )
    first, second = rows
    assert problems == []
    assert (first.pi, first.audio, first.erp_w) == (0x3A1B, "ref-1", 3000)
    assert first.hours is not None
    assert [first.hours.contain(m) for m in (0, 359, 360, 1439)] == [False, False, True, True]
    assert first.is_valid_on(dt.date(2026, 11, 25))
    assert not first.is_valid_on(dt.date(2031, 1, 1))
    assert (second.site, second.hours, second.is_valid_on(None)) == (None, None, True)


def test_columns_may_be_mapped_and_units_told_by_size() -> None:
    text = "Sender;x\n".replace(";", ",") + "97100000,\n97100,\n97.1 MHz.,\n97.1,\n"
    rows, problems = read_licences(text, {"mhz": "Sender"})
    assert [row.mhz for row in rows] == [97.1] * 4
    assert problems == []
    rows, _ = read_licences("Station,Frequency (MHz),ERP [W]\nA,91.8,3000\n")
    assert [(row.mhz, row.erp_w) for row in rows] == [(91.8, 3000)]
    rows, _ = read_licences("频率（MHz）,台名,经度,纬度\n91.8,交通,102.7,25.0\n")
    assert [(row.mhz, row.name, row.site is not None) for row in rows] == [(91.8, "交通", True)]


def test_each_bad_line_is_told_and_the_others_count() -> None:
    rows, problems = read_licences(
        "mhz,lat,lon,schedule,pi,valid_to\n91.8,,,,,\nhello,,,,,\n91.9,95,102,,,\n92.0,25,,,,\n"
        "92.1,,,25:00-26:00,,\n92.2,,,,XYZ,\n92.3,,,,,soon\n5.1,,,,,\n92.4,0,0,,,\n"
    )
    assert [row.mhz for row in rows] == [91.8, 92.4]
    assert [p.line for p in problems] == [3, 4, 5, 6, 7, 8, 9]
    assert all(row.site is None for row in rows)


def test_a_list_without_a_header_is_one_problem() -> None:
    assert [p.line for p in read_licences("foo,bar\n1,2\n")[1]] == [1]
    assert read_licences("")[1] == []


def test_ragged_text_with_trailing_dots_and_wrong_columns_is_told_by_line() -> None:
    rows, problems = read_licences(
        "Longitude,Latitude,Station,City\n"
        "-170.7,14.3,K246AX-FM  97.1 MHz.,Pago Pago\n"
        "102.7,25.0,XYZ 91.8 MHz.,Kunming,one cell,too many\n"
        "102.7,25.0\n"
        "14.3,-170.7,swapped 92.1 MHz.,x\n"
        "NaN,25.0,ABC 92.3 MHz.,x\n"
        "0,0,DEF 92.5 MHz...,x\n"
    )
    assert [(row.name, row.mhz) for row in rows] == [
        ("XYZ", 91.8),
        ("DEF", 92.5),
        ("K246AX-FM", 97.1),
    ]
    assert [row.site is None for row in rows] == [False, True, False]
    assert [(p.line, p.reason) for p in problems] == [
        (4, "no frequency in ''"),
        (5, "lat: -170.7 is not between -90 and 90"),
        (6, "lon: 'NaN' is no number"),
    ]


def test_protected_stations_are_marked_in_either_language() -> None:
    rows, problems = read_licences("mhz,protected\n91.8,yes\n92.0,\n92.2,No\n92.4,maybe\n")
    assert [(row.mhz, row.is_protected) for row in rows] == [
        (91.8, True),
        (92.0, False),
        (92.2, False),
    ]
    assert [(p.line, p.reason) for p in problems] == [
        (5, "protected: 'maybe' is neither yes nor no")
    ]
    rows, _ = read_licences("频率,受保护\n91.8,是\n92.0,否\n")
    assert [row.is_protected for row in rows] == [True, False]


def test_rows_near_a_frequency_are_found() -> None:
    rows, _ = read_licences("mhz\n91.8\n91.9\n92.0\n")
    assert [r.mhz for r in rows.near(91.85, 50)] == [91.8, 91.9]
    assert [r.mhz for r in rows.near(91.87, 30)] == [91.9]


@given(st.text(max_size=300), st.booleans())
def test_any_text_never_raises(text: str, has_header: bool) -> None:
    read_licences(("mhz,name,lat,lon,schedule\n" if has_header else "") + text)
