"""Legal clocks: exact to the instant, over month ends, leap days and shifted weekends."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.clocks import (
    CHINA,
    ClockState,
    Event,
    Happening,
    LawError,
    LegalClock,
    Subject,
    add_months,
    add_working_days,
    clocks,
    day_of,
    end_of_years,
    load_law,
    local,
    micros,
    midnight,
    months_later,
    reminders,
    sanction_until,
)
from central.clocks.law import LAW_FILE
from contract.clock import UnixMicros
from contract.topics import Lane
from contract.words import Decision, DeviceKind
from tests.central.kit import START, Central, Station, a_decision

LAW = load_law()
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US


def at(text: str) -> UnixMicros:
    return micros(dt.datetime.fromisoformat(text).replace(tzinfo=CHINA))


def one(kind: Subject, *events: Event) -> LegalClock:
    found = [clock for clock in clocks(events, LAW) if clock.kind is kind]
    assert len(found) == 1
    return found[0]


T0 = at("2021-07-09T17:50:00")
ALARM = Event(Happening.ALARM, "C-1", T0)


def test_entry_is_reminded_at_20_and_28_minutes_and_breached_after_30() -> None:
    clock = one(Subject.ENTRY, ALARM)
    told = reminders([clock], T0, T0 + 40 * MINUTE_US)
    assert [((r.at - T0) // MINUTE_US, r.is_due) for r in told] == [
        (20, False),
        (28, False),
        (30, True),
    ]
    assert clock.state(T0 + 30 * MINUTE_US) is ClockState.WARNED
    assert clock.state(T0 + 30 * MINUTE_US + 1) is ClockState.BREACHED


def test_a_late_entry_stays_a_breach_and_an_entry_in_time_reminds_of_nothing_more() -> None:
    late = one(
        Subject.ENTRY, ALARM, Event(Happening.ENTERED, "C-1", UnixMicros(T0 + 31 * MINUTE_US))
    )
    assert late.state(T0 + HOUR_US) is ClockState.BREACHED
    early = one(
        Subject.ENTRY, ALARM, Event(Happening.ENTERED, "C-1", UnixMicros(T0 + 21 * MINUTE_US))
    )
    assert early.state(T0 + HOUR_US) is ClockState.MET
    assert len(reminders([early], T0, T0 + HOUR_US)) == 1


@pytest.mark.parametrize(("seconds", "state"), [(540, ClockState.MET), (541, ClockState.BREACHED)])
def test_nine_minutes_from_entry_to_stop(seconds: int, state: ClockState) -> None:
    done = Event(Happening.STOP_RECEIPTS, "C-1", UnixMicros(T0 + seconds * SECOND_US))
    assert one(Subject.ENTRY_TO_STOP, ALARM, done).state(done.at) is state


def test_a_stop_is_over_after_48_hours_by_itself_and_warns_before() -> None:
    clock = one(Subject.STOP_PAYMENT, Event(Happening.STOP_EXECUTED, "O-1", T0))
    assert local(clock.due_at).isoformat() == "2021-07-11T17:50:00+08:00"
    assert [(clock.due_at - w) // HOUR_US for w in clock.warn_at] == [6, 1]
    assert clock.state(clock.due_at - 1) is ClockState.WARNED
    assert clock.state(clock.due_at) is ClockState.OVER


def test_a_released_stop_ended_and_is_not_over() -> None:
    clock = one(
        Subject.STOP_PAYMENT,
        Event(Happening.STOP_EXECUTED, "O-1", T0),
        Event(Happening.STOP_RELEASED, "O-1", UnixMicros(T0 + HOUR_US)),
    )
    assert clock.state(T0 + 100 * HOUR_US) is ClockState.ENDED
    assert clock.elapsed_us(T0 + 100 * HOUR_US) == HOUR_US


def test_a_second_stop_after_the_first_is_over_is_a_clock_of_its_own() -> None:
    second = Event(Happening.STOP_EXECUTED, "O-1", UnixMicros(T0 + 49 * HOUR_US))
    found = clocks([Event(Happening.STOP_EXECUTED, "O-1", T0), second], LAW)
    assert [c.started_at for c in found] == [T0, second.at]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2025-08-31T10:00:00", "2026-02-28T10:00:00"),
        ("2023-08-31T10:00:00", "2024-02-29T10:00:00"),
        ("2024-02-29T00:00:00", "2024-08-29T00:00:00"),
        ("2025-03-31T23:59:59", "2025-09-30T23:59:59"),
        ("2025-12-31T08:00:00", "2026-06-30T08:00:00"),
    ],
)
def test_six_months_of_a_freeze_keep_to_the_calendar(start: str, end: str) -> None:
    clock = one(Subject.FREEZE, Event(Happening.FREEZE_EXECUTED, "O-2", at(start)))
    assert clock.due_at == at(end)


def test_a_renewal_ends_one_term_and_begins_the_next() -> None:
    found = clocks(
        [
            Event(Happening.FREEZE_EXECUTED, "O-2", at("2025-01-15T09:00:00")),
            Event(Happening.FREEZE_RENEWED, "O-2", at("2025-07-01T09:00:00")),
        ],
        LAW,
    )
    now = at("2025-07-20T00:00:00")
    assert [c.state(now) for c in found] == [ClockState.ENDED, ClockState.RUNNING]
    assert found[1].due_at == at("2026-01-01T09:00:00")


def test_three_working_days_jump_a_holiday_and_count_a_shifted_saturday() -> None:
    # 2025: National Day and Mid-Autumn from 1 to 8 October, Sunday 28 September worked.
    clock = one(
        Subject.BANK_REFUND, Event(Happening.REFUND_DECIDED, "R-1", at("2025-09-30T15:00:00"))
    )
    assert clock.due_at == at("2025-10-12T00:00:00")  # 9 and 10 October, Saturday the 11th works
    assert add_working_days(dt.date(2025, 9, 26), 1) == (dt.date(2025, 9, 28), True)


def test_working_days_of_an_unpublished_year_say_that_they_are_a_guess() -> None:
    day, is_certain = add_working_days(dt.date(2099, 1, 2), 3)
    assert (day, is_certain) == (dt.date(2099, 1, 7), False)


def test_a_refund_notice_runs_thirty_days() -> None:
    clock = one(
        Subject.REFUND_NOTICE, Event(Happening.NOTICE_PUBLISHED, "R-1", at("2024-02-01T11:00:00"))
    )
    assert day_of(clock.due_at) == dt.date(2024, 3, 2)


@pytest.mark.parametrize(
    ("first", "ground", "rule", "until"),
    [
        ("2025-03-05", "CRIMINAL_PENALTY", "JOINT-2024", "2028-03-05"),
        ("2025-03-05", "IDENTIFIED_BY_POLICE", "JOINT-2024", "2027-03-05"),
        ("2024-11-30", "IDENTIFIED_BY_POLICE", "PBOC-2019-85", "2029-11-30"),
        ("2024-02-29", "CRIMINAL_PENALTY", "PBOC-2019-85", "2029-03-01"),
        ("2018-05-01", "CRIMINAL_PENALTY", "PBOC-2016-261", "2023-05-01"),
    ],
)
def test_each_sanction_follows_the_row_of_its_own_day(
    first: str, ground: str, rule: str, until: str
) -> None:
    day = dt.date.fromisoformat(first)
    clock = one(Subject.SANCTION, Event(Happening.SANCTIONED, "P-1", midnight(day), ground))
    assert (clock.rule, day_of(clock.due_at).isoformat()) == (rule, until)
    assert sanction_until(LAW.by_id(rule), ground, day) == day_of(clock.due_at)
    assert clock.state(clock.due_at) is ClockState.OVER
    assert clock.state(clock.due_at - 1) is ClockState.RUNNING


def test_before_the_first_row_nothing_is_guessed() -> None:
    with pytest.raises(LawError, match="no rule on sanction is in force on 2016-12-31"):
        LAW.row(Subject.SANCTION, dt.date(2016, 12, 31))


@given(
    st.datetimes(dt.datetime(2017, 1, 1), dt.datetime(2090, 1, 1)),  # noqa: DTZ001 - hypothesis wants naive ones
    st.integers(1, 120),
)
def test_months_keep_the_time_of_day_and_never_pass_the_month(
    moment: dt.datetime, months: int
) -> None:
    start = moment.replace(tzinfo=CHINA)
    end = local(months_later(micros(start), months))
    assert end.timetz() == start.timetz()
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end + dt.timedelta(days=1)).day == 1


@given(st.dates(dt.date(2017, 1, 1), dt.date(2090, 1, 1)), st.integers(1, 5))
def test_years_lose_no_day_of_a_term(first: dt.date, years: int) -> None:
    end = end_of_years(first, years)
    assert (end.month, end.day) in {(first.month, first.day), (3, 1)}
    # The anniversary's eve belongs to the term, the anniversary does not.
    assert 365 * years <= (end - first).days <= 366 * years
    assert add_months(first, 12 * years) in {end, end - dt.timedelta(days=1)}


@given(st.integers(0, 4_000_000_000_000_000))
def test_chinese_time_there_and_back_has_no_seam(value: int) -> None:
    assert micros(local(value)) == value
    assert (midnight(day_of(value)) + 8 * HOUR_US) % (24 * HOUR_US) == 0
    assert 0 <= value - midnight(day_of(value)) < 24 * HOUR_US


@given(
    st.permutations(
        [
            ALARM,
            Event(Happening.ENTERED, "C-1", UnixMicros(T0 + 9 * MINUTE_US)),
            Event(Happening.STOP_EXECUTED, "O-1", UnixMicros(T0 + 10 * MINUTE_US)),
            Event(Happening.STOP_RELEASED, "O-1", UnixMicros(T0 + 90 * MINUTE_US)),
            Event(Happening.FREEZE_EXECUTED, "O-2", UnixMicros(T0 + 95 * MINUTE_US)),
            Event(Happening.FREEZE_EXECUTED, "O-2", UnixMicros(T0 + 95 * MINUTE_US)),
        ]
    )
)
def test_the_order_in_which_events_arrive_changes_nothing(events: list[Event]) -> None:
    assert clocks(events, LAW) == clocks(sorted(events, key=lambda e: e.at), LAW)


def test_a_table_with_two_rules_on_one_day_is_refused(tmp_path: Path) -> None:
    table = json.loads(LAW_FILE.read_text(encoding="utf-8"))
    table["rows"][-1]["from"] = "2024-11-01"
    path = tmp_path / "law.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(LawError, match="PBOC-2019-85 and JOINT-2024"):
        load_law(path)
    path.write_text('{"schema": "qianshao-law/1", "rows": [{"id": "X"}]}', encoding="utf-8")
    with pytest.raises(LawError, match="row 1"):
        load_law(path)


def test_a_transfer_that_was_taken_back_is_held_no_longer(central: Central) -> None:
    """The board counts on for what waits alone; the same visit of another machine still waits."""
    one = central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=11))
    two = central.enrol(Station(device="atm-2", kind=DeviceKind.ATM, seed=12))
    asked: dict[str, Any] = {
        "visit": "7", "business": "transfer", "decision": Decision.ALLOW_DELAYED,
        "decided_at": START, "reason": None,
    }  # fmt: skip
    back: dict[str, Any] = {
        "visit": "8", "business": "revoke", "revokes": "7", "decision": Decision.ALLOW,
        "decided_at": START, "reason": None,
    }  # fmt: skip
    for atm in (one, two):
        central.take(atm.topic(Lane.DECISIONS), atm.next(a_decision(**asked)))
    assert len(central.store.delayed_transfers(START, 9)) == 2
    central.take(one.topic(Lane.DECISIONS), one.next(a_decision(**back)))
    assert [row.device for row in central.store.delayed_transfers(START, 9)] == ["atm-2"]
