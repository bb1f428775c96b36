"""The line to the bank over TCP: one question at a time, every answer told apart.

An answer is ours only by type, STAN and terminal. What else comes is counted by its name: late (its
question gave up), doubled, unmatched, unreadable, or with a wrong MAC. A time-out with an unmatched
answer beside it is a mistake in the profile; without one, the host was silent.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from hardware.atm.bank import Messages, answer_type
from hardware.atm.interface import (
    Advice,
    AdviceKind,
    CardSecrets,
    HostAnswer,
    HostSilentError,
    Trace,
)
from hardware.atm.iso8583 import MAX_MESSAGE_BYTES, IsoError, Message

COUNTED: Final = (
    "sent",
    "answered",
    "silent",
    "late",
    "doubled",
    "unmatched",
    "unreadable",
    "wrong_mac",
)
"""What became of questions and answers, as health shows it."""

_REMEMBERED: Final = 256

Key = tuple[str, str, str]
"""Type of the answer, STAN, terminal."""

log = structlog.get_logger("host")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAddress:
    """Where the host is and how long it may take."""

    host: str
    port: int
    timeout_s: float = 30.0
    connect_timeout_s: float = 5.0


class HostClient:
    """One TCP connection, made anew after a fault; blocking, one thread at a time."""

    def __init__(
        self,
        messages: Messages,
        address: HostAddress,
        *,
        new_stan: Callable[[], str],
        local_time: Callable[[], str],
        on_late: Callable[[str], None] = lambda stan: None,
    ) -> None:
        """``on_late`` is told the STAN of a withdrawal whose answer came after its time-out."""
        self._messages = messages
        self._address = address
        self._new_stan = new_stan
        self._local_time = local_time
        self._on_late = on_late
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._given_up: OrderedDict[Key, None] = OrderedDict()
        self._answered: OrderedDict[Key, None] = OrderedDict()
        self.counters = dict.fromkeys(
            (
                "sent",
                "answered",
                "silent",
                "late",
                "doubled",
                "unmatched",
                "unreadable",
                "wrong_mac",
            ),
            0,
        )

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket, self._buffer = None, b""

    # -- the seam ----------------------------------------------------------------------------------

    def request(self, trace: Trace, secrets: CardSecrets) -> HostAnswer:
        """Ask for an authorisation; a wrong MAC is told, not hidden. Raises HostSilentError."""
        try:
            message = self._messages.request(trace, secrets)
        except IsoError as error:  # nothing was sent; the reversal that follows settles it with 25
            raise HostSilentError(str(error)) from None
        answer, is_authentic = self._ask(message)
        return HostAnswer(
            code=answer.get("39", ""),
            is_authentic=is_authentic,
            stan=answer.get("11", ""),
            terminal=answer.get("41", ""),
            amount_fen=int(answer.get("4") or -1),
            token=answer.get(self._messages.profile.token_field, ""),
        )

    def check_pin(self, terminal: str, secrets: CardSecrets) -> str | None:
        """Ask what the host makes of the PIN block; its code, None where it was not told.

        No money moves and nothing has to be reversed, so silence is no more than not knowing.
        """
        if not self._messages.profile.pin_check_code:
            return None
        trace = Trace(
            stan=self._new_stan(), terminal=terminal, amount_fen=0, local_time=self._local_time()
        )
        try:
            answer, is_authentic = self._ask(self._messages.pin_check(trace, secrets))
        except (HostSilentError, IsoError):
            return None
        return answer.get("39") if is_authentic else None

    def advise(self, advice: Advice) -> str:
        """Send an advice; an answer with a wrong MAC is none. Raises HostSilentError.

        A confirmation that this bank does not want is settled without being sent.
        """
        if advice.kind is AdviceKind.CONFIRMATION and not self._messages.profile.sends_confirmation:
            return "00"
        try:
            message = self._messages.advice(advice, self._new_stan)
        except IsoError as error:
            raise HostSilentError(str(error)) from None
        answer, is_authentic = self._ask(message)
        if not is_authentic:
            raise HostSilentError("the answer's MAC is wrong")
        return answer.get("39", "")

    def echo(self) -> bool:
        """Whether the host answers 0800 with 00."""
        try:
            message = self._messages.echo(self._new_stan(), self._local_time())
            answer, is_authentic = self._ask(message)
        except HostSilentError:
            return False
        return is_authentic and answer.get("39") == "00"

    # -- one question ------------------------------------------------------------------------------

    def _ask(self, message: Message) -> tuple[Message, bool]:
        key = (answer_type(message["t"]), message["11"], message.get("41", ""))
        deadline = time.monotonic() + self._address.timeout_s
        try:
            connection = self._connected()
            connection.settimeout(self._address.timeout_s)
            connection.sendall(self._messages.pack(message))
            self.counters["sent"] += 1
            while True:
                found = self._match(self._frame(connection, deadline), key)
                if found is not None:
                    return found
        except (OSError, IsoError) as error:
            self.counters["silent"] += 1
            _remember(self._given_up, key)
            if not isinstance(error, TimeoutError):
                self.close()  # closed, reset or out of step: a new line for the next question
            raise HostSilentError(f"{type(error).__name__} waiting for {key[0]}") from None

    def _match(self, frame: bytes, wanted: Key) -> tuple[Message, bool] | None:
        try:
            message, is_authentic = self._messages.unpack(frame)
        except IsoError as error:
            self.counters["unreadable"] += 1
            log.warning("answer_unreadable", problem=str(error))
            return None
        key = (message["t"], message.get("11", ""), message.get("41", "") if wanted[2] else "")
        if not is_authentic:
            self.counters["wrong_mac"] += 1
            log.error("answer_with_wrong_mac", type=key[0], stan=key[1])
        if key == wanted:
            self.counters["answered"] += 1
            self._given_up.pop(key, None)
            _remember(self._answered, key)
            return message, is_authentic
        self._tell_stray(message)
        return None

    def _tell_stray(self, message: Message) -> None:
        key = (message["t"], message.get("11", ""), message.get("41", ""))
        if key in self._given_up:
            kind = "late"
            if key[0] in {"0210", "0410"}:
                self._on_late(key[1])
        else:
            kind = "doubled" if key in self._answered else "unmatched"
        self.counters[kind] += 1
        log.warning(f"answer_{kind}", type=key[0], stan=key[1], terminal=key[2])

    # -- the line ----------------------------------------------------------------------------------

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(
                (self._address.host, self._address.port), self._address.connect_timeout_s
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        return self._socket

    def _frame(self, connection: socket.socket, deadline: float) -> bytes:
        """Return the next message without its length; raises OSError, IsoError."""
        width = self._messages.profile.length_bytes
        head = self._bytes(connection, width, deadline)
        length = int.from_bytes(head[:width], "big")
        if not 0 < length <= MAX_MESSAGE_BYTES:
            raise IsoError(f"a frame of {length} bytes")
        whole = self._bytes(connection, width + length, deadline)
        self._buffer = whole[width + length :]
        return whole[width : width + length]

    def _bytes(self, connection: socket.socket, count: int, deadline: float) -> bytes:
        while len(self._buffer) < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            connection.settimeout(left_s)
            more = connection.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self._buffer += more
        return self._buffer


def _remember(keys: OrderedDict[Key, None], key: Key) -> None:
    keys[key] = None
    if len(keys) > _REMEMBERED:
        keys.popitem(last=False)
