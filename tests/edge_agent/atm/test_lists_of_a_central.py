"""A real agent and a real central: what is listed there is refused at the machine, and no longer
when it is taken back; a list that nobody confirms sends to the counter."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from central.actor import Actor, Role
from central.clocks import load_law
from central.enrolment import EnrolmentDesk
from central.lists import ListDesk, ListKeeper, TenantKey, WireHolds
from central.lists.keys import TenantKeys
from central.lists.rotation import KeyDesk
from central.lists.staleness import atm_lists
from central.orders.sealed import Vault
from central.store import lists as stored
from central.store.identities import IssuedCertificate
from central.web.enrol import EnrolmentServer
from central.web.list_files import ListRoutes
from contract.account_list import open_manifest
from contract.accounts import card_ref
from contract.clock import SystemClock, UnixMicros
from contract.keys import CENTRAL, KeySigner, KnownKey, public_pem
from contract.orders import AccountHold, AccountRelease
from contract.tenant_keys import box_key
from contract.words import DeviceKind, OrderType
from edge_agent.atm.key_ring import BOX_FILE, take_sealed
from mqtt_bridge.tls import tls_context
from tests.central.kit import Central, Station
from tests.edge_agent.atm.test_agent import (
    CARD,
    KEY,
    PAN,
    Bank,
    Officers,
    agent,
    enrol,
    is_allowed,
    prepare,
    site,
)
from tests.mqtt_bridge.doubles import Site, enrolled, eventually
from tests.orders import CENTRAL_KEY, HOUR_US, TENANT

__all__ = ["site"]

LI = Actor("li", frozenset({Role.DUTY_OFFICER}), frozenset({"000000"}))
WANG = Actor("wang", frozenset({Role.REVIEWER}), frozenset({"000000"}))
SIGNER = KeySigner(CENTRAL_KEY)
ATM = """
[atm.lists]
url = "https://localhost:{port}"
max_age_s = {age}
refresh_s = 1
[atm.assertion]
terminal = "ATM00001"
socket = "run/assertion.sock"
"""


@dataclass
class Lists:
    """Keeper, desk and the devices' port of one central."""

    central: Central
    site: Site
    folder: Path

    def __post_init__(self) -> None:
        store, clock = self.central.store, SystemClock()
        self.keeper = ListKeeper(
            store,
            self.central.intake,
            self.folder / "central-lists",
            tenant=TENANT,
            signer=SIGNER,
            clock=clock,
            holds=WireHolds(store),
            refresh_s=1.0,
        )
        self.desk = ListDesk(
            store,
            clock,
            law=load_law(),
            vault=lambda: Vault(bytes(32)),
            keys=lambda: [TenantKey(number=1, secret=KEY)],
            area="000000",
            on_change=self.keeper.wake,
        )
        enrolment = EnrolmentDesk(
            store=store,
            authority=self.site.authority,
            tenant=TENANT,
            central_key_pem=public_pem(CENTRAL_KEY.public_key()),
            clock=clock,
        )
        papers = self.site.authority.issue_server(self.folder / "port")
        routes = ListRoutes(self.keeper, store)
        self.server = EnrolmentServer(enrolment, papers, "127.0.0.1", 0, routes)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        self.server.start()
        thread = threading.Thread(target=self.keeper.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.keeper.stop()
            thread.join(30)
            self.server.stop()

    def know(self, certificate: Path, device: str) -> None:
        """Write down the certificate that the test's authority gave the machine."""
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
        self.central.store.add_certificate(
            IssuedCertificate(
                serial=f"{shown.serial_number:x}",
                device=device,
                not_before=0,
                not_after=2**60,
                issued_at=1,
            )
        )

    def approve(self, change: int) -> None:
        self.desk.decide(WANG, change, is_approved=True)

        def is_in_force() -> bool:
            with self.central.store.reading() as connection:
                row = stored.change(connection, change)
                newest = stored.newest_version(connection)
            return bool(row and row.version and newest and newest.sha256)

        assert eventually(is_in_force, 30)

    def counts(self) -> list[int]:
        """Accounts in each version, oldest first."""
        with self.central.store.reading() as connection:
            return [version.count for version in reversed(stored.versions(connection, 50))]

    def get(self, path: str, context: ssl.SSLContext) -> tuple[int, bytes]:
        line = http.client.HTTPSConnection("localhost", self.server.port, context=context)
        with contextlib.closing(line):
            line.request("GET", path)
            answer = line.getresponse()
            return answer.status, answer.read()


def reasons(central: Central) -> list[str | None]:
    """Reasons of the decisions that came, the newest first."""
    return [row.reason for row in central.store.snapshot(1, 20).decisions] or [None]


def ask(bank: Bank, wanted: str) -> dict[str, Any]:
    """Ask until the machine says what is wanted, or for ten seconds."""
    kept: dict[str, Any] = {}

    def says() -> bool:
        kept.update(bank.decide(bank.open_visit()))
        return bool(kept["decision"] == wanted)

    assert eventually(says, 30), kept
    return kept


def sanctioned() -> list[str]:
    since = dt.date.today() - dt.timedelta(days=30)  # noqa: DTZ011 - any recent day
    row = f"{PAN},sanction,{since},IDENTIFIED_BY_POLICE\n"
    return ["account,listed_for,from,ground\n", row]


def test_what_the_central_lists_is_refused_and_what_nobody_confirms_goes_to_the_counter(
    tmp_path: Path, site: Site
) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    bank, officers = Bank(tmp_path / "run" / "assertion.sock"), Officers(central, site)
    lists = Lists(central, site, tmp_path)
    with officers.at_work(), lists.at_work():
        config = prepare(tmp_path, site, ATM.format(port=lists.server.port, age=60))
        enrol(central, tmp_path)
        lists.know(tmp_path / "atm-1" / "device.pem", "atm-1")
        officers.appoint()
        with agent(config):
            assert eventually(bank.is_heard, 30)
            allowed: dict[str, Any] = {}
            assert eventually(lambda: is_allowed(bank.decide(bank.open_visit()), allowed), 30)

            lists.approve(lists.desk.propose_file(LI, "s.csv", sanctioned(), "police"))
            denied = ask(bank, "DENY")
            assert eventually(lambda: reasons(central)[0] == "NONCOUNTER_OUTFLOW_SUSPENDED", 30)
            assert "请到柜台办理" in denied["screen"]["zh"]
            lists.approve(lists.desk.propose_rollback(LI, 1, "the wrong person"))
            ask(bank, "ALLOW")

            until = UnixMicros(SystemClock().wall() + HOUR_US)
            stop = officers.order(OrderType.STOP_PAYMENT, AccountHold(account=CARD, until=until))
            ask(bank, "DENY")
            assert eventually(lambda: reasons(central)[0] == "STOP_PAYMENT", 30)
            assert eventually(lambda: lists.counts()[-1] == 1, 30)  # it is on the list as well
            ends = (stop.order.order_id,)
            officers.order(OrderType.RELEASE_STOP, AccountRelease(account=CARD, releases=ends))
            ask(bank, "ALLOW")

            def is_current() -> bool:
                with central.store.reading() as connection:
                    newest = stored.newest_version(connection)
                now = int(SystemClock().wall())
                return [m.state for m in atm_lists(central.store.devices(), newest, now)] == [
                    "current"
                ]

            assert eventually(is_current, 30)


def test_a_list_that_nobody_confirms_grows_stale(tmp_path: Path, site: Site) -> None:
    """The shortest age that a configuration may ask for is 60 s: the list is that old already."""
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    bank, officers = Bank(tmp_path / "run" / "assertion.sock"), Officers(central, site)
    lists = Lists(central, site, tmp_path)
    with officers.at_work():
        config = prepare(tmp_path, site, ATM.format(port=lists.server.port, age=60))
        enrol(central, tmp_path)
        lists.know(tmp_path / "atm-1" / "device.pem", "atm-1")
        lists.keeper._clock = _Behind()
        with lists.at_work():
            config.write_text(
                config.read_text("utf-8").replace("localhost:0", f"localhost:{lists.server.port}"),
                encoding="utf-8",
            )
            with agent(config):
                assert eventually(bank.is_heard, 30)
                ask(bank, "REFER_TO_COUNTER")
                assert eventually(lambda: reasons(central)[0] == "LIST_STALE", 30)
                lists.keeper._clock = SystemClock()  # the central's word is fresh again
                ask(bank, "ALLOW")


def test_a_machine_goes_over_to_another_key_and_refuses_all_the_same(
    tmp_path: Path, site: Site
) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    bank, officers = Bank(tmp_path / "run" / "assertion.sock"), Officers(central, site)
    lists = Lists(central, site, tmp_path)
    keys = TenantKeys(tmp_path / "tenant-keys", write_key(tmp_path / "first.key"))
    desk = KeyDesk(
        central.store, SystemClock(), lambda: keys, vault=lambda: Vault(bytes(32)),
        tenant=TENANT, signer=SIGNER, publish=officers.dispatcher.publish,
        holds=WireHolds(central.store), on_change=lists.keeper.wake,
    )  # fmt: skip
    lists.desk._keys = lambda: [keys.key(n) for n in desk.state().numbers]
    with officers.at_work(), lists.at_work():
        config = prepare(tmp_path, site, ATM.format(port=lists.server.port, age=60))
        enrol(central, tmp_path)
        lists.know(tmp_path / "atm-1" / "device.pem", "atm-1")
        own = box_key(tmp_path / "state" / BOX_FILE)
        sealed = desk.sealed_for("atm-1", own.public_key().public_bytes_raw())
        take_sealed(sealed, tmp_path / "card.key", tmp_path / "state", TENANT, "atm-1")
        officers.appoint()
        lists.approve(lists.desk.propose_file(LI, "s.csv", sanctioned(), "police"))

        def has_it() -> bool:
            return [one.state for one in desk.receipts()] == ["has"]

        def named_under(number: int) -> bool:
            bank.decide(bank.open_visit())
            rows = central.store.snapshot(1, 1).decisions
            wanted = card_ref(PAN, keys.key(number).secret).hmac
            return bool(rows and bytes.fromhex(rows[0].body["card"]["hmac"]) == wanted)

        for _ in range(10):
            central.store.take_order_counter()  # the officers above number theirs by hand
        with agent(config):
            assert eventually(bank.is_heard, 30)
            ask(bank, "DENY")
            assert eventually(lambda: named_under(1), 30)
            desk.begin("root")
            assert eventually(has_it, 30)
            ask(bank, "DENY")
            desk.switch("root")
            assert eventually(has_it, 30)
            assert eventually(lambda: named_under(2), 30)
            ask(bank, "DENY")
            desk.retire("root", 1)
            assert eventually(has_it, 30)
            assert eventually(lambda: lists.counts()[-1] == 1, 30)
            ask(bank, "DENY")
            assert eventually(lambda: reasons(central)[0] == "NONCOUNTER_OUTFLOW_SUSPENDED", 30)
    log = (tmp_path / "agent.log").read_bytes()
    for number in (1, 2):
        assert keys.key(number).secret.hex().encode() not in log


def write_key(path: Path) -> Path:
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


class _Behind(SystemClock):
    def wall(self) -> UnixMicros:
        return UnixMicros(super().wall() - 300_000_000)


@pytest.mark.parametrize("what", ["stranger", "nobody", "van", "revoked", "unknown"])
def test_the_lists_are_for_enrolled_machines_alone(tmp_path: Path, site: Site, what: str) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    lists = Lists(central, site, tmp_path)
    kind = DeviceKind.VAN if what == "van" else DeviceKind.ATM
    central.enrol(Station(device="atm-1", kind=kind, seed=5))
    papers = enrolled(site.authority, tmp_path / "device", "atm-1")
    if what != "unknown":
        lists.know(papers.certificate, "atm-1")
    with lists.at_work():
        assert eventually(lambda: lists.keeper.files.newest is not None, 30)
        context = tls_context(papers)
        if what == "nobody":
            context = ssl.create_default_context(cafile=str(papers.ca))
        if what == "stranger":
            from central.authority import Authority

            other = Authority.create(tmp_path / "other-ca")
            foreign = enrolled(other, tmp_path / "foreign", "atm-1")
            context = ssl.create_default_context(cafile=str(papers.ca))
            context.load_cert_chain(foreign.certificate, foreign.private_key)
        if what == "revoked":
            assert lists.get("/lists/manifest", context)[0] == 200
            central.store.revoke("atm-1", 1)
        for path in ("/lists/manifest", "/lists/1", "/lists/1/from/1"):
            if what == "stranger":
                with pytest.raises(OSError, match=r"(?i)alert|unknown ca|reset|closed"):
                    lists.get(path, context)
                continue
            status, body = lists.get(path, context)
            assert status == (401 if what == "nobody" else 403), path
            assert "problem" in json.loads(body)


def test_the_port_gives_what_is_in_force_and_the_way_there(tmp_path: Path, site: Site) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    lists = Lists(central, site, tmp_path)
    central.enrol(Station(device="atm-1", kind=DeviceKind.ATM, seed=5))
    papers = enrolled(site.authority, tmp_path / "device", "atm-1")
    lists.know(papers.certificate, "atm-1")
    context = tls_context(papers)
    known = KnownKey(CENTRAL, CENTRAL_KEY.public_key())
    with lists.at_work():
        assert eventually(lambda: lists.keeper.files.newest is not None, 30)
        lists.approve(lists.desk.propose_file(LI, "s.csv", sanctioned(), ""))
        status, raw = lists.get("/lists/manifest", context)
        manifest = open_manifest(raw, tenant=TENANT, find_key=lambda kid: known)
        assert (status, manifest.version, manifest.count) == (200, 2, 1)
        status, body = lists.get("/lists/2", context)
        assert (status, len(body)) == (200, 32 + 16)
        status, body = lists.get("/lists/2/from/1", context)
        assert (status, len(body)) == (200, 40 + 16)
        for path in (
            "/lists/1",
            "/lists/9",
            "/lists/2/from/2",
            "/lists/2/from/9",
            "/lists/1/from/0",
        ):
            assert lists.get(path, context)[0] == 404, path
