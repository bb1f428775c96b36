"""The folder of a simulated fleet: authority, broker, central and enrolled stations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from central.authority import Authority
from central.config import CentralSettings
from central.own_key import central_signer
from central.store import open_sqlite
from contract import SystemClock
from contract.files import replace_durably
from contract.keys import public_pem
from contract.words import DeviceKind
from edge_agent.identity import Identity
from mqtt_bridge.brokers.interface import Broker, DeviceGrant
from mqtt_bridge.brokers.managed import Listener
from mqtt_bridge.brokers.mosquitto import MosquittoBroker
from mqtt_bridge.brokers.nats import NatsBroker

TENANT = "fleet"
_SESSIONS = {"nats": 2, "mosquitto": 1}
"""As where the central starts these brokers itself."""


@dataclass(frozen=True, slots=True)
class FleetSite:
    """Where everything of a fleet lies."""

    folder: Path
    stations_folder: Path
    """Holds a folder for each station."""
    stations: tuple[str, ...]
    broker: Broker

    @property
    def central_folder(self) -> Path:
        """Keys and store of the central."""
        return self.folder / "central"

    @property
    def central_config(self) -> Path:
        """Configuration of the central."""
        return self.folder / "central.toml"

    @property
    def store(self) -> Path:
        """The central's store."""
        return self.central_folder / "central.sqlite3"

    @property
    def central_key(self) -> Path:
        """The central's public key."""
        return self.folder / "central.pub.pem"

    @property
    def ca(self) -> Path:
        """Certificate of the authority."""
        return self.folder / "ca" / "ca.pem"


def prepare(
    folder: Path,
    stations: Sequence[str],
    broker: str,
    stations_folder: Path | None = None,
    *,
    kind: DeviceKind = DeviceKind.FIXED_SITE,
    settings_lines: Sequence[str] = (),
) -> FleetSite:
    """Make authority, keys and enrolments, and start the broker (``nats`` or ``mosquitto``).

    The stations lie in ``folder`` as well unless they get one of their own. Raises BrokerError
    where there is no such broker on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = Authority.create(folder / "ca")
    started = _start_broker(folder, authority, stations, broker)
    site = FleetSite(folder, stations_folder or folder, tuple(stations), started)
    site.central_folder.mkdir(mode=0o700)
    settings = CentralSettings(tenant=TENANT, folder=site.central_folder)
    public = public_pem(central_signer(settings).public)
    replace_durably(site.central_key, public.encode(), mode=0o644)
    _enrol(site, authority, settings.store_path, kind)
    own = authority.issue_client(folder / "central-tls")
    lines = [
        f'tenant = "{TENANT}"',
        'folder = "central"',
        "[http]",
        "port = 0",
        "[broker]",
        'host = "127.0.0.1"',
        f"port = {started.port}",
        f"ca = {json.dumps(str(own.ca))}",
        f"certificate = {json.dumps(str(own.certificate))}",
        f"private_key = {json.dumps(str(own.private_key))}",
        f"sessions = {_SESSIONS[broker]}",
        *settings_lines,
    ]
    replace_durably(site.central_config, ("\n".join(lines) + "\n").encode())
    return site


def _start_broker(folder: Path, authority: Authority, stations: Sequence[str], kind: str) -> Broker:
    listener = Listener(
        tls=authority.issue_server(folder / "broker-tls"),
        grants=[DeviceGrant(TENANT, device) for device in stations],
    )
    make = {"nats": NatsBroker, "mosquitto": MosquittoBroker}[kind]
    broker: Broker = make(folder / "broker", listener)
    broker.start()
    return broker


def _enrol(site: FleetSite, authority: Authority, store_path: Path, kind: DeviceKind) -> None:
    store = open_sqlite(store_path)
    now = SystemClock().wall()
    for device in site.stations:
        folder = site.stations_folder / device
        identity = Identity.load_or_create(folder, device)
        certificate = authority.issue_from_csr(identity.csr().encode(), device)
        replace_durably(folder / "tls.pem", certificate, mode=0o644)
        store.enrol(
            device,
            tenant=TENANT,
            kind=kind,
            name=f"simulated {device}",
            public_pem=identity.evidence_public_pem,
            at=now,
        )
    store.close()
