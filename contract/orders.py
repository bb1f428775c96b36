"""Orders: what a device may be told, by whom it has to be signed, and what it then holds.

The list of types is closed (:class:`contract.words.OrderType`). No type dispenses cash, drops a
factor or lowers the liveness floor, and no field of any body could say so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from contract.accounts import CardRef
from contract.clock import UnixMicros
from contract.codec import Key, Scalar, Values
from contract.keys import key_id, load_public_pem
from contract.messages import ID_BYTES
from contract.topics import Channel, check_id
from contract.visit_links import BOX_BYTES
from contract.webauthn import MAX_CREDENTIAL_ID, check_place
from contract.words import DeviceKind, OrderType, Signatory

VERSION = 1

_ANY_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Keeps no secret: it only shows whether anything can be shared with a key."""

_OFFICER = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
"""The name under which the officer signs in at the central."""

MAX_TARGETS = 2000
"""Devices that one order may name; an order for all names none."""

MAX_COMPARING = 50
"""Machines that one order may let compare visits."""

MAX_NOTICE_CHARS = 200
"""Of a text on a machine's idle screen."""

MAX_LIFE_US = 400 * 24 * 3600 * 1_000_000
"""Longest time from issue to expiry of an order's delivery: ids need to be kept so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The head of an order: what is signed besides the body."""

    version: Annotated[int, Key(0, "version of the order, 1")]
    order_id: Annotated[bytes, Key(1, "16 bytes, never used twice")]
    type: Annotated[OrderType, Key(2, "one of the closed list")]
    issuer: Annotated[str, Key(3, "central that issues it")]
    counter: Annotated[int, Key(4, "grows with each order of the issuer, never used twice")]
    issued_at: Annotated[UnixMicros, Key(5, "when it was drawn up")]
    not_before: Annotated[UnixMicros, Key(6, "not taken before")]
    expires: Annotated[UnixMicros, Key(7, "not taken from then on; what it holds has its own term")]
    targets: Annotated[tuple[str, ...], Key(8, "devices it is for; none: all of its kind")] = ()

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version {self.version}, this side speaks {VERSION}")
        if len(self.order_id) != ID_BYTES:
            raise ValueError("order_id has 16 bytes")
        if self.counter < 1:
            raise ValueError("counters begin at 1")
        if not self.not_before < self.expires <= self.issued_at + MAX_LIFE_US:
            raise ValueError("expires is not after not_before, or too far away")
        if len(self.targets) > MAX_TARGETS:
            raise ValueError(f"{len(self.targets)} targets, at most {MAX_TARGETS} are taken")
        check_id(self.issuer, "issuer")
        for target in self.targets:
            check_id(target, "target")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("a target is named twice")

    def is_for(self, device: str, kind: DeviceKind) -> bool:
        """Whether a device has to follow it."""
        kinds = RULES[self.type].kinds
        return (not self.targets or device in self.targets) and (not kinds or kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHold:
    """Money stays on an account until a moment: a stop (48 h), a freeze (6 months), or more."""

    account: Annotated[CardRef, Key(0, "the account, never its number")]
    until: Annotated[UnixMicros, Key(1, "end of the term")]
    application_id: Annotated[str, Key(2, "application at the stop-payment platform")] = ""
    case: Annotated[str, Key(3, "case it belongs to")] = ""
    amount_fen: Annotated[int | None, Key(4, "limit of the freeze; absent: the whole account")] = (
        None
    )
    is_urgent: Annotated[bool, Key(5, "urgent: matched at the bank after the fact")] = False
    tier: Annotated[int, Key(6, "tier in the tree of accounts")] = 1
    parent: Annotated[CardRef | None, Key(7, "account that the money came from")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRelease:
    """Ends the named holds on an account, at once."""

    account: Annotated[CardRef, Key(0, "the account, never its number")]
    releases: Annotated[tuple[bytes, ...], Key(1, "ids of the orders it ends")]
    case: Annotated[str, Key(2, "case it belongs to")] = ""

    def __post_init__(self) -> None:
        if not self.releases or any(len(name) != ID_BYTES for name in self.releases):
            raise ValueError("a release names the orders that it ends, each by 16 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparingMachine:
    """A machine that may compare, and the key to which others seal visits for it."""

    device: Annotated[str, Key(0, "its id")]
    key: Annotated[bytes, Key(1, "its X25519 public key, 32 bytes")]

    def __post_init__(self) -> None:
        check_id(self.device, "machine")
        if len(self.key) != BOX_BYTES:
            raise ValueError(f"a machine's key has {BOX_BYTES} bytes")
        try:
            _ANY_KEY.exchange(X25519PublicKey.from_public_bytes(self.key))
        except ValueError:  # a point of low order: everybody would know what is shared with it
            raise ValueError(f"the key of {self.device} is none") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAtmLink:
    """Allows machines to link visits of one face over machines for a case, until a moment.

    The officers' signatures cover the machines' keys: whoever else could put a key in their place
    would read faces.
    """

    case: Annotated[str, Key(0, "case that allows it")]
    until: Annotated[UnixMicros, Key(1, "end of the permission")]
    accounts: Annotated[tuple[CardRef, ...], Key(2, "accounts that the case is about")] = ()
    machines: Annotated[
        tuple[ComparingMachine, ...] | None,
        Key(3, "machines that compare, with their keys; absent: none does"),
    ] = None

    def __post_init__(self) -> None:
        if not self.case:
            raise ValueError("a link needs its case")
        machines = self.machines or ()
        if len(machines) > MAX_COMPARING:
            raise ValueError(f"{len(machines)} machines compare, at most {MAX_COMPARING} may")
        if len({one.device for one in machines}) != len(machines):
            raise ValueError("a machine is named twice")
        if len({one.key for one in machines}) != len(machines):
            raise ValueError("two machines have one key")

    def key_of(self, device: str) -> bytes | None:
        """Return the key of a machine that compares; None: it does not."""
        return next((one.key for one in self.machines or () if one.device == device), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAtmLinkEnd:
    """Ends permissions to link before their term."""

    ends: Annotated[tuple[bytes, ...], Key(0, "ids of the orders it ends")]

    def __post_init__(self) -> None:
        if not self.ends or any(len(name) != ID_BYTES for name in self.ends):
            raise ValueError("an end names the orders that it ends, each by 16 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHealth:
    """Asks for a health report at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPart:
    """Starts one part of the agent again, as its supervisor would after a failure."""

    part: Annotated[str, Key(0, "name of the part as health shows it")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendVan:
    """Sends a van's crew to a place. The crew answers; nothing on the van moves by itself."""

    dispatch: Annotated[bytes, Key(0, "id of the dispatch, 16 bytes")]
    case: Annotated[str, Key(1, "case by which it is sent")]
    lat: Annotated[float, Key(2, "latitude, WGS-84 degrees")]
    lon: Annotated[float, Key(3, "longitude, WGS-84 degrees")]
    text: Annotated[str, Key(4, "what to look for, for the crew to read")] = ""

    def __post_init__(self) -> None:
        if len(self.dispatch) != ID_BYTES:
            raise ValueError("a dispatch's id has 16 bytes")
        if not (-90 <= self.lat <= 90 and -180 <= self.lon <= 180):
            raise ValueError("a place is in WGS-84 degrees")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallVanOff:
    """Calls a crew off."""

    dispatch: Annotated[bytes, Key(0, "id of the dispatch, 16 bytes")]

    def __post_init__(self) -> None:
        if len(self.dispatch) != ID_BYTES:
            raise ValueError("a dispatch's id has 16 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """One officer's key, of a file or of an authenticator.

    Whoever is not in the newest bundle signs nothing.
    """

    officer: Annotated[str, Key(0, "officer's id; the two signatures come from two of them")]
    public_pem: Annotated[str, Key(1, "public key, PEM")]
    valid_from: Annotated[UnixMicros, Key(2, "signs orders issued from then on")]
    valid_until: Annotated[UnixMicros, Key(3, "and before")]
    credential_id: Annotated[
        bytes | None, Key(4, "WebAuthn credential that holds the key; absent: a key file")
    ] = None

    def __post_init__(self) -> None:
        if self.credential_id is not None and not (
            1 <= len(self.credential_id) <= MAX_CREDENTIAL_ID
        ):
            raise ValueError(f"a credential id has 1 to {MAX_CREDENTIAL_ID} bytes")
        if not _OFFICER.fullmatch(self.officer):
            raise ValueError("an officer's id has 1 to 40 of a-z, 0-9 and . _ -")
        if not self.public_pem.isascii():
            raise ValueError("a public key is ASCII")
        load_public_pem(self.public_pem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Officers:
    """All officers whose signatures count, with a version that only grows."""

    bundle: Annotated[int, Key(0, "version; an older one than the present is refused")]
    officers: Annotated[tuple[Officer, ...], Key(1, "who may sign")]
    rp_id: Annotated[str, Key(2, "domain that all WebAuthn credentials are bound to")] = ""
    origins: Annotated[tuple[str, ...], Key(3, "pages on which they may be used")] = ()

    def __post_init__(self) -> None:
        if self.bundle < 1:
            raise ValueError("versions begin at 1")
        credentials = [e.credential_id for e in self.officers if e.credential_id is not None]
        if len(set(credentials)) != len(credentials):
            raise ValueError("one credential stands twice")
        if credentials or self.rp_id or self.origins:
            check_place(self.rp_id, self.origins)
        kids = [key_id(load_public_pem(entry.public_pem)) for entry in self.officers]
        if len(set(kids)) != len(kids):
            raise ValueError("one key for two officers would be one person signing twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings of an agent, with a version that only grows; applied whole or not at all."""

    bundle: Annotated[int, Key(0, "version; an older one than the present is refused")]
    settings: Annotated[Values, Key(1, "named settings: see SETTINGS")]

    def __post_init__(self) -> None:
        if self.bundle < 1:
            raise ValueError("versions begin at 1")
        for name, value in self.settings.items():
            check_setting(name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKeys:
    """The keys under which accounts are known, for one machine's eyes: see ``tenant_keys``."""

    bundle: Annotated[int, Key(0, "version; an older one than the present is refused")]
    sealed: Annotated[bytes, Key(1, "the bundle, encrypted to the machine's own key")]

    def __post_init__(self) -> None:
        if self.bundle < 1:
            raise ValueError("versions begin at 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowNotice:
    """Shows customers a text while nobody is served, until a moment; then it goes by itself."""

    notice: Annotated[bytes, Key(0, "id of the notice, 16 bytes")]
    zh: Annotated[str, Key(1, "text in Chinese")]
    en: Annotated[str, Key(2, "text in English")]
    until: Annotated[UnixMicros, Key(3, "not shown from then on")]

    def __post_init__(self) -> None:
        if len(self.notice) != ID_BYTES:
            raise ValueError("a notice's id has 16 bytes")
        if not all(0 < len(text.strip()) <= MAX_NOTICE_CHARS for text in (self.zh, self.en)):
            raise ValueError(f"a notice has 1 to {MAX_NOTICE_CHARS} characters in each language")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndNotice:
    """Takes a notice off before its time."""

    notice: Annotated[bytes, Key(0, "id of the notice, 16 bytes")]

    def __post_init__(self) -> None:
        if len(self.notice) != ID_BYTES:
            raise ValueError("a notice's id has 16 bytes")


OrderBody = (
    AccountHold
    | AccountRelease
    | CrossAtmLink
    | CrossAtmLinkEnd
    | ReportHealth
    | RestartPart
    | Officers
    | Configuration
    | SendVan
    | CallVanOff
    | SealedKeys
    | ShowNotice
    | EndNotice
)


@dataclass(frozen=True, slots=True)
class Rule:
    """How orders of one type travel and who has to sign them."""

    channel: Channel
    signatory: Signatory
    signatures: int
    body: type[OrderBody]
    kinds: frozenset[DeviceKind] = frozenset()
    """Kinds of device it concerns; empty: all."""


_ATM = frozenset({DeviceKind.ATM})
_VAN = frozenset({DeviceKind.VAN})


def _by_two(body: type[OrderBody]) -> Rule:
    return Rule(Channel.ORDERS, Signatory.OFFICER, 2, body, _ATM)


RULES: dict[OrderType, Rule] = {
    OrderType.STOP_PAYMENT: _by_two(AccountHold),
    OrderType.RELEASE_STOP: _by_two(AccountRelease),
    OrderType.EXTEND_STOP: _by_two(AccountHold),
    OrderType.FREEZE: _by_two(AccountHold),
    OrderType.RELEASE_FREEZE: _by_two(AccountRelease),
    OrderType.EXTEND_FREEZE: _by_two(AccountHold),
    OrderType.CROSS_ATM_LINK: _by_two(CrossAtmLink),
    OrderType.END_CROSS_ATM_LINK: _by_two(CrossAtmLinkEnd),
    OrderType.REPORT_HEALTH: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, ReportHealth),
    OrderType.RESTART_PART: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, RestartPart),
    OrderType.OFFICERS: Rule(Channel.CONFIGURATION, Signatory.ROOT, 1, Officers),
    OrderType.CONFIGURATION: Rule(Channel.CONFIGURATION, Signatory.CENTRAL, 1, Configuration),
    OrderType.SEND_VAN: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, SendVan, _VAN),
    OrderType.CALL_VAN_OFF: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, CallVanOff, _VAN),
    OrderType.TENANT_KEYS: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, SealedKeys, _ATM),
    OrderType.SHOW_NOTICE: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, ShowNotice, _ATM),
    OrderType.END_NOTICE: Rule(Channel.COMMANDS, Signatory.CENTRAL, 1, EndNotice, _ATM),
}
"""Platform practice for orders on people's money: two different officers (order.signers)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that a configuration may carry, with its limits."""

    minimum: float
    maximum: float
    meaning: str


SETTINGS: dict[str, Setting] = {
    "health.period_s": Setting(0.1, 3600.0, "seconds between two health reports"),
}
"""Everything that can be set from afar: a closed list. Limits of the face, of liveness, of the PIN
or of cash are not on it, and the machine's own file alone sets them."""


def check_setting(name: str, value: Scalar) -> float:
    """Return a setting's number; raises ValueError for one that is unknown or out of its limits."""
    known = SETTINGS.get(name)
    if known is None:
        raise ValueError(f"{name[:60]!r} cannot be set from afar")
    if isinstance(value, bool | str) or not known.minimum <= value <= known.maximum:
        raise ValueError(f"{name} is not within {known.minimum:g} to {known.maximum:g}")
    return float(value)


def term_of(body: Any) -> UnixMicros | None:
    """End of what an order holds; None for one that holds nothing."""
    return body.until if isinstance(body, AccountHold | CrossAtmLink) else None


def ended_by(body: Any) -> tuple[bytes, ...]:
    """Ids of the orders that this one ends."""
    if isinstance(body, AccountRelease):
        return body.releases
    return body.ends if isinstance(body, CrossAtmLinkEnd) else ()
