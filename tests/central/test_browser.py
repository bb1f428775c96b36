"""The pages in a real browser: alive without a reload, in both languages, within their policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from central.hub import Hub
from central.web import WebServer, create_app
from contract import Rival, Source, UnixMicros
from contract.clock import SystemClock
from contract.messages import Evidence
from contract.topics import Lane
from contract.words import (
    AlertKind,
    Decision,
    DecisionReason,
    DeviceKind,
    Level,
    PartState,
    Presence,
    RivalVerdict,
    Severity,
    TimeBasis,
)
from tests.central.kit import (
    START,
    Central,
    Station,
    a_decision,
    a_health,
    an_attack,
    settings,
)
from tests.central.signing import browser_cookie
from tests.samples import a_detection

pytestmark = pytest.mark.browser

WATCH_POLICY = (
    "window.violations = [];"
    "document.addEventListener('securitypolicyviolation',"
    " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI));"
)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@dataclass
class Desk:
    """A running central, a page on it, and what the page did that it must not."""

    central: Central
    server: WebServer
    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: str = "") -> None:
        self.page.goto(self.server.url + path)

    def assert_clean(self) -> None:
        assert self.requests
        assert not [url for url in self.requests if not url.startswith(self.server.url)]
        assert not self.errors
        assert self.page.evaluate("window.violations") == []


@dataclass
class Town:
    """Two stations and the things that happen to them."""

    central: Central
    van: Station
    atm: Station

    def suspicion(self) -> None:
        suspected = a_detection(
            level=Level.SUSPECTED,
            severity=Severity.HIGH,
            alert=AlertKind.FAKE_BTS_SUSPECTED,
            subject={"rat": "LTE", "plmn": "460-00", "channel": 1825, "cell_id": 21370881},
            rivals=(
                Rival(
                    explanation="SIM_OR_HSS_FAULT",
                    verdict=RivalVerdict.POSSIBLE,
                    values={"good_authentications": 0},
                ),
            ),
            reasons=(
                dataclasses.replace(
                    a_detection().reasons[0],
                    rule="EMM-AUTH-MAC-FAILURE-RUN",
                    family="authentication",
                    weight=2.1,
                    values={"cause": 20, "failures": 12, "runs": "4,4,4", "run_count": 3},
                ),
            ),
            source=Source(file="patrol-evening.pcap", place="packets 120-131"),
            time_basis=TimeBasis.RECORDED,
            detection_id=b"s" * 16,
        )
        self.central.take(self.van.topic(), self.van.next(suspected))

    def confirmation(self, revision: int = 0) -> None:
        now = SystemClock().wall()
        confirmed = a_detection(
            revision=revision,
            rivals=(
                Rival(
                    explanation="DECODE_ERROR",
                    verdict=RivalVerdict.RULED_OUT,
                    values={"misreads_needed": 2},
                ),
            ),
            evidence=(Evidence(name="cell_records", sha256=b"\xab" * 32, size_bytes=512),),
            first_seen=UnixMicros(now - 30_000_000),
            last_seen=now,
            fired_at=UnixMicros(now - 40_000),
        )
        self.central.take(self.van.topic(), self.van.next(confirmed))

    def day(self) -> None:
        """A little of everything."""
        self.central.take(self.van.state_topic, self.van.state(Presence.ONLINE))
        self.central.take(self.atm.state_topic, self.atm.state(Presence.ONLINE))
        self.central.take(self.van.topic(Lane.HEALTH), self.van.next(a_health(depth=0)))
        health = a_health(depth=2, state=PartState.DEGRADED)
        self.central.take(self.atm.topic(Lane.HEALTH), self.atm.next(health))
        visits = [
            a_decision(),
            a_decision(visit="000019", decision=Decision.DENY, reason=DecisionReason.FACE_MISMATCH),
            a_decision(
                visit="000020",
                face=None,
                decision=Decision.REFER_TO_COUNTER,
                reason=DecisionReason.FACE_COVERED,
            ),
            an_attack(),
        ]
        for visit in visits:
            self.central.take(self.atm.topic(Lane.DECISIONS), self.atm.next(visit))
        self.suspicion()
        self.confirmation()
        self.central.take(self.van.topic(), b"tampered")


@pytest.fixture
def town(central: Central, van: Station) -> Town:
    central.clock.advance(SystemClock().wall() - START)  # ages on the page are real
    return Town(central, van, central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5)))


@pytest.fixture
def desk(central: Central, browser: Browser) -> Iterator[Desk]:
    hub = Hub()
    central.ingest = central.new_ingest(on_events=hub.publish)
    app = create_app(central.store, hub, settings(central.path.parent))
    server = WebServer(app, hub, "127.0.0.1", 0)
    server.start()
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH_POLICY)
    context.add_cookies([browser_cookie(app, server.url)])
    page = context.new_page()
    made = Desk(central, server, page)

    def note(request: Request) -> None:
        made.requests.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: made.errors.append(str(error)))
    yield made
    context.close()
    server.stop()


def test_an_alert_appears_escalates_and_stays_one_without_a_reload(desk: Desk, town: Town) -> None:
    desk.open()
    expect(desk.page.locator("#link")).to_have_attribute("data-state", "live")
    expect(desk.page.get_by_text("No alert yet.")).to_be_visible()
    desk.page.evaluate("window.notReloaded = true")

    town.confirmation()
    row = desk.page.locator("#alerts [data-alert-id='1']")
    expect(row).to_be_visible()
    expect(row).to_contain_text("Fake base station, confirmed by a hard rule")
    expect(row).to_contain_text("460-11")
    expect(row).to_contain_text("GSM cell of an operator that never held a GSM network")
    expect(row.locator("time[data-age]")).to_have_text("just now")
    expect(desk.page.locator("[data-count='critical']")).to_have_text("1")

    town.suspicion()
    second = desk.page.locator("#alerts [data-alert-id='2']")
    expect(second).to_contain_text("replay of a recording")
    expect(row.locator(".replay")).to_be_hidden()
    expect(desk.page.locator("#alerts > li").first).to_have_attribute("data-alert-id", "2")

    town.confirmation(revision=1)
    expect(desk.page.locator("#alerts > li")).to_have_count(2)
    assert desk.page.evaluate("window.notReloaded")
    desk.assert_clean()


def test_live_rows_equal_the_server_rendered_ones(desk: Desk, town: Town) -> None:
    desk.open()
    expect(desk.page.locator("#link")).to_have_attribute("data-state", "live")
    town.day()
    expect(desk.page.locator("#alerts > li")).to_have_count(3)
    expect(desk.page.locator("[data-device-id='van-1']")).to_contain_text("Refused 1")
    seen = """() => ['alerts', 'decisions', 'devices'].map((id) =>
      [...document.getElementById(id).children].map((row) => {
        const copy = row.cloneNode(true);
        copy.classList.remove('fresh');
        for (const time of copy.querySelectorAll('time')) {
          time.textContent = '';
          time.removeAttribute('title');
        }
        for (const node of copy.querySelectorAll('[hidden]')) node.remove();
        return [JSON.stringify(copy.dataset), copy.textContent.replace(/\\s+/g, '')];
      }))"""
    live: Any = desk.page.evaluate(seen)
    desk.open()
    assert desk.page.evaluate(seen) == live
    assert [len(rows) for rows in live] == [3, 4, 2]


def test_decisions_and_presence_arrive_live(desk: Desk, town: Town) -> None:
    desk.open("?lang=zh-CN")
    expect(desk.page.locator("#link")).to_have_attribute("data-state", "live")
    town.central.take(town.atm.state_topic, town.atm.state(Presence.ONLINE))
    expect(desk.page.locator("[data-device-id='atm-1']")).to_contain_text("在线")
    expect(desk.page.locator("[data-count='online']")).to_have_text("1")
    town.central.take(town.atm.topic(Lane.DECISIONS), town.atm.next(an_attack()))
    decision = desk.page.locator("#decisions [data-decision='DENY']")
    expect(decision).to_contain_text("人脸相符但非活体")
    expect(decision).to_contain_text("¥1,234.50")
    expect(desk.page.locator("#alerts > li")).to_contain_text("疑似柜员机人脸呈现攻击")
    desk.assert_clean()


def test_a_lost_connection_is_said_and_made_up_for(desk: Desk, town: Town) -> None:
    desk.open()
    expect(desk.page.locator("#link")).to_have_attribute("data-state", "live")
    port = desk.server.port
    desk.server.stop()
    expect(desk.page.locator("#lost")).to_be_visible()
    town.confirmation()  # while nobody listens
    hub = Hub()
    app = create_app(desk.central.store, hub, settings(desk.central.path.parent))
    again = WebServer(app, hub, "127.0.0.1", port)
    again.start()
    try:
        expect(desk.page.locator("#alerts [data-alert-id='1']")).to_be_visible(timeout=15_000)
        expect(desk.page.locator("#lost")).to_be_hidden()
    finally:
        desk.page.goto("about:blank")
        again.stop()


@pytest.mark.parametrize(
    ("lang", "scheme", "width"), [("en", "light", 1440), ("zh-CN", "dark", 390)]
)
def test_pages_fit_their_screen_and_policy(
    desk: Desk, town: Town, tmp_path: Path, lang: str, scheme: Any, width: int
) -> None:
    town.day()
    desk.page.emulate_media(color_scheme=scheme)
    desk.page.set_viewport_size({"width": width, "height": 900})
    for name, path in {
        "live": "",
        "alert": "alerts/3",
        "attack": "alerts/1",
        "devices": "devices",
        "device": "devices/van-1",
    }.items():
        desk.open(f"{path}?lang={lang}")
        assert desk.page.evaluate("document.documentElement.lang") == lang
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert desk.page.evaluate(overflow) == 0, name
        small = """() => [...document.querySelectorAll('.bar a, .button')]
          .filter((node) => node.getBoundingClientRect().height < 44).length"""
        assert desk.page.evaluate(small) == 0
        desk.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    desk.assert_clean()


def test_the_page_tells_the_whole_story_without_javascript(
    browser: Browser, desk: Desk, town: Town
) -> None:
    town.day()
    state = desk.page.context.storage_state()
    context = browser.new_context(java_script_enabled=False, locale="zh-CN", storage_state=state)
    page = context.new_page()
    page.goto(desk.server.url)
    expect(page.locator("#alerts > li")).to_have_count(3)
    expect(page.locator("#link")).to_contain_text("非实时")
    page.get_by_role("link", name="伪基站（硬规则确认）").click()
    expect(page.locator("h1")).to_have_text("伪基站（硬规则确认）")
    context.close()
