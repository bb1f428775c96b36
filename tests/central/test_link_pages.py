"""An order to link visits through the pages: who compares, with which keys, what was found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from central.actor import Role
from central.audit import TERMINAL
from central.fleet_desk import place_device
from central.hub import Hub
from central.orders.signing import read_signing_file
from central.store.list_tables import device_boxes
from central.web import create_app
from contract.clock import UnixMicros
from contract.messages import LinkedVisit, VisitLinkReport
from contract.topics import Lane
from contract.visit_links import fingerprint
from qianshao.order_sign import read_content
from tests.central.office import AREA, OfficeTown
from tests.central.test_order_pages import draft, person, refusals, sign
from tests.orders import NOW

KEYS = {f"atm-{n}": bytes([n]) * 32 for n in (1, 2, 3)}
LINK = {"kind": "cross_atm_link", "until": "2026-01-02 20:00:00", "case": "C-7"}


@pytest.fixture
def town(tmp_path: Path) -> OfficeTown:
    town = OfficeTown(tmp_path, 3)
    with town.central.store.transaction() as tx:
        rows = [{"device": name, "public": key, "at": 1} for name, key in KEYS.items()]
        tx._connection.execute(device_boxes.insert(), rows)  # type: ignore[attr-defined]
    return town


@pytest.fixture
def app(town: OfficeTown) -> Iterator[FastAPI]:
    yield create_app(
        town.central.store, Hub(), town.settings, clock=town.central.clock, order_office=town.office
    )
    town.central.store.close()


def report(town: OfficeTown, order: bytes, machine: str, parcel: bytes, *visits: int) -> None:
    station = town.stations[machine]
    body = VisitLinkReport(
        parcel=parcel * 32,
        order_id=order,
        sender="atm-3",
        is_opened=bool(visits),
        faces=2,
        compared=640,
        linked=len(visits),
        visits=tuple(
            LinkedVisit(visit=visit, captured_at=UnixMicros(NOW), similarity=0.7134)
            for visit in visits
        ),
        at=UnixMicros(NOW),
    )
    town.central.take(station.topic(Lane.DECISIONS), station.next(body))


def test_fingerprints_are_on_the_page_and_in_the_bytes_that_are_signed(
    app: FastAPI, town: OfficeTown
) -> None:
    address = draft(app, **LINK, machines="atm-2、atm-1")
    with person(app, "wang") as client:
        page, raw = client.get(address).text, client.get(f"{address}/to-sign").content
    _, contents = read_signing_file(raw)
    ((name, content),) = contents.items()
    rows = [value for label, value in read_content(name, content) if label == "compares at"]
    for machine in ("atm-1", "atm-2"):
        shown = fingerprint(KEYS[machine])
        assert re.fullmatch(r"[0-9a-f]{4}( [0-9a-f]{4}){3}", shown)
        assert re.search(rf'data-comparing="{machine}"><td>{machine}</td><td[^>]*>{shown}<', page)
    assert rows == [f"{m}, key {fingerprint(KEYS[m])}" for m in ("atm-1", "atm-2")]
    assert 'data-comparing="atm-3"' not in page


def test_the_form_takes_machines_by_name_or_all_of_the_area(app: FastAPI, town: OfficeTown) -> None:
    with person(app, "duty", Role.DUTY_OFFICER) as client:
        typed = {**LINK, "target": "account", "area": AREA}
        empty = client.post("/orders", data=typed)
        assert empty.status_code == 422
        assert 'data-mistake="machines"' in empty.text
        many = client.post("/orders", data=typed | {"machines": " ".join(map(str, range(51)))})
        assert 'data-mistake="machines"' in many.text
        unknown = client.post("/orders", data=typed | {"machines": "atm-1 atm-9"})
        assert (unknown.status_code, "atm-9" in unknown.text) == (422, True)
        town.central.store.revoke("atm-2", 1)
        put_out = client.post("/orders", data=typed | {"machines": "atm-2"})
        assert put_out.status_code == 422
        # No machine stands in the area yet: the central's own is another one.
        assert client.post("/orders", data=typed | {"is_whole_area": "on"}).status_code == 422
    assert refusals(town) == []  # nothing was drawn up
    store, clock = town.central.store, town.central.clock
    place_device(store, clock, TERMINAL, "atm-3", AREA, own_area="000000")
    address = draft(app, **LINK, is_whole_area="on", machines="atm-1")
    with person(app, "wang") as client:
        page = client.get(address).text
    assert re.findall(r'data-comparing="([^"]+)"', page) == ["atm-1", "atm-3"]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_links_are_shown_on_record_to_whoever_may_see_the_order(
    app: FastAPI, town: OfficeTown, language: str
) -> None:
    address = draft(app, **LINK, machines="atm-1 atm-2")
    sign(app, address)
    town.carry()
    order = bytes.fromhex(address.rpartition("/")[2])
    with person(app, "wang") as client:
        client.cookies.set("lang", language)
        assert "data-links" not in client.get(address).text
        report(town, order, "atm-1", b"a", 17, 18)
        report(town, order, "atm-1", b"b", 17)
        report(town, order, "atm-2", b"c")
        page = client.get(address).text
        assert 'data-links="3"' in page
        assert page.count("data-comparison=") == 3
        assert {"zh-CN": "打不开", "en": "did not open there"}[language] in page
        assert "0.713" not in page
        opened = client.post(f"{address}/links").text
    assert re.findall(r'data-link="(\S+)" data-visit="(\d+)"', opened) == [
        ("atm-1", "17"),
        ("atm-1", "18"),
    ]
    assert "0.713" in opened
    assert "C-7" in opened
    (noted,) = town.central.store.audit_rows(5, action="order.open_links")
    assert (noted.subject, noted.detail) == (order.hex(), {"case": "C-7", "links": 2})
    assert "wang" in json.dumps(noted.actor)
    with person(app, "far", area="110000") as client:
        assert client.post(f"{address}/links").status_code == 404
