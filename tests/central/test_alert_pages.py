"""The pages of alerts: filters, plain forms, what is said to the second of two, hostile texts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Role
from central.hub import Hub
from central.web import create_app
from tests.central.kit import Central, Station, settings
from tests.central.signing import client_as
from tests.central.test_alert_desk import sighting

HOSTILE = "<script>alert('rds')</script>\"'=cmd|"


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def officer(app: FastAPI) -> Iterator[httpx.Client]:
    with client_as(app, "lin", [Role.DUTY_OFFICER]) as made:
        yield made


@pytest.fixture
def reviewer(app: FastAPI) -> Iterator[httpx.Client]:
    with client_as(app, "qian", [Role.REVIEWER]) as made:
        yield made


@pytest.fixture
def three(central: Central, van: Station) -> Central:
    for number in range(3):
        subject = {"plmn": "460-00", "arfcn": number, "ps": HOSTILE}
        central.take(van.topic(), van.next(sighting(number, subject=subject)))
    return central


def post(client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    """Send a form as the page carries it, with its token."""
    shown = client.get("/alerts").text
    found = re.search(r'name="csrf" value="([^"]*)"', shown)
    assert found is not None
    return client.post(path, data={"csrf": found.group(1), **fields}, follow_redirects=False)


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_the_list_the_alert_and_the_allow_lists_render(
    three: Central, reviewer: httpx.Client, lang: str
) -> None:
    for path in ("/alerts", "/alerts?group=all&severity=high&text=460", "/alerts?technical=true",
                 "/alerts/1", "/allow"):  # fmt: skip
        response = reviewer.get(path, params={"lang": lang} if "?" not in path else None)
        assert response.status_code == 200, response.text
        assert "<script>alert" not in response.text
    assert html.escape(HOSTILE, quote=False)[:20] in reviewer.get("/alerts").text


def test_alerts_are_acknowledged_in_bulk_and_the_second_is_told_of_the_first(
    three: Central, officer: httpx.Client, reviewer: httpx.Client
) -> None:
    ticked = ["1:0", "2:0"]
    done = post(officer, "/alerts/act", action="acknowledge", chosen=ticked)
    assert (done.status_code, done.headers["location"]) == (303, "/alerts")
    assert [r.state for r in three.store.alerts(3)] == ["NEW", "ACKNOWLEDGED", "ACKNOWLEDGED"]
    late = post(reviewer, "/alerts/review", action="dismiss", reason="EXERCISE",
                chosen=["1:0", "3:0"])  # fmt: skip
    assert late.status_code == 409
    assert "acknowledge by lin" in html.unescape(late.text)
    one = post(reviewer, "/alerts/2/review", action="dismiss", reason="EXERCISE", version=0)
    assert one.status_code == 409
    assert "lin did: Acknowledge. The state is now: acknowledged." in html.unescape(
        reviewer.get("/alerts", params={"lang": "en"}).text
    ) or "lin" in html.unescape(one.text)
    assert three.store.alert(2).state == "ACKNOWLEDGED"  # type: ignore[union-attr]
    assert three.store.alert(3).state == "DISMISSED"  # type: ignore[union-attr]


def test_a_duty_officer_does_not_review(three: Central, officer: httpx.Client) -> None:
    refused = post(officer, "/alerts/1/review", action="dismiss", reason="EXERCISE", version=0)
    assert refused.status_code == 403
    assert 'formaction="/alerts/review"' not in officer.get("/alerts").text
    assert three.store.alert(1).state == "NEW"  # type: ignore[union-attr]


def test_only_what_can_be_taken_back_has_a_button_for_it(
    three: Central, officer: httpx.Client
) -> None:
    undo = 'value="undo"'
    assert undo not in officer.get("/alerts/1").text
    assert post(officer, "/alerts/1/act", action="acknowledge", version=0).status_code == 303
    assert undo in officer.get("/alerts/1").text
    row = three.store.alert(1)
    assert row is not None
    done = post(officer, "/alerts/1/act", action="undo", version=row.version)
    assert done.status_code == 303
    assert undo not in officer.get("/alerts/1").text


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "acknowledge", "version": "x"},
        {"action": "acknowledge"},
        {"action": "format the disk", "version": 0},
        {"action": "note", "version": 0, "note": "n" * 2001},
        {"action": "snooze", "version": 0, "snooze_s": 10**9},
        {"action": "undo", "version": 0},
        {"action": "acknowledge", "version": -1},
        {"action": "acknowledge", "version": 2**70},
    ],
)
def test_a_form_that_cannot_be_is_refused_plainly(
    three: Central, officer: httpx.Client, fields: dict[str, Any]
) -> None:
    assert post(officer, "/alerts/1/act", **fields).status_code == 422
    assert post(officer, "/alerts/act", action="acknowledge", chosen=["1;DROP"]).status_code == 422
    assert post(officer, "/alerts/act", action="acknowledge").status_code == 422
    assert three.store.alert(1).state == "NEW"  # type: ignore[union-attr]


def test_a_form_never_leads_to_another_site(three: Central, officer: httpx.Client) -> None:
    for to in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        done = post(officer, "/alerts/act", action="snooze", chosen=["1:0"], snooze_s=60, to=to)
        if done.status_code == 303:
            assert done.headers["location"] == "/alerts"


def test_pages_follow_each_other_without_a_hole(
    central: Central, van: Station, officer: httpx.Client
) -> None:
    for number in range(60):
        central.intake.arrive(
            van.topic(),
            van.next(sighting(number, subject={"plmn": "460-00", "arfcn": number})),
        )
    central.ingest.step()
    first = officer.get("/alerts").text
    assert len(first) < 200_000
    found = re.search(r'rel="next" href="([^"]+)"', first)
    assert found is not None
    second = officer.get(html.unescape(found.group(1))).text
    ids = [set(re.findall(r'data-alert-id="(\d+)"', text)) for text in (first, second)]
    assert [len(one) for one in ids] == [50, 10]
    assert not ids[0] & ids[1]
    assert 'rel="next"' not in second
    assert officer.get("/alerts?after=nonsense").status_code == 200


def test_merging_and_allowing_by_forms(three: Central, reviewer: httpx.Client) -> None:
    merged = post(reviewer, "/alerts/review", action="merge", chosen=["1:0", "2:0"])
    assert merged.headers["location"] == "/alerts/1"
    assert "/alerts/2" in reviewer.get("/alerts/1").text
    added = post(reviewer, "/allow", kind="DRIVE_TEST", match="plmn=460-00\narfcn=7",
                 area="530100", note=HOSTILE, days=3)  # fmt: skip
    assert added.status_code == 303
    assert "<script>alert" not in reviewer.get("/allow").text
    assert post(reviewer, "/allow", kind="DRIVE_TEST", match="plmn=460-00", area="530100",
                note="x").status_code == 422  # fmt: skip
    assert post(reviewer, "/allow/1/remove").status_code == 303
    assert post(reviewer, "/allow/1/remove").status_code == 404


def test_what_lies_elsewhere_is_not_there(three: Central, app: FastAPI) -> None:
    with client_as(app, "wu", [Role.REVIEWER], ["370000"]) as stranger:
        assert stranger.get("/alerts/1").status_code == 404
        assert 'data-alert-id="1"' not in stranger.get("/alerts?group=all").text


def test_an_alert_shows_what_supports_it_and_what_it_supports(
    three: Central, reviewer: httpx.Client, officer: httpx.Client
) -> None:
    page = reviewer.get("/alerts/1", params={"lang": "en"}).text
    key = re.findall(r'<option value="(van-1/[0-9a-f]+)"', page)[0]
    fields = {"version": 0, "detection": key, "further": 2}
    assert post(officer, "/alerts/1/detections", **fields).status_code == 403
    assert post(reviewer, "/alerts/1/detections", **{**fields, "detection": "x"}).status_code == 422
    assert post(reviewer, "/alerts/1/detections", **fields).status_code == 303
    assert '<a href="/alerts/2">supports 2</a>' in reviewer.get("/alerts/1?lang=en").text
    assert '<a href="/alerts/1">raised 1</a>' in reviewer.get("/alerts/2?lang=en").text
