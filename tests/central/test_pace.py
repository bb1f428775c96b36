"""Percentiles of what happened, from alarms and the histories of cases."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from central.actor import Actor, Role
from central.alert_work import sql_of
from central.case_desk import CaseDesk
from central.case_states import CaseAction, CaseReason, CaseState
from central.case_work import SeenCase
from central.clock_work import ClockWork
from central.clocks import Happening
from central.clocks.calendar import day_of
from central.hub import Hub
from central.reports import ReportDesk, report_period, table
from central.reports.pace import entry_to_stop, legs_left, percentile
from central.statistics import Span
from central.web import create_app
from central.web.reports import report_bytes
from central.web.words import Language, read_catalogue
from contract.clock import UnixMicros
from contract.codec import rfc3339
from tests.central.kit import Central, settings
from tests.central.signing import client_as
from tests.central.test_intake import an_account, an_alarm, desk_of

MINUTE = 60_000_000
OFFICER = Actor("lin", frozenset(Role), frozenset({"000000"}))
EVERYWHERE = frozenset({"000000"})


@given(st.lists(st.integers(0, 10**12), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    values: list[int], percent: int
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(v <= found for v in values) * 100 >= percent * len(values)
    assert sum(v < found for v in values) * 100 < percent * len(values)


def an_alarm_in(central: Central, area: str, number: int, stopped_after_s: int | None) -> None:
    """An alarm now, and its stop so many seconds later."""
    now = int(central.clock.wall())
    text = rfc3339(UnixMicros(now))
    alarm = an_alarm(
        number=f"{area}-{number}", alarm_at=text, area=area,
        accounts=[an_account(transfer_at=text)],
    )  # fmt: skip
    case_id = desk_of(central).take(OFFICER, [alarm], "webhook")[0].case_id
    assert case_id is not None
    if stopped_after_s is None:
        return
    case = central.store.case(case_id)
    assert case is not None
    with central.store.transaction() as tx:
        of = next(r.subject for r in central.store.happenings([case_id]) if r.happening == "alarm")
        ClockWork(sql_of(tx), now).note(
            case, Happening.STOP_RECEIPTS, UnixMicros(now + stopped_after_s * 1_000_000),
            by=OFFICER, subject=of,
        )  # fmt: skip


def test_from_the_alarm_to_its_stop_by_division(either: Central) -> None:
    began = int(either.clock.wall())
    for n, seconds in enumerate([60, 120, 180, 240, 300, 360, 420, 480, 540, 541]):
        an_alarm_in(either, "370832", n, seconds)
    an_alarm_in(either, "530102", 1, None)
    now = began + 541 * 1_000_000
    county, city = entry_to_stop(either.store, EVERYWHERE, began, now, now)
    assert (county.of, county.number, county.late) == ("370832", 10, 1)
    assert (county.p50_us, county.p90_us) == (300_000_000, 540_000_000)
    assert (city.of, city.number, city.late) == ("530102", 1, 1)  # none came, and it is over
    in_time = began + 540 * 1_000_000
    assert [p.of for p in entry_to_stop(either.store, EVERYWHERE, began, in_time, in_time)] == [
        "370832"
    ]
    assert entry_to_stop(either.store, frozenset({"110000"}), began, now, now) == []


def test_legs_are_counted_where_they_ended(either: Central) -> None:
    desk = CaseDesk(either.store, either.clock)
    began = int(either.clock.wall())
    for minutes in (5, 10, 20):
        case = desk.open_lead(OFFICER, "GOIP_DEN", "530102", {"about": str(minutes)}, "a note")
        either.clock.advance(minutes * MINUTE)
        desk.act(
            OFFICER,
            SeenCase(case.id, case.version),
            CaseAction.CLEAR,
            reason=CaseReason.NOT_FOUND.value,
        )
    now = int(either.clock.wall())
    [lead] = legs_left(either.store, EVERYWHERE, began, now + 1)
    assert (lead.of, lead.number, lead.late) == (CaseState.LEAD, 3, 0)
    assert (lead.p50_us, lead.p90_us) == (10 * MINUTE, 20 * MINUTE)
    assert legs_left(either.store, EVERYWHERE, now + 1, now + 2) == []
    assert legs_left(either.store, frozenset({"110000"}), began, now + 1) == []


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_the_page_shows_both(central: Central, tmp_path: Path, lang: str) -> None:
    an_alarm_in(central, "530102", 1, 300)
    central.clock.advance(10 * MINUTE)
    app = create_app(central.store, Hub(), settings(tmp_path), clock=central.clock)
    with client_as(app, "wu", [Role.DUTY_OFFICER]) as client:
        page = client.get(f"/clocks?lang={lang}").text
    row = page.split('data-pace-of="530102"')[1].split("</tr>")[0]
    assert row.count("0:05:00") == 3


def test_a_report_says_how_long_its_clocks_ran(central: Central) -> None:
    """Half, nine of ten and 19 of 20 of the stops, in every form; what still runs has no length."""
    for number in range(1, 21):
        an_alarm_in(central, "370832", number, stopped_after_s=number * 30)
    an_alarm_in(central, "370832", 21, stopped_after_s=None)
    an_alarm_in(central, "530102", 22, stopped_after_s=9)
    central.clock.advance(20 * MINUTE)
    desk = ReportDesk(central.store, central.clock, "370800")
    made = desk.report(report_period(Span.DAY, day_of(central.clock.wall())), "370800")
    stop = next(one for one in made["paces"] if one["clock"] == "entry_to_stop")
    assert stop == {
        "clock": "entry_to_stop", "number": 20, "p50_ms": 300_000, "p90_ms": 540_000,
        "p95_ms": 570_000, "late": 3,
    }  # fmt: skip
    words = read_catalogue(Language.ZH_CN)
    shown = {row[0]: row[1] for row in table.rows(made, words)}
    name = f"{words.word('clock', 'entry_to_stop')}: p50 / p90 / p95 (n=20)"
    assert shown[name] == "0:05:00 / 0:09:00 / 0:09:30"
    assert ["entry_to_stop_p95", "ms", 570_000] in [row[:3] for row in table.exact_rows(made)]
    pdf = report_bytes(made, "pdf", words, offset_minutes=480)
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    assert "0:05:00 / 0:09:00 / 0:09:30" in text  # on one line
    app = create_app(
        central.store, Hub(), settings(central.path.parent, area="370800"), clock=central.clock
    )
    with client_as(app, "regulator", [Role.REGULATOR], ["370800"]) as client:
        assert "0:05:00 / 0:09:00 / 0:09:30" in client.get("/statistics?lang=zh").text
