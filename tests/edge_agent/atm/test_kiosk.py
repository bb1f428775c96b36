"""The customer's page: what the machine says is what a browser shows."""

from __future__ import annotations

import asyncio
import json

import pytest
from playwright.async_api import async_playwright

from atm_face.withdrawal import Outcome, State, Withdrawal
from atm_face.withdrawal_screens import screen_of
from edge_agent.atm.kiosk import Kiosk

PRESENTED = Withdrawal(id="w", stan="000001", terminal="T", amount_fen=1, state=State.PRESENTED)
CLOSING = Withdrawal(
    id="w",
    stan="000001",
    terminal="T",
    amount_fen=1,
    state=State.CLOSING,
    outcome=Outcome.REVERSED,
)


async def get(port: int, path: str, lines: int = 0) -> tuple[str, str]:
    """Head and body; of a stream only so many messages."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    if lines:
        body = "".join([(await reader.readuntil(b"\n\n")).decode() for _ in range(lines)])
    else:
        body = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return head, body


def test_page_and_events() -> None:
    async def run() -> None:
        kiosk = Kiosk()
        server = await kiosk.listen(0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            head, body = await get(port, "/")
            assert "default-src 'none'" in head
            assert "EventSource" in body
            assert "http" not in body.partition("<style>")[2]
            assert (await get(port, "/other"))[0].startswith("HTTP/1.1 404")
            await kiosk.show(PRESENTED)
            _, events = await get(port, "/events", 1)
            shown = json.loads(events.removeprefix("data: "))
            assert shown["zh"] == screen_of(PRESENTED).text.zh
            assert set(shown) == {"screen", "zh", "en", "asks_for_card", "is_end", "form"}
            await kiosk.close()

    asyncio.run(run())


@pytest.mark.browser
def test_a_browser_shows_each_screen(chromium: str) -> None:
    async def run() -> None:
        kiosk = Kiosk()
        server = await kiosk.listen(0)
        port = server.sockets[0].getsockname()[1]
        async with server, async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            page = await browser.new_page(viewport={"width": 1024, "height": 768})
            await page.goto(f"http://127.0.0.1:{port}/")
            for withdrawal in (PRESENTED, CLOSING):
                await kiosk.show(withdrawal)
                shown = screen_of(withdrawal)
                await page.wait_for_function(
                    "word => document.body.dataset.screen === word", arg=shown.screen.value
                )
                assert await page.inner_text("#zh") == shown.text.zh
                assert await page.inner_text("#en") == shown.text.en
                assert bool(await page.inner_text("#card")) is shown.asks_for_card
                fits = "document.documentElement.scrollHeight <= innerHeight"
                assert await page.evaluate(fits)
            await browser.close()
            await kiosk.close()

    asyncio.run(run())
