"""The demo's folder: authority, keys, enrolled devices and configuration files, made once."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from central.actor import Role
from central.audit import TERMINAL
from central.authority import Authority
from central.config import CentralSettings
from central.enrolment import EnrolmentDesk
from central.own_key import central_signer
from central.people.desk import WHOLE_COUNTRY, PeopleDesk
from central.store import open_sqlite
from central.web.enrol import EnrolmentServer
from contract import SystemClock
from contract.files import replace_durably
from contract.keys import public_pem
from contract.words import DeviceKind
from edge_agent.config import AgentConfig, BrokerConfig, BrokerTls, CentralConfig, HealthConfig
from edge_agent.enrolment import enrol
from hardware.serial.transport import replay_url
from hardware.simulators.fm_scene import licence_csv
from hardware.simulators.instruments import example_scene
from qianshao.demo.orders import Trial, prepare_orders

TENANT = "demo"
VAN, ATM = "van-01", "atm-01"
ATTACK_BYTES_PER_S = 400
"""Slow enough to watch a capture of a few kilobytes unfold."""
BENIGN_BYTES_PER_S = 20_000
LICENCES = "stations.csv"
ON_AIR_S = 6
"""How long an unlisted station of the demo is on the air before it is suspected."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The one person of a demo, with every role and every area."""

    name: str
    password: str
    link: str
    """Token that signs in once."""
    key: str
    """For programs that look on: the demo's own witness, tests."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything of one demo lies, and how it is reached."""

    folder: Path
    http_port: int
    broker_port: int
    enrol_port: int
    visitor: Visitor
    atm_port: int = 0
    """Publisher of the simulated ATM's services."""
    host_port: int = 0
    """The simulated bank's host."""
    screen_port: int = 0
    trial: Trial | None = None
    """Officers and a bank, to try orders with."""

    @property
    def central_folder(self) -> Path:
        """Keys, store and broker of the central."""
        return self.folder / "central"

    @property
    def central_config(self) -> Path:
        """Configuration of the central."""
        return self.folder / "central.toml"

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.http_port}/"

    @property
    def entry(self) -> str:
        """Address that signs in once and leads to the page."""
        return f"{self.url}sign-in/link/{self.visitor.link}"

    def agent_folder(self, device: str) -> Path:
        """State of one agent."""
        return self.folder / device

    def agent_config(self, device: str) -> Path:
        """Configuration of one agent."""
        return self.folder / f"{device}.toml"

    @property
    def card_key(self) -> Path:
        """Key under which the ATM and the central know accounts."""
        return self.agent_folder(ATM) / "card.key"

    @property
    def machine_folder(self) -> Path:
        """Keys and sockets of the simulated ATM."""
        return self.folder / "machine"

    @property
    def screen_url(self) -> str:
        """The customer's screen."""
        return f"http://127.0.0.1:{self.screen_port}/"

    @property
    def modem_link(self) -> Path:
        """Where the simulated modem appears."""
        return self.folder / "modem0"

    @property
    def spectrum_link(self) -> Path:
        """Where the simulated spectrum analyser appears."""
        return self.folder / "tinysa0"

    @property
    def gnss_link(self) -> Path:
        """Where the simulated satellite receiver appears."""
        return self.folder / "gnss0"


def field_data() -> Path | None:
    """Folder of recorded field data, None where there is none."""
    folder = Path(os.environ.get("QIANSHAO_FIELD_DATA", "../shared/data")).resolve()
    return folder if (folder / "cellular").is_dir() else None


def prepare(folder: Path, http_port: int) -> Site:
    """Make authority, keys and enrolments in ``folder``, or take those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    central_folder = folder / "central"
    central_folder.mkdir(exist_ok=True, mode=0o700)
    settings = CentralSettings(tenant=TENANT, folder=central_folder)
    ports = http_port or free_port(), free_port(), free_port()
    site = Site(
        folder,
        *ports,
        _make_visitor(settings),
        atm_port=free_port(),
        host_port=free_port(),
        screen_port=free_port(),
    )
    authority_folder = site.central_folder / "ca"
    is_new = not authority_folder.exists()
    authority = Authority.create(authority_folder) if is_new else Authority.load(authority_folder)
    public = public_pem(central_signer(settings).public)
    store = open_sqlite(settings.store_path)
    desk = EnrolmentDesk(
        store=store,
        authority=authority,
        tenant=TENANT,
        central_key_pem=public,
        clock=SystemClock(),
    )
    server = EnrolmentServer(
        desk, authority.issue_server(site.central_folder / "enrol-tls"), "127.0.0.1", 0
    )
    server.start()
    url = f"https://127.0.0.1:{server.port}"
    try:
        _enrol(site, desk, VAN, DeviceKind.VAN, "demo van / 演示巡查车", url)
        _enrol(site, desk, ATM, DeviceKind.ATM, "demo ATM / 演示柜员机", url)
        trial = prepare_orders(folder, site.card_key, settings, store, site.visitor.password)
    finally:
        server.stop()
        store.close()
    _write(
        site.central_config,
        [
            f'tenant = "{TENANT}"',
            'folder = "central"',
            "[http]",
            f"port = {site.http_port}",
            "[people]",
            "second_factor = false",
            "[broker]",
            f"port = {site.broker_port}",
            "[enrolment]",
            f"port = {site.enrol_port}",
            *_place(VAN, 25.0406, 102.7122),
            "[orders]",
            'bank = "simulated"',
            'accounts = "bank.json"',
            f'tenant_key_file = "{ATM}/card.key"',
            f'passkey_origins = ["http://localhost:{site.http_port}"]',
            *_place(ATM, 25.0430, 102.7060),
        ],
    )
    return replace(site, trial=trial)


def _place(device: str, lat: float, lon: float) -> list[str]:
    """Give an invented station its place on the map, in the middle of Kunming."""
    return ["[[places]]", f'device = "{device}"', f"lat = {lat}", f"lon = {lon}"]


def _make_visitor(settings: CentralSettings) -> Visitor:
    """Make the person who looks at the demo, with a fresh password, link and key for this run."""
    store = open_sqlite(settings.store_path)
    try:
        desk = PeopleDesk(store, SystemClock(), settings.folder)
        name, password = "demo", secrets.token_urlsafe(12)
        if store.person(name) is None:
            desk.create(name, Role, [WHOLE_COUNTRY], shown="Demo 演示")
        desk.set_password(name, password, by=TERMINAL)
        key = desk.make_key(name, "the demo's witness", days=7)
        return Visitor(name, password, desk.make_link(name), key)
    finally:
        store.close()


def _enrol(
    site: Site, desk: EnrolmentDesk, device: str, kind: DeviceKind, name: str, url: str
) -> None:
    """Enrol a device as an operator would: a token, and the device's own call over HTTPS."""
    token = desk.invite(device, kind, name)
    config = AgentConfig(
        file=site.agent_config(device),
        device=device,
        tenant=TENANT,
        kind=kind,
        state_dir=site.agent_folder(device),
        broker=BrokerConfig(
            host="127.0.0.1",
            port=site.broker_port,
            tls=BrokerTls(
                ca=site.agent_folder(device) / "ca.pem",
                certificate=site.agent_folder(device) / "tls.pem",
            ),
        ),
        central=CentralConfig(public_key=site.agent_folder(device) / "central.pub.pem"),
        health=HealthConfig(),
        metrics_port=None,
        sensors=(),
        atm=None,
    )
    enrol(config, token, url=url)


def write_van(site: Site, recordings: Path | None, invented: Path) -> list[str]:
    """Write the van's configuration; returns what its sniffers play, in plain words.

    ``invented`` is a capture made by the simulator, used where there are no recordings.
    """
    lines = _agent_lines(site, VAN, DeviceKind.VAN)
    lines += ["[broadcast]", f'licences = "{LICENCES}"', f"continuous_s = {ON_AIR_S}"]
    lines += _sensor("modem0", "quectel", str(site.modem_link), poll_s=1.0)
    lines += _sensor("tinysa0", "tinysa", str(site.spectrum_link))
    lines += _sensor("gnss0", "nmea", str(site.gnss_link))
    told = [
        "modem0: a simulated Quectel modem, polled with AT+QENG",
        "tinysa0, gnss0: a simulated tinySA sweeps the FM band of an invented city; a simulated"
        " receiver gives the place",
        f"         an unlisted station comes on the air; suspected after {ON_AIR_S} s here,"
        f" 900 s where nothing is set",
    ]
    scene = example_scene(0.0, SystemClock().wall())
    _write(site.folder / LICENCES, licence_csv(scene).splitlines())
    attacks = sorted((recordings / "cellular/attack_nas").glob("*.pcap")) if recordings else []
    for number, path in enumerate(attacks or [invented]):
        url = replay_url(path, bytes_per_s=ATTACK_BYTES_PER_S)
        lines += _sensor(f"nas{number}", "capture", url)
        told.append(
            f"nas{number}: {path.name}, a recorded attack"
            if attacks
            else f"nas{number}: an invented attack (no recordings on this machine)"
        )
    benign = sorted((recordings / "cellular/benign").glob("*.pcap")) if recordings else []
    for number, path in enumerate(benign):
        url = replay_url(path, bytes_per_s=BENIGN_BYTES_PER_S)
        lines += _sensor(f"lte{number}", "capture", url)
        told.append(f"lte{number}: {path.name}, an ordinary network")
    _write(site.agent_config(VAN), lines)
    return told


def write_atm(site: Site, visits: Sequence[str]) -> None:
    """Write the ATM's configuration and its script of customers."""
    lines = _agent_lines(site, ATM, DeviceKind.ATM)
    lines += ["[atm]", f'tenant_key_file = "{ATM}/card.key"', f'script = "{ATM}/visits.toml"']
    lines += [
        "[atm.machine]",
        'terminal = "DEMO0001"',
        f'publisher = "ws://127.0.0.1:{site.atm_port}/xfs4iot/v1.0"',
        'token_key_file = "machine/token.key"',
        'customer = "machine/customer.sock"',
        "taken_s = 5",
        "[atm.machine.host]",
        'host = "127.0.0.1"',
        f"port = {site.host_port}",
        'profile = "iso87-ascii-mac"',
        'mac_key_file = "machine/mac.key"',
        "timeout_s = 5",
        "[atm.screen]",
        f"port = {site.screen_port}",
    ]
    _write(site.agent_folder(ATM) / "visits.toml", visits)
    _write(site.agent_config(ATM), lines)


def _agent_lines(site: Site, device: str, kind: DeviceKind) -> list[str]:
    return [
        f'device = "{device}"',
        f'tenant = "{TENANT}"',
        f'kind = "{kind.value}"',
        f'state_dir = "{device}"',
        "[broker]",
        'host = "127.0.0.1"',
        f"port = {site.broker_port}",
        f'ca = "{device}/ca.pem"',
        f'certificate = "{device}/tls.pem"',
        "[central]",
        f'public_key = "{device}/central.pub.pem"',
        f'url = "https://127.0.0.1:{site.enrol_port}"',
    ]


def _sensor(name: str, kind: str, url: str, poll_s: float | None = None) -> list[str]:
    # A JSON text is a TOML basic string: quotes and backslashes of a path are escaped alike.
    lines = ["[[sensors]]", f'name = "{name}"', f'kind = "{kind}"', f"url = {json.dumps(url)}"]
    return lines if poll_s is None else [*lines, f"poll_s = {poll_s}"]


def _write(path: Path, lines: Sequence[str]) -> None:
    replace_durably(path, ("\n".join(lines) + "\n").encode())


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
