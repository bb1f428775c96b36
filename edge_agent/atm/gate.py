"""The XFS4IoT gate (mode B): everything passes, Dispense only with this session's approval.

It stands between the bank's application and a service. What it cannot read it does not forward: a
message that two readers could understand differently is how a Dispense would slip through. It also
listens: a dispense that it did not let pass, or a second client, is an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

from contract.clock import Clock
from contract.words import MachineAlarmKind
from hardware.atm.money import EXPONENTS
from hardware.atm.xfs4iot import (
    MAX_MESSAGE_CHARS,
    Dialect,
    Kind,
    XfsError,
    XfsMessage,
    decode_message,
    dispense_amount,
    encode_message,
)

LOOPBACK: Final = "127.0.0.1"
DISPENSE: Final = "CashDispenser.Dispense"
START_DISPENSE: Final = "CashDispenser.StartDispenseEvent"
ITEMS_TAKEN: Final = "CashManagement.ItemsTakenEvent"
APPROVAL_LIFE_US: Final = 60_000_000

log = structlog.get_logger("gate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One dispense that may pass: once, soon, and exactly this."""

    amount_fen: int
    currency: str
    token: str | None
    """What the host signed; empty where the dispenser takes none. None: the bank's application
    holds it, and the dispenser alone can judge it."""
    expires_us: int
    """Of the monotonic clock."""


Answer = Callable[[MachineAlarmKind, str], None]


class XfsGate:
    """Passes messages of one service to and fro."""

    def __init__(
        self,
        upstream: str,
        dialect: Dialect,
        *,
        clock: Clock,
        on_alarm: Answer = lambda alarm, detail: None,
    ) -> None:
        """``upstream``: URL of the service up to its name; a client's path is appended."""
        self._upstream = upstream.rstrip("/")
        self._dialect = dialect
        self._clock = clock
        self._on_alarm = on_alarm
        self._approval: Approval | None = None
        self._clients: Counter[str] = Counter()
        self._passed: set[int] = set()
        self._is_presented = False
        self.counters = dict.fromkeys(("passed", "refused", *MachineAlarmKind), 0)

    async def listen(self, port: int) -> Server:
        """Take clients on the loopback; port 0 takes any. Raises OSError."""
        return await serve(self._serve, LOOPBACK, port, max_size=MAX_MESSAGE_CHARS, close_timeout=1)

    def approve(self, amount_fen: int, currency: str, token: str | None) -> None:
        """Let one dispense pass; it replaces an approval that was not used."""
        expires = self._clock.mono() + APPROVAL_LIFE_US
        self._approval = Approval(
            amount_fen=amount_fen, currency=currency, token=token, expires_us=expires
        )

    def withdraw_approval(self) -> None:
        """Session over: nothing passes any more."""
        self._approval = None

    # -- connections -------------------------------------------------------------------------------

    async def _serve(self, client: ServerConnection) -> None:
        path = client.request.path if client.request is not None else "/"
        # One application has one line to each service; a second to the same is somebody else's.
        name = path.partition("?")[0].rstrip("/").lower()
        self._clients[name] += 1
        if self._clients[name] > 1:
            self._alarm(MachineAlarmKind.SECOND_CLIENT, f"{self._clients[name]} clients")
        try:
            async with connect(
                self._upstream + path, max_size=MAX_MESSAGE_CHARS, close_timeout=1
            ) as service:
                await self._shuttle(client, service)
        except (OSError, WebSocketException) as error:
            log.warning("upstream_gone", problem=str(error))
        finally:
            self._clients[name] -= 1
            await client.close()

    async def _shuttle(self, client: ServerConnection, service: ClientConnection) -> None:
        """Until either side ends; then neither is left hanging."""
        tasks = [
            asyncio.create_task(self._up(client, service)),
            asyncio.create_task(self._down(client, service)),
        ]
        _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                await task

    async def _up(self, client: ServerConnection, service: ClientConnection) -> None:
        async for text in client:
            try:
                message = decode_message(text)
            except XfsError as error:
                self._alarm(MachineAlarmKind.MALFORMED, str(error))
                continue
            problem = self._problem(message) if message.name == DISPENSE else None
            if problem is None:
                self.counters["passed"] += 1
                await service.send(text)
            else:
                self._alarm(MachineAlarmKind.DISPENSE_REFUSED, problem)
                for reply in self._refusal(message, problem):
                    await client.send(encode_message(reply, self._dialect))

    async def _down(self, client: ServerConnection, service: ClientConnection) -> None:
        async for text in service:
            try:
                self._watch(decode_message(text))
            except XfsError as error:
                # A service may say what we cannot read; only commands are kept back.
                self.counters[MachineAlarmKind.MALFORMED] += 1
                log.warning("service_malformed", problem=str(error))
            await client.send(text)

    # -- judging -----------------------------------------------------------------------------------

    def _problem(self, message: XfsMessage) -> str | None:
        """Why this Dispense must not pass; None lets it, and uses the approval up."""
        approval, self._approval = self._approval, None
        if message.kind is not Kind.COMMAND:
            return "not a command"
        if approval is None:
            return "no approval"
        if self._clock.mono() >= approval.expires_us:
            return "the approval is too old"
        try:
            amounts = dispense_amount(message)
        except XfsError as error:
            return str(error)
        wanted = approval.amount_fen / 10 ** EXPONENTS[approval.currency]
        if amounts != {approval.currency: wanted}:
            return "another amount than was approved"
        token = str(message.payload.get("token", ""))
        if approval.token is not None and not hmac.compare_digest(
            token.encode(), approval.token.encode()
        ):
            return "another token than the host's"
        if message.request_id is not None:
            self._passed.add(message.request_id)
        return None

    def _refusal(self, message: XfsMessage, problem: str) -> list[XfsMessage]:
        """Answer in the service's place, so that the application does not wait for ever."""
        accepted = XfsMessage(
            name=message.name,
            kind=Kind.ACKNOWLEDGE,
            request_id=message.request_id,
            version=message.version,
        )
        refused = XfsMessage(
            name=message.name,
            kind=Kind.COMPLETION,
            request_id=message.request_id,
            version=message.version,
            completion_code="authorisationRequired",
            error_description=problem,
        )
        return [accepted, refused]

    def _watch(self, message: XfsMessage) -> None:
        if message.name == START_DISPENSE and message.request_id not in self._passed:
            self._alarm(
                MachineAlarmKind.UNEXPLAINED_DISPENSE, "a dispense began that did not pass here"
            )
        if message.name == ITEMS_TAKEN and not self._passed:
            self._alarm(
                MachineAlarmKind.UNEXPLAINED_DISPENSE, "notes were taken that nobody approved"
            )
        if message.name == ITEMS_TAKEN:
            self._passed.clear()

    def _alarm(self, alarm: MachineAlarmKind, detail: str) -> None:
        self.counters[alarm] += 1
        if alarm is MachineAlarmKind.DISPENSE_REFUSED:
            self.counters["refused"] += 1
        log.error("gate_alarm", alarm=alarm.value, detail=detail)
        self._on_alarm(alarm, detail)
