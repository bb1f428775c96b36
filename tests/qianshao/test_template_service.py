"""The bank's template service over mutual TLS, and an ATM that asks it for one card."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.bank_templates import BankTemplates
from atm_face.engines.sface import SFaceEngine
from atm_face.simulated import made_up_template
from atm_face.templates import (
    Consent,
    NoConsentError,
    NotEnrolledError,
    ReEnrolError,
    SealError,
    StoreError,
    TemplateStore,
)
from central.authority import Authority
from mqtt_bridge.ports import TlsFiles
from qianshao.template_service import TemplateService

CARD, OLD, GONE = b"c" * 32, b"o" * 32, b"g" * 32
OWN = X25519PrivateKey.generate()


@pytest.fixture(scope="module")
def engine() -> SFaceEngine:
    return SFaceEngine()


class Bank:
    """An authority, a store and a running service."""

    def __init__(self, folder: Path, engine: SFaceEngine) -> None:
        self.authority = Authority.create(folder / "ca")
        files = self.authority.issue_server(folder / "server")
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_cert_chain(files.certificate, files.private_key)
        self.store = TemplateStore(folder / "templates", b"k" * 32)
        consent = Consent(purpose="withdrawal", given_on=date(2026, 11, 1))
        template = made_up_template(engine, "owner")
        for card in (CARD, GONE):
            self.store.enrol(card, template, consent)
        self.store.withdraw(GONE, date(2026, 11, 2))
        other = made_up_template(engine, "owner")
        old = type(other)(engine="sface", model_sha256=bytes(32), vector=other.vector)
        self.store.enrol(OLD, old, consent)
        devices = {"atm-1": OWN.public_key()}
        self.service = TemplateService(("127.0.0.1", 0), tls, self.store, devices)
        self.url = f"https://127.0.0.1:{self.service.server_port}"
        self.folder = folder

    def client(self, name: str | None) -> ssl.SSLContext:
        ca = self.authority.issue_client(self.folder / "any").ca
        context = ssl.create_default_context(cafile=str(ca))
        if name is not None:
            files: TlsFiles = self.authority.issue_client(self.folder / name, name)
            context.load_cert_chain(files.certificate, files.private_key)
        return context

    def source(self, name: str | None, own: X25519PrivateKey = OWN) -> BankTemplates:
        return BankTemplates(self.url, self.client(name), own)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, engine: SFaceEngine) -> Iterator[Bank]:
    bank = Bank(tmp_path_factory.mktemp("bank"), engine)
    thread = threading.Thread(target=bank.service.serve_forever, args=(0.05,))
    thread.start()
    yield bank
    bank.service.shutdown()
    thread.join()
    bank.service.server_close()
    bank.store.close()


def test_a_device_gets_the_reference_of_one_card(
    bank: Bank, engine: SFaceEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    found = bank.source("atm-1").fetch(CARD, engine)
    assert found.similarity(engine, made_up_template(engine, "owner")) == pytest.approx(1.0)
    printed = capfd.readouterr().err
    assert "atm-1: 200" in printed
    assert CARD.hex() not in printed


@pytest.mark.parametrize(
    ("card", "error"), [(b"n" * 32, NotEnrolledError), (GONE, NoConsentError), (OLD, ReEnrolError)]
)
def test_each_reason_without_a_reference_is_its_own(
    bank: Bank, engine: SFaceEngine, card: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bank.source("atm-1").fetch(card, engine)


def test_others_get_nothing(bank: Bank, engine: SFaceEngine) -> None:
    with pytest.raises(StoreError, match="status 401"):
        bank.source("atm-2").fetch(CARD, engine)
    with pytest.raises(StoreError, match="template service"):
        bank.source(None).fetch(CARD, engine)
    with pytest.raises(SealError, match="another device"):
        bank.source("atm-1", X25519PrivateKey.generate()).fetch(CARD, engine)


def test_plain_http_and_a_service_that_is_gone_are_refused(bank: Bank, engine: SFaceEngine) -> None:
    with pytest.raises(StoreError, match="https alone"):
        BankTemplates("http://127.0.0.1", bank.client("atm-1"), OWN)
    with pytest.raises(StoreError, match="template service"):
        BankTemplates("https://127.0.0.1:1", bank.client("atm-1"), OWN).fetch(CARD, engine)
    with pytest.raises(ValueError, match="mutual TLS"):
        TemplateService(("127.0.0.1", 0), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), bank.store, {})
