"""Feeds with receipts, numbers from many sources to a carrier and back, people warned in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.actor import UNIT_ROLES, Actor, Role
from central.alert_states import RuleError
from central.alert_work import NotCoveredError, UnknownError
from central.allow import Allowance, AllowanceKind
from central.dissuasion import Outcome, Risk, Step
from central.orders.sealed import Vault
from central.people.permissions import Permission, may
from central.store.interface import Event
from central.store.triage import add_allowance
from central.units import FeedDesk, NumberDesk, OutreachDesk
from central.units.bounds import OtherUnitError, unit_of
from central.units.feeds import UnitKind
from contract import Reason
from contract.cosign import open_order
from contract.keys import KeySigner
from contract.orders import EndNotice, ShowNotice
from contract.words import FeedKind
from tests.central.kit import CENTRAL_KEY, START, TENANT, Central, Station
from tests.orders import FIND
from tests.samples import a_detection

LI = Actor("li", frozenset({Role.DUTY_OFFICER}), frozenset({"000000"}))
WANG = Actor("wang", frozenset({Role.REVIEWER}), frozenset({"000000"}))
HOUR_US = 3_600_000_000
LEADS: list[Mapping[str, str]] = []


def take_lead(tx: object, now: int, actor: Actor, lead: Mapping[str, str]) -> Sequence[Event]:
    if lead["area"] == "999999":
        raise NotCoveredError("the area 999999 is not one of yours")
    LEADS.append(lead)
    return ()


@pytest.fixture
def feeds(either: Central) -> FeedDesk:
    made = FeedDesk(either.store, either.clock, take_lead)
    made.add_unit(LI, "mobile", "移动", "Mobile", UnitKind.OPERATOR, 24)
    return made


def test_rows_are_taken_and_refused_by_line_and_the_receipt_stays(feeds: FeedDesk) -> None:
    text = "number\n+86 138-0013-8000\nabc\n\n13800138000\n１３８００１３８００１\n1,2\n"
    receipt = feeds.take(LI, "mobile", FeedKind.NUMBERS, "may.csv", text)
    assert (receipt.taken, receipt.refused) == (3, 2)
    assert [line for line, _ in receipt.refusals] == [3, 7]
    assert feeds.receipts(1) == [receipt]
    with pytest.raises(UnknownError):
        feeds.take(LI, "nobody", FeedKind.NUMBERS, "x", text)
    wrong = feeds.take(LI, "mobile", FeedKind.NUMBERS, "x", "telephone\n1\n")
    assert (wrong.taken, wrong.refusals) == (0, [[1, "the header is number"]])


def test_leads_become_cases_and_figures_keep_their_source(feeds: FeedDesk) -> None:
    LEADS.clear()
    text = (
        "numbers,area,lat,lon,radius_m,note\n40,530102,25.0,102.7,500,in step\n"
        "0,530102,25.0,102.7,500,\n40,999999,25.0,102.7,500,\n40,530102,91,102.7,500,\n"
    )
    receipt = feeds.take(LI, "mobile", FeedKind.LEADS, "x", text)
    assert (receipt.taken, [line for line, _ in receipt.refusals]) == (1, [3, 4, 5])
    assert [(lead["unit"], lead["numbers"]) for lead in LEADS] == [("mobile", "40")]
    figures = "name,period,value\nblocked,2026-01,143\nblocked,2026-13-1,1\n"
    receipt = feeds.take(LI, "mobile", FeedKind.INDICATORS, "x", figures)
    assert (receipt.taken, receipt.refused) == (1, 1)
    feeds.take(LI, "mobile", FeedKind.INDICATORS, "x", "name,period,value\nblocked,2026-01,144\n")
    [figure] = feeds.indicators(10)
    assert (figure["unit"], figure["value"]) == ("mobile", "144")  # as sent last, nothing computed


def test_a_unit_that_says_nothing_is_silent(feeds: FeedDesk, either: Central) -> None:
    feeds.add_unit(LI, "bank", "银行", "Bank", UnitKind.BANK, 0)
    either.clock.advance(25 * HOUR_US)
    assert {u.unit: u.is_silent for u in feeds.units()} == {"mobile": True, "bank": False}
    feeds.take(LI, "mobile", FeedKind.NUMBERS, "x", "number\n10\n")  # even a refused row is a word
    assert not any(unit.is_silent for unit in feeds.units())
    with pytest.raises(RuleError):
        feeds.add_unit(LI, "Bad Name", "x", "x", UnitKind.BANK, 0)


def test_from_many_sources_to_a_carrier_and_back(feeds: FeedDesk, either: Central) -> None:
    desk = NumberDesk(either.store, either.clock)
    rows = "".join(f"1380013800{n}\n" for n in range(10))
    feeds.take(LI, "mobile", FeedKind.NUMBERS, "a", "number\n" + rows + "95588\n")
    feeds.take(LI, "mobile", FeedKind.NUMBERS, "b", "number\n+86 138 0013 8001\n")
    found = {one.number: one.sources for one in desk.candidates(100)}
    assert len(found) == 10  # the bank's hotline was never put forward
    assert found["13800138001"] == ("mobile a:3", "mobile b:2")
    [hotline] = desk.rejected(10)
    assert (hotline["number"], hotline["reason"]) == ("95588", "IMPERSONATED_NOT_FRAUD")
    with pytest.raises(RuleError, match="may not be blocked"):
        desk.approve(WANG, ["13800138000", "95588"], "mobile", "R1")
    with pytest.raises(RuleError, match="carrier"):
        desk.approve(WANG, ["13800138000"], "", "R1")
    desk.reject(WANG, ["13800138009"], "a shop")
    pushed = [n for n in found if n != "13800138009"][:8]
    assert len(desk.approve(WANG, pushed, "mobile", "R1")) == 8
    assert desk.counts() == {"candidate": 1, "rejected": 2, "pushed": 8}
    either.clock.advance(25 * HOUR_US)
    for number in pushed[:4]:
        desk.note(LI, number, "done")
    desk.note(LI, pushed[7], "wrong")
    either.clock.advance(2 * HOUR_US)
    sightings = (
        f"number,seen_at\n{pushed[0]},2026-01-03T13:00:00+08:00\n"
        f"{pushed[1]},2026-01-03T10:00:00+08:00\n{pushed[2]},2026-01-03\n110,2026-01-03T13:00:00Z\n"
    )
    receipt = feeds.take(LI, "mobile", FeedKind.SIGHTINGS, "s", sightings)
    assert (receipt.taken, [line for line, _ in receipt.refusals]) == (2, [4, 5])
    found_all = desk.evaluation()
    for group in ("all", "carrier mobile", "rule R1"):
        one = found_all[group]
        assert (one.pushed, one.missed, one.wrong, one.late) == (8, (pushed[0],), 1, 4)
        assert one.missed_rate == Fraction(1, 8)  # the call before its block was done is none
    assert desk.push_back_missed(WANG) == 1
    assert desk.push_back_missed(WANG) == 0
    with pytest.raises(UnknownError):
        desk.note(LI, pushed[1], "answered", "?")
    assert desk.pushes(10)[0]["state"] == "due"
    either.clock.advance(80 * HOUR_US)
    assert desk.pushes(10)[0]["state"] == "overdue"
    desk.note(LI, pushed[0], "answered", "blocked now")
    assert {row["state"] for row in desk.pushes(10)} == {"answered", ""}


def test_whatever_is_protected_or_was_spoofed_is_never_blocked_in_any_spelling(
    feeds: FeedDesk, either: Central
) -> None:
    with either.store.transaction() as tx:
        for number, text in enumerate(["+86 400-820-8820", "ＣＣＢ"]):
            add_allowance(
                tx._connection,  # type: ignore[attr-defined]
                Allowance(
                    kind=AllowanceKind.PROTECTED_NUMBER, match={"number": text}, area="000000",
                    valid_from=number, valid_until=None, note="", added_by="x", added_at=1,
                ),
            )  # fmt: skip
    van = either.enrol(Station())
    spoofed = Reason(
        rule="SPOOFED_SENDER", family="messages", weight=2.3,
        values={"sender": "+8695511", "whose": "an insurer"},
    )  # fmt: skip
    detection = a_detection()
    changed = {"reasons": (*detection.reasons, spoofed)}
    pretended = a_detection(
        subject={"plmn": "460-12", "sms_from": "0086 95522"}, detection_id=b"\x01" * 16,
        track_id="460-12/62",
    )  # fmt: skip
    either.take(van.topic(), van.next(a_detection(**changed)), van.next(pretended))
    rows = "4008208820\n95511\n95522\n13800138000\n"
    feeds.take(LI, "mobile", FeedKind.NUMBERS, "x", f"number\n{rows}")
    desk = NumberDesk(either.store, either.clock)
    assert [one.number for one in desk.candidates(10)] == ["13800138000"]
    assert {row["number"] for row in desk.rejected(10)} == {"4008208820", "95511", "95522"}
    with pytest.raises(RuleError, match="may not be blocked"):
        desk.approve(WANG, ["95511"], "mobile", "R1")


def test_a_block_whose_number_was_spoofed_later_is_to_be_taken_back(
    feeds: FeedDesk, either: Central
) -> None:
    rows = "13800138000\n13900139000\n95511\n"
    feeds.take(LI, "mobile", FeedKind.NUMBERS, "x", f"number\n{rows}")
    desk = NumberDesk(either.store, either.clock)
    desk.candidates(10)
    desk.approve(WANG, rows.split(), "mobile", "R1")
    assert not any(row["is_protected"] for row in desk.pushes(10))
    van = either.enrol(Station())
    subject = {"plmn": "460-12", "sms_from": "+86 95511"}
    either.take(van.topic(), van.next(a_detection(subject=subject)))
    [first] = desk.pushes(1)  # before all others, however many
    assert (first["number"], first["is_protected"]) == ("95511", True)
    assert len(desk.pushes(10)) == 3
    assert not any(row["is_protected"] for row in desk.pushes(10, {"unicom"}))
    desk.note(LI, "95511", "wrong")
    assert not any(row["is_protected"] for row in desk.pushes(10))


def test_a_threshold_is_changed_by_two(either: Central) -> None:
    desk = NumberDesk(either.store, either.clock)
    desk.propose_rule(LI, "CRO_EXTREME", "60 to 70 dB: 3 of 4 dismissed")
    [change] = desk.rule_changes(10)
    with pytest.raises(RuleError, match="two different people"):
        desk.decide_rule(LI, change["id"], is_approved=True)
    desk.decide_rule(WANG, change["id"], is_approved=True)
    assert desk.rule_changes(10)[0]["state"] == "approved"
    with pytest.raises(UnknownError):
        desk.decide_rule(WANG, 99, is_approved=True)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(list(FeedKind)), text=st.text(max_size=200))
def test_any_text_gets_a_receipt(
    tmp_path_factory: pytest.TempPathFactory, kind: FeedKind, text: str
) -> None:
    central = Central(tmp_path_factory.mktemp("any"))
    desk = FeedDesk(central.store, central.clock, take_lead)
    desk.add_unit(LI, "mobile", "移动", "Mobile", UnitKind.OPERATOR, 24)
    receipt = desk.take(LI, "mobile", kind, "x", text)
    assert receipt.taken + receipt.refused <= len(text.splitlines()) + 1
    central.store.close()


# -- people and notices ----------------------------------------------------------------------------


def outreach(central: Central, sent: list[bytes] | None = None) -> OutreachDesk:
    return OutreachDesk(
        central.store,
        central.clock,
        vault=lambda: Vault(b"v" * 32),
        tenant=TENANT,
        signer=KeySigner(CENTRAL_KEY),
        publish=None if sent is None else sent.append,
    )


def test_message_call_visit_each_after_the_former_failed(either: Central) -> None:
    desk = outreach(either)
    made = desk.open(LI, "138 0013 8000", Risk.HIGH, "530102", "transfers to strangers")
    with pytest.raises(RuleError, match="not the step that is due"):
        desk.note_step(LI, made, Step.CALL_96110, Outcome.FAILED, "")
    with pytest.raises(RuleError, match="no link"):
        desk.note_step(LI, made, Step.SMS, Outcome.OK, "see http://x.cn")
    for step in (Step.SMS, Step.CALL_96110, Step.FACE_TO_FACE):
        [one] = desk.dissuasions(LI, 10)
        assert one.next.step is step
        desk.note_step(LI, made, step, Outcome.REFUSED, "")
    [one] = desk.dissuasions(LI, 10)
    assert (one.next.step, one.next.is_escalated, one.last4) == (None, True, "8000")
    assert [row["step"] for row in one.tried] == ["SMS", "CALL_96110", "FACE_TO_FACE"]
    low = desk.open(LI, "13800138001", Risk.LOW, "530102", "")
    desk.note_step(LI, low, Step.SMS, Outcome.FAILED, "")
    with pytest.raises(RuleError):
        desk.note_step(LI, low, Step.CALL_96110, Outcome.OK, "")
    elsewhere = Actor("he", frozenset(Role), frozenset({"110000"}))
    assert desk.dissuasions(elsewhere, 10) == []
    with pytest.raises(NotCoveredError):
        desk.open_number(elsewhere, made)
    assert desk.open_number(WANG, made) == "13800138000"
    assert "dissuasion.open_number" in [row.action for row in either.store.audit_chain()]


def test_refusals_are_counted_for_the_person_over_all_records(either: Central) -> None:
    desk = outreach(either)
    for _ in range(2):
        made = desk.open(LI, "138 0013 8000", Risk.LOW, "530102", "")
        after = desk.note_step(LI, made, Step.SMS, Outcome.REFUSED, "")
        assert not after.is_escalated
    same_ending = desk.open(LI, "13900138000", Risk.LOW, "530102", "")
    assert not desk.note_step(LI, same_ending, Step.SMS, Outcome.REFUSED, "").is_escalated
    third = desk.open(LI, "+86 13800138000", Risk.HIGH, "530102", "")
    after = desk.note_step(LI, third, Step.SMS, Outcome.REFUSED, "")
    assert (after.is_escalated, after.step) == (True, Step.CALL_96110)
    with pytest.raises(RuleError, match="a commander decides"):
        desk.note_step(WANG, third, Step.CALL_96110, Outcome.FAILED, "")
    rows = either.store.audit_chain()
    assert [r.subject for r in rows if r.action == "dissuasion.escalated"] == [str(third)]
    sun = Actor("sun", frozenset({Role.COMMANDER}), frozenset({"000000"}))
    assert desk.note_step(sun, third, Step.CALL_96110, Outcome.FAILED, "").is_escalated
    escalated = [one.id for one in desk.dissuasions(LI, 10) if one.next.is_escalated]
    assert escalated == [third]


def test_a_persons_number_is_sealed(central: Central) -> None:
    outreach(central).open(LI, "13800138000", Risk.LOW, "530102", "")
    assert b"13800138000" not in b"".join(
        path.read_bytes() for path in central.path.parent.glob("central.sqlite3*")
    )
    with pytest.raises(RuleError):
        outreach(central).open(LI, "nobody", Risk.LOW, "530102", "")


def test_a_notice_is_a_signed_order_with_its_end(either: Central) -> None:
    sent: list[bytes] = []
    desk = outreach(either, sent)
    notice = desk.show(WANG, "谨防冒充公检法", "Police never ask you to transfer money.", 24)
    body = open_order(sent[0], tenant=TENANT, find_key=FIND).body
    assert isinstance(body, ShowNotice)
    assert (body.notice, body.until) == (notice, START + 24 * HOUR_US)
    desk.end(WANG, notice)
    assert isinstance(open_order(sent[1], tenant=TENANT, find_key=FIND).body, EndNotice)
    with pytest.raises(UnknownError):
        desk.end(WANG, notice)
    with pytest.raises(RuleError):
        desk.show(WANG, "", "x", 1)
    with pytest.raises(RuleError, match="no broker"):
        outreach(either).show(WANG, "谨防诈骗", "Beware.", 1)
    assert desk.notices(10)[0]["is_over"]


def test_pages_by_plain_forms(central: Central, tmp_path: Path) -> None:
    from central.hub import Hub
    from central.web import create_app
    from tests.central.kit import settings as settings_in
    from tests.central.signing import client_as

    app = create_app(central.store, Hub(), settings_in(tmp_path), clock=central.clock)
    with (
        client_as(app, "sun", [Role.COMMANDER]) as sun,
        client_as(app, "lin", [Role.DUTY_OFFICER]) as lin,
    ):
        unit = {"unit": "mobile", "zh": "移动", "en": "Mobile", "kind": "operator", "every": 24}
        assert lin.post("/units", data=unit).status_code == 403
        assert sun.post("/units", data=unit).status_code == 303
        he = client_as(app, "he", [Role.CARRIER], unit="mobile")
        csv = "number\n13800138000\n110\nx\n"
        answer = he.post(
            "/api/feeds/mobile/numbers", content=csv, headers={"content-type": "text/csv"}
        )
        assert answer.status_code == 200, answer.text
        receipt = answer.json()
        assert (receipt["taken"], receipt["refused"]) == (2, 1)
        assert receipt["refusals"][0]["line"] == 4
        assert 'data-unit="mobile"' in he.get("/units").text
        leads = "numbers,area,lat,lon,radius_m,note\n40,530102,25.0,102.7,500,x\n"
        form = {"unit": "mobile", "kind": "leads", "rows": leads}
        assert lin.post("/units/feed", data=form).status_code == 303
        found = central.store.case(1)
        assert found is not None
        assert found.subject["numbers"] == 40
        page = lin.get("/numbers").text
        assert 'data-candidate="13800138000"' in page
        assert 'data-rejected="110"' in page
        push = {"answer": "push", "numbers": ["13800138000"], "carrier": "mobile", "rule": "R1"}
        assert lin.post("/numbers/review", data=push).status_code == 403
        assert sun.post("/numbers/review", data=push).status_code == 303
        done = {"number": "13800138000", "what": "done"}
        assert he.post("/numbers/note", data=done).status_code == 303
        person = {"number": "13900139000", "risk": "high", "area": "530102"}
        assert lin.post("/outreach", data=person).status_code == 303
        said = {"step": "SMS", "outcome": "FAILED", "text": "谨防诈骗"}
        assert lin.post("/outreach/1/step", data=said).status_code == 303
        page = lin.get("/outreach").text
        assert 'data-due="CALL_96110"' in page
        assert "13900139000" not in page
        assert "13900139000" in sun.post("/outreach/1/number").text
        assert lin.post("/outreach/1/number").status_code == 403


# -- a person of one unit --------------------------------------------------------------------------

HE = Actor("he", frozenset({Role.CARRIER}), frozenset({"000000"}), "mobile")
WU = Actor("wu", frozenset({Role.CARRIER}), frozenset({"000000"}))


def refusals(central: Central) -> list[tuple[str, str]]:
    rows = central.store.audit_chain()
    return [(r.actor, r.subject) for r in rows if (r.action, r.outcome) == REFUSED_UNIT]


REFUSED_UNIT = ("unit.refused", "refused")


def test_a_liaison_feeds_for_one_unit_and_every_refusal_is_on_record(
    feeds: FeedDesk, either: Central
) -> None:
    feeds.add_unit(LI, "unicom", "联通", "Unicom", UnitKind.OPERATOR, 24)
    text = "number\n13800138000\n"
    assert feeds.take(HE, "mobile", FeedKind.NUMBERS, "x", text).taken == 1
    with pytest.raises(OtherUnitError, match="another member unit"):
        feeds.take(HE, "unicom", FeedKind.NUMBERS, "x", text)
    with pytest.raises(OtherUnitError, match="another member unit"):
        feeds.take(HE, "nobody", FeedKind.NUMBERS, "x", text)  # whether or not there is one
    with pytest.raises(OtherUnitError, match="bound you"):
        feeds.take(WU, "mobile", FeedKind.NUMBERS, "x", text)
    assert refusals(either) == [("he", "unicom"), ("he", "nobody"), ("wu", "mobile")]
    assert len(feeds.receipts(10)) == 1
    assert feeds.take(LI, "unicom", FeedKind.NUMBERS, "x", text).taken == 1  # the centre, for any
    assert [r.unit for r in feeds.receipts(10, "mobile")] == ["mobile"]
    assert [u.unit for u in feeds.units("mobile")] == ["mobile"]


def test_another_role_of_no_unit_lends_nothing_that_it_does_not_have(feeds: FeedDesk) -> None:
    both = Actor("xu", frozenset({Role.CARRIER, Role.AUDITOR}), frozenset({"000000"}))
    assert unit_of(both, Permission.NUMBERS_READ) is None  # an auditor reads all
    with pytest.raises(OtherUnitError):  # and feeds nothing
        feeds.take(both, "mobile", FeedKind.NUMBERS, "x", "number\n13800138000\n")


@given(
    roles=st.frozensets(st.sampled_from(list(Role))),
    unit=st.sampled_from(["", "mobile"]),
    permission=st.sampled_from(
        [Permission.UNITS_FEED, Permission.UNITS_READ, Permission.NUMBERS_READ]
    ),
)
def test_every_unit_is_reached_by_a_role_of_the_centre_alone(
    roles: frozenset[Role], unit: str, permission: Permission
) -> None:
    try:
        reached = unit_of(Actor("x", roles, frozenset(), unit), permission)
    except OtherUnitError:
        assert not unit
        assert not any(
            may(Actor("y", frozenset({role})), permission) for role in roles - UNIT_ROLES
        )
        return
    if reached is None:
        assert not unit
        assert any(may(Actor("y", frozenset({role})), permission) for role in roles - UNIT_ROLES)
    else:
        assert reached == unit


def test_a_carrier_answers_its_own_blocks_and_learns_nothing_of_others(
    feeds: FeedDesk, either: Central
) -> None:
    feeds.add_unit(LI, "unicom", "联通", "Unicom", UnitKind.OPERATOR, 24)
    feeds.take(
        LI, "mobile", FeedKind.NUMBERS, "x", "number\n13800138000\n13800138001\n13000130000\n"
    )
    desk = NumberDesk(either.store, either.clock)
    desk.candidates(10)
    desk.approve(WANG, ["13800138000"], "mobile", "R1")
    desk.approve(WANG, ["13800138001"], "移动", "R1")  # by its name in either language
    desk.approve(WANG, ["13000130000"], "unicom", "R1")
    own = desk.bounds.carriers(HE, Permission.NUMBERS_READ)
    assert {row["number"] for row in desk.pushes(10, own)} == {"13800138000", "13800138001"}
    assert desk.evaluation(own)["all"].pushed == 2
    assert "carrier unicom" not in desk.evaluation(own)
    desk.note(HE, "13800138001", "done")
    for number in ("13000130000", "15900000000"):  # another's, and one that nobody has
        with pytest.raises(OtherUnitError, match="another member unit"):
            desk.note(HE, number, "wrong")
    with pytest.raises(OtherUnitError, match="centre pushes back"):
        desk.note(HE, "13800138000", "back")
    with pytest.raises(OtherUnitError):
        desk.note(WU, "13800138000", "done")
    assert [who for who, _ in refusals(either)] == ["he", "he", "he", "wu"]
    assert [row["done_at"] is not None for row in desk.pushes(10, {"unicom"})] == [False]


def test_pages_of_two_carriers(central: Central, tmp_path: Path) -> None:
    from central.hub import Hub
    from central.web import create_app
    from tests.central.kit import settings as settings_in
    from tests.central.signing import client_as

    app = create_app(central.store, Hub(), settings_in(tmp_path), clock=central.clock)
    feeds = FeedDesk(central.store, central.clock)
    for unit, zh, number in (("mobile", "移动", "13800138000"), ("unicom", "联通", "13000130000")):
        feeds.add_unit(LI, unit, zh, unit.title(), UnitKind.OPERATOR, 24)
        feeds.take(LI, unit, FeedKind.NUMBERS, "x", f"number\n{number}\n15900000000\n")
        feeds.take(LI, unit, FeedKind.INDICATORS, "x", f"name,period,value\n{unit}-calls,2026,7\n")
        desk = NumberDesk(central.store, central.clock)
        desk.candidates(10)
        desk.approve(WANG, [number], unit, "R1")
    with (
        client_as(app, "he", [Role.CARRIER], unit="mobile") as he,
        client_as(app, "wu", [Role.CARRIER]) as wu,
        client_as(app, "lin", [Role.DUTY_OFFICER]) as lin,
    ):
        for path, own, others in (
            (
                "/numbers",
                ("13800138000", "carrier mobile"),
                ("13000130000", "unicom", "15900000000"),
            ),
            ("/units", ("Mobile", "mobile-calls"), ("Unicom", "unicom-calls")),
        ):
            page, whole = he.get(f"{path}?lang=en").text, lin.get(f"{path}?lang=en").text
            for word in own:
                assert word in page, word
                assert word in whole, word
            for word in others:
                assert word not in page, word
                assert word in whole, word
            for language, said in (("en", "not your unit"), ("zh-CN", "不属于您的单位")):
                answer = wu.get(f"{path}?lang={language}")
                assert answer.status_code == 403
                assert said in answer.text
        csv = {"content-type": "text/csv"}
        answer = he.post("/api/feeds/unicom/numbers", content="number\n1\n", headers=csv)
        assert (answer.status_code, answer.json()["status"]) == (403, 403)
        assert "another member unit" in answer.json()["detail"]
        form = {"unit": "unicom", "kind": "numbers", "rows": "number\n13800138000\n"}
        assert he.post("/units/feed", data=form).status_code == 403
    assert ("he", "unicom") in refusals(central)
