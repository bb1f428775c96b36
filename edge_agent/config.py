"""The agent's configuration: one TOML file into frozen records, every mistake with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit

from contract.keys import CENTRAL
from contract.settings import ConfigError, Problem, Table, TomlFile
from contract.topics import check_id
from contract.words import DeviceKind
from edge_agent.atm_config import AtmConfig, read_atm
from edge_agent.delivery_config import read_evidence, read_outbox, read_uplink
from edge_agent.evidence import EvidenceLimits
from edge_agent.outbox_quota import Quota
from edge_agent.rf.known import KnownFiles, check_plmn
from hardware.serial.transport import Backend
from mqtt_bridge.uplink import UplinkSettings

__all__ = [
    "AgentConfig",
    "AtmConfig",
    "BroadcastConfig",
    "BrokerConfig",
    "BrokerTls",
    "CentralConfig",
    "ConfigError",
    "HealthConfig",
    "Problem",
    "SensorConfig",
    "SensorKind",
    "TokenConfig",
    "load_config",
]

RESERVED_IDS = {CENTRAL}
"""Names that sign for somebody else."""

DEFAULT_PORT = 8883
MAX_PORT = 65535
DAY_S = 86_400.0
AUDIO_MHZ = (76.0, 137.0)
"""Broadcast and aviation bands."""
AUDIO_RATES_HZ = (16_000, 192_000)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SCHEMES = ("usb", "socket", "rfc2217", "replay")


class SensorKind(StrEnum):
    """What is attached."""

    QUECTEL = "quectel"
    SIMCOM = "simcom"
    TELIT = "telit"
    UBLOX = "ublox"
    DIAG = "diag"
    CAPTURE = "capture"
    TINYSA = "tinysa"
    RF_EXPLORER = "rf_explorer"
    FM_TUNER = "fm_tuner"
    SWEEP_CSV = "sweep_csv"
    NMEA = "nmea"
    GPSD = "gpsd"
    BOARD = "board"
    KRAKEN = "kraken"
    AUDIO = "audio"


MODEM_KINDS = frozenset({SensorKind.QUECTEL, SensorKind.SIMCOM, SensorKind.TELIT, SensorKind.UBLOX})
"""Modems that are polled with AT commands: such a port always has something to say."""


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
    url: str | None = None
    """Where certificates are asked for, ``https://HOST:PORT``; None: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """A token that holds the evidence key, behind PKCS #11."""

    library: Path
    """The maker's shared library."""
    token: str
    """Label of the token."""
    key: str
    """Label of the key in it; made there if it is missing."""
    pin_file: Path
    """Holds the user's PIN, mode 0600."""


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
    """``/dev/ttyUSB2``, ``usb://``, ``socket://``, ``rfc2217://`` or ``replay://`` + path."""
    poll_s: float | None
    """Seconds between polls of a modem; None for a capture and a DIAG port."""
    survey_every_s: float | None = None
    """Seconds between surveys of the whole band, in place of rounds; None: none."""
    baudrate: int = 115200
    backend: Backend = Backend.PYSERIAL
    key: Path | None = None
    """File of the 32 bytes that a sniffer board proves to hold; None: any board is taken."""
    modem: SensorKind | None = None
    """What hangs at a board's UART; None: nothing is asked of it."""
    mhz: float | None = None
    """Where the receiver behind an audio input stands; None for every other kind."""
    rate_hz: int = 48_000
    """Of bare audio samples; a WAV stream says its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastConfig:
    """What the broadcast detector is told besides."""

    licences: Path
    utc_offset_min: int = 480
    continuous_s: float = 900.0


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
    metrics_port: int | None
    """Loopback port for Prometheus; None: closed."""
    sensors: tuple[SensorConfig, ...]
    atm: AtmConfig | None
    crew_port: int | None = None
    """Loopback port of the crew's page; None: closed."""
    outbox: Quota = field(default_factory=Quota)
    uplink: UplinkSettings = field(default_factory=UplinkSettings)
    evidence: EvidenceLimits = field(default_factory=EvidenceLimits)
    cells: KnownFiles = field(default_factory=KnownFiles)
    """What the cell detector is told beforehand."""
    evidence_token: TokenConfig | None = None
    """None: the evidence key is a file in state_dir."""
    broadcast: BroadcastConfig | None = None
    """None: no licence list, so carriers are observed and nobody is suspected."""


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
        central=_central(root.table("central")),
        health=_health(root.table_or_none("health")),
        outbox=read_outbox(root.table_or_none("outbox")),
        uplink=read_uplink(root.table_or_none("uplink")),
        evidence=read_evidence(root.table_or_none("evidence")),
        metrics_port=_metrics_port(root.table_or_none("metrics")),
        crew_port=_metrics_port(root.table_or_none("crew")),
        sensors=_sensors(root, path.parent),
        cells=_cells(root.table_or_none("cells")),
        atm=read_atm(root.table_or_none("atm")),
        evidence_token=_token(root.table_or_none("evidence_token")),
        broadcast=_broadcast(root.table_or_none("broadcast")),
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


def _token(table: Table | None) -> TokenConfig | None:
    if table is None:
        return None
    return TokenConfig(
        library=table.path("library"),
        token=table.text("token"),
        key=table.text_or("key", "qianshao-evidence"),
        pin_file=table.path("pin_file"),
    )


def _central(table: Table) -> CentralConfig:
    return CentralConfig(
        public_key=table.path("public_key"), url=table.text_or("url", None, _https)
    )


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(f"{text!r} is no https://HOST:PORT")
    return text


def _health(table: Table | None) -> HealthConfig:
    default = HealthConfig()
    if table is None:
        return default
    return HealthConfig(period_s=table.number_or("period_s", default.period_s, 0.1, DAY_S))


def _metrics_port(table: Table | None) -> int | None:
    return None if table is None else table.integer("port", 1, MAX_PORT)


def _broadcast(table: Table | None) -> BroadcastConfig | None:
    if table is None:
        return None
    return BroadcastConfig(
        licences=table.path("licences"),
        utc_offset_min=table.integer_or("utc_offset_min", 480, -840, 840),
        continuous_s=table.number_or("continuous_s", 900.0, 1.0, DAY_S),
    )


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
    survey_every_s: float | None = None
    if kind in MODEM_KINDS:
        poll_s = table.number_or("poll_s", 1.0, 0.05, 3600.0)
        survey_every_s = table.number_or("survey_every_s", None, 60.0, DAY_S)
    for key in ("poll_s", "survey_every_s"):
        if poll_s is None and table.has(key):
            table.forbid(key, f"belongs to a modem, kind is {kind.value}")
    for option in ("mhz", "rate_hz"):
        if kind is not SensorKind.AUDIO and table.has(option):
            table.forbid(option, f"belongs to an audio input, kind is {kind.value}")
    modem: SensorKind | None = None
    for option in ("key", "modem"):
        if kind is not SensorKind.BOARD and table.has(option):
            table.forbid(option, f"belongs to a board, kind is {kind.value}")
    if kind is SensorKind.BOARD and table.has("modem"):
        modem = table.word("modem", SensorKind)
        if modem not in MODEM_KINDS:
            table.problem("modem", f"{modem.value} is no AT modem")
    return SensorConfig(
        name=name,
        kind=kind,
        url=url,
        poll_s=poll_s,
        survey_every_s=survey_every_s,
        baudrate=table.integer_or("baudrate", 115200, 300, 4_000_000),
        backend=table.word_or("backend", Backend.PYSERIAL, Backend),
        key=table.path_or("key", None) if kind is SensorKind.BOARD else None,
        modem=modem,
        mhz=table.number("mhz", *AUDIO_MHZ) if kind is SensorKind.AUDIO else None,
        rate_hz=table.integer_or("rate_hz", 48_000, *AUDIO_RATES_HZ),
    )


def _cells(table: Table | None) -> KnownFiles:
    if table is None:
        return KnownFiles()
    gsm_off = table.text_or("gsm_off", "", _plmns)
    return KnownFiles(
        plan=table.path_or("plan", None),
        register=table.path_or("register", None),
        gsm_off=tuple(gsm_off.split()),
        baselines=table.paths("baselines"),
        needs_signed=table.boolean_or("signed_baselines", False),
        sms_model=table.path_or("sms_model", None),
    )


def _plmns(text: str) -> str:
    return " ".join(check_plmn(plmn) for plmn in text.split())


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


def _check_kind(root: Table, config: AgentConfig) -> None:
    """An ATM has its table and no sniffers; a gateway has neither; the others have sniffers."""
    if config.kind is DeviceKind.ATM:
        if config.atm is None:
            root.problem("atm", "is missing: kind is atm")
        if config.sensors:
            root.problem("sensors", "belong to a van or a fixed site, kind is atm")
        return
    if config.atm is not None:
        root.problem("atm", f"belongs to an ATM, kind is {config.kind.value}")
    if config.kind is DeviceKind.GATEWAY:
        if config.sensors:
            root.problem("sensors", "belong to a van or a fixed site, kind is gateway")
    elif not config.sensors:
        root.problem("sensors", "at least one [[sensors]] is needed")
