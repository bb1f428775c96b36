"""What people do with alerts, over SQLite and over PostgreSQL."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from central.actor import Actor, Role
from central.alert_desk import AlertDesk
from central.alert_states import AlertAction, AlertState, RuleError
from central.alert_work import NotCoveredError, Seen, StaleError, UnknownError
from central.audit import AuditLog
from central.store import AlertRow, EventKind, StoreUnavailableError
from central.store import tables as t
from central.store.retention import DAY_US, Retention, erase
from central.store.triage import AlertFilter
from contract.messages import detection_id
from contract.topics import Lane
from contract.words import AlertKind, Level, Severity
from tests.central.kit import START, Central, Station, a_health, an_attack
from tests.samples import a_detection

COUNTRY = frozenset({"000000"})
DUTY = Actor("lin", frozenset({Role.DUTY_OFFICER}), COUNTRY)
REVIEWER = Actor("qian", frozenset({Role.REVIEWER}), COUNTRY)
SUSPECTED: dict[str, Any] = {
    "level": Level.SUSPECTED,
    "severity": Severity.HIGH,
    "alert": AlertKind.FAKE_BTS_SUSPECTED,
}


def sighting(number: int, station: str = "van-1", **changes: Any) -> Any:
    made = a_detection(**SUSPECTED)
    name = detection_id(station, f"window {number}", made.subject, made.first_seen)
    return dataclasses.replace(made, detection_id=name, **changes)


def desk_of(central: Central) -> AlertDesk:
    return AlertDesk(central.store, central.clock, central.events.extend)


def only(central: Central) -> AlertRow:
    (row,) = central.store.alerts(10)
    return row


def seen(row: AlertRow) -> Seen:
    return Seen(row.id, row.version)


def raised(central: Central, **changes: Any) -> tuple[Station, AlertRow]:
    van = central.enrol(Station())
    central.take(van.topic(), van.next(sighting(0, **changes)))
    return van, only(central)


def test_ten_thousand_duplicate_detections_are_one_alert_with_a_count(either: Central) -> None:
    van = either.enrol(Station())
    times = 10_000 if either.path.exists() else 1000  # the other database only shows the same
    for number in range(times):
        either.intake.arrive(van.topic(), van.next(sighting(number)))
    while either.intake.unacknowledged:
        either.ingest.step()
    row = only(either)
    assert row.count == times
    assert len(either.store.detections_of(row.id)) == 200  # a page of them, not all
    first = sighting(0)
    assert either.store.observations_of("van-1", first.detection_id) == [
        (1, 0, int(first.last_seen))
    ]


def test_detections_of_many_alerts_at_once_are_those_of_each(either: Central) -> None:
    van = either.enrol(Station())
    for number in range(12):
        subject = {"plmn": "460-00", "arfcn": number % 3}
        either.take(van.topic(), van.next(sighting(number, subject=subject)))
    first, *others = (row.id for row in either.store.alerts(10))
    linked = either.store.detections_of(others[0])[1]
    with either.store.transaction() as tx:
        for _ in range(2):  # the same link again adds nothing
            tx.support_alert(first, linked.device, linked.detection_id)
    for limit in (200, 2):
        each = either.store.detections_of_each([first, others[0], 99], limit)
        assert each == {
            alert_id: either.store.detections_of(alert_id, limit) for alert_id in (first, others[0])
        }
    assert linked in either.store.detections_of(first)
    assert either.store.detections_of_each([]) == {}


def test_a_detection_that_raises_a_second_alert_goes_on_supporting_the_first(
    either: Central,
) -> None:
    van, row = raised(either)
    desk = desk_of(either)
    desk.act(REVIEWER, seen(row), AlertAction.DISMISS, reason="FALSE_POSITIVE")
    higher = sighting(
        0, revision=1, level=Level.CONFIRMED, alert=AlertKind.FAKE_BTS_CONFIRMED,
        severity=Severity.CRITICAL,
    )  # fmt: skip
    either.take(van.topic(), van.next(higher))
    second, first = either.store.alerts(10)
    assert second.follows == first.id
    for alert in (first, second):
        (found,) = either.store.detections_of(alert.id)
        assert (found.alert_id, found.revision) == (second.id, 1)
    key = found.device, found.detection_id
    assert either.store.supported_by([key]) == {key: [first.id]}


def test_a_reviewer_lets_a_detection_support_a_further_alert(either: Central) -> None:
    van, row = raised(either)
    either.take(van.topic(), van.next(sighting(1, subject={"plmn": "460-01", "arfcn": 99})))
    further = either.store.alerts(1)[0]
    (found,) = either.store.detections_of(row.id)
    key = found.device, found.detection_id
    desk = desk_of(either)
    with pytest.raises(RuleError, match="not one of this alert"):
        desk.support(REVIEWER, seen(further), key, row.id)
    with pytest.raises(UnknownError, match="no alert 99"):
        desk.support(REVIEWER, seen(row), key, 99)
    with pytest.raises(RuleError, match="in this alert already"):
        desk.support(REVIEWER, seen(row), key, row.id)
    changed = desk.support(REVIEWER, seen(row), key, further.id, "same trolley")
    assert either.store.supported_by([key]) == {key: [further.id]}
    assert len(either.store.detections_of(further.id)) == 2
    assert either.store.detections_of(row.id) == [found]  # a link, never a move
    for alert_id in (row.id, further.id):
        last = either.store.alert_events(alert_id)[-1]
        assert (last.action, last.actor, last.note) == ("support", "qian", "same trolley")
    with pytest.raises(StaleError):
        desk.support(REVIEWER, seen(row), key, further.id)
    desk.act(REVIEWER, seen(changed), AlertAction.DISMISS, reason="FALSE_POSITIVE")
    with pytest.raises(RuleError, match="DISMISSED"):
        desk.support(REVIEWER, seen(either.store.alert(row.id)), key, further.id)  # type: ignore[arg-type]


def test_what_is_kept_count_of_is_what_is_there(either: Central) -> None:
    van = either.enrol(Station())
    bodies = [a_health(), sighting(1), sighting(1, revision=1), sighting(2, alert=None)]
    raws = [van.next(body) for body in bodies]
    either.take(van.topic(), *raws, raws[0])
    either.take(van.topic(Lane.DECISIONS), van.next(an_attack()))
    keep = Retention(detections_days=1, decisions_days=1)
    for later in (0, 10 * DAY_US):
        erase(either.store, keep, START + later)
        totals = either.store.totals()
        with either.store.reading() as connection:
            counted = [
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
                for table in (t.messages, t.detections, t.decisions)
            ]
        assert [totals.messages, totals.detections, totals.decisions] == counted
    assert counted[:2] == [5, 1]


def test_from_new_to_closed_with_names_and_a_history(either: Central) -> None:
    _, row = raised(either)
    desk = desk_of(either)
    row = desk.act(DUTY, seen(row), AlertAction.ACKNOWLEDGE)
    assert (row.state, row.handler, row.escalate_at) == ("ACKNOWLEDGED", "lin", None)
    row = desk.act(REVIEWER, seen(row), AlertAction.CONFIRM, note="两车同时测到")
    row = desk.act(REVIEWER, seen(row), AlertAction.CLOSE, reason="HANDLED_IN_CASE")
    assert (row.state, row.handler, row.version) == ("CLOSED", "lin", 3)
    history = either.store.alert_events(row.id)
    assert [(e.actor, e.action, e.from_state, e.to_state, e.version) for e in history] == [
        ("lin", "acknowledge", "NEW", "ACKNOWLEDGED", 1),
        ("qian", "confirm", "ACKNOWLEDGED", "CONFIRMED", 2),
        ("qian", "close", "CONFIRMED", "CLOSED", 3),
    ]
    assert history[1].note == "两车同时测到"
    told = [e for e in either.events if e.kind is EventKind.ALERT]
    assert [e.data["change"] for e in told] == ["raised", "acknowledge", "confirm", "close"]
    for action in AlertAction:
        if action not in {AlertAction.NOTE, AlertAction.UNDO, AlertAction.SPLIT}:
            with pytest.raises(RuleError, match="is not possible"):
                desk.act(DUTY, seen(row), action, reason="HARMLESS", snooze_s=60)
    with pytest.raises(RuleError, match="cannot be taken back"):
        desk.undo(REVIEWER, seen(row))


def test_each_act_is_in_the_audit_chain_too(either: Central) -> None:
    _, row = raised(either)
    desk_of(either).act(REVIEWER, seen(row), AlertAction.DISMISS, reason="EXERCISE")
    audit = AuditLog(either.store, either.clock)
    assert audit.verify().is_intact
    (entry,) = either.store.audit_rows(10)
    assert (entry.actor, entry.action, entry.subject) == ("qian", "alert.dismiss", str(row.id))
    assert entry.detail["reason"] == "EXERCISE"


def test_history_is_append_only_in_the_database_itself(either: Central) -> None:
    _, row = raised(either)
    desk_of(either).act(DUTY, seen(row), AlertAction.ACKNOWLEDGE)
    for sql in ("UPDATE alert_events SET actor = 'nobody'", "DELETE FROM alert_events"):
        with pytest.raises((sa.exc.DBAPIError, StoreUnavailableError), match="append-only"):
            with either.store.transaction() as tx:
                tx._connection.exec_driver_sql(sql)  # type: ignore[attr-defined]
    assert [e.actor for e in either.store.alert_events(row.id)] == ["lin"]


def test_of_two_officers_at_once_one_wins_and_the_other_is_told(either: Central) -> None:
    _, row = raised(either)
    desk = desk_of(either)
    outcomes: dict[str, str] = {}
    start = threading.Barrier(2)

    def act(actor: Actor, action: AlertAction) -> None:
        start.wait()
        try:
            done = desk.act(actor, seen(row), action, reason="FALSE_POSITIVE")
        except StaleError as error:
            outcomes[actor.name] = f"told of {error.by}"
        else:
            outcomes[actor.name] = done.state

    pair = (
        threading.Thread(target=act, args=(DUTY, AlertAction.ACKNOWLEDGE)),
        threading.Thread(target=act, args=(REVIEWER, AlertAction.DISMISS)),
    )
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join(30)
    won = {name for name, outcome in outcomes.items() if not outcome.startswith("told")}
    assert len(won) == 1
    (winner,) = won
    (loser,) = set(outcomes) - won
    assert outcomes[loser] == f"told of {winner}"
    assert only(either).state == outcomes[winner]
    assert len(either.store.alert_events(row.id)) == 1


def test_nothing_reopens_a_closed_alert_and_a_later_sighting_is_a_new_one(
    either: Central,
) -> None:
    van, row = raised(either)
    desk = desk_of(either)
    closed = desk.act(REVIEWER, seen(row), AlertAction.DISMISS, reason="FALSE_POSITIVE")
    either.take(van.topic(), van.next(sighting(1)))
    again = only(either)
    assert (again.state, again.count, again.closed_at) == ("DISMISSED", 2, closed.closed_at)
    either.clock.advance(25 * 3600 * 1_000_000)
    either.take(van.topic(), van.next(sighting(2)))
    newest, former = either.store.alerts(10)
    assert (newest.state, newest.follows, newest.count) == ("NEW", row.id, 1)
    assert (former.id, former.state, former.count) == (row.id, "DISMISSED", 2)
    either.take(van.topic(), van.next(sighting(3)))
    assert either.store.alerts(1)[0].count == 2
    worse = sighting(4, level=Level.CONFIRMED, alert=AlertKind.FAKE_BTS_CONFIRMED)
    desk.act(REVIEWER, seen(newest), AlertAction.DISMISS, reason="HARMLESS")
    either.take(van.topic(), van.next(worse))
    assert either.store.alerts(1)[0].kind is AlertKind.FAKE_BTS_CONFIRMED
    assert len(either.store.alerts(10)) == 3


def test_what_one_may_not_see_one_may_not_touch(either: Central) -> None:
    _, row = raised(either)
    desk = desk_of(either)
    stranger = Actor("wu", frozenset({Role.COMMANDER}), frozenset({"370100"}))
    with pytest.raises(NotCoveredError, match="outside your areas"):
        desk.act(stranger, seen(row), AlertAction.ACKNOWLEDGE)
    with pytest.raises(UnknownError, match="no alert 99"):
        desk.act(DUTY, Seen(99, 0), AlertAction.ACKNOWLEDGE)
    assert only(either).state == "NEW"


def test_a_city_has_its_own_alert_of_the_same_subject(either: Central) -> None:
    here, there = either.enrol(Station()), either.enrol(Station(device="van-2", seed=9))
    with either.store.transaction() as tx:
        tx.update_device("van-1", area="530102")
        tx.update_device("van-2", area="370102")
    either.take(here.topic(), here.next(sighting(0)))
    either.take(there.topic(), there.next(sighting(0, "van-2")))
    assert {row.area for row in either.store.alerts(10)} == {"530102", "370102"}
    mine = AlertFilter(areas=frozenset({"530000"}))
    assert [r.area for r in either.store.alert_page(mine, 10).rows] == ["530102"]
    assert either.store.alert_counts(frozenset({"370100"})) == {("NEW", Severity.HIGH): 1}
    assert either.store.alert_counts(frozenset()) == {}


def test_a_list_in_pages_with_filters(either: Central) -> None:
    van = either.enrol(Station())
    for number in range(5):
        subject = {"plmn": "460-00", "arfcn": number, "name": f"50%_off {number}"}
        either.take(van.topic(), van.next(sighting(number, subject=subject)))
    either.take(van.topic(Lane.DECISIONS), van.next(an_attack()))
    everything = AlertFilter(areas=COUNTRY)
    first = either.store.alert_page(everything, 4)
    assert first.after is not None
    second = either.store.alert_page(everything, 4, first.after)
    assert second.after is None
    found = [row.id for row in first.rows + second.rows]
    assert found == sorted(found, reverse=True)
    assert len(found) == 6
    kinds = dataclasses.replace(everything, kind=AlertKind.PRESENTATION_ATTACK)
    assert len(either.store.alert_page(kinds, 10).rows) == 1
    text = dataclasses.replace(everything, text="50%_off 3")
    assert len(either.store.alert_page(text, 10).rows) == 1
    hostile = dataclasses.replace(everything, text="'; DROP TABLE alerts; --")
    assert either.store.alert_page(hostile, 10).rows == ()
    state = dataclasses.replace(everything, states=("CLOSED",), severity=Severity.HIGH)
    assert either.store.alert_page(state, 10).rows == ()


def test_merged_alerts_count_together_keep_their_texts_and_come_apart_again(
    either: Central,
) -> None:
    van, first = raised(either)
    other = {"plmn": "460-11", "arfcn": 63}
    either.take(van.topic(), van.next(sighting(1, subject=other)))
    second = either.store.alerts(1)[0]
    desk = desk_of(either)
    second = desk.act(DUTY, seen(second), AlertAction.NOTE, note="same car")
    target = desk.merge(REVIEWER, seen(first), [seen(second)], "one blaster, two carriers")
    assert target.count == 2
    second = either.store.alert(second.id) or second
    assert (second.state, second.merged_into) == ("MERGED", first.id)
    notes = [e.note for e in either.store.alert_events(first.id)]
    assert notes == ["one blaster, two carriers"]  # the other's text stays with the other
    assert len(either.store.detections_of(first.id)) == 2
    both = first.id, second.id
    assert either.store.detections_of_each(both) == {
        alert_id: either.store.detections_of(alert_id) for alert_id in both
    }
    either.take(van.topic(), van.next(sighting(2, subject=other)))
    target = either.store.alert(first.id) or target
    assert target.count == 3
    with pytest.raises(RuleError, match="the alert is MERGED"):
        desk.act(DUTY, seen(second), AlertAction.ACKNOWLEDGE)
    with pytest.raises(RuleError, match="into itself"):
        desk.merge(REVIEWER, seen(target), [seen(target)])
    apart = desk.split(REVIEWER, seen(second), "it was another car")
    assert (apart.state, apart.merged_into) == ("NEW", None)
    assert [r.id for r in either.store.merged_alerts(first.id)] == []


def test_technical_alerts_and_police_alerts_are_never_one(either: Central) -> None:
    van, row = raised(either)
    atm = either.enrol(Station(device="atm-1", seed=11))
    either.take(van.topic(), atm.next(sighting(9)))  # on the topic of another device
    technical = either.store.alert_page(AlertFilter(areas=COUNTRY, is_technical=True), 10).rows
    assert [r.kind for r in technical] == [AlertKind.TOPIC_ACL_VIOLATION]
    police = either.store.alert_page(AlertFilter(areas=COUNTRY), 10).rows
    assert [r.id for r in police] == [row.id]
    with pytest.raises(RuleError, match="kept apart"):
        desk_of(either).merge(REVIEWER, seen(row), [seen(technical[0])])


def test_one_device_is_split_off_now_and_from_now_on(either: Central) -> None:
    van, row = raised(either)
    other = either.enrol(Station(device="van-2", seed=9))
    either.take(other.topic(), other.next(sighting(0, "van-2")))
    row = only(either)
    assert row.count == 2
    desk = desk_of(either)
    with pytest.raises(RuleError, match="nothing of van-9"):
        desk.split_device(REVIEWER, seen(row), "van-9")
    made = desk.split_device(REVIEWER, seen(row), "van-2", "another district")
    assert (made.device, made.count, made.state) == ("van-2", 1, "NEW")
    either.take(other.topic(), other.next(sighting(1, "van-2")))
    either.take(van.topic(), van.next(sighting(1)))
    counts = {r.device: r.count for r in either.store.alerts(10)}
    assert counts == {"van-1": 2, "van-2": 2}


def test_undo_takes_back_only_ones_own_last_action_and_only_for_a_while(
    either: Central,
) -> None:
    _, row = raised(either)
    desk = desk_of(either)
    row = desk.act(DUTY, seen(row), AlertAction.ACKNOWLEDGE)
    with pytest.raises(RuleError, match="nothing of yours"):
        desk.undo(REVIEWER, seen(row))
    row = desk.undo(DUTY, seen(row))
    assert (row.state, row.handler) == ("NEW", None)
    assert row.escalate_at is not None
    row = desk.act(DUTY, seen(row), AlertAction.ACKNOWLEDGE)
    either.clock.advance(601 * 1_000_000)
    with pytest.raises(RuleError, match="too late"):
        desk.undo(DUTY, seen(row))


def test_calls_go_out_until_somebody_acknowledges_and_wait_for_a_snooze(
    either: Central,
) -> None:
    _, row = raised(either)
    desk = desk_of(either)
    assert desk.call_due() == 0
    either.clock.advance(301 * 1_000_000)
    assert desk.call_due() == 1
    assert desk.call_due() == 0
    called = either.store.alert_events(row.id)[-1]
    assert (called.actor, called.action, called.data["role"]) == (
        "central", "call", "duty_officer",
    )  # fmt: skip
    row = desk.act(DUTY, seen(only(either)), AlertAction.SNOOZE, snooze_s=3600)
    either.clock.advance(3000 * 1_000_000)
    assert desk.call_due() == 0
    either.clock.advance(86_400 * 1_000_000)
    assert desk.call_due() == 1  # one call, however long the central was away
    row = only(either)
    assert row.snoozed_until is None
    desk.act(DUTY, seen(row), AlertAction.ACKNOWLEDGE)
    either.clock.advance(86_400 * 1_000_000)
    assert desk.call_due() == 0


def test_a_bulk_action_says_of_each_what_became_of_it(either: Central) -> None:
    van, first = raised(either)
    either.take(van.topic(), van.next(sighting(1, subject={"plmn": "460-03", "arfcn": 1})))
    second = either.store.alerts(1)[0]
    desk = desk_of(either)
    desk.act(DUTY, seen(first), AlertAction.ACKNOWLEDGE)
    done = desk.act_on_many(
        REVIEWER,
        [seen(first), seen(second), Seen(77, 0)],
        AlertAction.DISMISS,
        reason="EXERCISE",
    )
    assert [(o.alert_id, o.problem is None) for o in done] == [
        (first.id, False),
        (second.id, True),
        (77, False),
    ]
    assert "acknowledge by lin" in (done[0].problem or "")
    assert {r.id: r.state for r in either.store.alerts(10)} == {
        first.id: AlertState.ACKNOWLEDGED,
        second.id: AlertState.DISMISSED,
    }


def test_a_note_of_an_unbearable_length_is_refused(either: Central) -> None:
    _, row = raised(either)
    with pytest.raises(RuleError, match="at most 2000"):
        desk_of(either).act(DUTY, seen(row), AlertAction.NOTE, note="x" * 2001)
    with pytest.raises(RuleError, match="needs a text"):
        desk_of(either).act(DUTY, seen(row), AlertAction.NOTE)
    assert row.raised_at >= START
