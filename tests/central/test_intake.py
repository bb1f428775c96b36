"""Alarms of 110: three ways in, one case at once; a bad one is told its fields."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.clock_work import ClockDesk, clocks_of
from central.clocks import ClockState, Subject
from central.hub import Hub
from central.intake import IntakeDesk, Outcome, read_alarm
from central.intake.alarm import SENTENCES, Wrong, hide_numbers, read_account
from central.intake.box import BoxError, intake_key, open_alarm, public_bytes, seal_alarm
from central.intake.door import AlarmDoor
from central.order_clocks import ReceiptWatch
from central.orders.book import Application
from central.orders.book import Event as OrderEvent
from central.orders.kinds import OrderKind, Trigger
from central.orders.log import SqlOrderLog
from central.orders.sealed import Vault
from central.store import tables as t
from central.store.case_tables import cases
from central.store.interface import EventKind
from central.web import create_app
from central.web.intake import to_fen
from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.messages import AlarmReport
from contract.words import DeviceKind, OrderOutcome, OrderType
from tests.central.kit import START, Central, Station, settings
from tests.central.signing import client_as, sign_in

OFFICER = Actor("lin", frozenset({Role.DUTY_OFFICER}), frozenset({"370000"}))
NUMBER, PHONE, NAME, HOLDER = "6222021234567890123", "13805550123", "王大明", "李小四"
SECRETS = (NUMBER, PHONE, NAME, HOLDER)
MINUTE_US = 60_000_000
_KEY = X25519PrivateKey.generate()


def an_account(**changes: Any) -> dict[str, Any]:
    return {
        "number": NUMBER, "holder": HOLDER, "bank": "CCB", "amount_fen": 2_800_000,
        "transfer_at": rfc3339(UnixMicros(START - 5 * MINUTE_US)), **changes,
    }  # fmt: skip


def an_alarm(**changes: Any) -> dict[str, Any]:
    return {
        "number": "A-000017", "area": "370832",
        "alarm_at": rfc3339(UnixMicros(START - MINUTE_US)), "amount_fen": 2_800_000,
        "victim": {"name": NAME, "phone": PHONE},
        "accounts": [an_account()], "brief": "pretended to be customer service", **changes,
    }  # fmt: skip


@pytest.fixture
def desk(central: Central) -> IntakeDesk:
    return desk_of(central)


def desk_of(central: Central) -> IntakeDesk:
    vault = Vault.at(central.path.parent / "sealed.key")
    return IntakeDesk(central.store, central.clock, vault, central.events.extend)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "wrong"),
    [
        ({"number": None}, "number", Wrong.MISSING),
        ({"number": 17}, "number", Wrong.NO_NUMBER),
        ({"number": "x" * 65}, "number", Wrong.NO_NUMBER),
        ({"area": "37083"}, "area", Wrong.NO_AREA),
        ({"area": "37083٢"}, "area", Wrong.NO_AREA),
        ({"alarm_at": "yesterday"}, "alarm_at", Wrong.NO_TIME),
        ({"alarm_at": "2026-01-02T10:00:00"}, "alarm_at", Wrong.NO_TIME),
        ({"alarm_at": "2031-01-02T10:00:00Z"}, "alarm_at", Wrong.FUTURE),
        ({"amount_fen": 0}, "amount_fen", Wrong.NO_AMOUNT),
        ({"amount_fen": 28.5}, "amount_fen", Wrong.NO_AMOUNT),
        ({"amount_fen": True}, "amount_fen", Wrong.NO_AMOUNT),
        ({"amount_fen": "2800000"}, "amount_fen", Wrong.NO_AMOUNT),
        ({"victim": None}, "victim", Wrong.MISSING),
        ({"victim": "Wang"}, "victim", Wrong.NO_OBJECT),
        ({"victim": {}}, "victim.name", Wrong.MISSING),
        ({"victim": {"name": "Wang", "phone": "call me"}}, "victim.phone", Wrong.NO_PHONE),
        ({"brief": "x" * 1001}, "brief", Wrong.TOO_LONG),
        ({"brief": "\ud800"}, "brief", Wrong.NO_TEXT),
        ({"amount_fenn": 1}, "amount_fenn", Wrong.UNKNOWN),
    ],
)
def test_a_wrong_field_is_named_and_the_alarm_is_refused(
    changes: dict[str, Any], field: str, wrong: Wrong
) -> None:
    reading = read_alarm(an_alarm(**changes), START)
    assert reading.alarm is None
    assert [(p.field, p.wrong) for p in reading.problems] == [(field, wrong)]
    assert reading.problems[0].sentence.startswith(f"{field} ")


def test_every_word_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Wrong)


def test_a_bad_account_is_refused_alone() -> None:
    rows = [an_account(number="12 34"), an_account(), 7, an_account(amount_fen=-1)]
    reading = read_alarm(an_alarm(accounts=rows), START)
    assert reading.alarm is not None
    assert [a.number for a in reading.alarm.accounts] == [NUMBER]
    assert [p.field for p in reading.problems] == [
        "accounts[0].number", "accounts[2]", "accounts[3].amount_fen",
    ]  # fmt: skip


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from([*an_alarm(), *an_account(), "name", "phone"])
                | st.text(max_size=8),
                inner,
                max_size=8,
            )
        ),
        max_leaves=30,
    )
)
def test_whatever_comes_is_read_or_refused(document: Any) -> None:
    reading = read_alarm(document, START)
    assert (reading.alarm is None) or isinstance(document, dict)
    assert reading.alarm is not None or reading.problems
    read_account(document, int(START))


@given(st.text(max_size=60))
def test_no_long_number_stays_in_a_free_text(text: str) -> None:
    assert not re.search(r"[0-9]{11}", hide_numbers(text))


def test_a_repr_shows_no_name_and_no_number() -> None:
    shown = repr(read_alarm(an_alarm(), START))
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize(
    ("text", "fen"),
    [("28000", 2_800_000), ("28,000.5", 2_800_050), ("¥0.01", 1), ("1.234", None), ("-1", None),
     ("", None), ("٣", None), ("1e3", None), (".5", None)],
)  # fmt: skip
def test_yuan_are_read_to_the_fen(text: str, fen: int | None) -> None:
    assert to_fen(text) == fen


# -- taking ----------------------------------------------------------------------------------------


def test_an_alarm_opens_a_case_with_its_clocks_and_tells_the_duty_officer(
    either: Central,
) -> None:
    app = create_app(either.store, Hub(), settings(either.path.parent), clock=either.clock)
    sign_in(app, "asleep", [Role.DUTY_OFFICER])
    either.clock.advance(1_000_000)
    sign_in(app, "awake", [Role.DUTY_OFFICER], ["370800"])
    sign_in(app, "elsewhere", [Role.DUTY_OFFICER], ["530000"])
    result = desk_of(either).take(OFFICER, [an_alarm()], "webhook")[0]
    assert (result.outcome, result.is_entered, result.problems) == (Outcome.OPENED, True, ())
    assert result.case_id is not None
    case = either.store.case(result.case_id)
    assert case is not None
    assert (case.kind, case.area, case.owner) == ("FRAUD_ALARM", "370832", "awake")
    assert case.subject["victim"] == "王**"
    assert case.subject["account"] == "**** 0123"
    clocks = {c.kind: c for c in clocks_of(either.store.happenings([case.id])).clocks}
    now = int(either.clock.wall())
    assert clocks[Subject.ENTRY].state(now) is ClockState.MET
    assert clocks[Subject.ENTRY_TO_STOP].state(now) is ClockState.RUNNING
    notice = either.store.unseen_notices(frozenset({"370000"}), 5)[0]
    assert (notice.kind, notice.told_to) == ("alarm", "awake")
    assert [e.kind for e in either.events] == [EventKind.NOTICE]
    assert not either.store.unseen_notices(frozenset({"530000"}), 5)


def test_the_same_alarm_again_changes_nothing_and_other_words_are_refused(
    central: Central, desk: IntakeDesk
) -> None:
    first, second = desk.take(OFFICER, [an_alarm(), an_alarm()], "webhook")
    assert (first.outcome, second.outcome) == (Outcome.OPENED, Outcome.KNOWN)
    assert first.case_id == second.case_id
    changed = an_alarm(amount_fen=2_900_000, accounts=[an_account(number="6222000000000000")])
    third = desk.take(OFFICER, [changed], "form")[0]
    assert (third.outcome, third.case_id) == (Outcome.REFUSED, first.case_id)
    assert [p.field for p in third.problems] == ["amount_fen", "accounts[0]"]
    other = desk.take(OFFICER, [an_alarm(source="370100-110")], "form")[0]
    assert other.outcome is Outcome.OPENED
    assert sum(central.store.case_counts(frozenset({"000000"})).values()) == 2


def test_a_bad_alarm_stops_none_of_its_batch(central: Central, desk: IntakeDesk) -> None:
    batch = [an_alarm(number="1"), an_alarm(number="2", area="1"), "x", an_alarm(number="4")]
    outcomes = [r.outcome.value for r in desk.take(OFFICER, batch, "webhook")]
    assert outcomes == ["opened", "refused", "refused", "opened"]
    refusals = central.store.alarm_refusals(9)
    assert [(r.number, r.problems[0]["field"]) for r in refusals] == [("", "alarm"), ("2", "area")]
    assert central.store.audit_rows(20)
    refused = [r for r in central.store.audit_rows(50) if r.action == "alarm.refused"]
    assert {r.outcome for r in refused} == {"refused"}


def test_an_alarm_outside_the_senders_areas_is_refused(desk: IntakeDesk) -> None:
    result = desk.take(OFFICER, [an_alarm(area="530102")], "webhook")[0]
    assert (result.outcome, result.problems[0].wrong) == (Outcome.REFUSED, Wrong.NOT_YOURS)


def test_full_names_and_numbers_stand_in_the_sealed_column_only(
    central: Central, desk: IntakeDesk
) -> None:
    alarm = an_alarm(brief=f"called from {PHONE}, paid to {NUMBER}")
    result = desk.take(OFFICER, [alarm], "form")[0]
    assert result.case_id is not None
    central.store.close()
    kept = b"".join(p.read_bytes() for p in central.path.parent.glob("central.sqlite3*"))
    assert not [secret for secret in SECRETS if secret.encode() in kept]
    said = json.dumps([event.data for event in central.events], ensure_ascii=False)
    assert not [secret for secret in SECRETS if secret in said]
    row = central.store.alarms_of(result.case_id)[0]
    victim, accounts = desk.open_sealed(OFFICER, row.id, "to draft the order")
    assert (victim.name, victim.number) == (NAME, PHONE)
    assert [(a.number, a.name) for a in accounts] == [(NUMBER, HOLDER)]
    audit = central.store.audit_rows(1)[0]
    assert (audit.action, audit.detail["why"]) == ("sealed.open", "to draft the order")


def test_the_officer_is_reminded_at_20_and_28_minutes_and_told_of_the_breach(
    central: Central, desk: IntakeDesk
) -> None:
    at = rfc3339(START)
    result = desk.take(OFFICER, [an_alarm(accounts=[], alarm_at=at)], "webhook")[0]
    assert not result.is_entered
    clocks = ClockDesk(central.store, central.clock, central.events.extend)
    told: dict[float, list[tuple[str, bool]]] = {}
    for second in range(0, 31 * 60 + 1, 10):
        before = len(central.events)
        clocks.tell_due()
        for event in central.events[before:]:
            data = event.data["notice"]
            told.setdefault(second / 60, []).append((data["clock"], data["is_due"]))
        central.clock.advance(10_000_000)
    assert told == {
        9.0: [("entry_to_stop", True)],
        20.0: [("entry", False)],
        28.0: [("entry", False)],
        30.0: [("entry", True)],
    }
    assert result.case_id is not None
    entry = clocks_of(central.store.happenings([result.case_id])).clocks[1]
    assert (entry.kind, entry.state(central.clock.wall())) == (Subject.ENTRY, ClockState.BREACHED)
    running = central.store.running_clocks(frozenset({"370000"}), 9)
    assert running == [(result.case_id, result.case_number)]


def test_a_central_that_stood_still_tells_only_the_last_word(
    central: Central, desk: IntakeDesk
) -> None:
    desk.take(OFFICER, [an_alarm(accounts=[], alarm_at=rfc3339(START))], "webhook")
    central.clock.advance(3600 * 1_000_000)
    clocks = ClockDesk(central.store, central.clock, central.events.extend)
    clocks.tell_due()
    kinds = [
        (e.data["notice"].get("clock"), e.data["notice"].get("is_due")) for e in central.events
    ]
    assert kinds[1:] == [("entry_to_stop", True), ("entry", True)]
    assert clocks.tell_due() == 0


def test_an_account_entered_in_time_ends_the_entry_clock(
    central: Central, desk: IntakeDesk
) -> None:
    result = desk.take(OFFICER, [an_alarm(accounts=[])], "webhook")[0]
    assert result.case_id is not None
    alarm = central.store.alarms_of(result.case_id)[0]
    _, problems = desk.add_account(OFFICER, alarm.id, an_account(number="x"))
    assert [p.field for p in problems] == ["account.number"]
    central.clock.advance(10 * MINUTE_US)
    desk.add_account(OFFICER, alarm.id, an_account())
    clocks = {c.kind: c for c in clocks_of(central.store.happenings([result.case_id])).clocks}
    assert clocks[Subject.ENTRY].state(central.clock.wall()) is ClockState.MET


def test_an_alarm_older_than_any_rule_opens_a_case_without_clocks(
    central: Central, desk: IntakeDesk
) -> None:
    old = dt.datetime(2015, 5, 1, 12, tzinfo=dt.UTC).isoformat()
    result = desk.take(OFFICER, [an_alarm(alarm_at=old)], "form")[0]
    assert result.case_id is not None
    found = clocks_of(central.store.happenings([result.case_id]))
    assert "no rule on entry is in force on 2015-05-01" in found.problems[0]


# -- through the broker ----------------------------------------------------------------------------


def test_a_signed_alarm_opens_a_case_in_the_transaction_of_its_message(central: Central) -> None:
    gate = central.enrol(Station(device="gate-110", seed=9))
    stranger = central.enrol(Station(device="atm-7", seed=10))
    door = AlarmDoor.at(central.path.parent, frozenset({"gate-110"}))
    central.ingest = central.new_ingest(take_alarm=door.take, area="370800")
    report = AlarmReport(number="A-17", box=seal_alarm(door.public, an_alarm()), at=START)
    spoilt = AlarmReport(number="A-18", box=b"\x01" * 90, at=START)
    central.take(gate.topic(), gate.next(report), gate.next(spoilt))
    central.take(stranger.topic(), stranger.next(report))
    alarms = central.store.latest_alarms(frozenset({"370800"}), 9)
    assert [(a.number, a.via, a.taken_by) for a in alarms] == [("A-000017", "mqtt", "gate-110")]
    refused = {r.sender: r.problems[0]["field"] for r in central.store.alarm_refusals(9)}
    assert refused == {"gate-110": "box", "atm-7": "sender"}
    message = central.store.message("gate-110", 1)
    assert message is not None
    assert not [secret for secret in SECRETS if secret.encode() in message.cose]
    assert EventKind.NOTICE in {event.kind for event in central.events}
    again = AlarmReport(number="A-17", box=seal_alarm(door.public, an_alarm()), at=START)
    central.take(gate.topic(), gate.next(again))
    assert len(central.store.latest_alarms(frozenset({"370800"}), 9)) == 1


@given(st.binary(max_size=200))
def test_no_bytes_open_a_box(raw: bytes) -> None:
    with pytest.raises(BoxError):
        open_alarm(_KEY, raw)


def test_a_box_opens_for_its_central_alone(tmp_path: Path) -> None:
    other = intake_key(tmp_path / "other.pem")
    box = seal_alarm(public_bytes(_KEY), an_alarm())
    assert open_alarm(_KEY, box) == an_alarm()
    with pytest.raises(BoxError):
        open_alarm(other, box)


# -- over HTTP -------------------------------------------------------------------------------------


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def gateway(app: FastAPI) -> Iterator[httpx.Client]:
    """A program of an intake: a key, no session, no token of a form."""
    from central.web.site import Site
    from tests.central.in_process import InProcess
    from tests.central.signing import BASE

    site: Site = app.state.site
    site.people.create("gate", [Role.DUTY_OFFICER], ["370000"])
    key = site.people.make_key("gate", "110", 30)
    with httpx.Client(
        transport=InProcess(app), base_url=BASE, headers={"authorization": f"Bearer {key}"}
    ) as client:
        yield client


def test_the_webhook_answers_what_became_of_each(gateway: httpx.Client) -> None:
    opened = gateway.post("/api/alarms", json=an_alarm())
    assert opened.status_code == 201
    assert opened.json()["results"][0]["case"]["number"].startswith("370832-")
    assert gateway.post("/api/alarms", json=an_alarm()).status_code == 200
    assert gateway.post("/api/alarms", json=an_alarm(amount_fen=3)).status_code == 409
    refused = gateway.post("/api/alarms", json=an_alarm(number="2", alarm_at="soon"))
    assert refused.status_code == 422
    assert refused.json()["results"][0]["problems"][0]["problem"].startswith("alarm_at is no time")
    assert gateway.post("/api/alarms", content=b"{").status_code == 400
    assert gateway.post("/api/alarms", content=b"[" * 90_000).status_code == 400
    batch = {"alarms": [an_alarm(number="5"), an_alarm(number="6", area=None)]}
    both = gateway.post("/api/alarms", json=batch)
    assert both.status_code == 201
    assert [r["outcome"] for r in both.json()["results"]] == ["opened", "refused"]
    assert gateway.post("/api/alarms", json={"alarms": 7}).status_code == 422
    assert len(bytes.fromhex(gateway.get("/api/intake/key").json()["public_key"])) == 32


def test_who_has_no_key_opens_nothing(app: FastAPI, gateway: httpx.Client) -> None:
    del gateway.headers["authorization"]
    assert gateway.post("/api/alarms", json=an_alarm()).status_code == 401
    with client_as(app, "bank", [Role.BANK]) as clerk:
        assert clerk.post("/api/alarms", json=an_alarm()).status_code == 403


def test_an_alarm_is_answered_when_its_case_is_open(
    gateway: httpx.Client, central: Central
) -> None:
    began = time.perf_counter()
    for number in range(20):
        answer = gateway.post("/api/alarms", json=an_alarm(number=f"n{number}"))
        assert answer.status_code == 201
        with central.store._reading() as connection:
            opened = connection.execute(sa.select(sa.func.count()).select_from(cases)).scalar()
        assert opened == number + 1  # in the store before the answer is out
    print(f"an alarm took {(time.perf_counter() - began) / 20 * 1000:.0f} ms")


def test_the_form_keeps_what_was_typed_and_names_what_is_wrong(
    app: FastAPI, central: Central
) -> None:
    fields = {
        "number": "F-1", "area": "370832", "alarm_at": "2026-01-02T10:59:00", "yuan": "28,000.00",
        "name": NAME, "phone": PHONE, "brief": "b", "account": NUMBER, "holder": HOLDER,
    }  # fmt: skip
    with client_as(app, "lin", [Role.REVIEWER]) as client:
        wrong = client.post("/intake", data={**fields, "yuan": "a lot"})
        assert wrong.status_code == 422
        assert 'value="F-1"' in wrong.text
        assert "amount_fen" in wrong.text
        done = client.post("/intake", data=fields)
        assert done.status_code == 303
        page = client.get(done.headers["location"]).text
        assert "/orders/new?kind=stop_payment&amp;case=370832-" in page
        assert "¥28,000.00" in page
        assert "**** 0123" in page
        assert not [secret for secret in SECRETS if secret in page]
        assert 'data-clock="entry_to_stop"' in page
        board = client.get("/clocks").text
        assert 'data-clock="entry_to_stop"' in board
        assert client.post("/clocks/notices/1/seen").status_code == 303
        assert "data-notice" not in client.get("/clocks").text
        shown = client.post("/intake/1/open", data={"why": "order"})
        assert NUMBER in shown.text
        assert 'name="amount" value="28000.00"' in shown.text
        assert client.post("/intake/1/open", data={"why": " "}).status_code == 422
    alarm = central.store.alarms_of(1)[0]
    assert rfc3339(UnixMicros(alarm.alarm_at)) == "2026-01-02T02:59:00.000000Z"


def test_a_sanction_noted_by_hand_runs_its_term(app: FastAPI, desk: IntakeDesk) -> None:
    desk.take(OFFICER, [an_alarm()], "form")
    with client_as(app, "lin", [Role.DUTY_OFFICER]) as client:
        answer = client.post(
            "/cases/1/happenings",
            data={
                "happening": "sanctioned", "subject": "李**", "at": "2025-12-01T09:00:00",
                "ground": "IDENTIFIED_BY_POLICE",
            },
        )  # fmt: skip
        assert answer.status_code == 303
        page = client.get("/cases/1?lang=en").text
        assert "2027-12-01 00:00:00" in page
        assert "JOINT-2024" in page
        bad = {"happening": "stop_executed", "subject": "x"}
        assert client.post("/cases/1/happenings", data=bad).status_code == 422


# -- orders and their clocks -----------------------------------------------------------------------


def test_an_executed_stop_starts_its_clock_and_the_last_receipt_ends_that_of_the_alarm(
    central: Central, desk: IntakeDesk
) -> None:
    atm = central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    result = desk.take(OFFICER, [an_alarm()], "form")[0]
    assert result.case_id is not None
    log, now = SqlOrderLog(central.store, central.clock), central.clock.wall()
    application = Application(
        order_id=b"o" * 16, kind=OrderKind.STOP_PAYMENT, sender="x", application_id="1",
        case=result.case_number, area="370832", account=CardRef(hmac=b"h" * 32, last4="0123"),
    )  # fmt: skip
    draft = OrderEvent(
        order_id=b"o" * 16, trigger=Trigger.DRAFT, at=now, by="lin", application=application
    )
    log.append([draft], OFFICER)
    log.append([OrderEvent(order_id=b"o" * 16, trigger=Trigger.EXECUTE, at=now)])
    targets = t.order_targets.insert().values(order_id=b"o" * 16, device=atm.device)
    with central.store.transaction() as tx:
        connection = tx._connection  # type: ignore[attr-defined]
        connection.execute(
            t.orders.insert().values(
                order_id=b"o" * 16, counter=1, type=OrderType.STOP_PAYMENT, issued_at=now,
                expires=now, signers=[], raw=b"",
            )
        )  # fmt: skip
        connection.execute(targets)
    watch = ReceiptWatch(central.store, central.clock)
    assert watch.step() == 0
    answered = int(now) + 3_000_000
    with central.store.transaction() as tx:
        connection = tx._connection  # type: ignore[attr-defined]
        connection.execute(
            t.order_targets.update().values(outcome=OrderOutcome.APPLIED, answered_at=answered)
        )
    assert (watch.step(), watch.step()) == (1, 0)
    clocks = {c.kind: c for c in clocks_of(central.store.happenings([result.case_id])).clocks}
    later = answered + 1
    assert clocks[Subject.ENTRY_TO_STOP].stopped_at == answered
    assert clocks[Subject.ENTRY_TO_STOP].state(later) is ClockState.MET
    assert clocks[Subject.STOP_PAYMENT].state(later) is ClockState.RUNNING
    assert clocks[Subject.STOP_PAYMENT].due_at == now + 48 * 3600 * 1_000_000
    log.append([OrderEvent(order_id=b"o" * 16, trigger=Trigger.RELEASE, at=UnixMicros(later))])
    clocks = {c.kind: c for c in clocks_of(central.store.happenings([result.case_id])).clocks}
    assert clocks[Subject.STOP_PAYMENT].state(later) is ClockState.ENDED


def test_an_order_of_an_unknown_case_starts_no_clock(central: Central) -> None:
    log = SqlOrderLog(central.store, central.clock)
    application = Application(
        order_id=b"o" * 16, kind=OrderKind.FREEZE, sender="x", application_id="1", case="none",
        area="370832",
    )  # fmt: skip
    at = central.clock.wall()
    events = [
        OrderEvent(order_id=b"o" * 16, trigger=Trigger.DRAFT, at=at, application=application),
        OrderEvent(order_id=b"o" * 16, trigger=Trigger.EXECUTE, at=at),
    ]
    log.append(events)
    assert central.store.running_clocks(frozenset({"000000"}), 5) == []
