"""Names of administrative divisions, for people: a screen that says 140500 makes them look it up.

Provinces are all there; prefectures and counties of those cities whose centres run this.
A code without a name stays a code.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("areas.csv")
COUNTRY = "000000"


class AreaName(NamedTuple):
    """A division's name in both languages; in English a county goes by its Chinese one."""

    zh: str
    en: str


@functools.cache
def area_names() -> Mapping[str, AreaName]:
    """Read the table: six-digit code (GB/T 2260) to its names."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["code"]: AreaName(row["zh"], row["en"]) for row in csv.DictReader(file)}


def area_text(code: str, *, is_chinese: bool) -> str:
    """Return name and code; the bare code where no name is known, and the country by name alone."""
    found = area_names().get(code)
    if found is None:
        return code
    name = found.zh if is_chinese else found.en or found.zh
    if code == COUNTRY:
        return name
    city = area_names().get(f"{code[:4]}00")
    if city is not None and not code.endswith("00"):  # many cities have a county of one name
        name = f"{city.zh}{name}" if is_chinese else f"{city.en} {name}"
    return f"{name} {code}"
