"""Every page in a real browser, both languages, light and dark: accessible, within its policy,
nothing from elsewhere. ``QIANSHAO_SCREENSHOTS=DIR`` keeps a picture of each."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from central.actor import Actor, Role
from central.alert_work import Seen
from central.case_desk import PART_KINDS, CaseDesk
from central.case_work import SeenCase
from central.dispatch_desk import DispatchDesk
from central.dissuasion import Outcome, Risk, Step
from central.hub import Hub
from central.intake import IntakeDesk
from central.lists import ListKeeper, WireHolds
from central.orders.drafting import draft_entry
from central.orders.entry import read_entry
from central.orders.office import OrderOffice
from central.orders.sealed import Vault
from central.orders.settings import PasskeyPlace
from central.places import Place
from central.refund_desk import RefundDesk
from central.refunds import Claim
from central.store.cases import TipOff
from central.store.list_tables import device_boxes
from central.units import FeedDesk, NumberDesk, OutreachDesk
from central.units.feeds import UnitKind
from central.web import WebServer, create_app
from central.web.access import rules
from central.web.orders import office_of
from central.web.site import VENDOR, Site
from contract.clock import SystemClock, UnixMicros
from contract.codec import rfc3339
from contract.cosign import sign_content
from contract.keys import KeySigner, public_pem
from contract.messages import LinkedVisit, VisitLinkReport
from contract.topics import Lane
from contract.words import DeviceKind, FeedKind, Level, Presence, Severity
from tests.authenticator import ORIGIN, RP_ID, Authenticator
from tests.central.kit import (
    CENTRAL_KEY,
    START,
    TENANT,
    Central,
    Station,
    a_decision,
    a_health,
    an_attack,
    settings,
)
from tests.central.office import AREA, KEYS, NUMBER, filled_office
from tests.central.signing import browser_cookie, site_of_app
from tests.central.tiles import pmtiles
from tests.needs import missing
from tests.samples import a_detection

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".venv" / "share" / "axe.min.js"
WATCH = (
    "window.violations = [];"
    "document.addEventListener('securitypolicyviolation',"
    " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
)
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
    && !one.closest(".scroll"))
  .slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
SQUEEZED = """() => [...document.querySelectorAll("tbody td, tbody th")]
  .filter((one) => one.offsetWidth > 0 && one.offsetWidth < 90 && one.innerText.trim().length > 12
    && one.offsetHeight > 3 * parseFloat(getComputedStyle(one).lineHeight))
  .slice(0, 3).map((one) => one.offsetWidth + " " + one.outerHTML.slice(0, 120))"""
EVIL = "<img src=x onerror=alert(1)>'\"; DROP TABLE alerts; --"
NAMES = {
    "{alert_id}": "1",
    "{device}": "van-1",
    "{name}": "tester",
    "{case_id}": "2",
    "{change_id}": "1",
}
NO_PAGES = ("/api/", "/events", "/sign-in/link", "/map/", "/static")
FILES = ("envelope", "to-sign", "transfer")


class Watched:
    """A running central with a page that notes what it must not do."""

    def __init__(self, app: FastAPI, server: WebServer, context: BrowserContext) -> None:
        self.app, self.server, self.context = app, server, context
        self.asked: list[str] = []
        self.errors: list[str] = []
        context.add_init_script(WATCH)
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.page: Page = context.new_page()

    def assert_clean(self, what: str) -> None:
        assert self.page.evaluate("window.violations") == [], what
        assert not [u for u in self.asked if not u.startswith((self.server.url, "blob:"))], what
        assert not self.errors, what


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield made
        made.close()


def open_case(central: Central) -> None:
    """A case with something in each of its parts, all of it hostile."""
    officer = Actor("lin", frozenset(Role), frozenset({"000000"}))
    desk = CaseDesk(central.store, central.clock)
    case = desk.open_lead(officer, "GOIP_DEN", "530102", {"about": EVIL}, EVIL, (25.0, 102.7))
    central.store.enrol(
        "van-2", tenant=TENANT, kind=DeviceKind.VAN, name="", at=START,
        public_pem=public_pem(Station(seed=33).key.public_key()),
    )  # fmt: skip
    vans = DispatchDesk(central.store, central.clock, lambda device, body: None)
    vans.place(officer, "van-1", (25.1, 102.7), "", EVIL)
    vans.send(officer, SeenCase(case.id, case.version), None, EVIL)
    for kind in PART_KINDS:
        version = central.store.case(case.id).version  # type: ignore[union-attr]
        desk.add_part(officer, SeenCase(case.id, version), kind, EVIL)
    tip = desk.take_tip(
        officer, TipOff(source="CITIZEN", text=EVIL, area="530102", taken_by="", taken_at=0)
    )
    version = central.store.case(case.id).version  # type: ignore[union-attr]
    desk.link_tip(officer, SeenCase(case.id, version), tip)
    vault = Vault.at(central.path.parent / "sealed.key")
    at = rfc3339(UnixMicros(central.clock.wall() - 60_000_000))
    account = {
        "number": "6222021234567890123",
        "holder": "李四",
        "bank": EVIL,
        "amount_fen": 28_000_00,
        "transfer_at": at,
    }
    alarm = {
        "number": "A-17",
        "area": "530102",
        "alarm_at": at,
        "amount_fen": 28_000_00,
        "victim": {"name": "王五"},
        "accounts": [account],
        "brief": EVIL,
    }
    taken = IntakeDesk(central.store, central.clock, vault).take(
        officer, [alarm, {**alarm, "number": EVIL}], "form"
    )
    assert taken[0].case_id is not None
    RefundDesk(central.store, central.clock).propose(
        officer, taken[0].case_id, EVIL, 10_000,
        [Claim(EVIL, 10_000, UnixMicros(0)), Claim("b", 20_000, UnixMicros(0))], traced=False,
    )  # fmt: skip
    alert = central.store.alerts(1)[0]
    second = desk.open_from_alert(officer, Seen(alert.id, alert.version))
    desk.ask(officer, SeenCase(second.id, second.version), EVIL, EVIL)


def draw_up_lists(central: Central, site: Site) -> None:
    """A list in force, a proposal that waits with refused rows, a machine that is behind."""
    officer = Actor("lin", frozenset(Role), frozenset({"000000"}))
    other = Actor("qian", frozenset(Role), frozenset({"000000"}))
    rows = ["account,listed_for,note\n", f'6216261000000000018,watch,"{EVIL[:20]}"\n']
    keeper = ListKeeper(
        central.store, None, central.path.parent / "lists", tenant=TENANT,
        signer=KeySigner(CENTRAL_KEY), clock=SystemClock(), holds=WireHolds(central.store),
    )  # fmt: skip
    site.lists.propose_file(officer, EVIL, [*rows, "1,watch,\n"], EVIL)
    site.lists.decide(other, site.lists.propose_file(officer, "f", rows, EVIL), is_approved=True)
    for _ in range(2):
        keeper.step()
    site.lists.decide(other, site.lists.propose_file(officer, "g", rows, ""), is_approved=True)
    keeper.step()
    part = {"name": "lists", "state": "ok", "detail": "", "counters": {"version": 1, "age_s": 20}}
    with central.store.transaction() as tx:
        tx.update_device("atm-1", health={"parts": [part], "uptime_s": 1}, health_at=START)


def make_passkeys(office: OrderOffice) -> None:
    """A passkey that signs, and one that waits for the administrator."""
    office.officers.passkeys.place = PasskeyPlace(rp_id=RP_ID, origins=(ORIGIN,))
    keys = [ec.derive_private_key(number, ec.SECP256R1()) for number in (7, 8)]
    signs, waits = (Authenticator("tester", key, bytes([n])) for n, key in enumerate(keys))
    office.officers.add("root", "tester", signs.entry.public_pem, credential_id=b"a credential")
    desk, actor = office.officers.passkeys, Actor("tester", frozenset(Role), frozenset())
    client_data = waits.client_data("webauthn.create", desk.challenge("tester", "token"))
    desk.offer(actor, "token", waits.attestation(), client_data)


def fill_units(central: Central, site: Site) -> None:
    """A unit that fell silent, refused rows, a block to answer, a person refused thrice, a text."""
    officer = Actor("lin", frozenset(Role), frozenset({"000000"}))
    feeds = FeedDesk(central.store, central.clock)
    feeds.add_unit(officer, "mobile", "移动", "Mobile", UnitKind.OPERATOR, 1)
    numbers = "number\n13800138000\n13800138001\n95588\n<img src=x>\n"
    feeds.take(officer, "mobile", FeedKind.NUMBERS, EVIL, numbers)
    figures = 'name,period,value\n"<b>calls</b>",2026-01,143\n'
    feeds.take(officer, "mobile", FeedKind.INDICATORS, "f", figures)
    desk = NumberDesk(central.store, central.clock)
    desk.candidates(10)
    desk.approve(officer, ["13800138000"], EVIL, "R1")
    desk.note(officer, "13800138000", "back")
    desk.propose_rule(officer, "CRO_EXTREME", EVIL)
    outreach = OutreachDesk(
        central.store, central.clock, vault=lambda: Vault(bytes(32)), tenant=TENANT,
        signer=KeySigner(CENTRAL_KEY), publish=lambda raw: None,
    )  # fmt: skip
    outreach.show(officer, "谨防冒充公检法", EVIL, 24)
    made = outreach.open(officer, "13800138000", Risk.HIGH, "530102", EVIL)
    for step in Step:
        outreach.note_step(officer, made, step, Outcome.REFUSED, "")
    outreach.open(officer, "13800138001", Risk.LOW, "530102", "")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    central = Central(tmp_path_factory.mktemp("central"))
    central.clock.advance(SystemClock().wall() - START)
    van = central.enrol(Station())
    atm = central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    central.take(van.state_topic, van.state(Presence.ONLINE))
    central.take(van.topic(Lane.HEALTH), van.next(a_health()))
    where = {"lat": 25.05, "lon": 102.72, "radius_m": 300.0}
    evil = a_detection(subject={"ps": EVIL, **where}, detection_id=b"e" * 16)
    central.take(van.topic(), van.next(a_detection()), van.next(evil))
    high = a_detection(
        level=Level.SUSPECTED,
        severity=Severity.HIGH,
        subject={"plmn": "460-00", "lat": 25.02, "lon": 102.69},
        detection_id=b"h" * 16,
    )
    moved = dataclasses.replace(
        high, subject={**high.subject, "lat": 25.03, "lon": 102.70}, detection_id=b"i" * 16
    )
    central.take(van.topic(), van.next(high), van.next(moved), b"nonsense")
    central.take(atm.topic(Lane.DECISIONS), atm.next(a_decision()), atm.next(an_attack()))
    open_case(central)
    places = {"van-1": Place(25.04, 102.71), "atm-1": Place(25.03, 102.70)}
    chosen = settings(central.path.parent, places=places)
    office = filled_office(central, chosen, central.clock)
    make_passkeys(office)
    made = create_app(
        central.store, Hub(), chosen, lambda: central.ingest.status, order_office=office
    )
    NAMES["{order}"] = office.desk.records()[-1].application.order_id.hex()
    draw_up_lists(central, site_of_app(made))
    fill_units(central, site_of_app(made))
    yield made
    central.store.close()


@pytest.fixture(scope="module")
def server(app: FastAPI) -> Iterator[WebServer]:
    made = WebServer(app, site_of_app(app).hub, "127.0.0.1", 0)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def watched(app: FastAPI, server: WebServer, browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    context.add_cookies([browser_cookie(app, server.url)])
    yield Watched(app, server, context)
    context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.is_file():
        missing("axe-core is not there: requirements/pages.py found no registry")
    return AXE.read_text(encoding="utf-8")


def pages_of(app: FastAPI) -> list[str]:
    """Every page that there is, with a thing that exists where its path names one."""
    found = []
    for rule in rules(app):
        if rule.method != "GET" or rule.path.startswith(NO_PAGES) or rule.path.endswith(FILES):
            continue
        path = rule.path
        for name, value in NAMES.items():
            path = path.replace(name, value)
        if "{" not in path:
            found.append(path)
    return found


def picture(page: Page, path: str, lang: str, scheme: str) -> None:
    folder = os.environ.get("QIANSHAO_SCREENSHOTS")
    if folder:
        name = path.strip("/").replace("/", "-") or "desk"
        page.screenshot(path=Path(folder) / f"{name}.{lang}.{scheme}.png", full_page=True)


@pytest.mark.parametrize(
    ("lang", "scheme", "width"),
    [("en", "light", 1440), ("zh-CN", "dark", 1440), ("en", "dark", 390)],
)
def test_every_page_is_accessible_and_keeps_to_its_policy(
    watched: Watched, axe: str, lang: str, scheme: Any, width: int
) -> None:
    page = watched.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    wrong: list[str] = []
    paths = pages_of(watched.app)
    assert {
        "/",
        "/overview",
        "/map",
        "/devices",
        "/people",
        "/audit",
        "/settings",
        "/orders",
    } <= set(paths)
    for path in paths:
        answer = page.goto(f"{watched.server.url.rstrip('/')}{path}?lang={lang}")
        assert answer is not None
        assert answer.status == 200, path
        if path == "/map" and (VENDOR / "maplibre-gl.mjs").is_file():
            page.wait_for_selector("#map[data-state=drawn]", timeout=60_000)
        assert page.evaluate("document.documentElement.lang") == lang
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        if page.evaluate(overflow) > 0:
            wrong.append(f"{path}: wider than the screen: {page.evaluate(TOO_WIDE)}")
        if squeezed := page.evaluate(SQUEEZED):
            wrong.append(f"{path}: a column of a few characters: {squeezed}")
        found = page.evaluate(f"async () => {{ {axe}; return await axe.run(); }}")
        wrong += [
            f"{path}: {v['id']} {json.dumps([n['target'] for n in v['nodes']][:3])}"
            for v in found["violations"]
        ]
        picture(page, path, lang, f"{scheme}-{width}")
        watched.assert_clean(path)
    assert not wrong, "\n".join(wrong)


def link_order(site: Site) -> str:
    """An order under which a machine linked two visits and could not open a third parcel."""
    assert site.orders is not None
    typed = {
        "kind": "cross_atm_link", "number": NUMBER, "until": "2027-12-31 00:00:00", "case": "C-7",
        "area": AREA, "machines": "atm-1",
    }  # fmt: skip
    actor = Actor("tester", frozenset(Role), frozenset({"000000"}))
    with site.store.transaction() as tx:
        connection = tx._connection  # type: ignore[attr-defined]
        row = {"device": "atm-1", "public": bytes(range(32)), "at": 1}
        connection.execute(device_boxes.insert(), row)
    (made,) = draft_entry(site.orders, actor, read_entry(typed, site.clock.wall())).orders
    order_id = made.application.order_id
    content = site.orders.desk.content(order_id)
    for who, key in (("tester", KEYS["wang"]), ("zhao", KEYS["zhao"])):
        part = sign_content(content, tenant=TENANT, signer=KeySigner(key))
        site.orders.desk.sign(Actor(who, actor.roles, actor.areas), order_id, part)
    for parcel, visits in ((b"p", (17, 18)), (b"q", ())):
        report = VisitLinkReport(
            parcel=parcel * 32, order_id=order_id, sender="atm-2", is_opened=bool(visits),
            faces=len(visits), compared=640, linked=len(visits), at=UnixMicros(START),
            visits=tuple(
                LinkedVisit(visit=visit, captured_at=UnixMicros(START), similarity=0.71)
                for visit in visits
            ),
        )  # fmt: skip
        with site.store.transaction() as tx:
            assert tx.note_link_report("atm-1", report)
    return f"/orders/{order_id.hex()}"


@pytest.mark.parametrize(("lang", "width"), [("en", 1440), ("zh-CN", 390)])
def test_linked_visits_are_accessible_too(
    watched: Watched, axe: str, lang: str, width: int
) -> None:
    page, site = watched.page, site_of_app(watched.app)
    page.set_viewport_size({"width": width, "height": 900})
    kept = [o for o in office_of(site).desk.records() if o.application.machines]
    path = f"/orders/{kept[0].application.order_id.hex()}" if kept else link_order(site)
    page.goto(f"{watched.server.url.rstrip('/')}{path}?lang={lang}")
    for _ in ("closed", "opened"):
        assert page.locator("[data-comparing=atm-1]").is_visible()
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(overflow) <= 0, page.evaluate(TOO_WIDE)
        found = page.evaluate(f"async () => {{ {axe}; return await axe.run(); }}")
        assert [v["id"] for v in found["violations"]] == []
        picture(page, f"{path}-links", lang, str(width))
        if page.locator("[data-open-links]").count():
            assert page.locator("[data-link]").count() == 0
            page.locator("[data-open-links]").click()
    assert page.locator("[data-link=atm-1]").count() == 2
    watched.assert_clean(path)


def test_the_map_is_drawn_and_names_what_is_on_it(watched: Watched) -> None:
    if not (VENDOR / "maplibre-gl.mjs").is_file():
        missing("the map's library is not there: requirements/pages.py found no registry")
    page = watched.page
    page.goto(f"{watched.server.url}map?lang=en")
    page.wait_for_selector("#map[data-state=drawn]", timeout=60_000)
    assert page.locator(".maplibregl-ctrl-scale").is_visible()
    assert page.locator("[data-placed-device]").count() == 2
    assert page.locator("[data-placed-alert]").count() == 4
    assert "± 300 m" in page.locator("main").inner_text()
    drawn = page.locator("#map")
    assert int(drawn.get_attribute("data-tracks") or 0) == 1  # of the one that moved
    assert drawn.get_attribute("data-tile-features") == "0"
    tiles = site_of_app(watched.app).settings.folder / "tiles"
    tiles.mkdir()
    try:
        (tiles / "city.pmtiles").write_bytes(pmtiles())
        (tiles / "broken.pmtiles").write_bytes(b"PMTiles\x03 and then nothing")
        page.reload()
        page.wait_for_selector("#map[data-state=drawn]", timeout=60_000)
        assert int(drawn.get_attribute("data-tile-features") or 0) > 0
        assert page.locator("[data-placed-alert]").count() == 4
        assert int(drawn.get_attribute("data-tracks") or 0) == 1
    finally:
        shutil.rmtree(tiles)
    watched.assert_clean("/map")


def test_without_javascript_every_page_still_says_its_piece(
    app: FastAPI, server: WebServer, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    context.add_cookies([browser_cookie(app, server.url)])
    page = context.new_page()
    for path in pages_of(app):
        page.goto(f"{server.url.rstrip('/')}{path}")
        assert page.locator("h1").count() == 1, path
    page.goto(f"{server.url}map")
    assert page.locator("[data-placed-alert]").count() == 4
    context.close()


def test_pages_stand_in_menus_that_open_without_a_script(
    app: FastAPI, server: WebServer, browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    context.add_cookies([browser_cookie(app, server.url)])
    page = context.new_page()
    page.goto(f"{server.url}clocks")
    assert page.locator(".menu[data-here] summary").inner_text() == "Casework"
    link = page.locator(".menu a[href='/tips']")
    assert not link.is_visible()
    page.locator(".menu[data-here] summary").click()
    link.click()
    assert page.locator("h1").inner_text() == "Tip-offs"
    context.close()


def test_one_menu_is_open_and_escape_closes_it(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.server.url}clocks?lang=en")
    first, second = page.locator(".menu summary").nth(0), page.locator(".menu summary").nth(1)
    first.click()
    second.click()
    assert page.locator(".menu[open]").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/orders"
    page.keyboard.press("Escape")
    assert page.locator(".menu[open]").count() == 0
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    watched.assert_clean("/clocks")


def test_a_theme_and_a_sound_are_this_browsers_own(watched: Watched) -> None:
    page = watched.page
    page.goto(f"{watched.server.url}account?lang=en")
    page.locator("[data-setting=theme]").select_option("dark")
    page.locator("[data-setting=sound]").check()
    page.goto(watched.server.url)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("localStorage.getItem('qianshao.sound')") == "on"
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('[data-alert-id]') !== null")
    watched.assert_clean("/account")
