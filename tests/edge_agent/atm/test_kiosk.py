"""The customer's page: what the machine says is what a browser shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright

from atm_face.screens import PROMPTS, Prompt, Text
from atm_face.withdrawal import Outcome, State, Withdrawal
from atm_face.withdrawal_screens import screen_of
from contract.clock import UnixMicros
from contract.orders import EndNotice, ShowNotice
from edge_agent.atm.dialog import AmountRange
from edge_agent.atm.kiosk import (
    CHOOSE_AMOUNT,
    CHOOSE_SERVICE,
    CHOOSE_TRANSFER,
    ENTER_PAYEE,
    IDLE_AFTER_S,
    SERVICES,
    Kiosk,
    KioskDialog,
)
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
            assert set(shown) == {"screen", "zh", "en", "asks_for_card", "is_end", "form"}
            await kiosk.close()

    asyncio.run(run())


LIMITS = AmountRange(note_fen=10_000, most_fen=300_000)


async def post(port: int, body: bytes, length: str | None = None) -> str:
    """First line of the answer to what a page sends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = str(len(body)) if length is None else length
    head = f"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode() + body)
    line = (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()
    return line


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Kiosk, int, str]]:
    """A page on some port, and the key that it was given."""
    kiosk = Kiosk()
    server = await kiosk.listen(0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        _, body = await get(port, "/")
        yield kiosk, port, body.partition('kiosk-key" content="')[2][:32]
        await kiosk.close()


def test_only_the_page_itself_answers_and_only_once() -> None:
    async def run() -> None:
        async with serving() as (kiosk, port, key):
            answer = await kiosk.ask("amount", CHOOSE_AMOUNT, {"kind": "amount"})
            wrong: list[object] = [
                {"key": "0" * 32, "number": 1, "value": 10_000},
                {"key": key, "number": 2, "value": 10_000},
                {"key": key, "number": 1, "value": "10000"},
                {"key": key, "number": 1},
                {"key": None, "number": 1, "value": True},
                [],
                7,
            ]
            for body in wrong:
                assert "409" in await post(port, json.dumps(body).encode())
            assert "409" in await post(port, b"\xff{")
            for length in ("-1", "99999999", "x"):
                assert await post(port, b"{}", length) == ""
            assert not answer.done()
            good = json.dumps({"key": key, "number": 1, "value": 10_000}).encode()
            assert "204" in await post(port, good)
            assert answer.result(0) == 10_000
            assert "409" in await post(port, good)
            left = await kiosk.ask("amount", CHOOSE_AMOUNT, {"kind": "amount"})
            await kiosk.show(PRESENTED)  # the machine went on: the question is over
            assert left.result(0) is False

    asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "amount", "is_confirmed"),
    [
        (200_000, 200_000, False),
        (True, None, True),
        (False, None, False),
        (10_001, None, False),
        (310_000, None, False),
        (-10_000, None, False),
    ],
)
def test_what_is_no_amount_is_none_and_only_yes_is_yes(
    value: object, amount: int | None, is_confirmed: bool
) -> None:
    async def run() -> None:
        async with serving() as (kiosk, port, key):
            dialog = KioskDialog(kiosk, answer_s=5, read_s=0)
            dialog.loop = asyncio.get_running_loop()

            async def answered(number: int) -> None:
                while kiosk._form is None or kiosk._form.number != number:
                    await asyncio.sleep(0.005)
                body = {"key": key, "number": number, "value": value}
                assert "204" in await post(port, json.dumps(body).encode())

            asked = asyncio.to_thread(dialog.ask_amount, LIMITS)
            assert (await asyncio.gather(asked, answered(1)))[0] == amount
            question = asyncio.to_thread(dialog.confirm, Prompt.ANTI_FRAUD_VOICE_ZH)
            assert (await asyncio.gather(question, answered(2)))[0] is is_confirmed

    asyncio.run(run())


def test_who_does_not_answer_has_said_no() -> None:
    async def run() -> None:
        async with serving() as (kiosk, _, _):
            dialog = KioskDialog(kiosk, answer_s=0.05)
            assert await asyncio.to_thread(dialog.ask_amount, LIMITS) is None  # no page yet
            dialog.loop = asyncio.get_running_loop()
            assert await asyncio.to_thread(dialog.ask_amount, LIMITS) is None
            assert not await asyncio.to_thread(dialog.confirm, Prompt.ANTI_FRAUD_VOICE_ZH)
            await asyncio.sleep(0.01)
            assert kiosk._form is None

    asyncio.run(run())


@pytest.mark.browser
def test_a_browser_asks_by_touch_and_keyboard(chromium: str) -> None:
    async def run() -> None:
        async with serving() as (kiosk, port, _), async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            for width, height in ((800, 600), (1080, 1920)):
                page = await browser.new_page(viewport={"width": width, "height": height})
                await page.goto(f"http://127.0.0.1:{port}/")
                fields = {"kind": "amount", "note_fen": 10_000, "most_fen": 300_000}
                fields |= {"quick_fen": [10_000, 200_000]}
                answer = await kiosk.ask("amount", CHOOSE_AMOUNT, fields)
                await page.wait_for_selector("#amount:not([hidden])")
                fits = "[...document.querySelectorAll('main,html')].every("
                fits += "one => one.scrollHeight <= one.clientHeight + 1)"
                assert await page.evaluate(fits)
                for key in ("2", "5", "0", "Enter"):  # no multiple of the note
                    await page.keyboard.press(key)
                await page.wait_for_selector("#hint.is-off")
                assert not answer.done()
                for key in ("Backspace", "Backspace", "0", "0", "0", "Enter"):  # 2000
                    await page.keyboard.press(key)
                assert await asyncio.to_thread(answer.result, 5) == 200_000
                answer = await kiosk.ask("amount", CHOOSE_AMOUNT, fields)
                await page.wait_for_selector("#amount:not([hidden])")
                await page.click("#quick button:first-child")
                assert await asyncio.to_thread(answer.result, 5) == 10_000
                answer = await kiosk.ask("amount", CHOOSE_AMOUNT, fields)
                await page.wait_for_selector("#amount:not([hidden])")
                await page.keyboard.press("Escape")
                assert await asyncio.to_thread(answer.result, 5) is False
                question = {"kind": "confirm", "wait_s": 1}
                answer = await kiosk.ask("question", CHOOSE_AMOUNT, question)
                await page.wait_for_selector("#yes:disabled")
                await page.wait_for_selector("#yes:enabled")
                await page.click("#yes")
                assert await asyncio.to_thread(answer.result, 5) is True
                await page.close()
            await browser.close()

    asyncio.run(run())


CHOICE: dict[str, Any] = {
    "kind": "choice",
    "options": [{"zh": t.zh, "en": t.en} for t in SERVICES.values()],
}
PAYEE = {"kind": "payee", "least": 12, "most": 19}


@pytest.mark.browser
def test_a_transfer_is_entered_and_the_language_turned_by_touch_and_keyboard(chromium: str) -> None:
    async def run() -> None:
        async with serving() as (kiosk, port, _), async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            page = await browser.new_page(viewport={"width": 1024, "height": 768})
            await page.goto(f"http://127.0.0.1:{port}/")
            leading = "['zh', 'en'].map(id => parseFloat(getComputedStyle("
            leading += "document.getElementById(id)).fontSize)).reduce((zh, en) => zh > en)"
            answer = await kiosk.ask("service", CHOOSE_SERVICE, CHOICE)
            await page.wait_for_selector("#choice:not([hidden])")
            assert await page.evaluate(leading)
            await page.click("#lang")
            assert not await page.evaluate(leading)
            await page.keyboard.press("l")
            assert await page.evaluate(leading)
            await page.keyboard.press("2")
            assert await asyncio.to_thread(answer.result, 5) == 1
            answer = await kiosk.ask("payee", ENTER_PAYEE, PAYEE)
            await page.wait_for_selector("#amount:not([hidden])")
            await page.keyboard.press("0")
            await page.keyboard.press("Enter")  # one digit is no account
            await page.wait_for_selector("#hint.is-off")
            for digit in "62280000000":
                await page.keyboard.press(digit)
            await page.click("#amount button.main")
            assert await asyncio.to_thread(answer.result, 5) == "062280000000"
            answer = await kiosk.ask("choose_transfer", CHOOSE_TRANSFER, CHOICE)
            await page.wait_for_selector("#choice:not([hidden])")
            await page.click("#choice [data-no]")
            assert await asyncio.to_thread(answer.result, 5) is False
            await browser.close()

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
            return str(kiosk._shown["zh"])

        await kiosk.look()
        assert shown() == "谨防诈骗"
        await kiosk.show(PRESENTED)
        await kiosk.look()
        assert shown() == screen_of(PRESENTED).text.zh  # a customer is being served
        await kiosk.show(replace(CLOSING, state=State.ENDED))
        await kiosk.look()
        assert shown() != "谨防诈骗"  # the last screen stays up for a while
        kiosk._put_at -= IDLE_AFTER_S
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


UNREACHABLE = """[...document.querySelectorAll("button, output, #zh, #en")].filter(one => {
  const at = one.getBoundingClientRect();
  if (!at.width) return false;
  const there = document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2);
  return !there || !(one.contains(there) || there.contains(one)
    && !["other"].includes(there.id)) || at.top < 0 || at.bottom > innerHeight;
}).map(one => one.id + one.textContent)"""
"""What a customer sees or touches and something else lies over, or the edge cuts."""

FORMS: dict[str, tuple[Text, dict[str, Any]]] = {
    "service": (CHOOSE_SERVICE, CHOICE),
    "transfers": (CHOOSE_TRANSFER, {**CHOICE, "options": [*CHOICE["options"]] * 2}),
    "payee": (ENTER_PAYEE, PAYEE),
    "amount": (
        CHOOSE_AMOUNT,
        {"kind": "amount", "note_fen": 10_000, "most_fen": 300_000, "quick_fen": [10_000] * 6},
    ),
    "question": (
        Text(
            "Has somebody told you to send this money, or asked you to keep it secret?",
            "是否有人要求您汇款，或要求您对家人和银行保密？",
        ),
        {
            "kind": "confirm",
            "wait_s": 0,
            "detail": {"zh": "转出 3,000.00 元至 6228 0000 0000", "en": "¥3,000.00 to 6228 …"},
        },
    ),
}


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1024, 768), (768, 1024)], ids=["wide", "tall"])
def test_every_screen_can_be_read_and_touched_in_both_languages(
    chromium: str, size: tuple[int, int]
) -> None:
    """``QIANSHAO_SCREENSHOTS=DIR`` keeps a picture of each."""
    folder = os.environ.get("QIANSHAO_SCREENSHOTS")
    states = [
        replace(CLOSING, state=s, outcome=None)
        for s in State
        if s not in {State.CLOSING, State.ENDED}
    ]
    ends = [replace(CLOSING, outcome=outcome) for outcome in Outcome]

    async def run() -> None:
        async with serving() as (kiosk, port, _), async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"]
            )
            page = await browser.new_page(viewport={"width": size[0], "height": size[1]})
            await page.goto(f"http://127.0.0.1:{port}/")

            async def look(name: str, text: Text) -> None:
                await page.wait_for_function(
                    "words => document.getElementById('zh').textContent === words", arg=text.zh
                )
                for language in ("zh", "en"):
                    if folder:
                        await page.screenshot(path=f"{folder}/{name}-{size[0]}-{language}.png")
                    assert await page.evaluate(UNREACHABLE) == [], (name, language)
                    if folder:
                        await page.screenshot(path=f"{folder}/{name}-{size[0]}-{language}.png")
                    await page.keyboard.press("l")

            for withdrawal in (*states, *ends):
                await kiosk.show(withdrawal)
                word = withdrawal.outcome or withdrawal.state
                await look(word.value, screen_of(withdrawal).text)
            for prompt in Prompt:
                await kiosk.prompt(prompt)
                await look(f"prompt-{prompt.value}", PROMPTS[prompt])
            for name, (text, fields) in FORMS.items():
                await kiosk.ask(name, text, fields)
                await page.wait_for_selector("form:not([hidden])")
                await look(f"form-{name}", text)
            await browser.close()

    asyncio.run(run())
