"""A whole agent of an ATM on a real broker: assertions, and orders that it enforces at once."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atm_face.device_key import file_key
from atm_face.engines.interface import Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.images import decode_image
from atm_face.templates import Consent, TemplateStore
from central.authority import Authority
from central.orders import OrderDispatcher, order_keys
from contract.accounts import card_ref
from contract.clock import SystemClock, UnixMicros
from contract.cosign import SignedOrder
from contract.keyfiles import evidence_signer
from contract.keys import KeySigner, public_pem
from contract.orders import AccountHold, AccountRelease, OrderBody
from contract.words import DecisionReason, DeviceKind, OrderType
from edge_agent.identity import TLS_KEY_FILE
from hardware.atm.xfs4iot import Dialect
from hardware.atm.xfs_client import XfsClient
from hardware.simulators import portraits
from hardware.simulators.xfs_services import DISPENSER
from tests.central.kit import Central
from tests.mqtt_bridge.doubles import Site, eventually, make_broker, running
from tests.orders import CENTRAL_KEY, HOUR_US, TENANT, officers, signed

PAN = "6216261000000000018"
KEY = b"k" * 32
CARD = card_ref(PAN, KEY)
VISITS = f"""
[[visits]]
pan = "{PAN}"
amount_fen = 200000
pin = "ok"
reference = "reference.png"
faces = ["face.png"]
turn_left = ["left.png"]
turn_right = ["right.png"]
"""


class Caller(http.client.HTTPConnection):
    """The bank's application on the Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


@dataclass
class Bank:
    """Calls the agent as the bank's application does."""

    path: Path

    def is_heard(self) -> bool:
        """Whether the agent takes calls; its socket has a name a moment before."""
        with contextlib.closing(Caller(self.path)) as line, contextlib.suppress(OSError):
            line.connect()
            return True
        return False

    def call(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        with contextlib.closing(Caller(self.path)) as line:
            line.request("POST", path, json.dumps(body or {}))
            answer = line.getresponse()
            return answer.status, json.loads(answer.read())

    def open_visit(self) -> str:
        """Everything up to the decision."""
        status, opened = self.call("/v1/sessions", {"pan": PAN})
        assert status == 201, opened
        session = str(opened["session"])
        assert self.call(f"/v1/sessions/{session}/capture")[0] == 200
        assert self.call(f"/v1/sessions/{session}/challenge")[1] == {"done": True}
        return session

    def decide(self, session: str) -> dict[str, Any]:
        asked = {"stan": "000001", "amount_fen": 200000, "nonce": "00" * 16, "pin": "ok"}
        status, body = self.call(f"/v1/sessions/{session}/decision", asked)
        assert status == 200, body
        return body


class Officers:
    """The central's side: ingest with receipts, and orders signed by two officers."""

    def __init__(self, central: Central, site: Site) -> None:
        self._central, self.intake = central, site.intake()
        signer, clock = KeySigner(CENTRAL_KEY), SystemClock()
        self.dispatcher = OrderDispatcher(
            central.store,
            self.intake,
            tenant=TENANT,
            signer=signer,
            clock=clock,
            find_key=order_keys(central.store, signer),
        )
        central.intake = self.intake  # type: ignore[assignment]
        self.ingest = central.new_ingest(clock=clock, on_heard=self.dispatcher.heard)
        self.now = clock.wall()
        self._number = 0

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=one.run, daemon=True) for one in (self.ingest, self.dispatcher)
        ]
        for thread in threads:
            thread.start()
        with running(self.intake):
            try:
                yield
            finally:
                self.ingest.stop()
                self.dispatcher.stop()
                for thread in threads:
                    thread.join(30)

    def order(self, type_: OrderType, body: OrderBody) -> SignedOrder:
        self._number += 1
        now = SystemClock().wall()
        times: dict[str, Any] = {"issued_at": now, "not_before": now, "expires": now + HOUR_US}
        return self.dispatcher.publish(signed(type_, self._number, body=body, **times))

    def is_answered(self) -> bool:
        """Whether each machine has answered each order that is for it."""
        return not self._central.store.pending_orders(int(self.now))

    def appoint(self) -> None:
        people = officers()
        since, until = UnixMicros(self.now - HOUR_US), UnixMicros(self.now + HOUR_US)
        named = tuple(
            dataclasses.replace(one, valid_from=since, valid_until=until) for one in people.officers
        )
        self.order(OrderType.OFFICERS, dataclasses.replace(people, officers=named))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority = Authority.create(tmp_path / "ca")
    broker = make_broker("nats", tmp_path / "broker", authority)
    broker.start()
    yield Site(broker, authority, tmp_path)
    broker.stop()


def prepare(folder: Path, site: Site, atm: str) -> Path:
    """Write everything an enrolled ATM has; returns its configuration file."""
    pictures = {
        "reference.png": portraits.portrait(),
        "face.png": portraits.with_brightness(0.8),
        "left.png": portraits.turned(45),
        "right.png": portraits.turned(-45),
    }
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture)
    (folder / "card.key").write_bytes(KEY)
    (folder / "card.key").chmod(0o600)
    (folder / "visits.toml").write_text("pause_s = 0.5\n" + VISITS, encoding="utf-8")
    (folder / "central.pub.pem").write_text(public_pem(CENTRAL_KEY.public_key()), "ascii")
    state = folder / "state"
    state.mkdir(mode=0o700)
    address = site.address("atm-1")
    assert address.tls is not None
    shutil.copy(address.tls.private_key, state / TLS_KEY_FILE)
    (state / TLS_KEY_FILE).chmod(0o600)
    config = folder / "atm.toml"
    config.write_text(
        f"""
device = "atm-1"
tenant = "{TENANT}"
kind = "atm"
state_dir = "state"
[broker]
host = "{address.host}"
port = {address.port}
ca = "{address.tls.ca}"
certificate = "{address.tls.certificate}"
[central]
public_key = "central.pub.pem"
[health]
period_s = 0.5
[atm]
tenant_key_file = "card.key"
script = "visits.toml"
{atm}
""",
        encoding="utf-8",
    )
    return config


@contextlib.contextmanager
def agent(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (config.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "qianshao", "agent", "--config", str(config)], stderr=log
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (config.parent / "agent.log").read_text()[-3000:]


def enrol(central: Central, folder: Path) -> None:
    """Let the central know the evidence key that the agent will find."""
    signer = evidence_signer(folder / "state" / "evidence.key.pem")
    central.store.enrol(
        "atm-1",
        tenant=TENANT,
        kind=DeviceKind.ATM,
        name="ATM",
        public_pem=public_pem(signer.public),
        at=SystemClock().wall(),
    )


def is_allowed(answer: dict[str, Any], kept: dict[str, Any]) -> bool:
    kept.update(answer)
    return bool(answer["decision"] == "ALLOW")


def test_an_order_is_enforced_once_it_is_answered_and_so_is_its_end(
    tmp_path: Path, site: Site
) -> None:
    config = prepare(
        tmp_path, site, '[atm.assertion]\nterminal = "ATM00001"\nsocket = "run/assertion.sock"'
    )
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    enrol(central, tmp_path)
    bank, desk = Bank(tmp_path / "run" / "assertion.sock"), Officers(central, site)
    with desk.at_work():
        desk.appoint()
        with agent(config):
            assert eventually(bank.is_heard, 30)
            assert eventually(lambda: not central.store.pending_orders(int(desk.now)), 30)
            # Until the first signed receipt the agent does not know that the central is there.
            allowed: dict[str, Any] = {}
            assert eventually(lambda: is_allowed(bank.decide(bank.open_visit()), allowed), 30)
            assert "assertion" in allowed

            until = UnixMicros(SystemClock().wall() + HOUR_US)
            session = bank.open_visit()
            began = time.monotonic()
            stop = desk.order(OrderType.STOP_PAYMENT, AccountHold(account=CARD, until=until))
            assert eventually(desk.is_answered)
            stop_s = time.monotonic() - began
            stopped = bank.decide(session)
            assert (stopped["decision"], "assertion" in stopped) == ("DENY", False)
            assert "请到柜台办理" in stopped["screen"]["zh"]

            session = bank.open_visit()
            began = time.monotonic()
            ends = (stop.order.order_id,)
            desk.order(OrderType.RELEASE_STOP, AccountRelease(account=CARD, releases=ends))
            assert eventually(desk.is_answered)
            release_s = time.monotonic() - began
            assert bank.decide(session)["decision"] == "ALLOW"
            print(f"answered: the stop after {stop_s:.2f} s, the release after {release_s:.2f} s")


def test_a_closed_machine_gives_no_assertion(tmp_path: Path, site: Site) -> None:
    config = prepare(
        tmp_path, site, '[atm.assertion]\nterminal = "ATM00001"\nsocket = "run/assertion.sock"'
    )
    (tmp_path / "state" / "out-of-service").write_text("second_client: 2 clients\n")
    bank = Bank(tmp_path / "run" / "assertion.sock")
    with agent(config):
        assert eventually(bank.is_heard, 30)
        status, body = bank.call("/v1/sessions", {"pan": PAN})
        assert (status, body["error"]) == (503, "closed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def simulated_machine(folder: Path, *more: str) -> Iterator[tuple[int, int]]:
    """Devices, PIN pad, bank and customers in processes of their own."""
    ports = free_port(), free_port()
    command = [sys.executable, "-m", "hardware.simulators.machine", "--folder", str(folder)]
    command += ["--atm-port", str(ports[0]), "--host-port", str(ports[1]), *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert "machine_started" in process.stderr.readline()
        yield ports
    finally:
        process.terminate()
        assert process.wait(30) == 0, process.stderr.read()
        process.stderr.close()


MACHINE = """
[atm.machine]
terminal = "ATM00001"
publisher = "ws://127.0.0.1:{atm}/xfs4iot/v1.0"
token_key_file = "machine/token.key"
taken_s = 2
customer = "machine/customer.sock"
[atm.machine.host]
host = "127.0.0.1"
port = {host}
profile = "iso87-ascii-mac"
mac_key_file = "machine/mac.key"
timeout_s = 5
[atm.screen]
port = {screen}
"""


def test_face_card_and_pin_over_the_real_lines(tmp_path: Path, site: Site) -> None:
    """Owner, wrong PIN, locked PIN, stranger: devices over XFS4IoT, host over ISO 8583."""
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    desk = Officers(central, site)
    with simulated_machine(tmp_path / "machine") as (atm, host), desk.at_work():
        config = prepare(tmp_path, site, MACHINE.format(atm=atm, host=host, screen=free_port()))
        stranger = VISITS.replace('reference = "reference.png"', 'stranger = "another"')
        # A stranger with a wrong PIN is told as a wrong PIN: the order of the scenario format.
        wrong, locked = stranger.replace('"ok"', '"wrong"'), VISITS.replace('"ok"', '"blocked"')
        script = f"pause_s = 0.1\n{VISITS}{wrong}{locked}{stranger}"
        (tmp_path / "visits.toml").write_text(script, encoding="utf-8")
        enrol(central, tmp_path)

        def decisions() -> list[tuple[str, str | None]]:
            found = central.store.snapshot(0, 100).decisions
            return [(one.decision.value, one.reason.value if one.reason else None) for one in found]

        with agent(config):
            # Until the first signed time and receipt the machine trusts neither clock nor list.
            assert eventually(lambda: ("ALLOW", None) in decisions(), 60), decisions()
            assert eventually(lambda: len(set(decisions())) >= 4, 60), decisions()
    assert {
        ("ALLOW", None),
        ("DENY", "PIN_INVALID"),
        ("DENY", "PIN_BLOCKED"),
        ("DENY", "FACE_MISMATCH"),
    } <= set(decisions())
    for file in (tmp_path / "state").iterdir():
        if file.is_file():
            assert PAN.encode() not in file.read_bytes(), file.name
    assert PAN not in (tmp_path / "agent.log").read_text(encoding="utf-8")


class Customer:
    """A customer at the machine: puts a card in, types a PIN, and answers on the page."""

    def __init__(self, folder: Path, screen: int) -> None:
        self._socket, self._screen = folder / "machine" / "customer.sock", screen
        self.shown: list[dict[str, Any]] = []

    def come(self, pin: str = "ok") -> None:
        """Put the card in as soon as the one before is out."""
        assert eventually(lambda: self._says(pin) == b"ok", 30)

    def _says(self, pin: str) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(30)
            line.connect(str(self._socket))
            line.sendall(json.dumps({"pan": PAN, "pin": pin}).encode() + b"\n")
            return line.recv(64).strip()

    def follow(self, answers: dict[str, object]) -> list[str]:
        """Watch the page to the end of one visit, and answer what it asks; the screens seen."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._screen)) as line:
            line.request("GET", "/")
            page = line.getresponse().read().decode()
        key = page.partition('kiosk-key" content="')[2][:32]
        seen: list[str] = []
        stream = http.client.HTTPConnection("127.0.0.1", self._screen, timeout=40)
        stream.request("GET", "/events")
        answer = stream.getresponse()
        while not (self.shown and self.shown[-1]["is_end"]):
            try:
                text = answer.readline().decode()
            except TimeoutError:
                pytest.fail(f"the page stopped after {[one['screen'] for one in self.shown]}")
            if not text.startswith("data: "):
                continue
            shown = json.loads(text.removeprefix("data: "))
            if not self.shown and shown["form"] is None:
                continue  # how the visit before ended
            self.shown.append(shown)
            seen.append(shown["screen"])
            form = shown["form"]
            if form is not None:
                value = answers.get(shown["screen"], answers.get(form["kind"], False))
                body = {"key": key, "number": form["number"], "value": value}
                other = http.client.HTTPConnection("127.0.0.1", self._screen, timeout=5)
                other.request("POST", "/answer", json.dumps(body))
                assert other.getresponse().status == 204
                other.close()
        stream.close()
        return seen


ASKED = "anti_fraud_voice_zh"
PAYEE = "6228000000000000987"
FACE = """
[atm.face]
camera = "xfs4iot"
can_approach = false
[atm.face.store]
file = "templates.sqlite3"
key_file = "templates.key"
[atm.face.visits]
basis = "a test's own"
"""


def test_people_are_served_with_the_machines_own_camera(tmp_path: Path, site: Site) -> None:
    """Nobody's script: amount on the page, PIN at the pad, face at the Camera service."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, picture in (
        ("1.png", portraits.with_brightness(0.8)),
        ("2.png", portraits.turned(45)),
        ("3.png", portraits.turned(-45)),
    ):
        (pictures / name).write_bytes(picture)
    engine = SFaceEngine()
    template = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    assert isinstance(template, Template)
    store = TemplateStore(tmp_path / "templates.sqlite3", file_key(tmp_path / "templates.key"))
    store.enrol(CARD.hmac, template, Consent(purpose="cash", given_on=dt.date(2026, 11, 1)))
    store.close()
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    desk = Officers(central, site)
    screen = free_port()
    with (
        simulated_machine(tmp_path / "machine", "--pictures", str(pictures)) as (atm, host),
        desk.at_work(),
    ):
        machine = MACHINE.format(atm=atm, host=host, screen=screen)
        machine = machine.replace('customer = "machine/customer.sock"\n', "transfers = true\n")
        config = prepare(tmp_path, site, FACE + machine)
        text = config.read_text("utf-8").replace('script = "visits.toml"\n', "")
        config.write_text(text, "utf-8")
        enrol(central, tmp_path)
        with agent(config):
            assert eventually(lambda: _listens(screen), 30)
            decided: list[str] = []
            log = tmp_path / "agent.log"
            # Until the first signed time and receipt nobody is served cash.
            assert eventually(lambda: "machine_ready" in log.read_text("utf-8"), 30)
            for _ in range(5):
                customer = Customer(tmp_path, screen)
                customer.come()
                seen = customer.follow({"service": 0, "amount": 200_000})
                decided.append(customer.shown[-1]["screen"])
                if decided[-1] == "done":
                    break
            assert decided[-1] == "done", decided
            for screen_name in ("amount", "enter_pin", "look_at_camera"):
                assert screen_name in seen
            # The page shows what is now: one of these simulated hands, which take at once, may
            # have been quicker than it.
            assert {"take_card", "take_cash"} & set(seen)
            wrong = Customer(tmp_path, screen)
            wrong.come("wrong")
            wrong.follow({"service": 0, "amount": 10_000})
            assert "密码" in wrong.shown[-1]["zh"]
            left = Customer(tmp_path, screen)
            left.come()
            left.follow({"service": 0, "amount": False})
            assert left.shown[-1]["asks_for_card"]
            _transfer(tmp_path, screen, "transfer_waits")
            desk.appoint()
            until = UnixMicros(SystemClock().wall() + HOUR_US)
            desk.order(
                OrderType.STOP_PAYMENT, AccountHold(account=card_ref(PAYEE, KEY), until=until)
            )
            assert eventually(lambda: not central.store.pending_orders(int(desk.now)), 30)
            _transfer(tmp_path, screen, "counter")
            for wanted in ("revoked", "counter"):  # what was taken back is offered no more
                thinker = Customer(tmp_path, screen)
                thinker.come()
                thinker.follow({"service": 2, "choose_transfer": 0})
                assert thinker.shown[-1]["screen"] == wanted, thinker.shown[-1]
            assert eventually(lambda: len(central.store.snapshot(0, 100).decisions) > len(decided))
    found = central.store.snapshot(0, 100).decisions
    assert {one.decision.value for one in found} >= {"ALLOW", "DENY"}
    assert any(one.reason is not None and one.reason.value == "PIN_INVALID" for one in found)
    moved = {one.decision.value: one for one in found if one.body["business"] == "transfer"}
    taken_back = next(one for one in found if one.body["business"] == "revoke")
    assert taken_back.body["revokes"] == moved.pop("ALLOW_DELAYED").body["visit"]
    (refused,) = moved.values()
    assert refused.reason is DecisionReason.LISTED_PAYEE
    for file in (tmp_path / "state").iterdir():
        if file.is_file():
            assert PAYEE.encode() not in file.read_bytes(), file.name
    assert (tmp_path / "state" / "visits.sqlite3").stat().st_size > 0


def _transfer(folder: Path, screen: int, end: str) -> None:
    """Ask for a transfer, and be asked whether sum and account are meant."""
    payer = Customer(folder, screen)
    payer.come()
    payer.follow({"service": 1, "payee": PAYEE, "amount": 12_300, "confirm": True})
    assert payer.shown[-1]["screen"] == end, payer.shown[-1]
    asked = [one["form"]["detail"]["zh"] for one in payer.shown if one["screen"] == ASKED]
    assert all("123.00" in detail for detail in asked)
    assert bool(asked) is (end == "transfer_waits")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_what_the_gate_notices_is_an_alert_at_the_central(tmp_path: Path, site: Site) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    desk = Officers(central, site)
    gate = free_port()
    with simulated_machine(tmp_path / "machine") as (atm, _), desk.at_work():
        config = prepare(
            tmp_path,
            site,
            '[atm.assertion]\nterminal = "ATM00001"\nsocket = "run/assertion.sock"\n'
            f'[atm.gate]\nupstream = "ws://127.0.0.1:{atm}"\nport = {gate}\n',
        )
        enrol(central, tmp_path)
        url = f"ws://127.0.0.1:{gate}/xfs4iot/v1.0/{DISPENSER}/"
        with agent(config):
            assert eventually(lambda: _listens(gate), 30)
            lines = [XfsClient(url, Dialect.CURRENT, timeout_s=5) for _ in range(2)]
            for line in lines:
                line.ask("Common.Status")

            def alerts() -> list[str]:
                return [one.kind.value for one in central.store.snapshot(100, 0).alerts]

            assert eventually(lambda: "DISPENSER_TAMPERING_SUSPECTED" in alerts(), 30)
            for line in lines:
                line.close()
    assert (tmp_path / "state" / "out-of-service").read_text().startswith("second_client")
