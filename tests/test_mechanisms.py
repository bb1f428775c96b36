"""The list of mechanisms: none left out, every named place is there, the counts are its own."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "mechanisms.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (M\d\d) \| ([^|]+) \| (works|partly|not yet) \| ([^|]+) \|$", TEXT, re.M)


def test_it_lists_each_of_the_76_once_with_a_state() -> None:
    assert [row[0] for row in ROWS] == [f"M{number:02}" for number in range(1, 77)]
    for state in ("works", "partly", "not yet"):
        count = sum(row[2] == state for row in ROWS)
        assert re.search(rf"\b{count} {state.removesuffix('s')}", TEXT), (state, count)


def test_every_place_it_names_is_there_and_what_works_names_one() -> None:
    for name, _, state, where in ROWS:
        places = re.findall(r"`([a-z_]+/[^` ]*)`", where)
        assert all((ROOT / place).exists() for place in places), name
        assert places or state != "works", name


def test_it_agrees_with_the_field_datas_table(reference: Path) -> None:
    with (reference / "mechanisms.csv").open(encoding="utf-8-sig", newline="") as file:
        wanted = [row["id"] for row in csv.DictReader(file)]
    assert [row[0] for row in ROWS] == wanted
