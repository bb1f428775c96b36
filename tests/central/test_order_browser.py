"""Signing in a real browser: the key file is opened there, and only signatures leave it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from central.actor import Role
from central.hub import Hub
from central.orders.kinds import OrderState
from central.web import WebServer, create_app
from contract.clock import SystemClock
from contract.keys import PrivateKey, public_pem
from tests.central.kit import START
from tests.central.office import AREA, KEYS, OfficeTown
from tests.central.signing import browser_cookie

pytestmark = pytest.mark.browser

PASSPHRASE = "correct horse 密"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield made
        made.close()


def key_file(folder: Path, key: PrivateKey, passphrase: str = "") -> Path:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    path = folder / f"key-{len(list(folder.glob('key-*')))}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    return path


def sign_here(page: Page, path: Path, passphrase: str = "") -> None:
    page.locator("[data-key-file]").set_input_files(path)
    page.locator("[data-passphrase]").fill(passphrase)
    page.locator("[data-sign]").click()


def test_two_officers_sign_in_their_browsers_and_no_key_leaves_them(
    browser: Browser, tmp_path: Path
) -> None:
    town = OfficeTown(tmp_path, 1, officers=("li.wei",))
    town.central.clock.advance(SystemClock().wall() - START)
    own = ec.generate_private_key(ec.SECP256R1())
    town.office.officers.add("admin", "wang", public_pem(own.public_key()))
    app: FastAPI = create_app(town.central.store, Hub(), town.settings, order_office=town.office)
    server = WebServer(app, app.state.site.hub, "127.0.0.1", 0)
    server.start()
    draft = town.draft()
    address = f"{server.url}orders/{draft.application.order_id.hex()}"
    files = {
        "li.wei": key_file(tmp_path, KEYS["li.wei"]),
        "wang": key_file(tmp_path, own, PASSPHRASE),
    }
    stranger = key_file(tmp_path, KEYS["zhao"])
    sent: list[bytes] = []
    try:
        for name, path in files.items():
            context = browser.new_context(locale="zh-CN")
            context.add_cookies(
                [browser_cookie(app, server.url, name=name, roles=[Role.REVIEWER], areas=[AREA])]
            )
            page = context.new_page()
            page.on("request", lambda request: sent.append(request.post_data_buffer or b""))
            page.goto(address)
            sign_here(page, stranger)
            page.locator("[data-sign-problem]:not([hidden])").wait_for()
            if name == "wang":
                sign_here(page, path, "wrong")
                page.locator("[data-sign-problem]:not([hidden])").wait_for()
            with page.expect_navigation():
                sign_here(page, path, PASSPHRASE if name == "wang" else "")
            assert page.locator("[data-problem]").count() == 0
            context.close()
        assert town.office.desk.book.get(draft.application.order_id).state is OrderState.FED_BACK
        raw = b"".join(sent)
        assert raw.count(b"qianshao-signatures") == 2
        assert PASSPHRASE.encode() not in raw
        for line in (tmp_path / "key-0.pem").read_bytes().splitlines()[1:-1]:
            assert line not in raw
    finally:
        server.stop()
        town.central.store.close()
