"""The agent's configuration: one TOML file into frozen records, every mistake with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from contract.keys import CENTRAL
from contract.settings import ConfigError, Problem, Table, TomlFile
from contract.topics import check_id
from contract.words import DeviceKind
from edge_agent.delivery_config import read_evidence, read_outbox, read_uplink
from edge_agent.evidence import EvidenceLimits
from edge_agent.outbox_quota import Quota
from mqtt_bridge.uplink import UplinkSettings

__all__ = [
    "AgentConfig",
    "AtmConfig",
    "BrokerConfig",
    "BrokerTls",
    "CentralConfig",
    "ConfigError",
    "HealthConfig",
    "Problem",
    "SensorConfig",
    "SensorKind",
    "load_config",
]

RESERVED_IDS = {CENTRAL}
"""Names that sign for somebody else."""

DEFAULT_PORT = 8883
MAX_PORT = 65535
DAY_S = 86_400.0

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SCHEMES = ("socket", "rfc2217", "replay")


class SensorKind(StrEnum):
    """What is attached."""

    QUECTEL = "quectel"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTls:
    """Files of the connection; the private key is the identity's own."""

    ca: Path
    certificate: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Where the broker listens. ``tls`` None: in the clear, for a broker on this machine."""

    host: str
    port: int
    tls: BrokerTls | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralConfig:
    """The central as the agent knows it."""

    public_key: Path
    """PEM; verifies receipts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthConfig:
    """How often the agent reports about itself."""

    period_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorConfig:
    """One sniffer of a van or a fixed site."""

    name: str
    kind: SensorKind
    url: str
    """Port (``/dev/ttyUSB2``, ``COM3``), ``socket://``, ``rfc2217://`` or ``replay://`` + path."""
    poll_s: float | None
    """Seconds between polls of a quectel modem; None for a capture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtmConfig:
    """What an ATM needs besides."""

    tenant_key_file: Path
    script: Path
    threshold: float | None
    """Cosine similarity; None: the engine's own."""
    models: Path | None
    """Folder of weights; None: those of the installed carrier package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """The whole file. All paths are as they can be opened."""

    file: Path
    device: str
    tenant: str
    kind: DeviceKind
    state_dir: Path
    broker: BrokerConfig
    central: CentralConfig
    health: HealthConfig
    outbox: Quota
    uplink: UplinkSettings
    evidence: EvidenceLimits
    metrics_port: int | None
    """Loopback port for Prometheus; None: closed."""
    sensors: tuple[SensorConfig, ...]
    atm: AtmConfig | None


def load_config(path: Path) -> AgentConfig:
    """Read an agent's configuration; raises ConfigError with everything that is wrong in it."""
    file = TomlFile.read(path)
    root = file.root
    kind = root.word("kind", DeviceKind)
    config = AgentConfig(
        file=path,
        device=root.text("device", _device_id),
        tenant=root.text("tenant", lambda text: check_id(text, "tenant")),
        kind=kind,
        state_dir=root.path("state_dir"),
        broker=_broker(root.table("broker")),
        central=CentralConfig(public_key=root.table("central").path("public_key")),
        health=_health(root.table_or_none("health")),
        outbox=read_outbox(root.table_or_none("outbox")),
        uplink=read_uplink(root.table_or_none("uplink")),
        evidence=read_evidence(root.table_or_none("evidence")),
        metrics_port=_metrics_port(root.table_or_none("metrics")),
        sensors=_sensors(root, path.parent),
        atm=_atm(root.table_or_none("atm")),
    )
    _check_kind(root, config)
    file.finish()
    return config


def _device_id(text: str) -> str:
    if text in RESERVED_IDS:
        raise ValueError(f"{text!r} is not a device")
    return check_id(text, "device")


def _broker(table: Table) -> BrokerConfig:
    tls: BrokerTls | None = None
    if table.has("ca") or table.has("certificate"):  # the one asks for the other
        tls = BrokerTls(ca=table.path("ca"), certificate=table.path("certificate"))
    return BrokerConfig(
        host=table.text("host"),
        port=table.integer_or("port", DEFAULT_PORT, 1, MAX_PORT),
        tls=tls,
    )


def _health(table: Table | None) -> HealthConfig:
    default = HealthConfig()
    if table is None:
        return default
    return HealthConfig(period_s=table.number_or("period_s", default.period_s, 0.1, DAY_S))


def _metrics_port(table: Table | None) -> int | None:
    return None if table is None else table.integer("port", 1, MAX_PORT)


def _sensors(root: Table, folder: Path) -> tuple[SensorConfig, ...]:
    sensors: list[SensorConfig] = []
    for table in root.tables("sensors"):
        sensor = _sensor(table, folder)
        if sensor.name in {other.name for other in sensors}:
            table.problem("name", f"{sensor.name!r} is the name of another sensor")
        sensors.append(sensor)
    return tuple(sensors)


def _sensor(table: Table, folder: Path) -> SensorConfig:
    name = table.text("name", lambda text: check_id(text, "sensor"))
    kind = table.word("kind", SensorKind)
    url = table.text("url", lambda text: _url(text, folder))
    poll_s: float | None = None
    if kind is SensorKind.QUECTEL:
        poll_s = table.number_or("poll_s", 1.0, 0.05, 3600.0)
    elif table.has("poll_s"):
        table.forbid("poll_s", f"belongs to quectel, kind is {kind.value}")
    return SensorConfig(name=name, kind=kind, url=url, poll_s=poll_s)


def _url(text: str, folder: Path) -> str:
    """Accept a port or a URL that can be opened; a relative ``replay://`` path begins at folder."""
    found = _SCHEME.fullmatch(text)
    if found is None:
        return text
    scheme, rest = found[1].lower(), found[2]
    if scheme not in _SCHEMES:
        raise ValueError(f"unknown scheme {scheme}://, known are {', '.join(_SCHEMES)}")
    if not rest:
        raise ValueError(f"nothing stands behind {scheme}://")
    if scheme != "replay" or rest.startswith("/"):
        return text
    return f"replay://{quote(str(folder.absolute()))}/{rest}"


def _atm(table: Table | None) -> AtmConfig | None:
    if table is None:
        return None
    return AtmConfig(
        tenant_key_file=table.path("tenant_key_file"),
        script=table.path("script"),
        threshold=table.number_or("threshold", None, -1.0, 1.0),
        models=table.path_or("models", None),
    )


def _check_kind(root: Table, config: AgentConfig) -> None:
    """An ATM has its table and no sniffers; the others have sniffers and no ATM."""
    if config.kind is DeviceKind.ATM:
        if config.atm is None:
            root.problem("atm", "is missing: kind is atm")
        if config.sensors:
            root.problem("sensors", "belong to a van or a fixed site, kind is atm")
        return
    if config.atm is not None:
        root.problem("atm", f"belongs to an ATM, kind is {config.kind.value}")
    if not config.sensors:
        root.problem("sensors", "at least one [[sensors]] is needed")
