"""What an operator may set of the central, and the file it stands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import TypedDict

from central.orders.settings import OrderSettings, read_order_settings
from central.places import Place
from central.store.interface import EventKind
from central.store.opening import check_store_url
from central.store.retention import Retention
from central.unit_names import check_unit
from central.webhooks import Target, check_url
from contract.settings import Table, TomlFile
from contract.topics import check_id
from mqtt_bridge.ports import BrokerAddress, TlsFiles

MAX_PORT = 65535
_MAX_OFFSET_MINUTES = 14 * 60


class BrokerKind(StrEnum):
    """Brokers that the central can run."""

    NATS = "nats"
    MOSQUITTO = "mosquitto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralSettings:
    """Settings of one central; each default is safe on one machine."""

    tenant: str
    folder: Path
    """Holds the store and the central's keys."""
    http_host: str = "127.0.0.1"
    http_tls: tuple[Path, Path] | None = None
    """Certificate chain and private key of the pages; None: plain HTTP, on this machine only."""
    http_port: int = 8470
    """0: any free port."""
    broker: BrokerAddress | None = None
    """An operator's own broker; None: the embedded one."""
    broker_host: str = "127.0.0.1"
    """Where the embedded broker listens."""
    broker_port: int = 8883
    broker_binary: Path | None = None
    """Program of the embedded broker; None: the installed one."""
    broker_kind: BrokerKind = BrokerKind.NATS
    """Which broker is started beside the central."""
    broker_sessions: int = 2
    """1, or 2: what had to wait on the devices comes through a session of its own."""
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Host names and addresses under which devices reach this central: its certificates' names."""
    enrol_host: str | None = None
    """Where devices enrol and renew over HTTPS; None: nowhere."""
    enrol_port: int = 8471
    certificate_days: int = 30
    """Life of a device's certificate; it is renewed after two thirds."""
    utc_offset_minutes: int = 480
    """Time of the pages: China Standard Time keeps no daylight saving."""
    batch_messages: int = 1000
    """Messages that one commit takes at most."""
    receipt_interval_ms: int = 1000
    """A device gets a receipt at most this often."""
    stream_queue_events: int = 256
    """Events that wait for one page; a page that falls behind reconnects."""
    stream_heartbeat_s: float = 15.0
    needs_second_factor: bool = True
    """Whether who signs in with a password must show a one-time code too."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where devices stand that do not say it themselves."""
    webhooks: tuple[Target, ...] = ()
    tiles: Path | None = None
    """Folder with the map's PMTiles; None: ``tiles`` in the central's folder."""

    area: str = "000000"
    """Administrative division (GB/T 2260) of every device that names none of its own."""
    store_url: str | None = None
    """PostgreSQL as the store (``postgresql://user@host/database``); None: a file in the folder."""

    alarm_senders: frozenset[str] = frozenset()
    """Devices that may hand over alarms of 110 through the broker."""
    feed_senders: Mapping[str, str] = field(default_factory=dict)
    """Devices that bring feeds of member units through the broker, and the one unit of each."""
    orders: OrderSettings = field(default_factory=OrderSettings)
    """Stops, freezes and the way to the banks."""
    retention: Retention = field(default_factory=Retention)
    """How long each class of data is kept."""

    @property
    def store_path(self) -> Path:
        """File of the store where PostgreSQL is not named."""
        return self.folder / "central.sqlite3"


def load_settings(path: Path) -> CentralSettings:
    """Read a central's configuration; raises ConfigError with everything that is wrong in it.

    ``tenant`` and ``folder`` are required. ``[broker]`` with a ``host`` names an operator's own
    broker (``port`` and, with TLS, ``ca``, ``certificate``, ``private_key``); without one it sets
    the embedded broker (``kind``, ``listen``, ``port``, ``binary``). ``[http]``, ``[ingest]`` and
    ``[pages]`` hold the rest.
    """
    file = TomlFile.read(path)
    root = file.root
    default = CentralSettings(tenant="-", folder=path.parent)
    tenant = root.text("tenant", lambda text: check_id(text, "tenant"))
    folder = root.path("folder")
    broker = root.table_or_none("broker") or _nothing(file)
    own = _own_broker(broker) if broker.has("host") else None
    embedded = _nothing(file) if own is not None else broker
    http = root.table_or_none("http") or _nothing(file)
    ingest = root.table_or_none("ingest") or _nothing(file)
    pages = root.table_or_none("pages") or _nothing(file)
    enrolment = root.table_or_none("enrolment")
    intake = root.table_or_none("intake") or _nothing(file)
    store = root.table_or_none("store") or _nothing(file)
    people = root.table_or_none("people") or _nothing(file)
    settings = CentralSettings(
        tenant=tenant,
        folder=folder,
        http_host=http.text_or("host", default.http_host),
        http_tls=_http_tls(http),
        http_port=http.integer_or("port", default.http_port, 0, MAX_PORT),
        broker=own,
        broker_host=embedded.text_or("listen", default.broker_host),
        broker_port=embedded.integer_or("port", default.broker_port, 0, MAX_PORT),
        broker_binary=embedded.path_or("binary", None),
        broker_kind=embedded.word_or("kind", default.broker_kind, BrokerKind),
        broker_sessions=_sessions(broker, is_own=own is not None),
        names=root.texts_or("names", default.names),
        **_enrolment(enrolment),
        area=root.text("area", _check_area) if root.has("area") else default.area,
        store_url=store.text("url", check_store_url) if store.has("url") else None,
        alarm_senders=frozenset(
            check_id(name, "senders") for name in intake.texts_or("senders", ())
        ),
        feed_senders=_feed_senders(root),
        retention=_retention(root.table_or_none("retention") or _nothing(file)),
        orders=read_order_settings(root.table_or_none("orders") or _nothing(file)),
        places=_places(root),
        webhooks=_webhooks(root),
        tiles=pages.path_or("tiles", None),
        needs_second_factor=people.boolean_or("second_factor", default.needs_second_factor),
        utc_offset_minutes=pages.integer_or(
            "utc_offset_minutes",
            default.utc_offset_minutes,
            -_MAX_OFFSET_MINUTES,
            _MAX_OFFSET_MINUTES,
        ),
        batch_messages=ingest.integer_or("batch_messages", default.batch_messages, 1, 10_000),
        receipt_interval_ms=ingest.integer_or(
            "receipt_interval_ms", default.receipt_interval_ms, 0, 60_000
        ),
        stream_queue_events=pages.integer_or(
            "stream_queue_events", default.stream_queue_events, 1, 100_000
        ),
        stream_heartbeat_s=pages.number_or(
            "stream_heartbeat_s", default.stream_heartbeat_s, 0.1, 600.0
        ),
    )
    file.finish()
    return settings


def _retention(table: Table) -> Retention:
    default = Retention()
    return Retention(
        **{
            each.name: table.integer_or(each.name, getattr(default, each.name), 0, 36_500)
            for each in fields(Retention)
        }
    )


def _check_area(text: str) -> str:
    """Return a six-digit administrative division code; raises ValueError."""
    if len(text) != 6 or not (text.isascii() and text.isdigit()):
        raise ValueError("an administrative division has six digits, for example 530100")
    return text


def _http_tls(table: Table) -> tuple[Path, Path] | None:
    if not (table.has("certificate") or table.has("private_key")):  # both or none
        return None
    return table.path("certificate"), table.path("private_key")


def _places(root: Table) -> dict[str, Place]:
    places = {}
    for table in root.tables("places"):
        device = table.text("device", lambda text: check_id(text, "device"))
        places[device] = Place(table.number("lat", -90, 90), table.number("lon", -180, 180))
    return places


def _feed_senders(root: Table) -> dict[str, str]:
    senders: dict[str, str] = {}
    for table in root.tables("feeds"):
        device = table.text("device", lambda text: check_id(text, "device"))
        unit = table.text("unit", check_unit)
        if senders.setdefault(device, unit) != unit:
            table.problem("device", f"{device!r} brings the feeds of {senders[device]!r} already")
    return senders


def _webhooks(root: Table) -> tuple[Target, ...]:
    return tuple(
        Target(
            name=table.text("name", lambda text: check_id(text, "name")),
            url=table.text("url", check_url),
            secret_file=table.path("secret_file"),
            kinds=frozenset(table.texts_or("events", (EventKind.ALERT.value,))),
        )
        for table in root.tables("webhooks")
    )


def _nothing(file: TomlFile) -> Table:
    """Stand in for a table that is absent: every key has its default."""
    return Table(file, {}, ())


def _enrolment(table: Table | None) -> _Enrolment:
    if table is None:
        return {}
    default = CentralSettings(tenant="-", folder=Path())
    return {
        "enrol_host": table.text_or("listen", "127.0.0.1"),
        "enrol_port": table.integer_or("port", default.enrol_port, 0, MAX_PORT),
        "certificate_days": table.integer_or("certificate_days", default.certificate_days, 1, 397),
    }


class _Enrolment(TypedDict, total=False):
    enrol_host: str
    enrol_port: int
    certificate_days: int


def _sessions(broker: Table, *, is_own: bool) -> int:
    """Only a broker that tells clients apart by their client id can hold two of one certificate.

    The mosquitto profile takes the certificate's name for it, so that a revoked session can be
    ended by a take-over.
    """
    if is_own:
        return broker.integer_or("sessions", 1, 1, 2)
    return 1 if broker.word_or("kind", BrokerKind.NATS, BrokerKind) is BrokerKind.MOSQUITTO else 2


def _own_broker(table: Table) -> BrokerAddress:
    tls: TlsFiles | None = None
    if any(table.has(key) for key in ("ca", "certificate", "private_key")):  # all or none
        tls = TlsFiles(
            ca=table.path("ca"),
            certificate=table.path("certificate"),
            private_key=table.path("private_key"),
        )
    return BrokerAddress(
        host=table.text("host"), port=table.integer_or("port", 8883, 1, MAX_PORT), tls=tls
    )
