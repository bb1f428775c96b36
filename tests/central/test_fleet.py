"""The page of a device: when each sensor was last heard, which bundle it runs with, where it is."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Actor, Role
from central.alert_states import RuleError
from central.alert_work import UnknownError
from central.fleet_desk import place_device
from central.hub import Hub
from central.orders import order_keys
from central.web import create_app
from contract import Health, OrderResult, PartHealth
from contract.clock import UnixMicros
from contract.codec import Values
from contract.cosign import claimed_id, open_order, order_digest
from contract.keys import KeySigner
from contract.messages import ID_BYTES
from contract.orders import Configuration
from contract.topics import Lane
from contract.words import OrderOutcome, OrderRefusal, OrderType, PartState
from tests.central.kit import START, TENANT, Central, Station, settings
from tests.central.signing import client_as
from tests.orders import CENTRAL_KEY, signed
from tests.samples import a_detection

ROOT = Actor("root", frozenset({Role.ADMINISTRATOR}))
KUNMING = "530102"


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def keeper(app: FastAPI) -> httpx.Client:
    return client_as(app, "root", [Role.ADMINISTRATOR], [])


def rows(client: httpx.Client, kind: str) -> list[str]:
    page = client.get("/devices/van-1", params={"lang": "en"}).text
    found = re.findall(rf"<tr data-{kind}.*?</tr>", page)
    return [" ".join(re.sub("<[^>]+>", " ", row).split()) for row in found]


def test_each_sensor_shows_when_it_was_last_heard(
    central: Central, van: Station, keeper: httpx.Client
) -> None:
    def sensor(name: str, state: PartState, **counters: int | float | bool) -> PartHealth:
        values: Values = dict(counters)
        return PartHealth(name=f"sensor {name}", state=state, counters=values)

    parts = (
        sensor("modem0", PartState.OK, last_data_age_s=12.5, readings=70),
        sensor("fm1", PartState.FAILED, readings=0),
        PartHealth(name="outbox", state=PartState.OK, counters={"depth": 1}),
    )
    report = Health(uptime_s=60, version="0.1.0", parts=parts)
    central.take(van.topic(Lane.HEALTH), van.next(report))
    assert rows(keeper, "sensor") == [
        "modem0 healthy 2026-01-02 10:59:47 70",
        "fm1 failed never 0",
    ]


def order_of(central: Central, bundle: int) -> bytes:
    """Store a configuration for the van as a central that was told to send it."""
    body = Configuration(bundle=bundle, settings={"health.period_s": 7.0})
    raw = signed(
        OrderType.CONFIGURATION, bundle, body=body, tenant=TENANT, issued_at=UnixMicros(START),
        not_before=UnixMicros(START), expires=UnixMicros(START + 600_000_000),
    )  # fmt: skip
    signer = KeySigner(CENTRAL_KEY)
    order = open_order(raw, tenant=TENANT, find_key=order_keys(central.store, signer))
    central.store.add_order(order, ["van-1"])
    return raw


def answer(
    central: Central, van: Station, raw: bytes, outcome: OrderOutcome, reason: OrderRefusal | None
) -> None:
    result = OrderResult(
        digest=order_digest(raw), order_id=order_id_of(raw), type="configuration", outcome=outcome,
        reason=reason, detail="" if reason is None else "version 2 is here",
        at=UnixMicros(START + 5_000_000), attempt=1,
    )  # fmt: skip
    central.take(van.topic(Lane.DECISIONS), van.next(result))


def order_id_of(raw: bytes) -> bytes:
    found = claimed_id(raw)
    assert found is not None
    assert len(found) == ID_BYTES
    return found


def test_a_bundle_is_wanted_applied_refused_or_late(
    central: Central, van: Station, keeper: httpx.Client
) -> None:
    assert rows(keeper, "bundle") == []
    first = order_of(central, 1)
    assert rows(keeper, "bundle")[0].startswith("configuration 1 – not answered yet")
    answer(central, van, first, OrderOutcome.APPLIED, None)
    assert rows(keeper, "bundle")[0].startswith("configuration 1 1 applied")
    second = order_of(central, 2)
    assert rows(keeper, "bundle")[0].startswith("configuration 2 1 not answered yet")
    answer(central, van, second, OrderOutcome.REFUSED, OrderRefusal.OLD_VERSION)
    assert "2 1 refused old_version version 2 is here" in rows(keeper, "bundle")[0]
    order_of(central, 3)
    central.clock.advance(1_200_000_000)
    assert rows(keeper, "bundle")[0].startswith("configuration 3 1 not answered in time")


def test_a_device_is_placed_and_its_alerts_follow_out_of_no_mans_land(
    central: Central, app: FastAPI, van: Station, keeper: httpx.Client
) -> None:
    central.take(van.topic(), van.next(a_detection()))
    token = re.search(r'name="csrf" value="([^"]*)"', keeper.get("/devices/van-1").text)
    assert token is not None
    form = {"csrf": token.group(1), "area": KUNMING}
    done = keeper.post("/devices/van-1/area", data=form, follow_redirects=False)
    assert done.status_code == 303
    assert central.store.device("van-1").area == KUNMING  # type: ignore[union-attr]
    assert central.store.alert(1).area == KUNMING  # type: ignore[union-attr]
    with client_as(app, "lin", [Role.DUTY_OFFICER], [KUNMING]) as officer:
        assert officer.get("/alerts/1").status_code == 200
        assert officer.post("/devices/van-1/area", data=form).status_code == 403
    moved = place_device(central.store, central.clock, ROOT, "van-1", "530302", own_area="000000")
    assert moved == 0  # what was heard in one city stays there
    assert central.store.alert(1).area == KUNMING  # type: ignore[union-attr]
    (row, *_) = central.store.audit_rows(1, None, "", "device.area")
    assert (row.actor, row.detail["to"]) == ("root", "530302")


@pytest.mark.parametrize("area", ["5301", "53010a", "５３０１０２", "'; DROP TABLE devices"])
def test_an_area_that_is_no_code_is_refused(central: Central, van: Station, area: str) -> None:
    with pytest.raises(RuleError, match="six-digit"):
        place_device(central.store, central.clock, ROOT, "van-1", area, own_area="000000")


def test_a_device_that_is_not_there_is_not_placed(central: Central) -> None:
    with pytest.raises(UnknownError, match="no device van-9"):
        place_device(central.store, central.clock, ROOT, "van-9", KUNMING, own_area="000000")
