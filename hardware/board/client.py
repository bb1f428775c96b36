"""The host's end of a board: sessions, commands, re-sends, time, and what became of everything.

Above :class:`hardware.serial.SerialPort`, which reopens a lost port by itself. A board is greeted
anew after every opening; what it says is handed out only once it has said who it is.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from contract.clock import Clock
from hardware.board import messages as m
from hardware.board.frames import RETRY, Frame, FrameReader, encode
from hardware.board.interface import (
    BoardCounters,
    BoardError,
    BoardSilentError,
    CommandRefusedError,
    Received,
)
from hardware.board.ledger import Boot, Ledger
from hardware.board.table import PROTOCOL
from hardware.board.timesync import Exchange, TimeSync
from hardware.modems.poller import EventPort
from hardware.serial import PortData, PortError, PortEvent, PortOpened

_TIMEOUT_S = 0.4
_TIMEOUT_LEAST_S = 0.15
_PATIENCE = (1, 1, 2, 4, 8, 8)
"""Times the first wait; a board is given up after about 10 s on a slow line."""
_SYNC_EVERY_S = 10.0
_SYNC_FIRST = 8
_BEAT_LATE_S = 3.5
_RESEND_MAX = 64
_BACK_TO_FRAMES = b"\0\0"
_TELEMETRY = (m.Sweep, m.Quality, m.Log)

log = structlog.get_logger(__name__)


class BoardLink:
    """One board. :meth:`run` it as a task; then :meth:`command` it and take messages."""

    def __init__(
        self,
        port: EventPort,
        *,
        clock: Clock,
        key: bytes | None = None,
        queue_messages: int = 1024,
        nonce: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._port = port
        self._clock = clock
        self._key = key
        self._queue_messages = queue_messages
        self._nonce_source = nonce
        self._reader = FrameReader()
        self._ledger = Ledger()
        self._sync = TimeSync()
        self._queue: deque[Received] = deque()
        self._changed = asyncio.Event()
        self._greeted = asyncio.Event()
        self._window = asyncio.Lock()
        self._reply: asyncio.Future[m.Reply] | None = None
        self._pending: tuple[int, int] | None = None
        self._seq = 0
        self._nonce = b""
        self._hello: m.Hello | None = None
        self._is_known = False
        self._events_seen: dict[int, None] = {}
        self._next_event: int | None = None
        self._heartbeat: m.Heartbeat | None = None
        self._beat_mono_us: int | None = None
        self._settled_event = 0
        self._wish = asyncio.Event()
        self._count = BoardCounters()
        self._is_ended = False

    # -- what others ask ----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name

    @property
    def hello(self) -> m.Hello | None:
        """Who the board says it is; None before it is greeted."""
        return self._hello

    @property
    def heartbeat(self) -> m.Heartbeat | None:
        """The board's own counters, as last heard."""
        return self._heartbeat

    @property
    def boots(self) -> tuple[Boot, ...]:
        """Each life of the board with what it sent and what came."""
        return self._ledger.boots

    @property
    def is_alive(self) -> bool:
        """It speaks: a heartbeat is not older than 3.5 s. An open port alone says nothing."""
        if self._beat_mono_us is None:
            return False
        return self._clock.mono() - self._beat_mono_us < _BEAT_LATE_S * 1e6

    def counters(self) -> BoardCounters:
        """For health."""
        return replace(
            self._count,
            waiting=len(self._queue),
            lost=self._ledger.lost,
            bad_frames=self._reader.bad,
            boots=len(self._ledger.boots),
        )

    async def greeted(self) -> m.Hello:
        """Wait until a board has said who it is."""
        await self._greeted.wait()
        assert self._hello is not None
        return self._hello

    async def next_message(self) -> Received | None:
        """The next message; None after the end."""
        while not self._queue:
            if self._is_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        self._add(delivered=1)
        return self._queue.popleft()

    async def command(self, command: m.Command) -> bytes:
        """Send a command until it is answered; the board does it once. Returns the answer."""
        async with self._window:
            return await self._exchange(command)

    # -- the session --------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the port ends. Cancel it to stop; the port is the caller's."""
        async with asyncio.TaskGroup() as group:
            keeper: asyncio.Task[None] | None = None
            try:
                while (event := await self._port.next_event()) is not None:
                    if isinstance(event, PortOpened):
                        if keeper is not None:
                            keeper.cancel()
                        self._begin()
                        keeper = group.create_task(self._keep_session())
                    else:
                        self._take(event)
            finally:
                if keeper is not None:
                    keeper.cancel()
                self._is_ended = True
                self._changed.set()

    def _begin(self) -> None:
        self._reader.reset()
        self._ledger.split()
        self._greeted.clear()
        self._is_known = False

    async def _keep_session(self) -> None:
        """Greet, then compare clocks for ever; a board that is silent is greeted again."""
        while True:
            try:
                await self._greet()
                for _ in range(_SYNC_FIRST):
                    await self._compare_clocks()
                while self._is_known:
                    await self._wait_for_work()
            except (BoardError, PortError) as error:
                self._count = replace(self._count, problem=str(error))
                log.warning("board_session", port=self.name, problem=str(error))
                await asyncio.sleep(1.0)

    async def _wait_for_work(self) -> None:
        """Ask again for what is missing; compare clocks when nothing else was to do."""
        self._wish.clear()
        try:
            async with asyncio.timeout(_SYNC_EVERY_S):
                await self._wish.wait()
        except TimeoutError:
            await self._compare_clocks()
            return
        if self._is_known and (missing := self._missing()):
            await self.command(m.Resend(first=missing[0], last=missing[-1]))

    async def _greet(self) -> None:
        async with self._window:
            await self._port.write(_BACK_TO_FRAMES)
            self._nonce = self._nonce_source(16)
            await self._exchange(m.HelloRequest(protocol=PROTOCOL, nonce=self._nonce))
        if not self._is_known:
            raise BoardError(f"{self.name}: {self._count.problem or 'no hello came'}")

    async def _compare_clocks(self) -> None:
        command = m.SyncTime(host_us=self._clock.mono())
        try:
            answer = m.SyncTimeAnswer.unpack(await self.command(command))
        except struct.error as error:
            raise BoardError(f"{self.name}: SyncTime was answered wrongly: {error}") from None
        received = self._clock.mono()
        exchange = Exchange(answer.host_us, answer.received_us, answer.replied_us, received)
        self._sync.add(exchange)
        self._count = replace(self._count, round_trip_us=exchange.round_trip)

    async def _exchange(self, command: m.Command) -> bytes:
        self._seq = (self._seq + 1) & 0xFFFF
        name = type(command).__name__
        self._add(commands=1)
        payload = command.pack()
        self._pending = (self._seq, command.TYPE)
        try:
            first_s = self._first_timeout_s()
            for attempt, patience in enumerate(_PATIENCE):
                self._reply = asyncio.get_running_loop().create_future()
                flags = RETRY if attempt else 0
                self._add(retries=1 if attempt else 0)
                # a zero first: half a frame that the line lost must not swallow this one
                wire = b"\0" + encode(command.TYPE, self._seq, payload, flags=flags)
                try:
                    await self._port.write(wire)
                    async with asyncio.timeout(first_s * patience):
                        reply = await self._reply
                except TimeoutError:
                    continue
                return self._answer(reply, name)
        finally:
            self._pending = self._reply = None
        self._add(unanswered=1)
        raise BoardSilentError(f"{self.name}: {name} was not answered")

    def _answer(self, reply: m.Reply, command: str) -> bytes:
        if reply.status == m.Status.DONE:
            return reply.answer
        try:
            status = m.Status(reply.status)
        except ValueError:  # a later board's
            raise BoardError(f"{self.name}: {command} refused: status {reply.status}") from None
        raise CommandRefusedError(self.name, command, status)

    def _first_timeout_s(self) -> float:
        """Ten round trips of this line, at most 0.4 s."""
        trip_us = self._count.round_trip_us
        if trip_us is None:
            return _TIMEOUT_S
        return min(_TIMEOUT_S, max(_TIMEOUT_LEAST_S, trip_us * 10 / 1e6))

    # -- what comes ---------------------------------------------------------------------------

    def _take(self, event: PortEvent) -> None:
        if not isinstance(event, PortData):
            return
        if event.dropped_before:
            self._reader.reset()
        for frame in self._reader.feed(event.data):
            self._take_frame(frame)

    def _take_frame(self, frame: Frame) -> None:
        self._ledger.take(frame.seq)
        self._add(received=1)
        kind = m.MESSAGE_TYPES.get(frame.type)
        try:
            if kind is None or frame.version != PROTOCOL:
                raise struct.error
            message = kind.unpack(frame.payload)
        except struct.error:
            self._add(unreadable=1)
            return
        if isinstance(message, m.Hello):
            self._take_hello(message, frame)
        elif isinstance(message, m.Heartbeat):
            self._take_heartbeat(message, frame)
        elif isinstance(message, m.Reply):
            self._take_reply(message, frame)
        elif not self._is_known:
            self._add(unreadable=1)
        else:
            self._take_message(message, frame)

    def _take_hello(self, hello: m.Hello, frame: Frame) -> None:
        self._add(used=1)
        self._confirm(hello.boot_id, None, frame.seq)
        if hello.protocol < PROTOCOL:
            self._count = replace(self._count, problem=f"it speaks protocol {hello.protocol}")
            return
        if not self._is_right(hello, frame):
            if self._pending is not None and self._pending[1] == m.HelloRequest.TYPE:
                problem = "the board does not hold the key: another board, or none was given"
                self._count = replace(self._count, problem=problem)
            return
        self._hello = hello
        self._is_known = True
        self._count = replace(self._count, problem=None)
        self._greeted.set()

    def _is_right(self, hello: m.Hello, frame: Frame) -> bool:
        """With a key only the answer to our own nonce counts."""
        if self._key is None:
            return True
        body = frame.payload[: -len(hello.proof)]
        wanted = hmac.digest(self._key, self._nonce + body, "sha256")[: len(hello.proof)]
        return bool(self._nonce) and hmac.compare_digest(wanted, hello.proof)

    def _take_heartbeat(self, beat: m.Heartbeat, frame: Frame) -> None:
        self._add(used=1)
        self._confirm(beat.boot_id, beat.sent, frame.seq)
        self._heartbeat = beat
        self._beat_mono_us = self._clock.mono()
        if self._missing():
            self._wish.set()
        self._settled_event = beat.next_event

    def _take_reply(self, reply: m.Reply, frame: Frame) -> None:
        self._add(used=1)
        if reply.command == m.GetCounters.TYPE and reply.status == m.Status.DONE:
            with suppress(struct.error):
                answer = m.GetCountersAnswer.unpack(reply.answer)
                self._confirm(answer.boot_id, answer.sent, frame.seq)
        is_ours = self._pending == (reply.command_seq, reply.command)
        if is_ours and self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def _confirm(self, boot_id: int, sent: int | None, seq: int) -> None:
        if self._ledger.confirm(boot_id, sent, seq):
            self._sync.clear()
            self._events_seen.clear()
            self._next_event = None
            self._settled_event = 0
            if self._key is not None:  # another board may stand there now
                self._is_known = False
                self._wish.set()

    def _take_message(self, message: m.Message, frame: Frame) -> None:
        if isinstance(message, m.EVENTS):
            if message.event_no in self._events_seen:
                self._add(duplicates=1)
                return
            self._remember(message.event_no)
        while len(self._queue) >= self._queue_messages:
            self._drop_one()
        self._queue.append(self._dated(message, frame))
        self._changed.set()

    def _remember(self, number: int) -> None:
        self._events_seen[number] = None
        if len(self._events_seen) > 4 * _RESEND_MAX:
            del self._events_seen[next(iter(self._events_seen))]
        expected = self._next_event
        if expected is None or number >= expected:
            self._next_event = number + 1
        else:
            self._add(recovered=1)

    def _drop_one(self) -> None:
        """Telemetry first: a station's level comes again, its RDS name may not."""
        for index, old in enumerate(self._queue):
            if isinstance(old.message, _TELEMETRY):
                del self._queue[index]
                break
        else:
            self._queue.popleft()
        self._add(dropped=1)

    def _dated(self, message: m.Message, frame: Frame) -> Received:
        then = self._sync.translate(frame.board_ms)
        at_us = None if then is None else self._clock.wall() - (self._clock.mono() - then.at_us)
        error_us = None if then is None else then.error_us
        return Received(message=message, board_ms=frame.board_ms, at_us=at_us, error_us=error_us)

    def _missing(self) -> list[int]:
        """Events that a heartbeat before the last one knew of, that are held and not here."""
        first = max(0, self._settled_event - _RESEND_MAX)
        return [n for n in range(first, self._settled_event) if n not in self._events_seen]

    def _add(self, **increments: int) -> None:
        now = self._count
        self._count = replace(now, **{k: getattr(now, k) + v for k, v in increments.items()})
