"""One alert from the list to its end, in a browser, by three people, in both languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from central.actor import Role
from central.hub import Hub
from central.web import WebServer, create_app
from tests.central.kit import Central, Station, settings
from tests.central.signing import browser_cookie
from tests.samples import a_detection

pytestmark = pytest.mark.browser

PEOPLE = {
    "zhao": Role.DUTY_OFFICER,
    "qian": Role.REVIEWER,
    "sun": Role.COMMANDER,
}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.mark.parametrize("lang", ["zh-CN", "en"])
def test_an_alert_is_led_to_its_end_by_three_people(
    central: Central, van: Station, browser: Browser, lang: str
) -> None:
    central.take(van.topic(), van.next(a_detection()))
    hub = Hub()
    app = create_app(central.store, hub, settings(central.path.parent))
    server = WebServer(app, hub, "127.0.0.1", 0)
    server.start()
    pages: dict[str, Page] = {}
    try:
        for name, role in PEOPLE.items():
            context = browser.new_context(locale=lang)
            context.set_default_timeout(15_000)
            context.add_cookies([browser_cookie(app, server.url, name=name, roles=[role])])
            pages[name] = context.new_page()
        duty, reviewer, commander = pages.values()
        duty.goto(f"{server.url}alerts/1")
        press(duty, "acknowledge")
        expect(duty.locator("main")).to_contain_text("zhao")
        duty.locator("form[action='/cases/from-alert/1'] button").click()
        duty.wait_for_url("**/cases/*")
        address = duty.url
        assert duty.locator("[data-notify]").count() == 0  # a duty officer notifies nobody
        reviewer.goto(address)
        form = reviewer.locator("form[action$='/ask']")
        form.locator("[name=unit]").fill("移动 China Mobile")
        form.locator("button").click()
        answer = reviewer.locator("form[action*='/answers/']")
        answer.locator("[name=person]").fill("网管 Wang")
        answer.locator("button[value=NOT_OURS]").click()
        reviewer.locator("[data-notify]").click()
        expect(reviewer.locator("[data-notify]")).to_have_count(0)
        commander.goto(address)
        expect(commander.locator("button[value=close]")).to_be_disabled()  # not before solved
        press(commander, "strike")
        commander.locator("button[value=close]").click()
        expect(commander.locator("button[value=close]")).to_have_count(0)
        duty.goto(address)
        for name in PEOPLE:
            expect(duty.locator("main")).to_contain_text(name)
        assert duty.locator("form[action$='/act']").count() == 0  # nothing reopens
        assert duty.evaluate("document.documentElement.lang") == lang
    finally:
        for page in pages.values():
            page.context.close()
        server.stop()


def press(page: Page, action: str) -> None:
    page.locator(f"button[name=action][value={action}]").first.click()
    page.wait_for_load_state()
