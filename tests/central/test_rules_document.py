"""The rules in ``docs/orders.md`` and the code say the same: dates, documents, numbers, doubts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from atm_face import policy
from atm_face.sanctions import REGIMES
from central.clocks import Subject, load_law
from central.clocks.law import LawRow

ROOT = Path(__file__).resolve().parents[2]
WHOLE = (ROOT / "docs" / "orders.md").read_text(encoding="utf-8")
TEXT = WHOLE.partition("## Rules and their sources\n")[2].partition("\n## ")[0]
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ")]
LAW = load_law()
DOCUMENT = re.compile(r"[银监发]+〔\d{4}〕\d+号|[\u4e00-\u9fff]+(?:法|办法)(?=[ ,]|$)")
UNITS_S = {"s": 1, "min": 60, "h": 3600, "days": 86_400}


def row_of(law: LawRow) -> str:
    [found] = [line for line in ROWS if f"`{law.id}`" in line]
    return found


def figures(values: Any) -> set[int]:
    """Every number of a row of the law; warnings of our own stand elsewhere."""
    if isinstance(values, Mapping):
        ours = {"warn_before_hours", "remind_at_minutes"}
        return set().union(*(figures(v) for k, v in values.items() if k not in ours))
    return set() if isinstance(values, bool) else {int(values)}


@pytest.mark.parametrize("law", LAW.rows, ids=lambda law: law.id)
def test_each_row_of_the_law_stands_with_its_days_and_numbers(law: LawRow) -> None:
    row = row_of(law)
    if law.last is None:
        assert f"since {law.first}" in row
        assert " to 2" not in row
    else:
        assert f"{law.first} to {law.last}" in row
    said = {int(n) for n in re.findall(r"\b(\d+)\b", row)}
    assert figures(law.values) <= said
    for document in DOCUMENT.findall(law.source):
        assert document in row
    assert ("recalled" in law.status) <= ("recalled" in row)


def test_no_row_of_the_law_is_left_out_and_none_is_invented() -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*-\d[A-Z0-9-]*)`", TEXT))
    assert named == {law.id for law in LAW.rows}


def test_a_benchmark_is_not_called_a_law() -> None:
    law, practice = TEXT.split("### Practice and benchmarks, not law")
    for row in LAW.rows:
        is_benchmark = "benchmark" in row.source
        assert (f"`{row.id}`" in practice) == is_benchmark
        assert (f"`{row.id}`" in law) != is_benchmark


def test_the_machines_regimes_are_those_of_the_law() -> None:
    known = [row for row in LAW.rows if row.subject is Subject.SANCTION]
    assert len(REGIMES) == len(known)
    for regime, row in zip(REGIMES, known, strict=True):
        assert (regime.first_day, regime.last_day) == (row.first, row.last)
        assert {g.value: y for g, y in regime.years.items()} == row.values["years"]
        assert regime.most_years == row.values.get("max_continuous_years", 5)
    delay = next(row for row in LAW.rows if row.subject is Subject.ATM_TRANSFER)
    assert delay.values["hours"] * 3600 == policy.TRANSFER_DELAY_S


def test_every_document_that_a_machine_names_is_in_the_tables() -> None:
    sources = [*policy.SOURCES.values(), *(row.source for row in REGIMES)]
    documents = {found for source in sources for found in DOCUMENT.findall(source)}
    assert {"银发〔2016〕261号", "反电信网络诈骗法"} <= documents
    assert not [document for document in documents if document not in TEXT]
    for article in {found for s in sources for found in re.findall(r"art\. (\d+)", s)}:
        assert f"Art. {article} " in TEXT


def test_a_number_of_ours_is_the_codes() -> None:
    found = 0
    for line in ROWS:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        constant = re.fullmatch(r"`([a-z_.]+)\.([A-Z_]+)`", cells[-1])
        if constant is None:
            continue
        value = getattr(import_module(constant[1]), constant[2])
        number, _, unit = cells[1].partition(" ")
        scale = 1_000_000 if constant[2].endswith("_US") else 1
        assert value == int(number) * scale * UNITS_S.get(unit, 1), line
        found += 1
    assert found == 5
    entry, stop, freeze = (
        next(row.values for row in LAW.rows if row.subject is subject)
        for subject in (Subject.ENTRY, Subject.STOP_PAYMENT, Subject.FREEZE)
    )
    assert "{} and {} min".format(*entry["remind_at_minutes"]) in TEXT
    assert "{} h and {} h".format(*stop["warn_before_hours"]) in TEXT
    assert [hours / 24 for hours in freeze["warn_before_hours"]] == [7, 1]


def test_every_place_that_it_names_is_there() -> None:
    places = re.findall(r"`((?:central|atm_face)/[^`]*)`", TEXT)
    assert len(places) > 10
    assert not [place for place in places if not (ROOT / place).exists()]
