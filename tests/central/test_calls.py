"""Who is called for an alert that nobody acknowledges reads so on every page."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI

from central.actor import Role
from central.alert_states import AlertAction
from central.hub import Hub
from central.web import create_app
from tests.central.kit import Central, settings
from tests.central.signing import client_as
from tests.central.test_alert_desk import DUTY, desk_of, raised, seen

MINUTE_US = 60_000_000


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


def called(client: httpx.Client, path: str = "/alerts") -> int:
    """How many alerts the banner says; 0: it is not shown."""
    found = re.search(r'data-called="(\d+)"( hidden)?', client.get(path).text)
    assert found is not None
    assert (found.group(2) is not None) is (found.group(1) == "0")
    return int(found.group(1))


def test_each_role_is_told_when_its_turn_has_come(app: FastAPI, central: Central) -> None:
    _, alert = raised(central)  # high: after 5, 15 and 30 minutes
    desk = desk_of(central)
    people = {
        role: client_as(app, role.value, [role])
        for role in (Role.DUTY_OFFICER, Role.REVIEWER, Role.COMMANDER)
    }
    elsewhere = client_as(app, "far", [Role.DUTY_OFFICER], ["530000"])

    def told() -> list[int]:
        return [called(client) for client in people.values()]

    assert told() == [0, 0, 0]
    for minutes, expected in ((6, [1, 0, 0]), (10, [1, 1, 0]), (15, [1, 1, 1])):
        central.clock.advance(minutes * MINUTE_US)
        desk.call_due()
        assert told() == expected
        assert called(elsewhere) == 0
    assert "/alerts/1" in people[Role.COMMANDER].get("/cases").text
    desk.act(DUTY, seen(alert), AlertAction.ACKNOWLEDGE)
    central.clock.advance(2_000_000)
    assert told() == [0, 0, 0]


def test_who_may_read_no_alert_is_not_told(app: FastAPI, central: Central) -> None:
    raised(central)
    central.clock.advance(6 * MINUTE_US)
    desk_of(central).call_due()
    with client_as(app, "root", [Role.ADMINISTRATOR]) as client:
        assert "data-called" not in client.get("/devices").text
