"""Names of divisions: a known code is said by name, an unknown one stays what it is."""

from __future__ import annotations

import pytest

from central.areas import area_names, area_text


@pytest.mark.parametrize(
    ("code", "zh", "en"),
    [
        ("000000", "全国", "whole country"),
        ("530000", "云南省 530000", "Yunnan 530000"),
        ("140500", "晋城市 140500", "Jincheng 140500"),
        ("530102", "昆明市五华区 530102", "Kunming 五华区 530102"),
        ("140502", "晋城市城区 140502", "Jincheng 城区 140502"),
        ("999999", "999999", "999999"),
        ("", "", ""),
    ],
)
def test_a_division_is_said_by_name_and_code(code: str, zh: str, en: str) -> None:
    assert (area_text(code, is_chinese=True), area_text(code, is_chinese=False)) == (zh, en)


def test_the_table_names_every_province_and_lies_below_them() -> None:
    names = area_names()
    assert all(len(code) == 6 and code.isdigit() for code in names)
    provinces = {code for code in names if code.endswith("0000")} - {"000000"}
    assert len(provinces) == 34
    assert {f"{code[:2]}0000" for code in names} <= provinces | {"000000"}
    assert all(name.zh for name in names.values())
