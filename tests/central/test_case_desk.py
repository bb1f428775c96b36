"""What people do with cases, over SQLite and over PostgreSQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, Seen, StaleError, UnknownError
from central.audit import AuditLog
from central.case_desk import CaseDesk
from central.case_states import CaseAction, CaseState, NotSolvedError, legs
from central.case_transfer import problem_of
from central.case_work import SeenCase
from central.store import StoreUnavailableError, cases
from central.store.cases import CaseFilter, CaseRow, TipOff
from central.store.write import SqlTransaction
from contract.keys import KeySigner
from tests.central.kit import CENTRAL_KEY, START, Central, Station
from tests.central.test_alert_desk import COUNTRY, raised, seen, sighting

DUTY = Actor("lin", frozenset({Role.DUTY_OFFICER}), COUNTRY)
REVIEWER = Actor("qian", frozenset({Role.REVIEWER}), COUNTRY)
COMMANDER = Actor("sun", frozenset({Role.COMMANDER}), COUNTRY)
CARRIER = Actor("mobile-he", frozenset({Role.CARRIER}), COUNTRY)
JINAN = "济南市反诈中心"
TIP = TipOff(source="CITIZEN", text="楼顶有天线", area="530102", taken_by="", taken_at=0)


def desk_of(central: Central) -> CaseDesk:
    signer = KeySigner(CENTRAL_KEY)
    return CaseDesk(central.store, central.clock, central.events.extend, signer=signer)


def at(row: CaseRow) -> SeenCase:
    return SeenCase(row.id, row.version)


def opened(central: Central) -> tuple[CaseDesk, CaseRow]:
    _, alert = raised(central)
    desk = desk_of(central)
    return desk, desk.open_from_alert(DUTY, seen(alert), "first look")


def verified(central: Central) -> tuple[CaseDesk, CaseRow]:
    desk, case = opened(central)
    inquiry = desk.ask(REVIEWER, at(case), "CMCC", "460-11 ARFCN 62?")
    return desk, desk.answer(CARRIER, inquiry.id, is_ours=False, person="He Wei")


def test_from_an_alert_to_a_closed_case_with_three_names(either: Central) -> None:
    desk, case = verified(either)
    either.clock.advance(60_000_000)
    case = desk.act(COMMANDER, at(case), CaseAction.NOTIFY, note="confirmed by telephone")
    case = desk.act(DUTY, at(case), CaseAction.STRIKE, note="seized in the boot of a car")
    case = desk.act(COMMANDER, at(case), CaseAction.CLOSE)
    assert (case.state, case.reason_code, case.owner) == ("CLOSED", "SOLVED", "lin")
    history = either.store.case_events(case.id)
    assert [(e.actor, e.action, e.to_state) for e in history] == [
        ("lin", "open", "DISCOVERED"),
        ("qian", "ask", "DISCOVERED"),
        ("mobile-he", "verify", "VERIFIED"),
        ("sun", "notify", "NOTIFIED"),
        ("lin", "strike", "STRUCK"),
        ("sun", "close", "CLOSED"),
    ]
    clocks = legs(case.first_seen, [(e.at, CaseState(e.to_state)) for e in history])
    assert [leg.state.value for leg in clocks] == ["DISCOVERED", "VERIFIED", "NOTIFIED", "STRUCK"]
    assert all(leg.ended_at is not None for leg in clocks)
    assert AuditLog(either.store, either.clock).verify().is_intact
    with pytest.raises(RuleError, match="not possible: the case is CLOSED"):
        desk.act(COMMANDER, at(case), CaseAction.NOTIFY)


def test_police_are_not_notified_before_the_unit_answered(either: Central) -> None:
    desk, case = opened(either)
    with pytest.raises(RuleError, match="notify is not possible: the case is DISCOVERED"):
        desk.act(COMMANDER, at(case), CaseAction.NOTIFY)
    inquiry = desk.ask(REVIEWER, at(case), "CMCC", "")
    with pytest.raises(RuleError, match="name of the unit's person"):
        desk.answer(CARRIER, inquiry.id, is_ours=True, person="  ")
    case = desk.answer(CARRIER, inquiry.id, is_ours=True, person="He Wei")
    assert (case.state, case.reason_code) == ("CLEARED", "OURS")
    with pytest.raises(RuleError, match="has answered this inquiry already"):
        desk.answer(CARRIER, inquiry.id, is_ours=False, person="He Wei")


def test_no_closing_before_solved_or_a_transfer_that_a_named_person_accepts(
    either: Central,
) -> None:
    desk, case = opened(either)
    with pytest.raises(NotSolvedError):
        desk.act(COMMANDER, at(case), CaseAction.CLOSE)
    with pytest.raises(RuleError, match="nobody was asked"):
        desk.transfer(COMMANDER, at(case), JINAN)
    case = desk.offer(COMMANDER, at(case), JINAN)
    with pytest.raises(RuleError, match="two names, two people"):
        desk.transfer(COMMANDER, at(case), JINAN)
    with pytest.raises(RuleError, match="is offered to 济南市反诈中心"):
        desk.transfer(REVIEWER, at(case), "another unit")
    case = desk.transfer(REVIEWER, at(case), f" {JINAN} ", "taken over")
    assert (case.state, case.reason_code) == ("CLOSED", "TRANSFERRED")
    assert case.ended_at is not None


def test_a_transfer_is_signed_over_both_names_and_the_whole_history(either: Central) -> None:
    desk, case = opened(either)
    case = desk.offer(COMMANDER, at(case), JINAN)
    unsigned = CaseDesk(either.store, either.clock)
    with pytest.raises(RuleError, match="no key"):
        unsigned.transfer(REVIEWER, at(case), JINAN)
    desk.transfer(REVIEWER, at(case), JINAN, "taken over")
    events = list(either.store.case_events(case.id))
    signed, signer = events[-1].data, KeySigner(CENTRAL_KEY)
    document = signed["transfer"]
    names = document["offered_by"], document["accepted_by"], document["unit"], document["case"]
    assert names == ("sun", "qian", JINAN, case.number)
    assert problem_of(signed, events, signer) is None
    assert problem_of(signed, events[1:], signer) == "the history is no longer what was handed over"
    forged = {**signed, "transfer": {**document, "accepted_by": "somebody"}}
    assert problem_of(forged, events, signer) == "the signature does not verify"
    assert problem_of({**signed, "kid": "00"}, events, signer) is not None
    assert problem_of({**signed, "signature": "x"}, events, signer) is not None


def test_a_solved_case_with_open_work_is_not_closed(either: Central) -> None:
    desk, case = verified(either)
    case = desk.act(COMMANDER, at(case), CaseAction.NOTIFY)
    case = desk.act(DUTY, at(case), CaseAction.STRIKE)
    case = desk.add_part(DUTY, at(case), "task", "count the SIM cards")
    with pytest.raises(RuleError, match="1 of its tasks are still open"):
        desk.act(COMMANDER, at(case), CaseAction.CLOSE)
    (task,) = either.store.case_parts(case.id)
    case = desk.end_part(DUTY, at(case), task.id, "512")
    assert desk.act(COMMANDER, at(case), CaseAction.CLOSE).state == "CLOSED"


def test_the_second_of_two_is_told_who_was_first(either: Central) -> None:
    desk, case = verified(either)
    desk.act(COMMANDER, at(case), CaseAction.NOTIFY)
    with pytest.raises(StaleError, match="notify by sun; it is NOTIFIED now"):
        desk.act(REVIEWER, at(case), CaseAction.CLEAR, reason="HARMLESS")
    stranger = Actor("wu", frozenset({Role.COMMANDER}), frozenset({"370100"}))
    with pytest.raises(NotCoveredError):
        desk.act(stranger, at(case), CaseAction.NOTE, note="x")
    with pytest.raises(UnknownError):
        desk.act(DUTY, SeenCase(99, 1), CaseAction.NOTE, note="x")


def test_an_alert_is_linked_and_never_copied_and_belongs_to_one_open_case(
    either: Central,
) -> None:
    desk, case = opened(either)
    (alert,) = either.store.case_alerts(case.id)
    with pytest.raises(RuleError, match=f"belongs to case {case.number} already"):
        desk.open_from_alert(DUTY, seen(alert))
    lead = desk.open_lead(REVIEWER, "GOIP_DEN", "530102", {"numbers": 12}, "from the carrier")
    assert (lead.state, lead.owner) == ("LEAD", "qian")
    van = Station(device="van-1", seq=1, prev=either.store.message("van-1", 1).digest)  # type: ignore[union-attr]
    either.take(van.topic(), van.next(sighting(7, subject={"plmn": "460-00", "arfcn": 9})))
    further = either.store.alerts(1)[0]
    lead = desk.link(REVIEWER, at(lead), seen(further))
    assert lead.state == "DISCOVERED"
    assert [c.number for c in either.store.cases_of_alert(further.id)] == [lead.number]
    assert case.number != lead.number
    shared = either.store.alert(alert.id) or alert
    desk.link(REVIEWER, at(lead), Seen(shared.id, shared.version))  # N alerts to M cases
    assert len(either.store.cases_of_alert(alert.id)) == 2


def test_a_case_off_the_air_sleeps_and_keeps_how_far_it_came(either: Central) -> None:
    desk, case = verified(either)
    case = desk.act(DUTY, at(case), CaseAction.SLEEP)
    assert case.shown_state == "DORMANT"
    asleep = CaseFilter(areas=COUNTRY, is_dormant=True)
    assert [c.id for c in either.store.case_page(asleep, 10)[0]] == [case.id]
    assert either.store.case_counts(COUNTRY) == {"DORMANT": 1}
    with pytest.raises(RuleError, match="sleep is not possible"):
        desk.act(DUTY, at(case), CaseAction.SLEEP)
    case = desk.act(DUTY, at(case), CaseAction.WAKE)
    assert case.shown_state == "VERIFIED"
    case = desk.act(DUTY, at(case), CaseAction.SLEEP)
    case = desk.act(COMMANDER, at(case), CaseAction.NOTIFY)
    assert case.shown_state == "NOTIFIED"


def test_members_tasks_and_seized_things_keep_their_names(either: Central) -> None:
    desk, case = opened(either)
    case = desk.add_part(DUTY, at(case), "member", "zhao")
    case = desk.add_part(DUTY, at(case), "task", "search the roof", {"assignee": "zhao"})
    case = desk.add_part(
        DUTY, at(case), "item", "SMS blaster", {"quantity": 1, "serial": "<b>7</b>"}
    )
    parts = either.store.case_parts(case.id)
    assert [p.kind for p in parts] == ["member", "task", "item"]
    case = desk.end_part(REVIEWER, at(case), parts[1].id, "found")
    with pytest.raises(RuleError, match="qian has ended it already"):
        desk.end_part(DUTY, at(case), parts[1].id)
    with pytest.raises(UnknownError, match="no part 99"):
        desk.end_part(DUTY, at(case), 99)
    with pytest.raises(RuleError, match="a part is one of"):
        desk.add_part(DUTY, at(case), "weapon", "x")
    done = either.store.case_parts(case.id)[1]
    assert (done.ended_by, done.outcome) == ("qian", "found")
    case = desk.own(COMMANDER, at(case), "qian")
    assert case.owner == "qian"
    with pytest.raises(RuleError, match="always has an owner"):
        desk.own(COMMANDER, at(case), " ")


def test_a_reward_is_awarded_once_in_its_range_and_only_after_verification(
    either: Central,
) -> None:
    desk, case = opened(either)
    tip = desk.take_tip(DUTY, TIP)
    with pytest.raises(RuleError, match="belongs to no case"):
        desk.award(COMMANDER, tip, 200_000)
    case = desk.link_tip(DUTY, at(case), tip)
    with pytest.raises(RuleError, match="after verification; the case is DISCOVERED"):
        desk.award(COMMANDER, tip, 200_000)
    inquiry = desk.ask(REVIEWER, at(case), "CMCC", "")
    desk.answer(CARRIER, inquiry.id, is_ours=False, person="He")
    with pytest.raises(RuleError, match="1000 to 10000 yuan"):
        desk.award(COMMANDER, tip, 99_999)
    desk.award(COMMANDER, tip, 200_000)
    with pytest.raises(RuleError, match="sun has awarded"):
        desk.award(COMMANDER, tip, 200_000)
    (row,) = either.store.tip_offs(COUNTRY)
    assert (row.reward_fen, row.awarded_by, row.taken_by) == (200_000, "sun", "lin")
    assert either.store.tip_offs(frozenset({"370000"})) == []


def test_cases_in_pages_and_numbers_that_are_never_used_twice(either: Central) -> None:
    desk = desk_of(either)
    made = [
        desk.open_lead(DUTY, "GOIP_DEN", "530102", {"n": n, "t": "100%_x"}, "") for n in range(5)
    ]
    assert len({c.number for c in made}) == 5
    assert made[0].number == "530102-20260102-0001"
    page, after = either.store.case_page(CaseFilter(areas=COUNTRY), 3)
    rest, end = either.store.case_page(CaseFilter(areas=COUNTRY), 3, after)
    assert [c.id for c in (*page, *rest)] == [c.id for c in reversed(made)]
    assert end is None
    text = CaseFilter(areas=COUNTRY, text="100%_x", owner="lin", states=("LEAD",))
    assert len(either.store.case_page(text, 10)[0]) == 5
    assert either.store.case_page(CaseFilter(areas=frozenset({"110000"})), 3)[0] == []
    assert START > 0


def test_a_cases_history_is_append_only_in_the_database_itself(either: Central) -> None:
    opened(either)
    for sql in ("UPDATE case_events SET actor = 'nobody'", "DELETE FROM case_events"):
        with pytest.raises((sa.exc.DBAPIError, StoreUnavailableError), match="append-only"):
            with either.store.transaction() as tx:
                tx._connection.exec_driver_sql(sql)  # type: ignore[attr-defined]


def test_a_liaison_sees_and_answers_only_what_their_own_role_is_asked(either: Central) -> None:
    desk, case = opened(either)
    regulator = Actor("ma", frozenset({Role.REGULATOR}), COUNTRY)
    asked = desk.ask(REVIEWER, at(case), "the radio regulator", "licensed?", Role.REGULATOR)

    def questions(actor: Actor) -> list[int]:
        return [i.id for i, _ in either.store.open_inquiries(actor.areas, actor.roles)]

    assert (questions(regulator), questions(CARRIER)) == ([asked.id], [])
    assert questions(Actor("bo", frozenset({Role.BANK}), COUNTRY)) == []
    assert questions(Actor("ma", regulator.roles, frozenset({"110000"}))) == []
    with pytest.raises(UnknownError):
        desk.answer(CARRIER, asked.id, is_ours=True, person="He Wei", is_liaison=True)
    case = desk.answer(regulator, asked.id, is_ours=False, person="Ma Li", is_liaison=True)
    assert case.state == "VERIFIED"
    assert questions(regulator) == []


def test_a_question_from_before_roles_were_said_is_any_liaisons(either: Central) -> None:
    desk, case = opened(either)
    asked = desk.ask(REVIEWER, at(case), "CMCC", "")
    with either.store.transaction() as tx:
        assert isinstance(tx, SqlTransaction)
        cases.change(tx._connection, cases.Inquiry, asked.id, role="")
    ((found, _),) = either.store.open_inquiries(COUNTRY, {Role.REGULATOR})
    assert found.id == asked.id
    assert desk.answer(CARRIER, asked.id, is_ours=False, person="He", is_liaison=True)
