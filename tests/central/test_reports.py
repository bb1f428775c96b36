"""Reports from the store: bases beside every percentage, versions, files that read back."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from reportlab.pdfbase import pdfmetrics

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.areas import area_names
from central.clocks import CHINA, micros
from central.hub import Hub
from central.reports import INDICATORS, Counter, ReportDesk, build, report_period, table
from central.reports.build import audited
from central.reports.font import FONT, FontError, font_file, ready
from central.reports.indicators import _sites
from central.reports.pdf import report_pdf
from central.reports.regulator import header, monthly_rows
from central.statistics import Form, Span, Verdict, audit_text
from central.web import create_app
from central.web.words import Language, read_catalogue
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.topics import Lane
from contract.words import AlertKind, Decision, DecisionReason, DeviceKind, Level, Severity
from tests.central.kit import Central, Station, a_decision, settings
from tests.central.signing import client_as
from tests.central.test_intake import an_account, an_alarm, desk_of
from tests.samples import a_detection

AREA = "370800"
BROADCAST = AlertKind.BLACK_BROADCAST_SUSPECTED
KEEPER = Actor("qian", frozenset({Role.REVIEWER}), frozenset({AREA}))


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> UnixMicros:
    return micros(dt.datetime(year, month, day, hour, minute, tzinfo=CHINA))


def go_to(central: Central, moment: UnixMicros) -> None:
    central.clock.advance(moment - central.clock.wall())


def alarms(central: Central, number: int, first: UnixMicros, **changes: Any) -> None:
    """Alarms a minute apart."""
    desk, actor = desk_of(central), Actor("lin", frozenset(), frozenset({"000000"}))
    for n in range(number):
        moment = UnixMicros(first + n * 60_000_000)
        if moment > central.clock.wall():
            go_to(central, moment)
        text = rfc3339(moment)
        alarm = an_alarm(
            number=f"{first}-{n}", alarm_at=text, area="370832",
            accounts=[an_account(transfer_at=text)], **changes,
        )  # fmt: skip
        assert desk.take(actor, [alarm], "webhook")[0].case_id


def report(central: Central, span: Span, day: dt.date) -> dict[str, Any]:
    desk = ReportDesk(central.store, central.clock, AREA)
    return desk.report(report_period(span, day), AREA)


def row_of(made: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in made["figures"] if r["indicator"] == name)
    return found


def test_the_golden_month_comes_out_of_alarms(either: Central) -> None:
    go_to(either, at(2026, 5, 2, 9))
    alarms(either, 154, at(2026, 5, 2, 9))
    alarms(either, 143, at(2026, 6, 3, 9))
    go_to(either, at(2026, 7, 1, 1))
    made = report(either, Span.MONTH, dt.date(2026, 6, 12))
    row = row_of(made, "alarms_110")
    assert (row["now"], row["previous"]) == (143, {"base": 154, "percent": "−7.14 %", "days": 31})
    assert row["year_ago"] == {"base": 0, "percent": "—", "days": 30}
    assert row_of(made, "loss")["now"] == 143 * 2_800_000
    assert sum(made["series"]["alarms_110"]) == 143
    assert (made["is_partial"], audited(made)) == (False, [])


def test_a_month_that_is_not_over_is_compared_day_by_day(central: Central) -> None:
    go_to(central, at(2026, 5, 3, 9))
    alarms(central, 4, at(2026, 5, 3, 9))
    alarms(central, 9, at(2026, 5, 28, 9))
    alarms(central, 6, at(2026, 6, 4, 9))
    made = report(central, Span.MONTH, dt.date(2026, 6, 4))
    row = row_of(made, "alarms_110")
    assert made["is_partial"]
    assert (row["now"], row["days"]) == (6, 4)
    assert row["previous"] == {"base": 4, "percent": "+50.00 %", "days": 4}
    assert made["series"]["days"][-1] == "2026-06-04"


def test_a_day_ends_at_midnight_in_china(central: Central) -> None:
    go_to(central, at(2026, 3, 1, 23, 59))
    alarms(central, 2, at(2026, 3, 1, 23, 59))
    made = report(central, Span.DAY, dt.date(2026, 3, 1))
    assert row_of(made, "alarms_110")["now"] == 1
    made = report(central, Span.DAY, dt.date(2026, 3, 2))
    assert row_of(made, "alarms_110")["previous"]["base"] == 1
    assert made["series"]["days"][0] == "2026-02-01"


def test_decisions_alerts_and_late_entries_are_counted(either: Central) -> None:
    go_to(either, at(2026, 3, 5, 10))
    now = either.clock.wall()
    atm = either.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    decisions = [
        {}, {"visit": "2", "decision": Decision.DENY, "reason": DecisionReason.FACE_MISMATCH},
        {"visit": "3", "decision": Decision.DENY, "reason": DecisionReason.FROZEN},
        {"visit": "4", "business": "transfer", "decision": Decision.ALLOW_DELAYED},
    ]  # fmt: skip
    sealed = [
        atm.next(a_decision(started_at=now, decided_at=now, **changes)) for changes in decisions
    ]
    either.take(atm.topic(Lane.DECISIONS), *sealed)
    van = either.enrol(Station())
    for n, (kind, lat) in enumerate(
        [
            (BROADCAST, 36.0), (BROADCAST, 36.001), (BROADCAST, 36.2),
            (AlertKind.FAKE_BTS_CONFIRMED, 36.0),
        ]
    ):  # fmt: skip
        either.take(
            van.topic(),
            van.next(
                a_detection(
                    alert=kind, level=Level.SUSPECTED, severity=Severity.HIGH,
                    detection_id=bytes([n]) * 16,
                    subject={"mhz": 90.0 + n, "lat": lat, "lon": 117.0},
                )
            ),
        )  # fmt: skip
    late = an_alarm(accounts=[], area="370832", alarm_at=rfc3339(now))
    desk_of(either).take(KEEPER, [late], "form")
    go_to(either, at(2026, 3, 5, 12))
    own = ReportDesk(either.store, either.clock, "370000")
    made = own.report(report_period(Span.DAY, dt.date(2026, 3, 5)), "000000")
    figures = {row["indicator"]: row["now"] for row in made["figures"]}
    expected = {
        "withdraw_requests": 3, "allowed": 1, "face_mismatch": 1, "stop_payment_hits": 1,
        "transfers_delayed": 1, "black_broadcast_sites": 2, "fake_bts": 1, "goip_dens": 0,
        "alarms_110": 1, "late_entries": 1, "late_stops": 1, "cases_opened": 1,
    }  # fmt: skip
    assert {name: figures[name] for name in expected} == expected
    elsewhere = own.report(report_period(Span.DAY, dt.date(2026, 3, 5)), "530000")
    assert not any(row["now"] for row in elsewhere["figures"])


@given(st.lists(st.tuples(st.floats(20, 40), st.floats(100, 120)), max_size=8))
def test_sites_are_never_more_than_stations(places: list[tuple[float, float]]) -> None:
    subjects: list[dict[str, Any]] = [{"lat": lat, "lon": lon} for lat, lon in places]
    assert _sites(subjects) <= len(subjects)
    assert _sites([*subjects, {"mhz": 90}]) == _sites(subjects) + 1
    assert _sites(subjects * 2) == _sites(subjects)


def test_a_version_is_kept_and_a_further_one_needs_news_and_a_reason(either: Central) -> None:
    go_to(either, at(2026, 3, 5, 10))
    alarms(either, 3, at(2026, 3, 5, 9))
    desk = ReportDesk(either.store, either.clock, AREA)
    period = report_period(Span.DAY, dt.date(2026, 3, 5))
    assert desk.keep(KEEPER, period, AREA).revision == 1
    with pytest.raises(RuleError, match="nothing has changed"):
        desk.keep(KEEPER, period, AREA, "again")
    alarms(either, 1, at(2026, 3, 5, 8))
    with pytest.raises(RuleError, match="reason"):
        desk.keep(KEEPER, period, AREA)
    desk.keep(KEEPER, period, AREA, "an alarm of the night shift came late")
    kept = [row_of(v.data, "alarms_110")["now"] for v in desk.versions(period, AREA)]
    assert kept == [3, 4]


def test_the_regulators_columns_are_those_that_the_ministry_prints(reference: Path) -> None:
    with (reference / "miit_monthly.csv").open(encoding="utf-8-sig", newline="") as file:
        printed = set(next(csv.reader(file))) - {"source_and_more"}
    assert printed - {"period"} <= set(header()[1:])
    assert {"aviation_cases", "sets"} <= set(header())  # named in its remarks each month


def test_stated_figures_need_a_reason_to_be_corrected(central: Central) -> None:
    desk = ReportDesk(central.store, central.clock, AREA)
    desk.state(KEEPER, "vans", "2025-12", AREA, "1761")
    desk.state(KEEPER, "hours_black_broadcast", "2025-12", AREA, "81986.5")
    for wrong in ("", "-3", "1e9", "1,761", "٣"):
        with pytest.raises(RuleError):
            desk.state(KEEPER, "staff", "2025-12", AREA, wrong)
    with pytest.raises(RuleError, match="correction"):
        desk.state(KEEPER, "vans", "2025-12", AREA, "1762")
    desk.state(KEEPER, "vans", "2025-12", AREA, "1762", "one van came back late")
    counter = Counter(central.store, AREA, AREA, int(central.clock.wall()))
    rows = monthly_rows(counter, dt.date(2026, 1, 2))
    assert rows[1] == ["2025-12", "0", "0", "0", "1762", "", "", "81986.5", ""]
    assert len(rows) == 12


@given(
    st.sampled_from([Span.DAY, Span.MONTH]), st.dates(dt.date(2016, 1, 1), dt.date(2030, 1, 1)),
    st.lists(st.integers(0, 3000), min_size=3, max_size=3),
)  # fmt: skip
def test_every_percentage_of_a_report_is_given_by_its_integers(
    span: Span, day: dt.date, counts: list[int]
) -> None:
    period = report_period(span, day)

    class Counts:
        area = AREA

        def over(self, indicator: Any, first: dt.date, end: dt.date) -> int:
            return counts[0 if first >= period.first else 1 if first > period.year_ago.end else 2]

    made = build(Counts(), period, micros(dt.datetime(2031, 1, 1, tzinfo=CHINA)))  # type: ignore[arg-type]
    assert audited(made) == []
    if counts[0] != counts[1]:
        made["figures"][0]["previous"]["percent"] = "0.00 %"
        assert audited(made) == ["alarms_110.previous"]


# -- files and pages -------------------------------------------------------------------------------


@pytest.fixture
def app(central: Central) -> FastAPI:
    go_to(central, at(2026, 3, 5, 10))
    alarms(central, 3, at(2026, 3, 5, 9))
    return create_app(
        central.store, Hub(), settings(central.path.parent, area=AREA), clock=central.clock
    )


@pytest.mark.parametrize("language", list(Language))
def test_the_pdf_gives_its_text_back(central: Central, language: Language) -> None:
    go_to(central, at(2026, 3, 5, 10))
    alarms(central, 3, at(2026, 3, 5, 9))
    made = report(central, Span.MONTH, dt.date(2026, 3, 5))
    made["stated"] = [{"indicator": "vans", "value": "17", "by": "<b>&钱"}]
    words = read_catalogue(language)
    raw = report_pdf(made, words, offset_minutes=480, version=2)
    assert raw == report_pdf(made, words, offset_minutes=480, version=2)
    pages = PdfReader(io.BytesIO(raw)).pages
    resources: list[Any] = [page["/Resources"] for page in pages]
    fonts = [f.get_object() for one in resources for f in one["/Font"].values()]
    used = [f for f in fonts if f["/Subtype"] == "/TrueType"]
    assert used
    for font in used:  # only the glyphs in use, and what each means
        assert "/FontFile2" in font["/FontDescriptor"].get_object()
        assert "/ToUnicode" in font
    assert len(raw) < 400_000
    text = "".join(page.extract_text() for page in pages)
    plain = "".join(text.split())
    for expected in (
        words.word("report", "month"), words.word("indicator", "alarms_110"),
        words.word("indicator", "goip_dens"), "—", "2026-03", "<b>&钱", "¥84,000.00",
    ):  # fmt: skip
        assert "".join(expected.split()) in plain, expected


def test_every_character_of_the_catalogues_has_a_glyph() -> None:
    ready()
    known = pdfmetrics.getFont(FONT).face.charToGlyph
    texts = "".join(message for one in Language for message in read_catalogue(one).texts.values())
    assert {c for c in texts if c.isprintable() and ord(c) not in known} == set()


def test_every_name_of_a_division_has_a_glyph_and_a_title_says_it() -> None:
    ready()
    known = pdfmetrics.getFont(FONT).face.charToGlyph
    texts = "".join(name.zh + name.en for name in area_names().values())
    assert {c for c in texts if ord(c) not in known} == set()
    made = {"span": "day", "first_day": "2026-03-05", "area": AREA}
    for language, name in ((Language.ZH_CN, "济宁市 370800"), (Language.EN, "Jining 370800")):
        assert table.title(made, read_catalogue(language)).endswith(f"2026-03-05 · {name}")


@pytest.mark.parametrize("span", [Span.DAY, Span.MONTH])
def test_a_day_that_is_not_over_is_not_called_compared_day_by_day(
    central: Central, span: Span
) -> None:
    go_to(central, at(2026, 6, 4, 9))
    made = report(central, span, dt.date(2026, 6, 4))
    said = table.subtitle(made, read_catalogue(Language.EN), 480, 0)
    assert made["is_partial"]
    assert ("against whole days" in said) is (span is Span.DAY)
    assert ("compared day by day" in said) is (span is Span.MONTH)


def test_another_file_is_not_taken_for_the_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.reports.font.SHA256", "0" * 64)
    with pytest.raises(FontError, match="expected 0000"):
        font_file()
    monkeypatch.setattr("central.reports.font.CARRIER", "no-such-package-here")
    with pytest.raises(FontError, match="not installed"):
        font_file()


def test_the_files_of_a_report(app: FastAPI) -> None:
    with client_as(app, "regulator", [Role.REGULATOR], [AREA]) as client:
        table = client.get("/api/reports/day.csv?day=2026-03-05")
        rows = list(csv.reader(io.StringIO(table.text.lstrip("\ufeff"))))
        assert rows[1][:3] == ["alarms_110", "count", "3"]
        assert len(rows) == len(INDICATORS) + 1 + 3  # the entry clock's p50, p90, p95
        assert rows[-1][:3] == ["entry_p95", "ms", "3600000"]
        book = client.get("/api/reports/month.xlsx?day=2026-03-05&lang=zh").content
        with zipfile.ZipFile(io.BytesIO(book)) as archive:
            assert "110警情" in archive.read("xl/sharedStrings.xml").decode()
        assert client.get("/api/reports/day.pdf").content.startswith(b"%PDF")
        assert client.get("/api/reports/day.json").json()["version"] == 0
        assert client.get("/api/reports/day.json?version=9").status_code == 404
        assert client.get("/api/reports/day.json?area=530000").status_code == 404
        assert client.get("/api/reports/day.json?day=1066-10-14").status_code == 404
        assert client.get("/api/exports/regulator.csv").text.count("\n") == 13


def test_the_pages_of_statistics(app: FastAPI) -> None:
    with client_as(app, "qian", [Role.REVIEWER], [AREA]) as client:
        page = client.get("/statistics?lang=en").text
        assert "alarms of 110" in page
        assert 'data-chart="alarms_110"' in page
        kept = client.post(
            "/statistics/keep", data={"span": "day", "day": "2026-03-05", "area": AREA}
        )
        assert kept.status_code == 303
        assert "version 1" in client.get(f"{kept.headers['location']}&lang=en").text
        again = client.post(
            "/statistics/keep", data={"span": "day", "day": "2026-03-05", "area": AREA}
        )
        assert again.status_code == 422
        stated = {"indicator": "vans", "period": "2026-02", "value": "7", "area": AREA}
        assert client.post("/statistics/regulator", data=stated).status_code == 303
        assert '<td class="number">7</td>' in client.get("/statistics/regulator").text
        typed = "破获75起，上升31.37%；抓获46人，上升76%；立案143起，下降7.14%"
        found = client.post("/statistics/audit", data={"typed": typed}).text
        for verdict in ("no_integer_base", "truncated", "rounded"):
            assert f'data-verdict="{verdict}"' in found
    with client_as(app, "bank", [Role.BANK], [AREA]) as client:
        assert client.get("/statistics").status_code == 403


# -- typed figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "verdict"),
    [
        ("破获案件75起，环比上升31.37%", Form.CHANGE, Verdict.NO_INTEGER_BASE),
        ("抓获46人，上升76%", Form.CHANGE, Verdict.TRUNCATED),
        ("立案143起，环比下降7.14%", Form.CHANGE, Verdict.ROUNDED),
        ("本月143起，上月154起，环比下降7.14%", Form.CHANGE, Verdict.ROUNDED),
        ("上月154起，本月143起，环比下降8.14%", Form.CHANGE, Verdict.DIFFERS),
        ("from 154 to 143, down 7.14 %", Form.CHANGE, Verdict.ROUNDED),
        ("上月154起，下降7.14%", Form.BARE, None),
        ("143/154 = −7.14 %", Form.CHANGE, Verdict.ROUNDED),
        ("207 solved, +208.96 % (base 67)", Form.CHANGE, Verdict.ROUNDED),
        ("262/65: +303.08 %", Form.CHANGE, Verdict.ROUNDED),
        ("262/64: +303.08 %", Form.CHANGE, Verdict.DIFFERS),
        ("900/962 93.6%", Form.SHARE, Verdict.ROUNDED),
        ("13,337 kept safe = 65.3% of 20,413", Form.SHARE, Verdict.ROUNDED),
        ("13,337 kept safe = 66.3% of 20,413", Form.SHARE, Verdict.DIFFERS),
        ("1001+13,337=14,338", Form.SUM, Verdict.ROUNDED),
        ("1001+13,337=14,339", Form.SUM, Verdict.DIFFERS),
        ("real-name 99.68%", Form.BARE, None),
        ("now,base,percent\n5,0,+3%", Form.CHANGE, Verdict.NO_BASE),
        ("value,previous,change\n46,26,+76%", Form.CHANGE, Verdict.TRUNCATED),
        ("now,percent\n46,lots%", Form.BARE, None),
    ],
)
def test_a_typed_figure_is_put_to_the_test(text: str, form: Form, verdict: Verdict | None) -> None:
    found = audit_text(text)
    assert len(found) == 1
    assert found[0].form is form
    assert (None if found[0].audit is None else found[0].audit.verdict) is verdict
    assert found[0].is_flagged is (verdict is not Verdict.ROUNDED)


@given(st.text(alphabet='0123456789+-−.,%/=()上升下降of base\n"，；a', max_size=120))
def test_any_text_is_audited(text: str) -> None:
    for finding in audit_text(text):
        assert finding.place.isdigit()
    audit_text(f"now,base,percent\n{text}")
    audit_text(f"value,note\n{text}")


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_true_change_is_never_flagged(now: int, base: int) -> None:
    from central.statistics import Change

    found = audit_text(f"{now}/{base} = {Change(now, base).text()}")
    flagged = [f for f in found if f.is_flagged]
    assert not flagged or now == base


@pytest.mark.field_data
def test_every_figure_of_the_reference_table_is_reproduced_or_flagged(reference: Path) -> None:
    found = audit_text((reference / "report_figures.csv").read_text(encoding="utf-8"))
    wrong = {
        (f.place, None if f.audit is None else f.audit.verdict)
        for f in found
        if f.is_flagged and f.form is not Form.BARE
    }
    assert wrong == {
        ("62", Verdict.NO_INTEGER_BASE), ("77", Verdict.NO_INTEGER_BASE),
        ("63", Verdict.TRUNCATED), ("78", Verdict.TRUNCATED), ("75", Verdict.DIFFERS),
    }  # fmt: skip
    assert {f.place for f in found if f.form is Form.BARE} == {"23", "43", "44", "70"}
    assert len([f for f in found if not f.is_flagged]) >= 19
