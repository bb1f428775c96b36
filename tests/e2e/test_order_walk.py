"""From the alarm of 110 to the end of the stop and the day's report: real processes and browsers.

Done twice, in Chinese and in English: the second stop on the account is the last that the law
allows, and it ends by itself on a clock that is moved over what the processes left.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from central.actor import Role
from central.config import load_settings
from central.hub import Hub
from central.orders import order_keys
from central.orders.dispatch import take_order
from central.orders.kinds import OrderState
from central.orders.office import open_office
from central.own_key import central_signer
from central.store import open_sqlite
from central.web import WebServer, create_app
from contract.accounts import card_ref
from contract.clock import MonoMicros, SystemClock, UnixMicros, VirtualClock
from contract.words import DeviceKind
from edge_agent.central_time import CentralTime
from edge_agent.identity import find_central
from edge_agent.order_store import OrderStore
from edge_agent.orders import OrderDesk, Receiver
from qianshao.demo.people import PAN
from tests.central.signing import browser_cookie
from tests.e2e.demo_process import DemoProcess
from tests.e2e.evidence import stored

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

CHINA = dt.timezone(dt.timedelta(hours=8))
STATES = {
    "zh-CN": {"live": "生效，已反馈", "over": "到期自动解除", "counter": "到柜台办理"},
    "en": {"live": "in force, fed back", "over": "over by itself", "counter": "go to the counter"},
}


def signed_in(browser: Browser, base: str, name: str, password: str, lang: str) -> Page:
    page = browser.new_context(locale=lang).new_page()
    page.goto(f"{base}/sign-in?lang={lang}")
    page.locator("[name=name]").fill(name)
    page.locator("[name=password]").fill(password)
    with page.expect_navigation():
        page.locator("main form button").click()
    return page


def sign(page: Page, address: str, key: Path) -> None:
    page.goto(address)
    assert page.locator("[data-account]").count() == 1  # expanded before it is signed
    page.locator("[data-key-file]").set_input_files(key)
    with page.expect_navigation():
        page.locator("[data-sign]").click()
    assert page.locator("[data-problem]").count() == 0, page.locator("main").inner_text()


def take_alarm(page: Page, base: str, transfer: str, number: str) -> None:
    """Take an alarm by telephone: a case opens, and its page shows nothing in full."""
    page.goto(f"{base}/intake")
    at = dt.datetime.now(CHINA).strftime("%Y-%m-%dT%H:%M:%S")
    given = {
        "number": number,
        "area": "530100",
        "alarm_at": at,
        "yuan": "46000.00",
        "name": "李四",
        "phone": "13900000000",
        "brief": "caller said he was a prosecutor",
        "account": PAN,
        "holder": "张三",
        "account_yuan": "46000.00",
        "transfer_at": transfer.replace(" ", "T"),
    }
    for name, value in given.items():
        page.locator(f"[data-intake] [name={name}]").fill(value)
    with page.expect_navigation():
        page.locator("[data-take]").click()
    assert page.locator("[data-alarms]").count() == 1, page.locator("main").inner_text()
    assert PAN not in page.content()


def draft_stop(page: Page) -> str:
    """From the case: open the sealed values with a reason, and draw up a stop from them."""
    page.locator("[data-alarms] [name=why]").fill("stop order")
    with page.expect_navigation():
        page.locator("[data-alarms] form").first.locator("button").click()
    assert page.locator("[data-full-number]").inner_text() == PAN
    with page.expect_navigation():
        page.locator("[data-fill-order]").click()
    with page.expect_navigation():
        page.locator("[data-draft]").click()
    assert page.locator("[data-state=drafted]").count() == 1, page.locator("main").inner_text()
    return page.url


def daily_report(page: Page, base: str, lang: str, *, alarms: int) -> None:
    """The day's figures: alarms and stops so far, as a page and as a file."""
    page.goto(f"{base}/statistics?area=530100&lang={lang}")
    assert page.locator("[data-report] tbody tr").count() > 10
    day = page.locator("#day").input_value()
    answer = page.request.get(f"{base}/api/reports/day.json?day={day}&area=530100")
    figures = {row["indicator"]: row["now"] for row in answer.json()["figures"]}
    assert (figures["alarms_110"], figures["stops"]) == (alarms, alarms)
    assert figures["loss"] == alarms * 4_600_000


def receipts(page: Page, address: str, lang: str) -> None:
    page.goto(f"{address}?lang={lang}")
    page.locator('[data-applied="1"]').wait_for(timeout=20_000)
    assert page.locator('[data-pending="0"]').count() == 1
    assert page.locator("html").get_attribute("lang") == lang


def test_from_the_alarm_to_the_end_of_the_stop(chromium: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with (
        DemoProcess(folder, seconds=240, field_data=None) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        base = demo.page.partition("/sign-in")[0]
        password = re.search(r"password (\S+)$", demo.wait_for("password "))
        transfer = re.search(r"at (\S+ \S+)$", demo.wait_for("try a stop on"))
        assert password is not None
        assert transfer is not None
        demo.wait_for("visit")
        screen = browser.new_page()
        screen.goto(demo.wait_for("SCREEN").split()[3])
        for alarms, lang, number in ((1, "zh-CN", "5301001"), (2, "en", "5301002")):
            chen, zhou = (
                signed_in(browser, base, name, password[1], lang) for name in ("chen", "zhou")
            )
            take_alarm(chen, base, transfer[1], number)
            address = draft_stop(chen)
            sign(chen, address, folder / "officers" / "chen.pem")
            sign(zhou, address, folder / "officers" / "zhou.pem")
            receipts(zhou, address, lang)
            assert STATES[lang]["live"] in zhou.locator("[data-order-state]").inner_text()
            seen = len(stored(folder, "SELECT 1 FROM decisions WHERE reason = 'STOP_PAYMENT'"))
            demo_refuses(demo, folder, seen)
            screen.wait_for_function("() => document.body.dataset.screen === 'counter'")
            assert STATES[lang]["counter"] in screen.locator("body").inner_text()
            if lang == "zh-CN":
                zhou.locator("#ground-release_stop").select_option("wrong_account")
                with zhou.expect_navigation():
                    zhou.locator("[data-follow-kind=release_stop]").click()
                release = zhou.url
                sign(zhou, release, folder / "officers" / "zhou.pem")
                sign(chen, release, folder / "officers" / "chen.pem")
                receipts(chen, release, lang)
                chen.goto(address)
                assert chen.locator("[data-order-state=released]").count() == 1
                chen.goto(f"{base}/orders")
                assert chen.locator("[data-wrong-count]").inner_text() == "1"
            daily_report(zhou, base, lang, alarms=alarms)
            for page in (chen, zhou):
                page.context.close()
        browser.close()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        end_on_a_moved_clock(browser, folder, address.rpartition("/")[2])
        browser.close()


def demo_refuses(demo: DemoProcess, folder: Path, seen: int) -> None:
    """Wait until one more customer with this card was refused for the stop."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rows = stored(folder, "SELECT decision FROM decisions WHERE reason = 'STOP_PAYMENT'")
        if len(rows) > seen:
            assert {row[0] for row in rows} == {"DENY"}
            return
        time.sleep(0.2)
    raise AssertionError("\n".join(demo.words))


def end_on_a_moved_clock(browser: Browser, folder: Path, name: str) -> None:
    """48 hours later, over the store of the central and that of the ATM as they were left."""
    clock = VirtualClock(SystemClock().wall(), MonoMicros(1))
    settings = load_settings(folder / "central.toml")
    signer, store = central_signer(settings), open_sqlite(settings.store_path)
    office = open_office(
        store,
        settings,
        clock=clock,
        signer=signer,
        publish=lambda raw: take_order(store, raw, settings.tenant, order_keys(store, signer)),
    )
    app = create_app(store, Hub(), settings, clock=clock, order_office=office)
    find = find_central(folder / "atm-01" / "central.pub.pem")
    machine = OrderDesk(
        OrderStore(folder / "atm-01" / "orders.sqlite3"),
        Receiver(
            tenant=settings.tenant,
            device="atm-01",
            kind=DeviceKind.ATM,
            find_central=find,
            find_root=find,
        ),
        clock=clock,
        time=CentralTime(clock, b"\x07" * 16),
        report=lambda result: None,
        act=lambda body: None,
    )
    card = card_ref(PAN, (folder / "atm-01" / "card.key").read_bytes())
    office.tick()
    order_id = bytes.fromhex(name)
    until = office.desk.book.get(order_id).application.until
    assert until is not None
    assert machine.hold_on(card) is not None
    clock.advance(until - clock.wall() - 1)
    office.tick()
    assert office.desk.book.get(order_id).state is OrderState.FED_BACK  # a microsecond before
    clock.advance(1)
    office.tick()
    machine.step()
    assert office.desk.book.get(order_id).state is OrderState.EXPIRED
    assert machine.hold_on(card) is None
    assert UnixMicros(until) == office.desk.book.get(order_id).events[-1].at
    server = WebServer(app, app.state.site.hub, "127.0.0.1", 0)
    server.start()
    try:
        for lang in ("zh-CN", "en"):
            context = browser.new_context(locale=lang)
            context.add_cookies(
                [browser_cookie(app, server.url, name="sun", roles=[Role.COMMANDER])]
            )
            page = context.new_page()
            page.goto(f"{server.url}orders/{name}?lang={lang}")
            assert STATES[lang]["over"] in page.locator("[data-order-state]").inner_text()
            page.goto(f"{server.url}orders/new?lang={lang}")
            page.locator("#paste").fill(
                f"户名：张三\n卡号：{PAN}\n金额：46000\n时间：2026-01-01 00:00:00"
            )
            page.locator("#case").fill("110-3")
            page.locator("#area").fill("530100")
            with page.expect_navigation():
                page.locator("[data-draft]").click()
            assert "100201" in page.locator("[data-problem]").inner_text()  # twice: freeze now
            context.close()
    finally:
        server.stop()
        store.close()
