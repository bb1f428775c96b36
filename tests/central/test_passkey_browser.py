"""Passkeys in a real browser with a virtual authenticator, up to the machine that takes the order.

``QIANSHAO_SCREENSHOTS=DIR`` keeps pictures of the pages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, CDPSession, Page, Route, sync_playwright

from central.actor import Role
from central.hub import Hub
from central.orders.book import OrderRecord
from central.orders.kinds import OrderState
from central.orders.settings import PasskeyPlace
from central.web import WebServer, create_app
from central.web.site import STATIC
from contract.clock import SystemClock
from contract.cosign import open_order
from contract.words import OrderOutcome, OrderRefusal
from tests.central.kit import START
from tests.central.office import AREA, KEYS, NUMBER, SECOND, OfficeTown, officer
from tests.central.signing import browser_cookie
from tests.central.test_order_browser import key_file, sign_here
from tests.orders import TENANT

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@dataclass
class Site:
    """A running central under the name ``localhost``, with one machine behind it."""

    town: OfficeTown
    app: FastAPI
    browser: Browser
    server: WebServer

    def url(self, server: WebServer | None = None) -> str:
        return (server or self.server).url.replace("127.0.0.1", "localhost").rstrip("/")

    def page(self, name: str, role: Role = Role.REVIEWER, server: WebServer | None = None) -> Page:
        """A page of its own browser, signed in."""
        context = self.browser.new_context(locale="zh-CN")
        areas = [AREA if role is Role.REVIEWER else "000000"]
        cookie = browser_cookie(self.app, self.url(server), name=name, roles=[role], areas=areas)
        context.add_cookies([cookie])
        return context.new_page()

    def draft(self, number: str = NUMBER) -> str:
        self.town.central.clock.advance(1)
        return self.town.draft(number=number).application.order_id.hex()

    def record(self, order: str) -> OrderRecord:
        return self.town.office.desk.book.get(bytes.fromhex(order))


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    town = OfficeTown(tmp_path, 1, officers=("li.wei",))
    town.central.clock.advance(SystemClock().wall() - START)
    app = create_app(town.central.store, Hub(), town.settings, order_office=town.office)
    server = WebServer(app, app.state.site.hub, "127.0.0.1", 0)
    server.start()
    made = Site(town, app, browser, server)
    town.office.officers.passkeys.place = PasskeyPlace(rp_id="localhost", origins=(made.url(),))
    yield made
    server.stop()
    town.central.store.close()


@dataclass
class Authenticator:
    """A virtual one inside the browser, whose user is there and is verified."""

    session: CDPSession
    id: str

    @classmethod
    def of(cls, page: Page) -> Authenticator:
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return cls(session, made["authenticatorId"])

    def verify(self, *, is_verified: bool) -> None:
        self.session.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self.id, "isUserVerified": is_verified},
        )

    def copy_to(self, other: Authenticator) -> None:
        found: Any = self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        for credential in found["credentials"]:
            other.session.send(
                "WebAuthn.addCredential",
                {"authenticatorId": other.id, "credential": credential},
            )


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("QIANSHAO_SCREENSHOTS")
    if folder:
        for lang in ("zh-CN", "en"):
            page.goto(f"{page.url.partition('#')[0].partition('?')[0]}?lang={lang}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=f"{folder}/{name}-{lang}.png", full_page=True)


def make_passkey(site: Site, page: Page) -> None:
    """The officer makes one; an administrator has not decided yet."""
    page.goto(f"{site.url()}/account")
    with page.expect_navigation():
        page.locator("[data-passkey-new] button").click()
    page.locator("[data-passkey]").wait_for()
    picture(page, "account")


def let_it_sign(site: Site, page: Page) -> None:
    """The administrator compares and accepts, and the machine hears of it."""
    first = page.locator("[data-passkey]").get_attribute("data-passkey")
    root = site.page("root", Role.ADMINISTRATOR)
    root.goto(f"{site.url()}/officers")
    picture(root, "officers")
    assert root.locator("[data-waiting] .code").get_attribute("title") == first
    with root.expect_navigation():
        root.locator("[data-accept=wang]").click()
    picture(root, "officers-after")
    root.context.close()
    site.town.carry()


def press(page: Page) -> None:
    with page.expect_navigation():
        page.locator("[data-passkey-sign] button").click()


def altered(change: Callable[[str], str]) -> Callable[[Route], None]:
    """Serve the page's script as somebody who means ill would have it."""
    script = (STATIC / "passkey.js").read_text(encoding="utf-8")
    assert change(script) != script
    return lambda route: route.fulfill(body=change(script), content_type="text/javascript")


def test_a_passkey_and_a_key_file_sign_and_the_machine_takes_the_order(
    site: Site, tmp_path: Path
) -> None:
    page = site.page("wang")
    authenticator = Authenticator.of(page)
    make_passkey(site, page)
    let_it_sign(site, page)
    order = site.draft()
    page.goto(f"{site.url()}/orders/{order}")
    assert page.locator("[data-expanded] [data-account]").count() == 1
    assert page.locator("[data-no-passkeys]").is_hidden()
    picture(page, "order")
    authenticator.verify(is_verified=False)
    page.locator("[data-passkey-sign] button").click()
    page.locator("[data-passkey-problem]:not([hidden])").wait_for()
    assert site.record(order).signers == ()
    authenticator.verify(is_verified=True)
    press(page)
    assert site.record(order).signers == ("wang",)

    other = site.page("li.wei")
    other.goto(f"{site.url()}/orders/{order}")
    with other.expect_navigation():
        sign_here(other, key_file(tmp_path, KEYS["li.wei"]))
    assert site.record(order).state is OrderState.FED_BACK
    site.town.carry()
    (answer,) = site.town.central.store.answers(bytes.fromhex(order))
    assert answer.outcome is OrderOutcome.APPLIED
    account = site.record(order).application.account
    assert account is not None
    assert site.town.desks["atm-1"].hold_on(account) is not None

    # Taken off: signed before, but the machine has the newer bundle when it hears the order.
    late = site.draft(SECOND)
    page.goto(f"{site.url()}/orders/{late}")
    press(page)
    name = bytes.fromhex(late)
    site.town.office.desk.sign(officer("li.wei"), name, site.town.signature(name, "li.wei"))
    raw = site.town.office.desk.signed_bytes(name)
    find = site.town.desks["atm-1"].find_key
    assert open_order(raw, tenant=TENANT, find_key=find).signers == ("li.wei", "wang")
    third = site.draft()
    page.goto(f"{site.url()}/orders/{third}")
    root = site.page("root", Role.ADMINISTRATOR)
    root.goto(f"{site.url()}/officers")
    with root.expect_navigation():
        root.locator("[data-remove=wang]").click()
    site.town.carry()  # the bundle goes first and alone
    site.town.carry()
    (answer,) = site.town.central.store.answers(name)
    assert (answer.outcome, answer.reason) == (OrderOutcome.REFUSED, OrderRefusal.UNKNOWN_SIGNER)
    press(page)
    assert page.locator("[data-problem]").count() == 1
    assert site.record(third).signers == ()


def test_a_press_without_verification_or_on_another_page_is_refused(site: Site) -> None:
    page = site.page("wang")
    authenticator = Authenticator.of(page)
    make_passkey(site, page)
    (waiting,) = site.town.office.officers.passkeys.waiting()
    site.town.office.officers.accept("root", waiting.kid)
    order = site.draft()

    unverified = altered(
        lambda text: text.replace(
            'allowCredentials: named([job.credential_id]),\n      userVerification: "required"',
            'allowCredentials: named([job.credential_id]),\n      userVerification: "discouraged"',
        )
    )
    page.route("**/static/passkey.js", unverified)
    authenticator.verify(is_verified=False)
    page.goto(f"{site.url()}/orders/{order}")
    press(page)
    assert page.locator("[data-problem]").count() == 1

    second = WebServer(site.app, site.app.state.site.hub, "127.0.0.1", 0)
    second.start()
    try:
        elsewhere = site.page("wang", server=second)
        authenticator.copy_to(Authenticator.of(elsewhere))
        elsewhere.goto(f"{site.url(second)}/orders/{order}")
        elsewhere.locator("[data-no-passkeys]").wait_for()  # the page itself offers none there
        careless = altered(
            lambda text: text.replace("options.origins.includes", "[location.origin].includes")
        )
        elsewhere.route("**/static/passkey.js", careless)
        elsewhere.reload()
        press(elsewhere)
        assert elsewhere.locator("[data-problem]").count() == 1
    finally:
        second.stop()
    assert site.record(order).signers == ()
    refused = site.town.central.store.audit_rows(10, action="order.refused")
    details = [row.detail["detail"] for row in refused]
    assert ["another page" in details[0], "not verified" in details[1]] == [True, True]
