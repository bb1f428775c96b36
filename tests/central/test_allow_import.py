"""Allow-lists from a table: each refused row has its line, nothing is added before a look."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Role
from central.allow import AllowanceError, AllowanceKind
from central.allow_import import CHINA, MAX_BYTES, MAX_ROWS, Read, read_allowances
from central.hub import Hub
from central.web import create_app
from tests.central.kit import START, Central, Station, settings
from tests.central.signing import client_as
from tests.central.test_alert_desk import sighting

DAY_US = 86_400_000_000
TABLE = """plmn,arfcn,kind,area,note,valid_until
460-00,62,,,云A·12345,2026-01-31
460-00,,,,no channel,
460-00,63,,530302,elsewhere,
460-00,64,,,"a, note",yesterday
,,LICENSED_STATION,,no frequency,

460-00,62,,,again,2026-01-31
460-00,65,SOMETHING,,,
460-00,66,,53,,
460-00,67,,,,2025-12-31
460-00,68,,,,,one too many
"""


def read(text: str | bytes, kind: AllowanceKind = AllowanceKind.DRIVE_TEST) -> Read:
    raw = text if isinstance(text, bytes) else text.encode()
    return read_allowances(raw, kind=kind, area="530102", now=int(START))


def test_each_row_is_taken_or_refused_with_its_line_and_reason() -> None:
    found = read(TABLE)
    assert [(line, row.match, row.area) for line, row in found.rows] == [
        (2, {"plmn": "460-00", "arfcn": "62"}, "530102"),
        (4, {"plmn": "460-00", "arfcn": "63"}, "530302"),
    ]
    first = found.rows[0][1]
    assert first.note == "云A·12345"
    assert first.valid_until == 1_769_875_200_000_000  # 2026-02-01T00:00:00+08:00
    assert CHINA.utcoffset(None).total_seconds() == 8 * 3600
    reasons = {refused.line: refused.reason for refused in found.refused}
    assert sorted(reasons) == [3, 5, 6, 8, 9, 10, 11, 12]
    for line, word in (
        (3, "must name arfcn + plmn"), (5, "'yesterday' is no day"), (6, "must name mhz"),
        (8, "the same as line 2"), (9, "'SOMETHING' is none of"), (10, "six-digit"),
        (11, "over already"), (12, "7 cells, the header 6"),
    ):  # fmt: skip
        assert word in reasons[line], (line, reasons[line])


def test_what_a_spreadsheet_saves_is_read() -> None:
    for raw in (
        "﻿mhz,note\r\n98.5,北京台\r\n".encode(),
        "mhz,note\n98.5,北京台\n".encode("gb18030"),
    ):
        ((line, row),) = read(raw, AllowanceKind.LICENSED_STATION).rows
        assert (line, row.match, row.note) == (2, {"mhz": "98.5"}, "北京台")


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "a header is expected"),
        (b"plmn,colour\n", "line 1: unknown column 'colour'"),
        (b"plmn,plmn\n", "line 1: column 'plmn' stands twice"),
        (b"\xff\xfe\x00\x80", "neither UTF-8 nor GB 18030"),
        (b"plmn\0arfcn\n", "neither"),
        (b"x" * (MAX_BYTES + 1), "more than 400000 bytes"),
    ],
)
def test_a_file_that_is_no_table_is_refused_whole(raw: bytes, problem: str) -> None:
    with pytest.raises(AllowanceError, match=problem):
        read(raw)


def test_a_table_has_an_end() -> None:
    text = "plmn,arfcn\n" + "".join(f"460-00,{n}\n" for n in range(MAX_ROWS + 5))
    found = read(text)
    assert len(found.rows) == MAX_ROWS
    assert [(one.line, one.reason[:9]) for one in found.refused] == [(MAX_ROWS + 2, "more than")]


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: ("plmn,arfcn\n" + t).encode()))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = read(raw)
    except AllowanceError:
        return
    lines = [line for line, _ in found.rows] + [one.line for one in found.refused]
    assert len(set(lines)) == len(lines)
    assert read(raw) == found


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def reviewer(app: FastAPI) -> Iterator[httpx.Client]:
    with client_as(app, "qian", [Role.REVIEWER], ["530100"]) as made:
        yield made


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of one form of a page."""
    form = re.search(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL)
    assert form is not None, page
    pairs = re.findall(r'type="hidden" name="(\w+)" value="(.*?)"', form.group(0), re.DOTALL)
    return {name: html.unescape(value) for name, value in pairs}


def test_a_table_is_previewed_added_in_force_and_taken_back(
    central: Central, van: Station, reviewer: httpx.Client, app: FastAPI
) -> None:
    asked = fields(reviewer.get("/allow").text, "/allow/preview")
    form = {**asked, "kind": "DRIVE_TEST", "area": "530102"}
    table = {"file": ("list.csv", TABLE.replace("460-00,62", "460-11,62").encode(), "text/csv")}
    shown = reviewer.post("/allow/preview", data=form, files=table, params={"lang": "en"})
    assert shown.status_code == 200
    assert '<span data-taken="1">1</span>' in shown.text
    assert 'data-refused="4"' in shown.text  # its area is not the reviewer's
    assert "is not one of yours" in shown.text
    assert central.store.all_allowances() == []
    added = reviewer.post(
        "/allow/import", data=fields(shown.text, "/allow/import"), follow_redirects=False
    )
    assert added.status_code == 303
    (row,) = central.store.all_allowances()
    assert (row.match, row.added_by, row.area) == (
        {"plmn": "460-11", "arfcn": "62"},
        "qian",
        "530102",
    )
    central.ingest = central.new_ingest(area="530102")
    central.take(van.topic(), van.next(sighting(1, last_seen=START + 1)))
    assert central.store.alerts(10) == []
    undo = fields(reviewer.get(added.headers["location"]).text, "/allow/undo")
    with client_as(app, "sun", [Role.COMMANDER], ["530100"]) as other:
        mine = {**undo, "csrf": fields(other.get("/allow").text, "/allow/preview")["csrf"]}
        assert other.post("/allow/undo", data=mine).status_code == 404  # only one's own
    assert reviewer.post("/allow/undo", data=undo, follow_redirects=False).status_code == 303
    assert central.store.all_allowances()[0].removed_by == "qian"
    assert reviewer.post("/allow/undo", data=undo).status_code == 404
    central.take(van.topic(), van.next(sighting(2, last_seen=START + 2)))
    assert len(central.store.alerts(10)) == 1
    done = [row.action for row in central.store.audit_rows(10, None, "qian", "allowance")]
    assert done == ["allowance.undo_import", "allowance.import"]


def test_a_table_of_nothing_adds_nothing_and_says_so(
    central: Central, reviewer: httpx.Client
) -> None:
    asked = fields(reviewer.get("/allow").text, "/allow/preview")
    form = {**asked, "kind": "DRIVE_TEST", "area": "530102", "rows": "plmn,arfcn\n460-00,\n"}
    shown = reviewer.post("/allow/preview", data=form)
    assert shown.status_code == 200
    assert 'action="/allow/import"' not in shown.text
    assert reviewer.post("/allow/import", data=form).status_code == 422
    for wrong in ({"rows": "colour\n"}, {"kind": "X"}, {"area": "x"}):
        assert reviewer.post("/allow/preview", data={**form, **wrong}).status_code == 422
    assert central.store.all_allowances() == []
