"""The customer's page: what the machine says is what a browser shows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from atm_face.screens import Text
from atm_face.withdrawal import Outcome, State, Withdrawal
from atm_face.withdrawal_screens import screen_of
from contract.clock import UnixMicros
from contract.orders import EndNotice, ShowNotice
from edge_agent.atm.kiosk import IDLE_AFTER_S, Kiosk
from edge_agent.atm.notices import Notices

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
            assert set(shown) == {"screen", "zh", "en", "asks_for_card"}
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


def test_the_idle_screen_says_what_the_centre_says_until_its_end(tmp_path: Path) -> None:
    now = [1_000]
    notices = Notices(tmp_path / "notices.json", now=lambda: UnixMicros(now[0]))
    until = UnixMicros(2_000)
    notices.take(ShowNotice(notice=b"n" * 16, zh="谨防诈骗", en="Beware.", until=until))

    async def run() -> None:
        kiosk = Kiosk(idle=notices.current)

        def shown() -> str:
            assert kiosk._shown is not None
            return kiosk._shown.text.zh

        await kiosk.look()
        assert shown() == "谨防诈骗"
        await kiosk.show(PRESENTED)
        await kiosk.look()
        assert shown() == screen_of(PRESENTED).text.zh  # a customer is being served
        await kiosk.show(replace(CLOSING, state=State.ENDED))
        await kiosk.look()
        assert shown() != "谨防诈骗"  # the last screen stays up for a while
        kiosk._ended_at -= IDLE_AFTER_S
        await kiosk.look()
        assert shown() == "谨防诈骗"
        now[0] = 2_000  # over, without a word of the central
        await kiosk.look()
        assert shown() == "欢迎使用"

    asyncio.run(run())


def test_notices_outlive_a_restart_and_end_by_order(tmp_path: Path) -> None:
    path = tmp_path / "notices.json"
    notices = Notices(path, now=lambda: UnixMicros(1))
    notices.take(ShowNotice(notice=b"a" * 16, zh="一", en="one", until=UnixMicros(9)))
    notices.take(ShowNotice(notice=b"b" * 16, zh="二", en="two", until=UnixMicros(9)))
    again = Notices(path, now=lambda: UnixMicros(1))
    assert again.current() == Text("two", "二")
    again.take(EndNotice(notice=b"b" * 16))
    assert again.current() == Text("one", "一")
    for torn in (b"", b"{}", b"[1]", b"[{}]", b"\xff"):
        path.write_bytes(torn)
        assert Notices(path, now=lambda: UnixMicros(1)).current() is None
