"""Law 5 as a table, the tables of the plan, settings and the generated document."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contract.clock import UnixMicros
from contract.words import Level
from rf_watch import RULES, SETTINGS, CellSettings, SettingError, Strength
from rf_watch.documents import renewed
from rf_watch.rules import FAMILY_CAP, Finding, judge, score
from rf_watch.tables.china_gsm import NO_GSM_PLMNS, ChinaGsm, NoGsmPlmn
from rf_watch.tables.eutra import downlink_100khz, is_same_carrier

BY_ID = {rule.id: rule for rule in RULES}
PLMN, BAND = "GSM-PLMN-IMPOSSIBLE", "GSM-BAND-IMPOSSIBLE"
MAC, CLASH, LACS = "EMM-AUTH-MAC-FAILURE-RUN", "IDENTITY_CLASH", "LAC_CHANGES"


def finding(rule: str, misreads: int = 2, is_plain: bool = True) -> Finding:
    return Finding(rule=BY_ID[rule], values={}, misreads=misreads, is_plain=is_plain)


@pytest.mark.parametrize(
    ("findings", "level"),
    [
        ([], Level.OBSERVED),
        ([finding(CLASH, 99)], Level.OBSERVED),
        ([finding(LACS, 99)], Level.OBSERVED),
        ([finding(CLASH), finding(CLASH)], Level.OBSERVED),
        ([finding(CLASH), finding(LACS)], Level.SUSPECTED),
        ([finding(CLASH, 1), finding(LACS)], Level.OBSERVED),
        ([finding(CLASH, 1), finding(LACS, 1)], Level.OBSERVED),
        ([finding(MAC)], Level.SUSPECTED),
        ([finding(PLMN)], Level.CONFIRMED),
        ([finding(BAND)], Level.CONFIRMED),
        ([finding(PLMN, 1)], Level.SUSPECTED),
        ([finding(PLMN, 1, is_plain=False)], Level.OBSERVED),
        ([finding(PLMN, 2, is_plain=False)], Level.CONFIRMED),
        ([finding(PLMN, 1), finding(BAND, 1)], Level.CONFIRMED),
        ([finding(PLMN, 1, is_plain=False), finding(CLASH)], Level.OBSERVED),
        ([finding(PLMN, 1, is_plain=False), finding(CLASH), finding(LACS)], Level.SUSPECTED),
    ],
)
def test_law_5(findings: list[Finding], level: Level) -> None:
    verdict = judge(findings, misreads_min=2)
    assert verdict.level is level
    assert (verdict.alert is None) == (level is Level.OBSERVED)


def test_only_the_run_of_mac_failures_stands_alone() -> None:
    assert [r.id for r in RULES if r.strength is Strength.STANDS_ALONE] == [MAC]


def test_a_family_is_capped_in_the_score() -> None:
    assert score([finding(PLMN), finding(BAND)]) == FAMILY_CAP
    assert score([finding(CLASH), finding(LACS)]) == pytest.approx(5.3)


def test_recalled_rows_are_kept_but_never_used() -> None:
    recalled = [row.plmn for row in NO_GSM_PLMNS if row.is_recalled]
    assert recalled == ["460-12"]
    assert ChinaGsm().impossible_plmn("460-12", None) is None


def test_dated_rows_count_only_in_their_time_and_never_without_a_date() -> None:
    row = NoGsmPlmn(
        plmn="460-99",
        operator="x",
        source="x",
        source_date="x",
        valid_from=dt.date(2024, 1, 1),
        valid_to=dt.date(2024, 12, 31),
    )
    tables = ChinaGsm(plmns=(row,))

    def at(year: int, month: int, day: int) -> UnixMicros:
        moment = dt.datetime(year, month, day, 23, tzinfo=dt.UTC)
        return UnixMicros(int(moment.timestamp()) * 1_000_000)

    assert tables.impossible_plmn("460-99", None) is None
    assert tables.impossible_plmn("460-99", at(2023, 12, 31)) is None
    assert tables.impossible_plmn("460-99", at(2024, 1, 1)) is row
    assert tables.impossible_plmn("460-99", at(2024, 12, 31)) is row
    assert tables.impossible_plmn("460-99", at(2025, 1, 1)) is None


def test_earfcn_of_overlapping_bands_name_one_carrier() -> None:
    assert downlink_100khz(38950) == 23300  # band 40, 2330.0 MHz
    assert downlink_100khz(37900) == 25850  # band 38, 2585.0 MHz
    assert is_same_carrier(37900, 40540)  # band 41, the same 2585.0 MHz
    assert not is_same_carrier(37900, 40541)
    assert not is_same_carrier(10**7, 10**7 + 1)
    assert is_same_carrier(10**7, 10**7)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"cell.lac_changes_min": 1}, "cell.lac_changes_min"),
        ({"cell.lac_window_s": 0}, "cell.lac_window_s"),
        ({"cell.no_such": 1}, "cell.no_such"),
        ({"cell.lac_window_s": True}, "cell.lac_window_s"),
    ],
)
def test_a_bad_setting_is_named(values: dict[str, int], name: str) -> None:
    with pytest.raises(SettingError) as error:
        CellSettings().with_named(values)
    assert error.value.name == name


def test_settings_have_the_defaults_of_the_scenario_format() -> None:
    assert CellSettings().lac_changes_min == 2
    assert CellSettings().lac_window_s == 600
    assert {row.name for row in SETTINGS} >= {"cell.lac_changes_min", "cell.lac_window_s"}


def test_the_document_of_the_rules_is_up_to_date() -> None:
    text = (Path(__file__).parents[2] / "docs" / "detection-cells.md").read_text(encoding="utf-8")
    stale = "stale: run python -m rf_watch.documents docs/detection-cells.md"
    assert renewed(text) == text, stale
    with pytest.raises(ValueError, match="marks"):
        renewed("no marks here")
