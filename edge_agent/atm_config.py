"""``[atm]`` of an agent: the face factor, and what it serves – assertions, gate, machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from atm_face.policy import LOWEST_PAD_FLOOR
from contract.settings import Table
from contract.words import Pad
from hardware.atm.xfs4iot import Dialect

MAX_PORT = 65535
MAX_FEN = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionConfig:
    """Mode A: where the bank's application asks for face assertions."""

    terminal: str
    socket: Path | None
    """Unix socket that only this user may open."""
    port: int | None = None
    """Or a loopback port with mutual TLS."""
    ca: Path | None = None
    """The bank's own authority: only its certificates may ask."""
    certificate: Path | None = None
    private_key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """The XFS4IoT gate in front of the cash dispenser."""

    upstream: str
    """``ws://HOST:PORT`` of the real services."""
    port: int
    dialect: Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The line to the bank's host."""

    host: str
    port: int
    profile: str
    mac_key_file: Path | None
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig:
    """Mode B: this agent runs the withdrawal itself."""

    terminal: str
    publisher: str | None
    """URL of the service publisher; None: the standard's ports are probed."""
    dialect: Dialect
    pin_key: str
    """Name of the PIN key in the pad."""
    token_key_file: Path | None
    """Checks the dispenser's status tokens; None: they are not believed more than the rest."""
    taken_s: float
    note_fen: int
    """The smallest note: amounts are multiples of it."""
    host: HostConfig
    customer: Path | None
    """Socket of a simulated customer; None: people come by themselves."""
    offers_transfers: bool = False
    """The page offers a transfer and its revocation beside cash, where the profile has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListsConfig:
    """The list of accounts that this ATM looks at."""

    url: str
    """``https://HOST:PORT`` of the central, with this device's own certificate."""
    max_age_s: float
    refresh_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BankTemplatesConfig:
    """The bank's template service, on its own network."""

    url: str
    ca: Path
    certificate: Path
    private_key: Path
    device_key_file: Path
    """The X25519 key that references are sealed to; made at the first start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """References on this machine, as ``qianshao face enrol`` writes them."""

    file: Path
    key_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitsConfig:
    """Visits kept sealed for a case order."""

    hours: int
    basis: str


XFS_CAMERA = "xfs4iot"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceConfig:
    """Engine, camera and references of the face factor, and what it must show."""

    engine: str = "sface"
    camera: str | None = None
    """A V4L2 node, or ``xfs4iot``; None: the script's people before a simulated one."""
    camera_id: str | None = None
    """The machine's own camera; frames of every other are refused."""
    publisher: str | None = None
    dialect: Dialect = Dialect.CURRENT
    templates: BankTemplatesConfig | StoreConfig | None = None
    """None: the script's."""
    can_approach: bool = True
    """Customers can come closer to it: the challenge may ask for that too."""
    pad_floor: Pad = LOWEST_PAD_FLOOR
    needed: int = 1
    of: int = 1
    visits: VisitsConfig | None = None
    """None: no visit is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtmConfig:
    """What an ATM needs besides."""

    tenant_key_file: Path
    script: Path | None
    """Scripted customers; None: people come by themselves."""
    threshold: float | None
    """Cosine similarity; None: the engine's own."""
    models: Path | None
    """Folder of weights; None: those of the installed carrier package."""
    face: FaceConfig = FaceConfig()
    assertion: AssertionConfig | None = None
    gate: GateConfig | None = None
    machine: MachineConfig | None = None
    lists: ListsConfig | None = None
    """None: orders alone say which account is held."""
    max_once_fen: int | None = None
    max_day_fen: int | None = None
    screen_port: int | None = None
    """Loopback port of the customer's screen; None: no screen."""


def read_atm(table: Table | None) -> AtmConfig | None:
    """Return the table, None where there is none."""
    if table is None:
        return None
    screen = table.table_or_none("screen")
    face = _face(table.table_or_none("face"))
    if face.camera is None:
        script: Path | None = table.path("script")
    else:
        script = table.path_or("script", None)
    return AtmConfig(
        tenant_key_file=table.path("tenant_key_file"),
        script=script,
        face=face,
        threshold=table.number_or("threshold", None, -1.0, 1.0),
        models=table.path_or("models", None),
        assertion=_assertion(table.table_or_none("assertion")),
        gate=_gate(table.table_or_none("gate")),
        machine=_machine(table.table_or_none("machine")),
        lists=_lists(table.table_or_none("lists")),
        max_once_fen=table.integer_or("max_once_fen", None, 1, MAX_FEN),
        max_day_fen=table.integer_or("max_day_fen", None, 1, MAX_FEN),
        screen_port=None if screen is None else screen.integer("port", 1, MAX_PORT),
    )


def _assertion(table: Table | None) -> AssertionConfig | None:
    if table is None:
        return None
    port = table.integer_or("port", None, 1, MAX_PORT)
    socket = table.path_or("socket", None)
    if (port is None) == (socket is None):
        table.problem("socket", "set either socket, or port with ca, certificate and private_key")
    return AssertionConfig(
        terminal=table.text("terminal", _terminal),
        socket=socket,
        port=port,
        ca=None if port is None else table.path("ca"),
        certificate=None if port is None else table.path("certificate"),
        private_key=None if port is None else table.path("private_key"),
    )


def _gate(table: Table | None) -> GateConfig | None:
    if table is None:
        return None
    return GateConfig(
        upstream=table.text("upstream", _websocket),
        port=table.integer("port", 1, MAX_PORT),
        dialect=table.word_or("dialect", Dialect.CURRENT, Dialect),
    )


def _machine(table: Table | None) -> MachineConfig | None:
    if table is None:
        return None
    host = table.table("host")
    return MachineConfig(
        terminal=table.text("terminal", _terminal),
        publisher=table.text_or("publisher", None, _websocket),
        dialect=table.word_or("dialect", Dialect.CURRENT, Dialect),
        pin_key=table.text_or("pin_key", "PinKey01"),
        token_key_file=table.path_or("token_key_file", None),
        taken_s=table.number_or("taken_s", 30.0, 0.1, 600.0),
        note_fen=table.integer_or("note_fen", 10_000, 100, 100_000),
        host=HostConfig(
            host=host.text("host"),
            port=host.integer("port", 1, MAX_PORT),
            profile=host.text("profile", _profile),
            mac_key_file=host.path_or("mac_key_file", None),
            timeout_s=host.number_or("timeout_s", 30.0, 0.1, 300.0),
        ),
        customer=table.path_or("customer", None),
        offers_transfers=table.boolean_or("transfers", False),
    )


def _face(table: Table | None) -> FaceConfig:
    if table is None:
        return FaceConfig()
    camera = table.text_or("camera", None)
    templates = _templates(table)
    if camera is not None and templates is None:
        table.problem("camera", "a real face needs real references: [atm.face.bank] or .store")
    needed, of = table.integer_or("needed", 1, 1, 5), table.integer_or("of", 1, 1, 5)
    if needed > of or 2 * needed <= of:
        table.problem("needed", f"{needed} of {of} frames is no majority")
    floor = table.word_or("pad_floor", LOWEST_PAD_FLOOR, Pad)
    if floor.rank < LOWEST_PAD_FLOOR.rank:
        table.problem("pad_floor", f"{floor} is below {LOWEST_PAD_FLOOR}")
    return FaceConfig(
        engine=table.text_or("engine", "sface", _engine),
        camera=camera,
        camera_id=table.text_or("camera_id", None),
        publisher=table.text_or("publisher", None, _websocket),
        dialect=table.word_or("dialect", Dialect.CURRENT, Dialect),
        templates=templates,
        can_approach=table.boolean_or("can_approach", True),
        pad_floor=floor,
        needed=needed,
        of=of,
        visits=_visits(table.table_or_none("visits")),
    )


def _templates(table: Table) -> BankTemplatesConfig | StoreConfig | None:
    bank, store = table.table_or_none("bank"), table.table_or_none("store")
    if bank is not None and store is not None:
        table.problem("store", "references come from the bank or from this machine, not both")
    if bank is not None:
        return BankTemplatesConfig(
            url=bank.text("url", _https_path),
            ca=bank.path("ca"),
            certificate=bank.path("certificate"),
            private_key=bank.path("private_key"),
            device_key_file=bank.path("device_key_file"),
        )
    if store is not None:
        return StoreConfig(file=store.path("file"), key_file=store.path("key_file"))
    return None


def _visits(table: Table | None) -> VisitsConfig | None:
    if table is None:
        return None
    return VisitsConfig(hours=table.integer_or("hours", 24, 1, 72), basis=table.text("basis"))


def _engine(text: str) -> str:
    from atm_face.engines.table import NAMES

    if text not in NAMES:
        raise ValueError(f"{text!r} is none of {', '.join(NAMES)}")
    return text


def _https_path(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{text!r} is no https://HOST:PORT/PATH")
    return text


def _lists(table: Table | None) -> ListsConfig | None:
    if table is None:
        return None
    return ListsConfig(
        url=table.text("url", _https),
        max_age_s=table.number_or("max_age_s", 900.0, 60.0, 86_400.0),
        refresh_s=table.number_or("refresh_s", 60.0, 0.1, 3600.0),
    )


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"}:
        raise ValueError(f"{text!r} is no https://HOST:PORT")
    return text


def _terminal(text: str) -> str:
    if not (len(text) == 8 and text.isascii() and text.isalnum()):
        raise ValueError("a terminal (field 41) has eight letters or digits")
    return text


def _websocket(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise ValueError(f"{text!r} is no ws://HOST:PORT or wss://HOST:PORT")
    return text


def _profile(text: str) -> str:
    from hardware.atm.bank import PROFILES

    if text not in PROFILES:
        raise ValueError(f"{text!r} is none of {', '.join(PROFILES)}")
    return text
