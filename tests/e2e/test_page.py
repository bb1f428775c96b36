"""An officer's browser in front of the running system."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.e2e.demo_process import DemoProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(150)]


def test_an_alert_reaches_an_open_page_and_explains_itself(tmp_path: Path, chromium: str) -> None:
    with (
        DemoProcess(tmp_path / "demo", field_data=None) as demo,
        sync_playwright() as playwright,
    ):
        link = demo.page
        address = link.partition("sign-in/")[0]
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(locale="zh-CN")
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda line: complaints.append(line.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(link)
        row = page.locator("[data-alert-id]", has_text="伪基站").first
        row.wait_for(timeout=30_000)
        assert "伪基站" in row.inner_text()
        page.locator("[data-alert-id]", has_text="黑广播").wait_for(timeout=60_000)
        row.get_by_role("link").first.click()
        page.wait_for_url("**/alerts/*")
        text = page.locator("main").inner_text()
        assert "GSM-PLMN-IMPOSSIBLE" in text or "EMM-AUTH-MAC-FAILURE-RUN" in text
        browser.close()
    assert complaints == []
    assert all(url.startswith(address) for url in asked)
