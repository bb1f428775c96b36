"""From alert to closed case in a real browser, in both languages, as three people and a liaison.

Each person has a browser of their own; nothing is done but what their own pages offer them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from central.actor import Role
from central.hub import Hub
from central.web import WebServer, create_app
from contract.clock import SystemClock
from contract.messages import CrewReport
from contract.orders import OrderBody, SendVan
from contract.topics import Lane
from contract.words import CrewWord
from tests.central.kit import START, Central, Station, settings
from tests.central.signing import browser_cookie
from tests.central.test_alert_desk import sighting

pytestmark = pytest.mark.browser

PEOPLE = {
    "lin": Role.DUTY_OFFICER,
    "qian": Role.REVIEWER,
    "sun": Role.COMMANDER,
    "he": Role.CARRIER,
}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_from_alert_to_closed_as_three_people(browser: Browser, tmp_path: Path, lang: str) -> None:
    central = Central(tmp_path)
    central.clock.advance(SystemClock().wall() - START)
    van = central.enrol(Station())
    central.take(van.topic(), van.next(sighting(0)))
    told: list[OrderBody] = []
    app = create_app(
        central.store,
        Hub(),
        settings(tmp_path),
        tell_van=lambda device, body: told.append(body),
    )
    server = WebServer(app, app.state.site.hub, "127.0.0.1", 0)
    server.start()
    pages: dict[str, Page] = {}
    for name, role in PEOPLE.items():
        context = browser.new_context(locale=lang)
        context.add_cookies([browser_cookie(app, server.url, name=name, roles=[role])])
        pages[name] = context.new_page()
    base = server.url.rstrip("/")

    def press(name: str, path: str, button: str, **fields: str) -> None:
        page = pages[name]
        page.goto(f"{base}{path}?lang={lang}")
        chosen = page.locator(button)
        form = chosen.locator("xpath=ancestor::form")
        for field, text in fields.items():
            form.locator(f"[name={field}]").fill(text)
        with page.expect_navigation():
            chosen.click()
        assert "/act" not in page.url, page.locator("main").inner_text()
        assert page.locator("[data-told]").count() == 0, page.locator("main").inner_text()

    def state() -> str:
        case = central.store.case(1)
        assert case is not None
        return case.state

    try:
        press("lin", "/alerts/1", "button[value=acknowledge]")
        assert central.store.alert(1).state == "ACKNOWLEDGED"  # type: ignore[union-attr]
        press("lin", "/alerts/1", "form[action='/cases/from-alert/1'] button")
        assert state() == "DISCOVERED"
        assert pages["lin"].locator("[data-notify]").count() == 0
        ask = "form[action='/cases/1/ask'] button"
        press("qian", "/cases/1", ask, unit="中国移动", question="460-11 / 62?")
        press("he", "/inquiries", "button[value=NOT_OURS]", person="何伟")
        assert state() == "VERIFIED"
        press("sun", "/cases/1", "[data-notify]", note="电话确认")
        assert state() == "NOTIFIED"
        press("lin", "/dispatch", "form[action='/dispatch/vans'] button", lat="25.04", lon="102.7")
        send = "form[action='/cases/1/dispatch'] button"
        press("lin", "/cases/1", send, lat="25.05", lon="102.71")
        (order,) = told
        assert isinstance(order, SendVan)
        for word in (CrewWord.ACKNOWLEDGED, CrewWord.ARRIVED, CrewWord.DONE):
            report = CrewReport(
                dispatch=order.dispatch, word=word, crew="王", at=central.clock.wall()
            )
            central.take(van.topic(Lane.DECISIONS), van.next(report))
        pages["sun"].goto(f"{base}/dispatch?lang={lang}")
        assert pages["sun"].locator("[data-dispatch][data-state=DONE]").count() == 1
        pages["sun"].goto(f"{base}/cases/1?lang={lang}")
        assert pages["sun"].locator("button[value=close]").is_disabled()  # not before solved
        press("lin", "/cases/1", "button[value=strike]", note="后备箱内查获")
        press("sun", "/cases/1", "button[value=close]")
        assert state() == "CLOSED"
        shown = pages["sun"].locator("html")
        assert shown.get_attribute("lang") == lang
        assert pages["sun"].locator("tr[data-event]").count() == 7
        assert pages["sun"].locator("form[action$='/act']").count() == 0  # nothing reopens
        assert {event.actor for event in central.store.case_events(1)} == set(PEOPLE)
    finally:
        for page in pages.values():
            page.context.close()
        server.stop()
        central.store.close()
