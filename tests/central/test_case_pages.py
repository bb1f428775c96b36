"""A case by plain forms, as three people and a unit's liaison: each does only what is theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Role
from central.hub import Hub
from central.store.cases import CaseRow
from central.web import create_app
from contract.orders import CallVanOff, OrderBody, SendVan
from tests.central.kit import Central, Station, settings
from tests.central.signing import client_as
from tests.central.test_alert_desk import sighting
from tests.central.test_alert_pages import HOSTILE

TOLD: list[tuple[str, OrderBody]] = []
PEOPLE = {
    "lin": Role.DUTY_OFFICER,
    "qian": Role.REVIEWER,
    "sun": Role.COMMANDER,
    "he": Role.CARRIER,
}


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(
        central.store,
        Hub(),
        settings(central.path.parent),
        clock=central.clock,
        tell_van=lambda device, body: TOLD.append((device, body)),
    )


@pytest.fixture
def people(app: FastAPI) -> Iterator[dict[str, httpx.Client]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(client_as(app, name, [role])) for name, role in PEOPLE.items()
        }


Send = Callable[..., httpx.Response]


@pytest.fixture
def send(people: dict[str, httpx.Client]) -> Send:
    def post(name: str, path: str, **fields: Any) -> httpx.Response:
        client = people[name]
        shown = client.get("/account").text
        found = re.search(r'name="csrf" value="([^"]*)"', shown)
        assert found is not None
        return client.post(path, data={"csrf": found.group(1), **fields}, follow_redirects=False)

    return post


@pytest.fixture
def alerted(central: Central, van: Station) -> Central:
    subject = {"plmn": "460-11", "arfcn": 62, "ps": HOSTILE}
    central.take(van.topic(), van.next(sighting(0, subject=subject)))
    return central


def the_case(central: Central) -> CaseRow:
    case = central.store.case(1)
    assert case is not None
    return case


def test_the_whole_road_by_forms_as_three_people_and_a_liaison(
    alerted: Central, people: dict[str, httpx.Client], send: Send
) -> None:
    opened = send("lin", "/cases/from-alert/1", version=0)
    assert opened.headers["location"] == "/cases/1"
    path = "/cases/1"

    def step(name: str, what: str, **fields: Any) -> int:
        done = send(name, f"{path}/{what}", version=the_case(alerted).version, **fields)
        return done.status_code

    assert step("lin", "ask", unit="CMCC") == 403  # the duty officer does not verify
    assert step("qian", "ask", unit="CMCC", question=HOSTILE) == 303
    assert step("sun", "notify") == 422  # no step is jumped
    assert step("qian", "ask", unit="CMCC", role="bank") == 422
    assert step("qian", "ask", unit="the radio regulator", role="regulator") == 303
    asked = people["he"].get("/inquiries", params={"lang": "en"})
    assert "460-11" in asked.text
    assert "the radio regulator" not in asked.text
    assert send("he", "/inquiries/2", answer="OURS", person="He Wei").status_code == 404
    assert "<script>alert" not in asked.text
    assert people["he"].get(path).status_code == 403  # a liaison sees no case
    assert send("he", "/inquiries/1", answer="MAYBE", person="He Wei").status_code == 422
    assert send("he", "/inquiries/1", answer="NOT_OURS", person="He Wei").status_code == 303
    assert step("lin", "notify") == 403
    assert step("sun", "end", action="close") == 422
    assert step("sun", "notify", note="confirmed") == 303
    assert step("lin", "parts", kind="item", text=HOSTILE, detail="7") == 303
    assert step("lin", "act", action="strike") == 303
    assert step("lin", "end", action="close") == 403
    for lang in ("en", "zh-CN"):
        shown = people["lin"].get(path, params={"lang": lang})
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text
        assert len(shown.text) < 200_000
    assert step("sun", "end", action="close") == 303
    assert the_case(alerted).state == "CLOSED"
    assert step("sun", "notify") == 422
    assert {e.actor for e in alerted.store.case_events(1)} == {"lin", "qian", "he", "sun"}


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_lists_render_empty_and_full(
    alerted: Central, people: dict[str, httpx.Client], send: Send, lang: str
) -> None:
    for _ in range(2):
        for page in ("/cases", "/cases?group=all&text=x&owner=lin", "/tips"):
            response = people["sun"].get(page, params={"lang": lang} if "?" not in page else None)
            assert response.status_code == 200, response.text
            assert "<script>alert" not in response.text
        send("lin", "/cases", kind="GOIP_DEN", area="530102", about=HOSTILE, lat="25", lon="102.7")
        send("lin", "/tips", source="CITIZEN", text=HOSTILE, area="530102")
    assert the_case(alerted).lat == 25.0


def test_forms_that_cannot_be_are_refused_plainly(alerted: Central, send: Send) -> None:
    lead = {"kind": "GOIP_DEN", "area": "530102", "about": "x"}
    for wrong in (
        {"kind": "UFO"},
        {"area": "53"},
        {"lat": "91", "lon": "0"},
        {"lat": "nan", "lon": "0"},
        {"lat": "1", "lon": ""},
        {"about": "x" * 201},
    ):
        assert send("lin", "/cases", **{**lead, **wrong}).status_code == 422, wrong
    assert send("lin", "/cases/from-alert/99", version=0).status_code == 404
    assert send("lin", "/cases/from-alert/1", version=7).status_code == 409
    assert send("lin", "/tips", source="CITIZEN", text=" ", area="530102").status_code == 422
    assert alerted.store.case(1) is None


def test_a_reward_by_forms(alerted: Central, people: dict[str, httpx.Client], send: Send) -> None:
    send("lin", "/cases/from-alert/1", version=0)
    send("lin", "/tips", source="CITIZEN", text="antenna", area="000000")
    tip = send("lin", "/cases/1/tips", version=the_case(alerted).version, tip_id=1)
    assert tip.status_code == 303
    assert send("sun", "/tips/1/award", yuan=2000).status_code == 422
    send("qian", "/cases/1/ask", version=the_case(alerted).version, unit="CMCC")
    answered = send("qian", "/cases/1/answers/1", answer="NOT_OURS", person="He Wei")
    assert answered.status_code == 303
    assert send("lin", "/tips/1/award", yuan=2000).status_code == 403
    assert send("sun", "/tips/1/award", yuan=999).status_code == 422
    assert send("sun", "/tips/1/award", yuan=2000).status_code == 303
    assert "¥2,000.00" in people["sun"].get("/cases/1").text


def test_a_van_is_sent_and_called_off_from_the_pages(
    alerted: Central, people: dict[str, httpx.Client], send: Send
) -> None:
    TOLD.clear()
    send("lin", "/cases/from-alert/1", version=0)
    fields = {"device": "van-1", "lat": "25.04", "lon": "102.7", "duty": "00:00-00:00"}
    assert send("lin", "/dispatch/vans", **fields).status_code == 303
    assert send("lin", "/dispatch/vans", **{**fields, "duty": "25:00-1"}).status_code == 422
    assert send("lin", "/dispatch/vans", **{**fields, "device": "van-9"}).status_code == 404
    version = the_case(alerted).version
    assert send("lin", "/cases/1/dispatch", version=version).status_code == 422  # no place
    place = {"lat": "25.05", "lon": "102.71", "text": HOSTILE}
    assert send("he", "/cases/1/dispatch", version=version, **place).status_code == 403
    assert send("lin", "/cases/1/dispatch", version=version, **place).status_code == 303
    for path in ("/dispatch", "/cases/1"):
        shown = people["sun"].get(path)
        assert shown.status_code == 200
        assert 'data-dispatch="1"' in shown.text
        assert "<script>alert" not in shown.text
    assert send("lin", "/dispatch/1/cancel", version=1).status_code == 303
    assert [type(body) for _, body in TOLD] == [SendVan, CallVanOff]
    assert alerted.store.dispatches()[0].state == "CANCELLED"
