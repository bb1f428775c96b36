"""Nobody sees what lies outside their areas: pages, programs' interfaces, the stream, the map."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Actor, Role
from central.hub import Hub
from central.people.desk import WHOLE_COUNTRY
from central.places import Place
from central.store import EventKind
from central.web import create_app
from central.web.reach import Reach
from contract.topics import Lane
from contract.words import DeviceKind, Severity
from tests.central.kit import Central, Station, a_decision, settings
from tests.central.signing import client_as
from tests.samples import a_detection

KUNMING, QUJING = "530102", "530302"


@pytest.fixture
def app(central: Central) -> FastAPI:
    """Two vans and two ATMs, a pair in each of two cities, and one alert of each van."""
    central.ingest = central.new_ingest(area="000000")
    for number, (city, arfcn) in enumerate(((KUNMING, 62), (QUJING, 77)), start=1):
        van = central.enrol(Station(device=f"van-{number}", seed=10 + number))
        atm = central.enrol(Station(device=f"atm-{number}", seed=20 + number, kind=DeviceKind.ATM))
        with central.store.transaction() as tx:
            tx.update_devices({device.device: {"area": city} for device in (van, atm)})
        subject = {"plmn": "460-00", "arfcn": arfcn, "lat": 25.0, "lon": 102.0 + number}
        central.take(van.topic(), van.next(a_detection(subject=subject, severity=Severity.HIGH)))
        central.take(atm.topic(Lane.DECISIONS), atm.next(a_decision()))
    places = {f"{kind}-{n}": Place(25.0, 102.0 + n) for kind in ("van", "atm") for n in (1, 2)}
    return create_app(central.store, Hub(), settings(central.path.parent, places=places))


@pytest.fixture
def officer(app: FastAPI) -> Iterator[httpx.Client]:
    with client_as(app, "lin", [Role.DUTY_OFFICER, Role.COMMANDER], [KUNMING]) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "own", "others"),
    [
        ("/", ('data-alert-id="1"', "atm-1/", "van-1"), ('data-alert-id="2"', "atm-2", "van-2")),
        ("/alerts?group=all", ("/alerts/1",), ("/alerts/2",)),
        ("/map/data", ('"id":1', "van-1"), ('"id":2', "van-2")),
        ("/devices", ("van-1", "atm-1"), ("van-2", "atm-2")),
        ("/api/alerts", ('"id":1', "van-1"), ('"id":2', "van-2")),
        ("/api/devices", ("van-1",), ("van-2",)),
        ("/api/features/collections/devices/items", ("device-van-1",), ("van-2",)),
        ("/api/features/collections/alerts/items", ("alert-1",), ("alert-2",)),
        ("/api/exports/alerts.csv", ("van-1",), ("van-2",)),
        ("/api/exports/devices.csv", ("van-1",), ("van-2",)),
        ("/api/cot", ("qianshao",), ("van-2",)),
    ],
)
def test_pages_and_interfaces_show_what_lies_in_ones_areas(
    officer: httpx.Client, path: str, own: tuple[str, ...], others: tuple[str, ...]
) -> None:
    answer = officer.get(path)
    assert answer.status_code == 200
    for word in own:
        assert word in answer.text, word
    for word in others:
        assert word not in answer.text, word


@pytest.mark.parametrize(
    "path", ["/alerts/2", "/devices/van-2", "/api/alerts/2", "/api/devices/van-2"]
)
def test_what_lies_elsewhere_is_not_there(officer: httpx.Client, path: str) -> None:
    assert officer.get(path).status_code == 404


def test_the_tiles_count_what_is_open_in_ones_areas(app: FastAPI, officer: httpx.Client) -> None:
    assert '<b data-count="high">1</b>' in officer.get("/").text
    with client_as(app, "song", [Role.DUTY_OFFICER], [WHOLE_COUNTRY]) as client:
        assert '<b data-count="high">2</b>' in client.get("/").text


def test_who_keeps_the_devices_sees_all_of_them_and_no_alert(app: FastAPI) -> None:
    with client_as(app, "root", [Role.ADMINISTRATOR], []) as client:
        assert "van-2" in client.get("/devices").text
        assert client.get("/devices/van-2").status_code == 200
        assert client.get("/alerts").status_code == 403


def test_an_alert_without_an_area_is_seen_by_the_whole_country_only(
    central: Central, app: FastAPI
) -> None:
    with central.store.transaction() as tx:
        row = tx.alert_by_id(2)
        assert row is not None
        tx.put_alert(
            type(row)(**{name: getattr(row, name) for name in row.__slots__} | {"area": ""})
        )
    for areas, seen in (([KUNMING, QUJING], [1]), ([WHOLE_COUNTRY], [1, 2])):
        with client_as(app, f"of-{len(areas)}", [Role.DUTY_OFFICER], areas) as client:
            found = client.get("/map/data").json()["alerts"]
            assert sorted(alert["id"] for alert in found) == seen


def test_the_stream_tells_nobody_of_what_lies_elsewhere(central: Central, app: FastAPI) -> None:
    lin = Actor("lin", frozenset({Role.DUTY_OFFICER}), frozenset({KUNMING}))
    whole = Actor("song", frozenset({Role.DUTY_OFFICER}), frozenset({WHOLE_COUNTRY}))
    events = central.store.events_after(0, 100)
    kinds = {event.kind for event in events}
    assert {EventKind.ALERT, EventKind.DECISION} <= kinds

    def told(actor: Actor) -> list[str]:
        reach = Reach(actor, "000000")
        seen = [event for event in events if reach.covers_event(event, central.store)]
        of = {EventKind.ALERT: "alert", EventKind.DECISION: "decision", EventKind.DEVICE: "device"}
        return [e.data[of[e.kind]]["device"] for e in seen]

    assert set(told(lin)) == {"van-1", "atm-1"}
    assert set(told(whole)) == {"van-1", "atm-1", "van-2", "atm-2"}
