"""Percentiles of what happened, from alarms and the histories of cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.alert_work import sql_of
from central.case_desk import CaseDesk
from central.case_states import CaseAction, CaseReason, CaseState
from central.case_work import SeenCase
from central.clock_work import ClockWork
from central.clocks import Happening
from central.hub import Hub
from central.reports.pace import entry_to_stop, legs_left, percentile
from central.web import create_app
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
    assert row.count("0:05:00") == 2
