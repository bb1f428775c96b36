"""A simulated bank host on TCP: books by STAN, and answers that go wrong as they are told to.

Transfers to other people are held for the legal delay, as the law asks of the bank and not of the
machine (PBOC-2016-261-ATM): until then a 0400 with the original's data takes one back.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import TracebackType
from typing import Final

from hardware.atm.bank import Messages, answer_type
from hardware.atm.iso8583 import IsoError, Message

HOLD_S: Final = 24 * 3600
CARRIED_OUT: Final = "21"
"""No action taken: the transfer is past its delay and can be taken back no more."""


class HostFault(StrEnum):
    """What becomes of one answer."""

    NONE = "none"
    DROP = "drop"
    CLOSE = "close"
    LATE = "late"
    """The answer comes before the answer to the next question."""
    WRONG_MAC = "wrong_mac"
    WRONG_STAN = "wrong_stan"
    DOUBLE = "double"
    GARBAGE = "garbage"
    TORN = "torn"
    """The answer comes byte by byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAct:
    """What the host does with one message."""

    fault: HostFault = HostFault.NONE
    code: str = "00"
    delay_ms: int = 0
    is_booked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTransfer:
    """A transfer that was taken and is not carried out yet."""

    pan: str = field(repr=False)
    payee: str = field(repr=False)
    amount_fen: int
    due_s: float


class SimulatedHost:
    """Listens on the loopback; ``decide`` says for each message what to do with it."""

    def __init__(
        self,
        messages: Messages,
        decide: Callable[[Message], HostAct] = lambda message: HostAct(),
        make_token: Callable[[Message], str] = lambda message: "",
        port: int = 0,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """``make_token`` writes the dispense token of an approval. ``port`` 0: any.

        ``now_s``: the host's own time, which alone says when a held transfer is due.
        """
        self._now_s = now_s
        self._messages = messages
        self._decide = decide
        self._make_token = make_token
        self._lock = threading.Lock()
        self._held: list[bytes] = []
        self.posted_fen: dict[str, int] = {}
        self.reversed: set[str] = set()
        self.held: dict[str, HeldTransfer] = {}
        """Transfers that wait, by STAN."""
        self.seen: list[Message] = []
        host = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                host._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> SimulatedHost:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        width = self._messages.profile.length_bytes
        buffer = b""
        while True:
            try:
                more = connection.recv(65536)
            except OSError:
                return
            if not more:
                return
            buffer += more
            while len(buffer) >= width:
                end = width + int.from_bytes(buffer[:width], "big")
                if len(buffer) < end:
                    break
                frame, buffer = buffer[width:end], buffer[end:]
                if not self._answer(connection, frame):
                    connection.close()
                    return

    def _answer(self, connection: socket.socket, frame: bytes) -> bool:
        """Book and answer one message; False closes the line."""
        try:
            message, is_authentic = self._messages.unpack(frame)
        except IsoError:
            return False
        act = self._decide(message) if is_authentic else HostAct(code="A0", is_booked=False)
        with self._lock:
            self.seen.append(message)
            code = self._book(message, act)
        if act.delay_ms:
            time.sleep(act.delay_ms / 1000)
        try:
            return self._send(connection, message, replace(act, code=code))
        except OSError:
            return False

    def _book(self, message: Message, act: HostAct) -> str:
        stan = message["11"]
        if message["t"] == "0200":
            if act.code == "00" and act.is_booked:
                if "103" in message:
                    self.held[stan] = HeldTransfer(
                        pan=message["2"],
                        payee=message["103"],
                        amount_fen=int(message["4"]),
                        due_s=self._now_s() + HOLD_S,
                    )
                else:
                    self.posted_fen[stan] = int(message["4"])
        elif message["t"] in {"0400", "0420", "0421"} and act.is_booked and act.code == "00":
            original = message["90"][4:10]
            if (held := self.held.get(original)) is not None:
                return self._take_back(message, original, held)
            if original not in self.posted_fen:
                return "25"
            if original in self.reversed:
                return "94"
            self.reversed.add(original)
            self.posted_fen[original] = int(message.get("95", "0")[:12])
        return act.code

    def _take_back(self, message: Message, stan: str, held: HeldTransfer) -> str:
        if held.pan != message["2"]:
            return "25"
        if stan in self.reversed:
            return "94"
        self._carry_out()
        if stan in self.posted_fen:
            return CARRIED_OUT
        self.reversed.add(stan)
        return "00"

    def carried_out(self) -> dict[str, int]:
        """Return the transfers whose delay is over, by STAN: those not taken back in time."""
        with self._lock:
            self._carry_out()
            return {stan: self.posted_fen[stan] for stan in self.held if stan in self.posted_fen}

    def _carry_out(self) -> None:
        for stan, held in self.held.items():
            if stan not in self.reversed and self._now_s() >= held.due_s:
                self.posted_fen.setdefault(stan, held.amount_fen)

    def _send(self, connection: socket.socket, message: Message, act: HostAct) -> bool:
        answer = {key: message[key] for key in _ECHOED if key in message}
        answer |= {"t": answer_type(message["t"]), "39": act.code}
        field = self._messages.profile.token_field
        if message["t"] == "0200" and act.code == "00" and field:
            answer |= {field: self._make_token(message)}
        if act.fault is HostFault.WRONG_STAN:
            answer["11"] = f"{(int(message['11']) + 1) % 1_000_000:06}"
        raw = self._messages.pack({key: value for key, value in answer.items() if value})
        if act.fault is HostFault.WRONG_MAC:
            raw = raw[:-1] + (b"0" if raw[-1:] != b"0" else b"1")
        held, self._held = self._held, []
        for one in held:
            connection.sendall(one)
        if act.fault is HostFault.DROP:
            return True
        if act.fault is HostFault.CLOSE:
            return False
        if act.fault is HostFault.LATE:
            self._held.append(raw)
            return True
        if act.fault is HostFault.GARBAGE:
            raw = raw[: self._messages.profile.length_bytes] + b"\xff" * (len(raw) - 2) + raw
        if act.fault is HostFault.DOUBLE:
            raw += raw
        pieces = [raw[n : n + 1] for n in range(len(raw))] if act.fault is HostFault.TORN else [raw]
        for piece in pieces:
            connection.sendall(piece)
        return True


_ECHOED = ("2", "3", "4", "7", "11", "12", "13", "37", "41", "42", "49", "70", "90", "95")
