"""XFS4IoT messages (CWA 17852) in both wire dialects: strict JSON in, typed envelopes out.

The published 2021-1 schema keeps ``timeout``, ``completionCode`` and ``errorDescription`` in the
payload, acknowledges with ``status: "ok"`` and spells ``authorizationRequired``; today's services
keep them in the header, leave the status out and spell ``authorisationRequired``. Names and
versions of what we send are in one table, checked against both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hardware.atm.money import Money

MAX_MESSAGE_CHARS: Final = 2 * 1024 * 1024
DEFAULT_TIMEOUT_MS: Final = 60_000

Payload = dict[str, Any]


class Dialect(StrEnum):
    """Which of the two forms a service speaks."""

    D2021_1 = "2021-1"
    CURRENT = "current"


class Kind(StrEnum):
    """``header.type``."""

    COMMAND = "command"
    ACKNOWLEDGE = "acknowledge"
    EVENT = "event"
    COMPLETION = "completion"
    UNSOLICITED = "unsolicited"


class XfsError(ValueError):
    """A message that is none; ``place`` is the path or the character where it fails."""

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(f"{problem} ({place})" if place else problem)
        self.problem = problem
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class XfsMessage:
    """One message, the same in both dialects."""

    name: str
    kind: Kind
    request_id: int | None
    version: str | None
    """None: the sender left it out, as early services do."""
    payload: Payload = field(default_factory=dict, repr=False)
    timeout_ms: int | None = None
    status: str | None = None
    """Of an acknowledge; None: accepted."""
    completion_code: str | None = None
    """Of a completion; None there is no success."""
    error_description: str | None = None

    @property
    def error_code(self) -> str | None:
        """The command's own error, where the completion code is ``commandErrorCode``."""
        code = self.payload.get("errorCode")
        return code if isinstance(code, str) else None


def encode_message(message: XfsMessage, dialect: Dialect) -> str:
    """Write a message in a dialect."""
    header: dict[str, Any] = {"name": message.name, "type": message.kind.value}
    if message.request_id is not None:
        header["requestId"] = message.request_id
    if message.version is not None:
        header["version"] = message.version
    payload = dict(message.payload)
    extra = {
        "timeout": message.timeout_ms,
        "completionCode": _spelled(message.completion_code, dialect),
        "errorDescription": message.error_description,
    }
    place = payload if dialect is Dialect.D2021_1 else header
    place.update({key: value for key, value in extra.items() if value is not None})
    if message.kind is Kind.ACKNOWLEDGE:
        if dialect is Dialect.D2021_1:
            payload["status"] = message.status or "ok"
        elif message.status is not None:
            header["status"] = message.status
    document: dict[str, Any] = {"header": header}
    if payload:
        document["payload"] = payload
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def decode_message(text: str | bytes) -> XfsMessage:
    """Read a message of either dialect; raises XfsError.

    A key that stands twice is refused: two readers could take two different commands out of it.
    """
    if not isinstance(text, str):
        raise XfsError("a binary frame")
    if len(text) > MAX_MESSAGE_CHARS:
        raise XfsError(f"longer than {MAX_MESSAGE_CHARS} characters")
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise XfsError("no JSON", f"character {error.pos}") from None
    except RecursionError:
        raise XfsError("nested too deeply") from None
    if not isinstance(document, dict) or set(document) - {"header", "payload"}:
        raise XfsError("expected header and payload")
    header, payload = document.get("header"), document.get("payload")
    if not isinstance(header, dict):
        raise XfsError("no object", "header")
    if payload is not None and not isinstance(payload, dict):
        raise XfsError("no object", "payload")
    return _read(header, payload or {})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise XfsError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise XfsError(f"{text} is no JSON")


def _read(header: Payload, payload: Payload) -> XfsMessage:
    name = header.get("name")
    if not isinstance(name, str) or name.count(".") != 1:
        raise XfsError("no Interface.Message", "header.name")
    try:
        kind = Kind(str(header.get("type")))
    except ValueError:
        raise XfsError("unknown type", "header.type") from None
    request_id = header.get("requestId")
    if kind is Kind.UNSOLICITED:
        request_id = None
    elif not isinstance(request_id, int) or isinstance(request_id, bool) or request_id < 1:
        raise XfsError("no positive integer", "header.requestId")
    code, is_inside = _either(header, payload, "completionCode", str)
    timeout, _ = _either(header, payload, "timeout", int)
    description, _ = _either(header, payload, "errorDescription", str)
    version, _ = _either(header, {}, "version", str)
    status = header.get("status") or payload.get("status")
    moved = {"completionCode", "errorDescription"} if is_inside else set()
    if kind is Kind.COMMAND:
        moved = moved | {"timeout"}
    return XfsMessage(
        name=name,
        kind=kind,
        request_id=request_id,
        version=version,
        payload={key: value for key, value in payload.items() if key not in moved},
        timeout_ms=timeout if kind is Kind.COMMAND else None,
        status=str(status) if kind is Kind.ACKNOWLEDGE and status not in {None, "ok"} else None,
        completion_code=_british(code) if kind is Kind.COMPLETION else None,
        error_description=description if kind is Kind.COMPLETION else None,
    )


def _either(header: Payload, payload: Payload, key: str, kind: type) -> tuple[Any, bool]:
    """Return a value from the header or the payload, and whether it stood in the payload."""
    for place, where in ((header, "header"), (payload, "payload")):
        value = place.get(key)
        if value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise XfsError(f"no {kind.__name__}", f"{where}.{key}")
        return value, where == "payload"
    return None, False


def _british(code: str | None) -> str | None:
    return "authorisationRequired" if code == "authorizationRequired" else code


def _spelled(code: str | None, dialect: Dialect) -> str | None:
    if code == "authorisationRequired" and dialect is Dialect.D2021_1:
        return "authorizationRequired"
    return code


# -- what we send ----------------------------------------------------------------------------------

COMMANDS: Final[Mapping[str, str]] = {
    "ServicePublisher.GetServices": "2.0",
    "Common.Capabilities": "2.0",
    "Common.Status": "2.0",
    "Common.GetCommandNonce": "2.0",
    "Common.ClearCommandNonce": "2.0",
    "Common.SetTransactionState": "2.0",
    "Common.SetVersions": "2.0",
    "CardReader.ReadRawData": "2.0",
    "CardReader.Move": "2.0",
    "Keyboard.PinEntry": "2.0",
    "PinPad.GetPinBlock": "2.0",
    "Camera.TakePicture": "2.0",
    "Biometric.Import": "3.0",
    "Biometric.Read": "2.0",
    "Biometric.Match": "2.0",
    "Biometric.Clear": "2.0",
    "Biometric.SetDataPersistence": "2.0",
    "CashDispenser.Dispense": "3.0",
    "CashDispenser.Present": "2.0",
    "CashDispenser.Reject": "2.0",
    "CashDispenser.GetPresentStatus": "2.0",
    "CashManagement.Retract": "2.0",
}
"""Every command this side sends, with its version in the current dialect (1.0 in 2021-1)."""


def versions_payload(interfaces: Iterable[str], dialect: Dialect) -> Payload:
    """Say in which major version each command of some interfaces will be sent (SetVersions)."""
    wanted = {"Common", *interfaces}
    majors = {
        name: 1 if dialect is Dialect.D2021_1 else int(version.partition(".")[0])
        for name, version in COMMANDS.items()
        if name.partition(".")[0] in wanted
    }
    return {"commands": majors}


def command(
    name: str,
    payload: Payload,
    request_id: int,
    dialect: Dialect,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
) -> XfsMessage:
    """Return a command in the version of the dialect; KeyError for one we do not send."""
    version = COMMANDS[name]
    return XfsMessage(
        name=name,
        kind=Kind.COMMAND,
        request_id=request_id,
        version="1.0" if dialect is Dialect.D2021_1 else version,
        payload=payload,
        timeout_ms=timeout_ms,
    )


def dispense_payload(amount: Money, token: str, dialect: Dialect) -> Payload:
    """Ask for an amount by mix 1, with the host's token."""
    what: Payload = {"currencies": {amount.currency: amount.major}, "mix": "mix1"}
    if dialect is Dialect.CURRENT:
        what = {"service": what}
    payload: Payload = {"denomination": {"denomination": what}}
    return payload | ({"token": token} if token else {})


def retract_payload(dialect: Dialect) -> Payload:
    """Draw what was not taken into the retract bin."""
    where = {"outputPosition": "outDefault", "retractArea": "retract", "index": 1}
    return where if dialect is Dialect.D2021_1 else {"location": where}


PIN_KEYS: Final = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"),
    "clear",
)


def pin_entry_payload(digits: int = 6) -> Payload:
    """Let the keypad take a PIN; what comes back is how many keys were pressed, no more."""
    keys: Payload = {key: {"terminate": False} for key in PIN_KEYS}
    keys |= {"enter": {"terminate": True}, "cancel": {"terminate": True}}
    return {"minLen": digits, "maxLen": digits, "autoEnd": False, "echo": "X", "activeKeys": keys}


def pin_block_payload(pan: str, key: str, dialect: Dialect, form: str = "iso4") -> Payload:
    """Ask for the encrypted PIN block.

    Format 4 takes the whole card number, the older ones twelve digits before the check digit.
    """
    customer = pan if form == "iso4" else pan[-13:-1]
    payload: Payload = {"customerData": customer, "format": form, "key": key, "padding": 15}
    if dialect is Dialect.D2021_1:
        # Its schema demands both; zeros change nothing, and the second is described nowhere.
        payload |= {"xorData": "0" * 16, "pinBlockAttributes": {}}
    return payload


def dispense_amount(message: XfsMessage) -> dict[str, float]:
    """Amounts a Dispense command asks for, by currency, in either dialect; raises XfsError.

    A command that names notes instead of amounts asks for something nobody approved.
    """
    outer = message.payload.get("denomination")
    inner = outer.get("denomination") if isinstance(outer, dict) else None
    if isinstance(inner, dict) and set(inner) == {"service"}:
        inner = inner["service"]
    currencies = inner.get("currencies") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(currencies, dict):
        raise XfsError("no amount", "payload.denomination.denomination")
    if set(inner) - {"currencies", "mix"}:
        raise XfsError("more than an amount and a mix", "payload.denomination.denomination")
    for currency, value in currencies.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise XfsError("no number", f"currencies.{currency}")
    return currencies
