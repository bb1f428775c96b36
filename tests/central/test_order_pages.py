"""Orders through the pages, as several people: drafts, signatures by file, receipts, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Role
from central.hub import Hub
from central.orders.kinds import OrderState
from central.orders.signing import read_signing_file, signatures_file
from central.web import create_app
from contract.cosign import Signature, sign_content
from contract.keys import KeySigner, public_pem
from contract.words import DecisionReason
from tests.central.office import AREA, INNOCENT, KEYS, NAME, NUMBER, OWNER, SECOND, OfficeTown
from tests.central.signing import client_as
from tests.orders import HOUR_US

TYPED = {
    "kind": "stop_payment",
    "target": "account",
    "number": " 6217 0000-0000 0000 012 ",
    "name": "张三",
    "amount": "¥46,000.00 元",
    "transfer_at": "2026/01/02 10:00",
    "case": "C-1",
    "area": AREA,
}
SIGNERS = ("li.wei", "wang")


@pytest.fixture
def town(tmp_path: Path) -> OfficeTown:
    return OfficeTown(tmp_path)


@pytest.fixture
def app(town: OfficeTown) -> Iterator[FastAPI]:
    yield create_app(
        town.central.store, Hub(), town.settings, clock=town.central.clock, order_office=town.office
    )
    town.central.store.close()


def person(app: FastAPI, name: str, role: Role = Role.REVIEWER, area: str = AREA) -> httpx.Client:
    return client_as(app, name, [role], [area])


def draft(app: FastAPI, **changes: str) -> str:
    """Draw up as the duty officer; returns the order's address."""
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        answer = client.post("/orders", data={**TYPED, **changes})
        assert answer.status_code == 303, re.findall(r"data-\w+>([^<]*)<", answer.text)
        return answer.headers["location"]


def signed_file(client: httpx.Client, address: str, key: str) -> bytes:
    """Sign what the page gives, on the officer's own machine."""
    raw = client.get(f"{address}/to-sign").content
    tenant, contents = read_signing_file(raw)
    signer = KeySigner(KEYS[key])
    parts = {n: sign_content(c, tenant=tenant, signer=signer) for n, c in contents.items()}
    return signatures_file(parts)


def send(client: httpx.Client, address: str, raw: bytes) -> httpx.Response:
    return client.post(f"{address}/sign", files={"file": ("signatures.json", raw)})


def sign(app: FastAPI, address: str, *names: str) -> None:
    for name in names or SIGNERS:
        with person(app, name) as client:
            assert send(client, address, signed_file(client, address, name)).status_code == 303


def state(town: OfficeTown, address: str) -> OrderState:
    return town.office.desk.book.get(bytes.fromhex(address.rpartition("/")[2])).state


def refusals(town: OfficeTown) -> list[str]:
    rows = town.central.store.audit_rows(50, action="order.refused")
    return [row.detail["reason"] for row in reversed(rows)]


def test_the_tree_of_a_case_shows_what_is_held_to_its_areas_alone(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    sign(app, address)
    held = town.office.desk.book.get(bytes.fromhex(address.rpartition("/")[2])).held_fen
    assert held
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        page = client.get("/account-tree?case=C-1&lang=en").text
        assert f'href="{address}">Stop payment ' in page
        assert "· in force, fed back</a>" in page
        assert f'data-held-fen="{held}"' in page
        assert f'data-account="{NUMBER[-4:]}" data-depth="0"' in page
        assert NUMBER not in page
        assert "data-held-fen" not in client.get("/account-tree?case=C-2").text
    with person(app, "far", area="110000") as client:
        assert NUMBER[-4:] not in client.get("/account-tree?case=C-1").text


def test_from_the_form_to_the_receipts_with_one_machine_away(
    app: FastAPI, town: OfficeTown
) -> None:
    town.away = {"atm-2"}
    address = draft(app)
    sign(app, address)
    assert state(town, address) is OrderState.FED_BACK
    town.carry()
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        page = client.get(address).text
    assert 'data-applied="1"' in page
    assert 'data-pending="1"' in page
    assert "<span data-pending-names>atm-2</span>" in page
    assert 'data-receipt="atm-1" data-outcome="applied"' in page
    assert 'data-feedback="100102"' in page
    ref = town.office.ref(NUMBER)
    assert town.desks["atm-1"].hold_on(ref) is DecisionReason.STOP_PAYMENT
    town.away = set()
    town.born("atm-2")
    town.carry()
    assert town.desks["atm-2"].hold_on(ref) is DecisionReason.STOP_PAYMENT
    assert town.dispatcher.pending(bytes.fromhex(address.rpartition("/")[2])) == []


def test_no_page_shows_a_number_in_full_before_it_was_opened_on_record(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    with person(app, "wang") as client:
        for path in (address, "/orders", f"{address}/to-sign"):
            assert NUMBER not in client.get(path).text
            assert NAME not in client.get(path).text
        assert "**** 0012" in client.get(address).text
        opened = client.post(f"{address}/open").text
        assert NUMBER in opened
        assert NAME in opened
    row = town.central.store.audit_rows(1)[0]
    assert (row.actor, row.action) == ("wang", "order.open_sealed")
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        assert client.post(f"{address}/open").status_code == 403


WRONG_FIELDS = [
    ("number", "12"),
    ("number", "6217000000000000012; DROP"),
    ("name", ""),
    ("amount", "46000.001"),
    ("amount", "-5"),
    ("amount", "1e9"),
    ("transfer_at", "yesterday"),
    ("transfer_at", "2036-01-01 00:00"),
    ("case", ""),
    ("area", "14050"),
    ("tier", "10"),
    ("parent", "abc"),
]


def test_a_field_that_cannot_be_taken_is_named_and_what_was_typed_stays(
    app: FastAPI, town: OfficeTown
) -> None:
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        for field, text in WRONG_FIELDS:
            answer = client.post("/orders", data={**TYPED, field: text})
            assert answer.status_code == 422
            assert f'data-mistake="{field}"' in answer.text, field
            assert 'value="¥46,000.00 元"' in answer.text or field == "amount"
        assert client.post("/orders", data={**TYPED, "kind": "dispense"}).status_code == 422
    assert town.office.desk.records() == []


def test_what_was_pasted_fills_the_fields(app: FastAPI) -> None:
    pasted = (
        "户名：张三\n卡号：６２１７ 0000 0000 0000 012\n"
        "汇款金额:46,000元；交易时间：2026-01-02 10:00:00"
    )
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        page = client.post("/orders/form", data={"paste": pasted, "kind": "freeze"}).text
    for name, value in (
        ("name", "张三"),
        ("amount", "46,000元"),
        ("transfer_at", "2026-01-02 10:00:00"),
    ):
        assert re.search(f'name="{name}" value="{value}"', page)
    assert 'value="freeze" selected' in page


def test_an_order_on_a_person_shows_all_their_accounts_and_is_signed_at_once(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app, kind="freeze", target="person", number="", owner=OWNER)
    with person(app, "wang") as client:
        page = client.get(address).text
    assert page.count("data-account=") == 2
    assert "**** 0012" in page
    assert "**** 0020" in page
    assert INNOCENT[-4:] not in page
    sign(app, address)
    town.carry()
    for number in (NUMBER, SECOND):
        assert town.desks["atm-1"].hold_on(town.office.ref(number)) is DecisionReason.FROZEN
    assert town.desks["atm-1"].hold_on(town.office.ref(INNOCENT)) is None
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        data = {"kind": "release_freeze", "ground": "appeal_granted", "whole": "on"}
        answer = client.post(f"{address}/follow", data=data)
    sign(app, answer.headers["location"])
    town.carry()
    assert town.desks["atm-1"].hold_on(town.office.ref(SECOND)) is None


def test_a_release_is_one_press_and_the_wrong_minutes_are_shown(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    sign(app, address)
    town.central.clock.advance(HOUR_US // 2)
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        answer = client.post(
            f"{address}/follow", data={"kind": "release_stop", "ground": "wrong_account"}
        )
        assert answer.status_code == 303
    sign(app, answer.headers["location"])
    town.carry()
    assert state(town, address) is OrderState.RELEASED
    assert town.desks["atm-1"].hold_on(town.office.ref(NUMBER)) is None
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        page = client.get("/orders?group=over").text
    assert "data-wrong-count>1<" in page
    assert "data-wrong-minutes>30<" in page
    assert f'data-order="{address[8:]}" data-state="released"' in page


def test_an_extension_and_a_third_stop(app: FastAPI, town: OfficeTown) -> None:
    address = draft(app)
    sign(app, address)
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        extended = client.post(f"{address}/follow", data={"kind": "extend_stop"})
    sign(app, extended.headers["location"])
    assert state(town, extended.headers["location"]) is OrderState.FED_BACK
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        third = client.post("/orders", data=TYPED)
    assert third.status_code == 422
    assert "100201" in third.text  # the way on is a freeze
    assert refusals(town) == ["MAX_TWO_STOPS"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "李四"}, "NAME_MISMATCH"),
        ({"amount": "1"}, "AMOUNT_MISMATCH"),
        ({"transfer_at": "2026-01-02 09:00:00"}, "TIME_MISMATCH"),
        ({"number": "6217000000000000999"}, "ACCOUNT_MISMATCH"),
    ],
)
def test_what_does_not_match_at_the_bank_is_not_stopped_and_is_fed_back(
    app: FastAPI, town: OfficeTown, changes: dict[str, str], reason: str
) -> None:
    address = draft(app, **changes)
    sign(app, address)
    town.carry()
    assert state(town, address) is OrderState.MISMATCHED
    record = town.office.desk.records()[0]
    assert record.feedback["failures"] == [reason]
    assert town.desks["atm-1"].hold_on(town.office.ref(NUMBER)) is None
    assert town.central.store.answers(record.application.order_id) == []
    row = town.central.store.audit_rows(1, action="order.mismatch")[0]
    assert row.detail["failures"] == [reason]
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        assert 'data-state="mismatched"' in client.get(address).text


def forged(part: Signature) -> Signature:
    return Signature(part.protected, bytes([part.value[0] ^ 1]) + part.value[1:])


def test_signatures_that_do_not_count_are_refused_and_audited(
    app: FastAPI, town: OfficeTown
) -> None:
    address, other = draft(app), draft(app, kind="freeze")
    name = bytes.fromhex(address[8:])
    with person(app, "wang") as wang, person(app, "li.wei") as li:
        mine = signed_file(wang, address, "wang")
        assert wang.post(f"{address}/sign", data={}).status_code == 422  # unsigned
        for raw in (b"{", b"[]", b'{"schema": "qianshao-signatures/1"}', b"\xff" * 50):
            assert send(wang, address, raw).status_code == 422  # no signatures at all
        wrong_key = send(wang, address, signed_file(wang, address, "li.wei"))  # another's key
        unknown = send(wang, address, signed_file(wang, address, "zhao"))  # nobody's of the bundle
        part = sign_content(
            town.office.desk.content(name), tenant="demo", signer=KeySigner(KEYS["wang"])
        )
        bad = send(wang, address, signatures_file({name: forged(part)}))
        assert send(wang, other, mine).status_code == 422  # a signature of another order
        moved = signatures_file({bytes.fromhex(other[8:]): part})
        replayed = send(wang, other, moved)
        assert {a.status_code for a in (wrong_key, unknown, bad, replayed)} == {422}
        assert send(wang, address, mine).status_code == 303
        assert send(wang, address, mine).status_code == 422  # the same officer again
        assert state(town, address) is OrderState.DRAFTED  # once signed: nothing is sent
        assert town.carry() == 0
        assert send(li, address, signed_file(li, address, "li.wei")).status_code == 303
        assert send(li, address, mine).status_code == 422  # signed and sent already
    assert state(town, address) is OrderState.FED_BACK
    assert refusals(town) == [
        *("NOT_SIGNED_BY_TWO", "MALFORMED", "MALFORMED", "MALFORMED", "MALFORMED"),
        *("UNKNOWN_SIGNER", "UNKNOWN_SIGNER", "BAD_SIGNATURE", "BAD_SIGNATURE"),
        *("SAME_OFFICER", "NOT_NOW"),
    ]


def test_an_officer_of_another_area_neither_sees_nor_signs_it(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    with person(app, "far", area="530100") as client:
        assert client.get(address).status_code == 404
        assert client.post(f"{address}/sign", data={"signatures": "x"}).status_code == 404
        assert address[8:] not in client.get("/orders").text
    with person(app, "county", Role.DUTY_OFFICER, area="140502") as client:
        answer = client.post("/orders", data=TYPED)  # a county's officer, an order of the city
        assert answer.status_code == 422
    assert refusals(town) == ["WRONG_TIER"]


def test_who_got_a_key_after_the_draft_is_told_that_it_signs_later_ones(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    with person(app, "zhao") as client:
        assert "not among the officers&#39; keys" in client.get(f"{address}?lang=en").text
        town.central.clock.advance(1_000_000)
        town.office.officers.add("admin", "zhao", public_pem(KEYS["zhao"].public_key()))
        town.central.clock.advance(1_000_000)
        assert "added after this was drawn up" in client.get(f"{address}?lang=en").text
    with person(app, "wang") as client:
        page = client.get(f"{address}?lang=zh").text
    assert "<dt>期限</dt><dd>48 小时</dd>" in page
    assert "<dt>行政区划</dt><dd>晋城市 140500</dd>" in page
    assert "<dd>银发〔2016〕86号 (PBOC-2016-86)</dd>" in page


def test_a_draft_lapses_after_half_an_hour_and_is_signed_no_more(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    with person(app, "wang") as client:
        raw = signed_file(client, address, "wang")
    town.central.clock.advance(HOUR_US // 2)
    town.office.tick()
    assert state(town, address) is OrderState.LAPSED
    with person(app, "wang") as client:
        assert send(client, address, raw).status_code == 422
    assert refusals(town) == ["NOT_NOW"]


def test_the_same_application_twice_is_refused_with_the_platforms_code(
    app: FastAPI, town: OfficeTown
) -> None:
    draft(app, application_id="A-1")
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        answer = client.post("/orders", data={**TYPED, "application_id": "A-1"})
    assert answer.status_code == 422
    assert refusals(town) == ["DUPLICATE"]


def test_a_draft_is_taken_back(app: FastAPI, town: OfficeTown) -> None:
    address = draft(app)
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        assert client.post(f"{address}/withdraw").status_code == 303
        assert client.post(f"{address}/withdraw").status_code == 422
    assert state(town, address) is OrderState.WITHDRAWN


def test_an_administrator_changes_the_officers_and_sees_no_order(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app)
    with person(app, "root", Role.ADMINISTRATOR) as client:
        assert client.get(address).status_code == 403
        pem = public_pem(KEYS["zhao"].public_key())
        assert client.post("/officers", data={"officer": "zhao", "pem": "x"}).status_code == 422
        assert client.post("/officers", data={"officer": "zhao", "pem": pem}).status_code == 303
        town.carry()
        page = client.get("/officers").text
        assert 'data-officer="zhao"' in page
        assert re.search(r'data-bundle="3".*?>2/2<', page, re.DOTALL)
        kid = re.search(r'value="([0-9a-f]{64})"[^<]*<button[^>]*data-remove="wang"', page)
        assert kid is not None
        assert client.post("/officers/remove", data={"kid": kid[1]}).status_code == 303
    with person(app, "wang") as client:
        assert "data-sign-here" not in client.get(address).text
        assert send(client, address, signed_file(client, address, "wang")).status_code == 422
    sign(app, address, "li.wei", "zhao")
    assert state(town, address) is OrderState.FED_BACK
    actions = [row.action for row in town.central.store.audit_rows(50, action="officers")]
    assert actions == ["officers.remove", *["officers.add"] * 3]


def test_a_bank_sees_what_banks_are_asked_and_signs_nothing(app: FastAPI) -> None:
    stop = draft(app)
    suspend = draft(app, kind="suspend", until="2026-02-01 00:00")
    with person(app, "bank", Role.BANK) as client:
        assert client.get(stop).status_code == 200
        assert client.get(suspend).status_code == 404
        assert client.post(f"{stop}/sign").status_code == 403
        assert client.get("/orders/new").status_code == 403


def test_the_browsers_jobs_are_the_bytes_that_count(app: FastAPI, town: OfficeTown) -> None:
    address = draft(app)
    with person(app, "wang") as client:
        page = client.get(address).text
        jobs = json.loads(
            re.search(r"data-jobs>(.*?)</textarea>", page, re.DOTALL)[1].replace("&#34;", '"')  # type: ignore[index]
        )
        (job,) = jobs
        value = KEYS["wang"].sign(bytes.fromhex(job["orders"][0]["bytes"]))
        part = Signature(bytes.fromhex(job["protected"]), value)
        raw = signatures_file({bytes.fromhex(address[8:]): part}).decode()
        assert client.post(f"{address}/sign", data={"signatures": raw}).status_code == 303
    assert town.office.desk.records()[0].signers == ("wang",)
