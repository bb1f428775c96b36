"""Who may call what: every route against every role, forms of other sites, the declared table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI

from central.actor import UNIT_ROLES, Actor, Role
from central.hub import Hub
from central.people.permissions import OF_ONES_UNIT, PERMISSIONS, Permission, may
from central.units import FeedDesk
from central.units.feeds import UnitKind
from central.web import create_app
from central.web.access import Rule, UndeclaredRouteError, needs, public, rules
from central.web.documents import renewed
from tests.central.in_process import InProcess
from tests.central.kit import Central, settings
from tests.central.signing import BASE, client_as, sign_in


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent))


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcess(app), base_url=BASE) as made:
        yield made


UNIT = "mobile"


def address_of(rule: Rule) -> str:
    """A path of the rule: whatever it names does not exist, but for the member unit."""
    return re.sub(r"\{[^}]*\}", "1", rule.path.replace("{unit}", UNIT))


def unit_for(app: FastAPI, role: Role) -> str:
    """The member unit of a unit's people; none for the centre's."""
    desk = FeedDesk(app.state.site.store, app.state.site.clock)
    desk.add_unit(Actor("root", frozenset()), UNIT, "移动", "Mobile", UnitKind.OPERATOR, 24)
    return UNIT if role in UNIT_ROLES else ""


def test_a_route_that_names_no_permission_is_not_served() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/forgotten")
    def forgotten() -> None: ...

    with pytest.raises(UndeclaredRouteError, match="/forgotten names 0"):
        rules(app)


def test_a_route_that_names_two_permissions_is_not_served() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/both", dependencies=[public()])
    def both(actor: Annotated[Actor, needs(Permission.MAP_READ)]) -> None: ...

    with pytest.raises(UndeclaredRouteError, match="/both names 2"):
        rules(app)


def test_every_permission_has_a_row_and_every_row_a_role() -> None:
    assert set(PERMISSIONS) == set(Permission)
    assert all(PERMISSIONS.values())


def test_whoever_has_no_role_may_nothing() -> None:
    nobody = Actor("nobody", frozenset(), frozenset({"000000"}))
    assert not any(may(nobody, permission) for permission in Permission)


@pytest.mark.parametrize(
    "permission",
    [p for p in Permission if p.value.startswith(("alerts", "cases", "orders", "map", "sealed"))],
)
def test_an_administrator_sees_no_case_data(permission: Permission) -> None:
    assert Role.ADMINISTRATOR not in PERMISSIONS[permission]


@pytest.mark.parametrize("role", Role)
def test_every_route_lets_in_exactly_the_roles_of_its_row(app: FastAPI, role: Role) -> None:
    wrong, unit = [], unit_for(app, role)
    for rule in rules(app):
        if rule.permission is None or rule.path in {"/events", "/sign-out"}:
            continue  # a stream has no end; signing out ends the session that asks
        with client_as(app, role.value.replace("_", "-"), [role], unit=unit) as client:
            status = client.request(rule.method, address_of(rule)).status_code
        is_in = status != 403
        if is_in != (role in rule.roles):
            wrong.append((rule.method, rule.path, status))
    assert not wrong


@pytest.mark.parametrize("role", sorted(UNIT_ROLES))
def test_a_units_role_without_a_unit_reaches_nothing_of_any(app: FastAPI, role: Role) -> None:
    unit_for(app, role)
    forms = {
        "/units/feed": {"unit": UNIT, "kind": "numbers", "rows": "number\n13800138000\n"},
        "/numbers/note": {"number": "13800138000", "what": "done"},
    }
    asked = [rule for rule in rules(app) if rule.permission in OF_ONES_UNIT]
    assert {rule.path for rule in asked} == {
        *("/units", "/numbers", "/api/feeds/{unit}/{kind}"),
        *forms,
    }
    with client_as(app, role.value, [role]) as client:
        for rule in asked:
            address = address_of(rule).removesuffix("/1") + ("/numbers" * ("{kind}" in rule.path))
            sent = {"data": forms[rule.path]} if rule.path in forms else {"content": b"number\n"}
            answer = client.request(rule.method, address, **sent)
            assert answer.status_code == 403, rule


def test_a_stranger_comes_no_further_than_the_sign_in(app: FastAPI, stranger: httpx.Client) -> None:
    for rule in rules(app):
        if rule.permission is None:
            continue
        answer = stranger.request(rule.method, address_of(rule))
        if rule.method == "GET" and not rule.path.startswith(("/api/", "/events")):
            assert answer.status_code == 303, rule
            assert answer.headers["location"].startswith("/sign-in?next=%2F")
        else:
            # FastAPI reads the body before it asks who sends it: a malformed one may be said first.
            assert answer.status_code == 401, (rule, answer.text)


def test_what_is_public_is_only_the_way_in(app: FastAPI) -> None:
    public_paths = {rule.path for rule in rules(app) if rule.permission is None}
    assert public_paths == {"/sign-in", "/sign-in/link/{token}"}


def test_without_a_second_factor_only_the_account_opens(app: FastAPI) -> None:
    with client_as(app, "weak", is_strong=False) as client:
        assert client.get("/account").status_code == 200
        assert client.get("/").status_code == 403
        assert "<nav" not in client.get("/account").text


@pytest.mark.parametrize(
    "headers",
    [
        {"x-csrf-token": "wrong"},
        {"x-csrf-token": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_changes_nothing(app: FastAPI, headers: dict[str, str]) -> None:
    with client_as(app) as client:
        answer = client.post("/sign-out", headers=headers)
        assert answer.status_code == 403
        assert client.get("/account").status_code == 200


def test_a_form_carries_the_token_in_a_field(app: FastAPI) -> None:
    cookie, visitor = sign_in(app)
    client = httpx.Client(transport=InProcess(app), base_url=BASE, cookies={"session": cookie})
    page = client.get("/account").text
    assert f'name="csrf" value="{visitor.csrf}"' in page
    answer = client.post("/sign-out", data={"csrf": visitor.csrf})
    assert answer.status_code == 303
    assert client.get("/account").status_code == 303


def test_the_document_has_the_table_of_today() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "central.md"
    text = path.read_text(encoding="utf-8")
    assert renewed(text) == text, "run make schemas"


def test_a_refusal_is_in_the_audit_log(app: FastAPI, central: Central) -> None:
    with client_as(app, "clerk", [Role.BANK]) as client:
        assert client.get("/devices").status_code == 403
    row = central.store.audit_rows(1)[0]
    assert (row.actor, row.action, row.subject, row.outcome) == (
        "clerk",
        "access",
        "/devices",
        "refused",
    )
    assert row.detail["permission"] == "devices.read"


def test_navigation_shows_what_one_may_open(app: FastAPI) -> None:
    with client_as(app, "admin", [Role.ADMINISTRATOR]) as client:
        page = client.get("/devices").text
    assert 'href="/devices"' in page
    assert '<a href="/"' not in page
    assert 'href="/map"' not in page
    assert page.count("<summary>") == 2  # keys of both kinds, and the system's
