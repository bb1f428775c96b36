"""Percentages that add up, and those of others that do not: golden figures of published reports."""

from __future__ import annotations

import csv
import datetime as dt
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.statistics import (
    Change,
    Claim,
    Figures,
    PercentError,
    Period,
    Revision,
    Share,
    Span,
    Verdict,
    audit_change,
    audit_share,
    check,
    compare,
    counter,
    flagged,
    period_of,
)
from central.statistics.percent import round_half_up, truncate
from contract.clock import UnixMicros


@pytest.mark.parametrize(
    ("now", "base", "text"),
    [
        (143, 154, "−7.14 %"),
        (207, 67, "+208.96 %"),
        (262, 65, "+303.08 %"),
        (46, 26, "+76.92 %"),
        (5, 0, "—"),
        (0, 0, "—"),
        (0, 7, "−100.00 %"),
        (7, 7, "0.00 %"),
    ],
)
def test_a_change_is_exact_and_a_base_of_0_is_a_dash(now: int, base: int, text: str) -> None:
    assert Change(now, base).text() == text
    assert Change(now, base).as_json() == {"now": now, "base": base, "percent": text}


@pytest.mark.parametrize(
    ("now", "printed", "verdict", "bases"),
    [
        (75, "+31.37%", Verdict.NO_INTEGER_BASE, ()),
        (46, "+76%", Verdict.TRUNCATED, (26,)),
        (143, "−7.14%", Verdict.ROUNDED, (154,)),
        (143, "-7.14%", Verdict.ROUNDED, (154,)),
        (207, "208.96 %", Verdict.ROUNDED, (67,)),
        (262, "+303.08", Verdict.ROUNDED, (65,)),
        (3, "-150%", Verdict.NO_INTEGER_BASE, ()),
        (0, "-100%", Verdict.ROUNDED, tuple(range(1, 2))),
    ],
)
def test_typed_percentages_are_audited(
    now: int, printed: str, verdict: Verdict, bases: tuple[int, ...]
) -> None:
    audit = audit_change(now, printed)
    assert (audit.verdict, audit.bases[: len(bases) or None]) == (verdict, bases)


def test_the_cut_percentage_says_what_it_was_cut_from() -> None:
    assert "+76.9231" in audit_change(46, "+76%").explanation


@pytest.mark.parametrize("text", ["", "abc", "1.2.3", "٣٪", "+-3", "1" * 40, "nan", "1e9"])
def test_what_is_no_percentage_is_an_error(text: str) -> None:
    with pytest.raises(PercentError):
        audit_change(3, text)


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 4))
def test_a_true_percentage_always_has_its_own_base(now: int, base: int, decimals: int) -> None:
    change = Change(now, base)
    audit = audit_change(now, change.text(decimals))
    assert audit.verdict is Verdict.ROUNDED
    if len(audit.bases) < 20:
        assert base in audit.bases
    exact = change.percent
    assert exact is not None
    for found in audit.bases:
        again = Change(now, found).percent
        assert again is not None
        assert round_half_up(again, decimals) == round_half_up(exact, decimals)


@given(st.fractions(), st.integers(0, 6))
def test_rounding_is_symmetric_and_never_further_than_half_a_step(
    value: Fraction, decimals: int
) -> None:
    assert round_half_up(-value, decimals) == -round_half_up(value, decimals)
    assert abs(round_half_up(value, decimals) - value) * 10**decimals * 2 <= 1
    assert abs(truncate(value, decimals)) <= abs(value)


def test_half_a_month_is_compared_with_half_a_month() -> None:
    days = {dt.date(2021, 6, d): 2 for d in range(1, 31)}
    days |= {dt.date(2021, 7, d): 3 for d in range(1, 32)}
    days |= {dt.date(2020, 7, d): 1 for d in range(1, 32)}
    july = period_of(Span.MONTH, dt.date(2021, 7, 12))
    partial = compare(july, dt.date(2021, 7, 12), counter(days))
    assert (partial.previous, partial.year_ago) == (Change(36, 24), Change(36, 12))
    assert partial.is_partial
    whole = compare(july, dt.date(2021, 8, 20), counter(days))
    assert (whole.previous, whole.year_ago) == (Change(93, 60), Change(93, 31))
    assert (whole.days, whole.previous_days, whole.year_ago_days) == (31, 30, 31)


def test_a_shorter_month_gives_all_it_has_and_says_so() -> None:
    march = Period(Span.MONTH, dt.date(2024, 3, 1))
    found = compare(march, dt.date(2024, 3, 30), counter({dt.date(2024, 2, 29): 5}))
    assert (found.days, found.previous_days, found.year_ago_days) == (30, 29, 30)
    assert found.previous == Change(0, 5)


@given(st.sampled_from(Span), st.dates(dt.date(1950, 1, 1), dt.date(2150, 1, 1)))
def test_periods_meet_without_gap(span: Span, day: dt.date) -> None:
    period = period_of(span, day)
    assert period.first <= day < period.end
    assert period.previous.end == period.first
    assert period_of(span, period.end).first == period.end


def test_a_figure_keeps_its_revisions_and_counts_once() -> None:
    figures = Figures()
    day = dt.date(2021, 6, 3)

    def state(value: int, at: int, reason: str = "", unit: str = "U1") -> None:
        figures.state(
            Revision(
                indicator="solved", unit=unit, day=day, value=value,
                stated_at=UnixMicros(at), by="li", reason=reason,
            )
        )  # fmt: skip

    state(7, 10)
    state(9, 30, "two cases of the night shift")
    state(4, 10, unit="U2")
    month = (dt.date(2021, 6, 1), dt.date(2021, 7, 1))
    assert figures.count("solved", *month) == 13
    assert figures.count("solved", *month, as_of=UnixMicros(20)) == 11
    assert [row.value for row in figures.revised("solved")] == [7, 9]
    with pytest.raises(ValueError, match="without reason"):
        state(8, 40)


# -- every published figure that has arithmetic ----------------------------------------------------

CLAIMS = [
    Claim(name="000 member units", printed="21", total=(18, 3)),
    Claim(name="000 saved a head", printed="37400", quotient=(700_000_000, 18_700)),
    Claim(name="000 stopped each", printed="13800", quotient=(47_000_000, 3_400)),
    Claim(name="000 frozen each", printed="27000", quotient=(200_000_000, 7_400)),
    Claim(name="000 intercepted each", printed="219500", quotient=(878_000, 4)),
    Claim(name="000 refunds each", printed="56035", quotient=(1_120_700, 20)),
    Claim(name="000 counter each", printed="75000", quotient=(1_050_000, 14)),
    Claim(name="001 cases yoy", printed="+60.8%", change=(322_000, None)),
    Claim(name="001 suspects yoy", printed="+121.2%", change=(361_000, None)),
    Claim(name="002 controlled share", printed="1.22%", share=(12_044, 985_386)),
    Claim(name="002 cleaned share", printed="52.95%", share=(521_764, 985_386)),
    Claim(name="002 frozen each", printed="32700", quotient=(394_000_000, 12_053)),
    Claim(name="002 outcomes", printed="137", total=(90, 47)),
    Claim(name="004 solved in the month", printed="+31.37%", change=(75, None)),
    Claim(name="004 suspects in the month", printed="+76%", change=(46, None)),
    Claim(name="004 filed in the month", printed="-7.14%", change=(143, 154)),
    Claim(name="004 96110", printed="93.6%", share=(900, 962)),
    Claim(name="004 contacts", printed="20413", total=(16_206, 3_544, 663)),
    Claim(name="004 kept safe", printed="65.3%", share=(13_337, 20_413)),
    Claim(name="004 H1 solved", printed="+208.96%", change=(207, 67)),
    Claim(name="004 H1 suspects", printed="+303.08%", change=(262, 65)),
    Claim(name="004 registered users", printed="22.14%", share=(470_000, 2_122_855)),
    Claim(name="004 later total", printed="14500", total=(1_001, 13_337)),
    Claim(name="004 later total with calls", printed="14500", total=(1_001, 13_337, 900)),
    Claim(name="2020 black broadcast yoy", printed="-24.0%", change=(1_711, 2_251)),
]  # fmt: skip

DO_NOT_HOLD = {
    "004 solved in the month": Verdict.NO_INTEGER_BASE,
    "004 suspects in the month": Verdict.TRUNCATED,
    "004 later total": Verdict.DIFFERS,
    "004 later total with calls": Verdict.DIFFERS,
}


def test_every_published_figure_is_reproduced_or_flagged() -> None:
    assert {claim.name: audit.verdict for claim, audit in flagged(CLAIMS)} == DO_NOT_HOLD


def test_a_wrong_figure_is_flagged_with_what_its_parts_give() -> None:
    audit = check(Claim(name="x", printed="93.7%", share=(900, 962)))
    assert (audit.verdict, audit.exact) == (Verdict.DIFFERS, "+93.5551")
    assert audit_share(1, 0, "3%").verdict is Verdict.NO_BASE


@pytest.mark.field_data
def test_the_audit_agrees_with_the_reference_table(reference: Path) -> None:
    with (reference / "report_figures.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["seed"] == "AUDIT"]
    assert len(rows) == 5
    for row in rows:
        audit = audit_change(int(row["value"]), row["period"])
        rounded, cut = re.findall(r"(?:rounding|truncation): (NONE|\[\d+\])", row["check_or_note"])
        if rounded != "NONE":
            assert (audit.verdict, f"[{audit.bases[0]}]") == (Verdict.ROUNDED, rounded)
        elif cut != "NONE":
            assert (audit.verdict, f"[{audit.bases[0]}]") == (Verdict.TRUNCATED, cut)
        else:
            assert audit.verdict is Verdict.NO_INTEGER_BASE


def test_a_share_is_written_with_its_integers() -> None:
    assert Share(900, 962).as_json(1) == {"part": 900, "whole": 962, "percent": "93.6 %"}
