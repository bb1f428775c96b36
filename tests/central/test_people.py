"""Signing in and what follows: passwords, codes, locks, ends of sessions, links, keys, glass."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.hub import Hub
from central.people import passwords
from central.people.desk import (
    ABSOLUTE_S,
    FREE_TRIES,
    GLASS_S,
    IDLE_S,
    LINK_S,
    SECOND_US,
    PeopleDesk,
    PersonError,
    SignInError,
)
from central.people.passwords import Vault, WeakPasswordError
from central.store.people import StaleVersionError
from central.units import FeedDesk
from central.units.feeds import UnitKind
from central.web import create_app
from contract.keyfiles import KeyFileError
from tests.central.in_process import InProcess
from tests.central.kit import Central, settings
from tests.central.signing import BASE, client_as

PASSWORD = "correct horse 9"


@pytest.fixture
def desk(central: Central) -> PeopleDesk:
    made = PeopleDesk(central.store, central.clock, central.path.parent)
    made.create("zhao", [Role.DUTY_OFFICER], ["530100"], password=PASSWORD)
    return made


def wait(central: Central, seconds: float) -> None:
    central.clock.advance(int(seconds * SECOND_US))


# -- codes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unix_s", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(unix_s: int, code: str) -> None:
    assert passwords.code_at(b"12345678901234567890", unix_s // 30, 8) == code


def test_a_code_counts_once_and_for_a_short_while() -> None:
    secret = passwords.new_secret()
    code = passwords.code_at(secret, 1000)
    assert passwords.matching_step(secret, f" {code[:3]} {code[3:]} ", 1000 * 30) == 1000
    assert passwords.matching_step(secret, code, 1001 * 30) == 1000
    assert passwords.matching_step(secret, code, 1000 * 30, after=1000) is None
    assert passwords.matching_step(secret, code, 1003 * 30) is None


@given(st.text(max_size=20))
def test_any_text_is_a_wrong_code(text: str) -> None:
    passwords.matching_step(b"s" * 20, text, 1_700_000_000)


def test_a_sealed_secret_opens_for_its_owner_only(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "key")
    sealed = vault.seal(b"secret", "zhao")
    assert Vault(tmp_path / "key").open(sealed, "zhao") == b"secret"
    with pytest.raises(KeyFileError, match="li"):
        vault.open(sealed, "li")


# -- signing in -----------------------------------------------------------------------------


def test_without_an_authenticator_the_session_is_weak_until_there_is_one(
    central: Central, desk: PeopleDesk
) -> None:
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    visitor = desk.visitor(cookie)
    assert visitor is not None
    assert not visitor.is_strong
    secret = passwords.new_secret()
    with pytest.raises(SignInError):
        desk.enrol_second_factor(visitor, secret, "000000x")
    now_step = central.clock.wall() // SECOND_US // 30
    desk.enrol_second_factor(visitor, secret, passwords.code_at(secret, now_step))
    again = desk.visitor(cookie)
    assert again is not None
    assert again.is_strong
    wait(central, 60)
    step = central.clock.wall() // SECOND_US // 30
    with pytest.raises(SignInError):
        desk.sign_in("zhao", PASSWORD, "", "test")
    code = passwords.code_at(secret, step)
    assert desk.sign_in("zhao", PASSWORD, code, "test")
    with pytest.raises(SignInError):  # a code that was looked at over a shoulder
        desk.sign_in("zhao", PASSWORD, code, "test")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("zhao", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        ("zhao' OR '1'='1", PASSWORD),
        ("zhao", ""),
    ],
)
def test_every_wrong_try_is_told_the_same(desk: PeopleDesk, name: str, password: str) -> None:
    with pytest.raises(SignInError) as refused:
        desk.sign_in(name, password, "", "test")
    assert str(refused.value) == "name, password or code is wrong"


def test_an_account_waits_longer_after_each_wrong_try(central: Central, desk: PeopleDesk) -> None:
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInError, match="is wrong"):
            desk.sign_in("zhao", "wrong", "", "test")
    with pytest.raises(SignInError, match="wait 30 s"):
        desk.sign_in("zhao", PASSWORD, "", "test")  # even with the right one
    wait(central, 31)
    with pytest.raises(SignInError, match="is wrong"):
        desk.sign_in("zhao", "wrong", "", "test")
    with pytest.raises(SignInError, match="wait 60 s"):
        desk.sign_in("zhao", PASSWORD, "", "test")
    wait(central, 61)
    assert desk.sign_in("zhao", PASSWORD, "", "test")


def test_tries_are_in_the_audit_log_and_a_mistyped_name_is_not(
    central: Central, desk: PeopleDesk
) -> None:
    for name in ("zhao", PASSWORD):
        with pytest.raises(SignInError):
            desk.sign_in(name, "wrong", "", "10.0.0.7 firefox")
    rows = central.store.audit_rows(2)
    assert [(r.actor, r.action, r.outcome) for r in rows] == [
        ("unknown", "sign_in", "refused"),
        ("zhao", "sign_in", "refused"),
    ]
    assert all(PASSWORD not in str(row) for row in rows)


# -- ends -----------------------------------------------------------------------------


def test_a_session_that_asks_nothing_ends(central: Central, desk: PeopleDesk) -> None:
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    wait(central, IDLE_S - 1)
    assert desk.visitor(cookie) is not None
    wait(central, IDLE_S - 1)
    assert desk.visitor(cookie) is not None
    wait(central, IDLE_S)
    assert desk.visitor(cookie) is None


def test_a_shift_ends_whatever_one_asks(central: Central, desk: PeopleDesk) -> None:
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    for _ in range(ABSOLUTE_S // 600 - 1):
        wait(central, 600)
        assert desk.visitor(cookie) is not None
    wait(central, 600)
    assert desk.visitor(cookie) is None


def test_a_new_password_ends_the_other_sessions(desk: PeopleDesk) -> None:
    here, there = (desk.sign_in("zhao", PASSWORD, "", "test") for _ in range(2))
    visitor = desk.visitor(here)
    assert visitor is not None
    assert visitor.session is not None
    desk.set_password("zhao", "another horse 8", by=visitor.actor, keep=visitor.session.hashed)
    assert desk.visitor(here) is not None
    assert desk.visitor(there) is None


def test_a_disabled_person_is_out_at_once(desk: PeopleDesk) -> None:
    admin = desk.create("admin", [Role.ADMINISTRATOR], ["000000"])
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    key = desk.make_key("zhao", "script", 1)
    desk.change("zhao", by=admin.actor, version=1, roles=[], areas=[], shown="", is_disabled=True)
    assert desk.visitor(cookie) is None
    assert desk.program(key) is None
    with pytest.raises(SignInError):
        desk.sign_in("zhao", PASSWORD, "", "test")


def test_a_stale_change_of_a_person_is_refused(desk: PeopleDesk) -> None:
    admin = desk.create("admin", [Role.ADMINISTRATOR], ["000000"]).actor

    def change(version: int) -> None:
        desk.change(
            "zhao",
            by=admin,
            version=version,
            roles=[Role.REVIEWER],
            areas=["530000"],
            shown="赵",
            is_disabled=False,
        )

    change(1)
    with pytest.raises(StaleVersionError):
        change(1)
    change(2)


def test_nobody_locks_the_last_door_behind_themselves(desk: PeopleDesk) -> None:
    admin = desk.create("admin", [Role.ADMINISTRATOR], ["000000"]).actor
    with pytest.raises(PersonError, match="own"):
        desk.change("admin", by=admin, version=1, roles=[], areas=[], shown="", is_disabled=False)


# -- links, keys, glass ---------------------------------------------------------------------------


def test_a_link_signs_in_once_and_not_for_long(central: Central, desk: PeopleDesk) -> None:
    token = desk.make_link("zhao")
    visitor = desk.visitor(desk.follow_link(token, "test"))
    assert visitor is not None
    assert visitor.is_strong
    with pytest.raises(SignInError):
        desk.follow_link(token, "test")
    late = desk.make_link("zhao")
    wait(central, LINK_S)
    with pytest.raises(SignInError):
        desk.follow_link(late, "test")


def test_a_key_acts_for_its_person_until_it_ends(central: Central, desk: PeopleDesk) -> None:
    key = desk.make_key("zhao", "script", 2)
    visitor = desk.program(key)
    assert visitor is not None
    assert visitor.actor.roles == {Role.DUTY_OFFICER}
    wait(central, 2 * 86_400)
    assert desk.program(key) is None
    assert desk.program("qk_guess") is None


def test_the_glass_is_broken_with_a_reason_and_mends_itself(
    central: Central, desk: PeopleDesk
) -> None:
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    visitor = desk.visitor(cookie)
    assert visitor is not None
    assert not visitor.actor.covers("370100")
    with pytest.raises(SignInError, match="reason"):
        desk.break_glass(visitor, "  because  ")
    desk.break_glass(visitor, "van 3 chases over the border of the province")
    wider = desk.visitor(cookie)
    assert wider is not None
    assert wider.actor.covers("370100")
    assert wider.actor.roles == {Role.DUTY_OFFICER}
    row = central.store.audit_rows(1)[0]
    assert (row.action, row.detail["reason"][:5]) == ("break_glass", "van 3")
    for _ in range(2):
        wait(central, GLASS_S / 2)
        desk.visitor(cookie)
    mended = desk.visitor(cookie)
    assert mended is not None
    assert not mended.actor.covers("370100")


@pytest.mark.parametrize("password", ["short", "x" * 300, "aaaaaaaaaaaaaaa", "my name is ZHAO!"])
def test_a_weak_password_is_refused(desk: PeopleDesk, password: str) -> None:
    with pytest.raises(WeakPasswordError):
        desk.set_password("zhao", password, by="terminal")


def test_the_store_holds_no_secret_in_clear(central: Central, desk: PeopleDesk) -> None:
    cookie = desk.sign_in("zhao", PASSWORD, "", "test")
    key, link = desk.make_key("zhao", "script", 1), desk.make_link("zhao")
    raw = b"".join(path.read_bytes() for path in central.path.parent.glob("central.sqlite3*"))
    for secret in (PASSWORD, cookie, key, link):
        assert secret.encode() not in raw


# -- over HTTP -----------------------------------------------------------------------------


@pytest.fixture
def app(central: Central) -> FastAPI:
    return create_app(central.store, Hub(), settings(central.path.parent), clock=central.clock)


@pytest.fixture
def browser(app: FastAPI) -> Iterator[httpx.Client]:
    headers = {"accept-language": "en"}
    with httpx.Client(transport=InProcess(app), base_url=BASE, headers=headers) as made:
        yield made


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_the_whole_way_in_through_the_pages(
    central: Central, desk: PeopleDesk, browser: httpx.Client
) -> None:
    form = {"name": "zhao", "password": "wrong", "next": "/devices"}
    refused = browser.post("/sign-in", data=form)
    assert refused.status_code == 403
    assert "Name, password or code is wrong." in refused.text
    entered = browser.post("/sign-in", data={**form, "password": PASSWORD})
    assert entered.headers["location"] == "/account"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = browser.get("/account")
    secret = re.search(r'data-secret="([A-Z2-7]+)"', page.text)
    assert secret is not None
    raw = base64.b32decode(secret[1])
    code = passwords.code_at(raw, central.clock.wall() // SECOND_US // 30)
    form = {"csrf": csrf_of(page), "secret": secret[1], "code": code}
    assert browser.post("/account/second-factor", data=form).status_code == 303
    assert browser.get("/devices").status_code == 200
    form = {"csrf": csrf_of(page), "old": PASSWORD, "new": "a far better horse"}
    assert browser.post("/account/password", data=form).status_code == 303
    assert browser.post("/sign-out", data={"csrf": csrf_of(page)}).status_code == 303
    assert browser.get("/devices").headers["location"] == "/sign-in?next=%2Fdevices"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nb",
    ],
)
def test_the_way_in_leads_nowhere_else(
    central: Central, app: FastAPI, browser: httpx.Client, target: str
) -> None:
    weak = PeopleDesk(central.store, central.clock, central.path.parent)
    weak.create("li", [Role.ADMINISTRATOR], ["000000"], password=PASSWORD)
    app.state.site.people.needs_second_factor = False
    form = {"name": "li", "password": PASSWORD, "next": target}
    assert browser.post("/sign-in", data=form).headers["location"] in {"/", "/overview"}


def test_one_address_that_tries_too_often_waits(browser: httpx.Client) -> None:
    answers = [browser.get(f"/sign-in/link/{n}").status_code for n in range(25)]
    assert answers[0] == 403
    assert answers[-1] == 429


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x" * 1_000_001, "application/x-www-form-urlencoded"),
        (b"name=" + b"a" * 2000, "application/x-www-form-urlencoded"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"\xff\xfe=%zz&&&=", "application/x-www-form-urlencoded"),
        (b"", "text/plain"),
    ],
)
def test_oversized_and_malformed_forms_are_refused_plainly(
    browser: httpx.Client, body: bytes, kind: str
) -> None:
    answer = browser.post("/sign-in", content=body, headers={"content-type": kind})
    assert answer.status_code in {400, 413, 422}
    assert "Traceback" not in answer.text


def test_people_are_made_and_changed_on_their_page(app: FastAPI, central: Central) -> None:
    evil = "<script>alert(1)</script>"
    with client_as(app, "admin", [Role.ADMINISTRATOR]) as client:
        form = {"name": "sun", "shown": evil, "areas": "530100, 530300", "roles": "reviewer"}
        made = client.post("/people", data=form)
        assert "/sign-in/link/" in made.text
        assert evil not in made.text
        person = central.store.person("sun")
        assert person is not None
        assert person.areas == {"530100", "530300"}
        again = client.post("/people", data=form)
        assert again.status_code == 422
        change = {"version": "1", "shown": "孙", "areas": "000000", "roles": ["commander", "bank"]}
        assert client.post("/people/sun", data=change).status_code == 303
        stale = client.post("/people/sun", data=change, headers={"accept-language": "en"})
        assert stale.status_code == 409
        assert "Somebody else changed this" in stale.text
        assert client.post("/people/sun", data={**change, "roles": "king"}).status_code == 422


def test_a_device_is_put_out_by_its_typed_name_and_a_reason(app: FastAPI, central: Central) -> None:
    from tests.central.kit import Station

    central.enrol(Station())
    with client_as(app, "admin", [Role.ADMINISTRATOR]) as client:
        form = {"typed": "van-2", "reason": "stolen last night"}
        assert client.post("/devices/van-1/revoke", data=form).status_code == 422
        form["typed"] = "van-1"
        assert client.post("/devices/van-1/revoke", data=form).status_code == 303
        assert client.post("/devices/van-1/revoke", data=form).status_code == 409
    device = central.store.device("van-1")
    assert device is not None
    assert device.revoked_at is not None
    row = central.store.audit_rows(1)[0]
    assert (row.actor, row.action, row.detail) == (
        "admin",
        "device.revoke",
        {"reason": "stolen last night"},
    )


# -- a unit's people -------------------------------------------------------------------------------


@pytest.fixture
def units(central: Central) -> FeedDesk:
    made = FeedDesk(central.store, central.clock)
    root = Actor("root", frozenset())
    made.add_unit(root, "mobile", "移动", "Mobile", UnitKind.OPERATOR, 24)
    return made


def test_a_person_is_bound_to_a_unit_that_is_there_and_with_its_roles_alone(
    central: Central, desk: PeopleDesk, units: FeedDesk
) -> None:
    desk.create("he", [Role.CARRIER], ["530100"], unit="mobile", password=PASSWORD)
    person = central.store.person("he")
    assert person is not None
    assert person.actor.unit == "mobile"
    with pytest.raises(PersonError, match="no member unit"):
        desk.create("wu", [Role.CARRIER], ["530100"], unit="unicom")
    for roles in ([], [Role.DUTY_OFFICER], [Role.CARRIER, Role.DUTY_OFFICER]):
        with pytest.raises(PersonError, match="its roles alone"):
            desk.create("wu", roles, ["530100"], unit="mobile")
    with pytest.raises(PersonError, match="its roles alone"):
        desk.bind("zhao", "mobile")
    cookie = desk.sign_in("he", PASSWORD, "", "test")
    desk.bind("he", "")
    assert desk.visitor(cookie) is None  # what was open under the former unit ends
    after = central.store.person("he")
    assert after is not None
    assert (after.actor.unit, after.version) == ("", 2)
    row = central.store.audit_rows(1)[0]
    assert (row.action, row.subject, row.detail["unit"]) == ("people.unit", "he", ["mobile", ""])


def test_an_administrator_binds_on_the_page(
    central: Central, units: FeedDesk, tmp_path: Path
) -> None:
    app = create_app(central.store, Hub(), settings(tmp_path), clock=central.clock)
    with client_as(app, "root", [Role.ADMINISTRATOR]) as root:
        form = {"name": "he", "roles": ["carrier"], "areas": "530100"}
        assert root.post("/people", data=form).status_code == 200
        assert "bound to none" in root.get("/people?lang=en").text
        wrong = {**form, "version": 1, "unit": "unicom"}
        assert root.post("/people/he", data=wrong).status_code == 422
        assert root.post("/people/he", data={**wrong, "unit": "mobile"}).status_code == 303
        assert 'value="mobile" selected' in root.get("/people/he").text
        assert "bound to none" not in root.get("/people?lang=en").text
    person = central.store.person("he")
    assert person is not None
    assert person.unit == "mobile"
