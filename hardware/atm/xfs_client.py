"""A client of one XFS4IoT service over WebSocket, and dispenser and card slot behind our seam.

One command at a time: command, acknowledge, events, one completion. A link that breaks or a
completion that does not come is a lost device: whoever drives it asks what happened.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from hardware.atm.interface import (
    CardResult,
    DeviceLostError,
    Dispensed,
    DispenseResult,
    PresentResult,
    PresentState,
    Retracted,
    Status,
)
from hardware.atm.money import AmountError, Money
from hardware.atm.token import TokenError, new_nonce, open_present_status
from hardware.atm.xfs4iot import (
    DEFAULT_TIMEOUT_MS,
    MAX_MESSAGE_CHARS,
    Dialect,
    Kind,
    Payload,
    XfsError,
    XfsMessage,
    command,
    decode_message,
    dispense_payload,
    encode_message,
    retract_payload,
    versions_payload,
)

PORTS: Final = (80, 443, *range(5846, 5857))
"""Where a service publisher may be, in the order of the standard."""
SLACK_S: Final = 5.0
"""How much longer than the command's own time-out a completion may take."""


class XfsClient:
    """One connection to one service; blocking, one thread at a time."""

    def __init__(
        self,
        url: str,
        dialect: Dialect,
        *,
        timeout_s: float = 60.0,
        on_event: Callable[[XfsMessage], None] = lambda message: None,
    ) -> None:
        """``on_event`` is told every event and unsolicited message."""
        self._url = url
        self._dialect = dialect
        self._timeout_s = timeout_s
        self._on_event = on_event
        self._line: ClientConnection | None = None
        self._open = contextlib.ExitStack()
        self._next = 1
        self._unsolicited: deque[XfsMessage] = deque(maxlen=64)
        self.counters = {"sent": 0, "malformed": 0, "lost": 0, "versions_refused": 0}

    @property
    def dialect(self) -> Dialect:
        """What this service speaks."""
        return self._dialect

    def close(self) -> None:
        """Hang up."""
        self._line = None
        self._open.close()

    def ask(self, name: str, payload: Payload | None = None) -> XfsMessage:
        """Send a command and wait for its completion; raises DeviceLostError."""
        number, self._next = self._next, self._next + 1
        timeout_ms = min(int(self._timeout_s * 1000), DEFAULT_TIMEOUT_MS)
        asked = command(name, payload or {}, number, self._dialect, timeout_ms)
        deadline = time.monotonic() + self._timeout_s
        try:
            line = self._connected()
            line.send(encode_message(asked, self._dialect))
            self.counters["sent"] += 1
            while True:
                message = self._receive(line, deadline)
                if message is not None and message.request_id == number:
                    if message.kind is Kind.COMPLETION:
                        return message
                    if message.kind is Kind.ACKNOWLEDGE and message.status is not None:
                        raise DeviceLostError(f"{name}: {message.status}")
        except (OSError, WebSocketException) as error:
            self.counters["lost"] += 1
            self.close()
            raise DeviceLostError(f"{name}: {type(error).__name__}") from None

    def agree(self, *interfaces: str) -> bool:
        """Settle the versions of what will be sent (SetVersions); False where it is not taken.

        Early services do not know the command and answer in the version they are asked in.
        """
        done = self.ask("Common.SetVersions", versions_payload(interfaces, self._dialect))
        is_taken = done.completion_code == "success"
        self.counters["versions_refused"] += not is_taken
        return is_taken

    def await_unsolicited(self, name: str, timeout_s: float) -> bool:
        """Wait for an unsolicited message; False after the time. Raises DeviceLostError."""
        deadline = time.monotonic() + timeout_s
        try:
            line = self._connected()
            while not any(one.name == name for one in self._unsolicited):
                self._receive(line, deadline)
        except TimeoutError:
            return False
        except (OSError, WebSocketException) as error:
            self.close()
            raise DeviceLostError(f"{name}: {type(error).__name__}") from None
        self._unsolicited.clear()
        return True

    def forget_unsolicited(self) -> None:
        """Drop what came before a new wait begins."""
        self._unsolicited.clear()

    def _connected(self) -> ClientConnection:
        if self._line is None:
            self._line = self._open.enter_context(
                connect(
                    self._url, open_timeout=SLACK_S, max_size=MAX_MESSAGE_CHARS, close_timeout=1
                )
            )
        return self._line

    def _receive(self, line: ClientConnection, deadline: float) -> XfsMessage | None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        try:
            message = decode_message(line.recv(timeout=left_s))
        except XfsError:
            self.counters["malformed"] += 1
            return None
        if message.kind in {Kind.EVENT, Kind.UNSOLICITED}:
            self._on_event(message)
        if message.kind is Kind.UNSOLICITED:
            self._unsolicited.append(message)
        return message


def is_protected(capabilities: XfsMessage) -> bool:
    """Whether the dispenser itself, in hardware, insists on tokens (section 1.4 of the standard).

    ``hardwareSecurityElement`` false is software on the same computer: unprotected.
    """
    common = capabilities.payload.get("common")
    security = common.get("endToEndSecurity") if isinstance(common, dict) else None
    if not isinstance(security, dict):
        return False
    return security.get("hardwareSecurityElement") is True and security.get("required") == "always"


class XfsDispenser:
    """A CashDispenser service behind our seam."""

    def __init__(
        self, client: XfsClient, *, key: bytes | None, currency: str = "CNY", taken_s: float = 30.0
    ) -> None:
        """``key`` checks the tokens of GetPresentStatus; without it they are not believed more."""
        self._client = client
        self._key = key
        self._currency = currency
        self._taken_s = taken_s

    def nonce(self) -> str:
        """Ask for the nonce that the host binds its token to; raises DeviceLostError."""
        value = self._client.ask("Common.GetCommandNonce").payload.get("commandNonce")
        if not isinstance(value, str) or not value:
            raise DeviceLostError("no commandNonce")
        return value

    def is_protected(self) -> bool:
        """Whether malware on this computer could dispense without a token: then False."""
        return is_protected(self._client.ask("Common.Capabilities"))

    def dispense(self, amount_fen: int, token: str) -> Dispensed:
        """Dispense with the host's token."""
        amount = Money(amount_fen, self._currency)
        payload = dispense_payload(amount, token, self._client.dialect)
        done = self._client.ask("CashDispenser.Dispense", payload)
        code = done.completion_code
        if code == "success":
            return Dispensed(DispenseResult.DISPENSED, self._count(done.payload))
        if code == "invalidTokenHMAC":
            return Dispensed(DispenseResult.TOKEN_FORGED)
        if code in _NOTHING_MOVED:
            return Dispensed(DispenseResult.REFUSED)
        if code == "commandErrorCode":
            return Dispensed(DispenseResult.NOTHING)
        raise DeviceLostError(f"Dispense: {code}")

    def present(self) -> PresentResult:
        """Bring the notes out."""
        self._client.forget_unsolicited()
        done = self._client.ask("CashDispenser.Present", {"position": "outDefault"})
        if done.completion_code == "success":
            return PresentResult.PRESENTED
        results = {
            "presentErrorNoItems": PresentResult.NO_ITEMS,
            "noItems": PresentResult.NO_ITEMS,
            "presentErrorItems": PresentResult.SOME_ITEMS,
        }
        return results.get(done.error_code or "", PresentResult.UNKNOWN)

    def await_taken(self) -> bool:
        """Wait for ItemsTakenEvent."""
        return self._client.await_unsolicited("CashManagement.ItemsTakenEvent", self._taken_s)

    def retract(self) -> Retracted:
        """Draw the notes in; what the service counted, or None."""
        done = self._client.ask("CashManagement.Retract", retract_payload(self._client.dialect))
        if done.completion_code != "success":
            return Retracted(None)
        return Retracted(_retracted(done.payload, self._currency))

    def reject(self) -> bool:
        """Empty the stacker into the reject bin; nothing there is as good."""
        done = self._client.ask("CashDispenser.Reject")
        return done.completion_code == "success" or done.error_code == "noItems"

    def status(self) -> Status:
        """Ask under a nonce of our own; a token that does not verify means: not known."""
        nonce = new_nonce()
        done = self._client.ask("CashDispenser.GetPresentStatus", {"nonce": nonce})
        if done.completion_code != "success":
            return Status(PresentState.UNKNOWN)
        state = _STATES.get(str(done.payload.get("presentState")), PresentState.UNKNOWN)
        token = done.payload.get("token")
        if self._key is not None:
            try:
                said = open_present_status(str(token), nonce, self._key)
            except TokenError:
                return Status(PresentState.UNKNOWN)
            if said.is_retracted:
                return Status(PresentState.RETRACTED)
            if said.is_presented is not (state is PresentState.PRESENTED):
                return Status(PresentState.UNKNOWN)
            if state is PresentState.PRESENTED:
                amount = said.presented
                return Status(state, None if amount is None else amount.minor)
        return Status(state, self._count(done.payload))

    def _count(self, payload: Payload) -> int:
        denomination = payload.get("denomination")
        currencies = denomination.get("currencies") if isinstance(denomination, dict) else None
        value = currencies.get(self._currency) if isinstance(currencies, dict) else None
        return _minor(value, self._currency) or 0


def _minor(value: object, currency: str) -> int | None:
    """Major units of a denomination to minor ones; None for what is no whole number of them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = Money(round(value * 100), currency)
    except (AmountError, ValueError, OverflowError):
        return None
    return amount.minor if amount.minor == value * 100 else None


def _retracted(payload: Payload, currency: str) -> int | None:
    """Sum of what went into the units, if each is counted; None where anything is unknown."""
    storage = payload.get("storage")
    if not isinstance(storage, dict) or not storage:
        return None
    total = 0
    for unit in storage.values():
        values = unit.get("in", {}).get("retracted") if isinstance(unit, dict) else None
        if not isinstance(values, dict) or values.get("unrecognized"):
            return None
        for name, counts in values.items():
            if name == "unrecognized":
                continue
            match = _ITEM.get((name, currency))
            if match is None or not isinstance(counts, dict):
                return None
            total += match * sum(counts.values())
    return total


_ITEM = {("type100CNY", "CNY"): 10_000, ("type50CNY", "CNY"): 5_000, ("type20CNY", "CNY"): 2_000}
"""Cash items of the CashManagement service by name; others mean that a person counts."""

_NOTHING_MOVED = frozenset(
    {
        "invalidToken",
        "invalidTokenNonce",
        "invalidTokenFormat",
        "invalidTokenKeyNoValue",
        "noCommandNonce",
        "authorisationRequired",
        "deviceNotReady",
        "invalidCommand",
        "invalidData",
        "unsupportedCommand",
        "unsupportedData",
        "sequenceError",
    }
)
_STATES = {
    "presented": PresentState.PRESENTED,
    "notPresented": PresentState.NOT_PRESENTED,
    "unknown": PresentState.UNKNOWN,
}


class XfsCardSlot:
    """A CardReader service behind our seam."""

    def __init__(self, client: XfsClient, *, taken_s: float = 30.0) -> None:
        self._client = client
        self._taken_s = taken_s

    def eject(self) -> CardResult:
        """Move the card to the exit and wait for MediaRemovedEvent."""
        self._client.forget_unsolicited()
        done = self._client.ask("CardReader.Move", {"from": "transport", "to": "exit"})
        if done.completion_code != "success":
            return self._failed(done)
        is_taken = self._client.await_unsolicited("CardReader.MediaRemovedEvent", self._taken_s)
        return CardResult.TAKEN if is_taken else CardResult.LEFT

    def retain(self) -> CardResult:
        """Move the card into the retain bin."""
        done = self._client.ask("CardReader.Move", {"from": "exit", "to": "unitRETAIN"})
        if done.error_code == "noMedia":
            done = self._client.ask("CardReader.Move", {"from": "transport", "to": "unitRETAIN"})
        return CardResult.RETAINED if done.completion_code == "success" else self._failed(done)

    def _failed(self, done: XfsMessage) -> CardResult:
        if done.error_code == "noMedia":
            return CardResult.ABSENT
        if done.error_code == "mediaRetained":
            return CardResult.RETAINED
        return CardResult.JAMMED
