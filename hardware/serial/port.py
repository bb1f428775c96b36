"""A port that heals itself: one blocking reader thread feeding an asyncio task."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import structlog

from contract.clock import Clock
from hardware.serial.ports import other_readers
from hardware.serial.transport import (
    READ_TIMEOUT_S,
    EndOfRecording,
    LineSettings,
    PortError,
    Transport,
    open_transport,
)

_READ_BYTES = 4096
_LOOK_EVERY_US = 15_000_000  # for a second reader; a look over /proc takes some milliseconds
_JOIN_TIMEOUT_S = 15.0  # longer than any single blocking call of a transport

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PortOpened:
    """The device is there."""

    port: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortData:
    """Bytes of the device, in order."""

    port: str
    data: bytes
    received_us: int
    """Wall time at which the reader had them."""
    received_mono_us: int
    dropped_before: int = 0
    """Bytes lost just before these because nobody took them: a codec starts afresh here."""


@dataclass(frozen=True, slots=True)
class PortLost:
    """The device is gone, or cannot be opened; the port goes on trying by itself."""

    port: str
    problem: str


@dataclass(frozen=True, slots=True)
class PortEnded:
    """The end of a recording. Nothing follows."""

    port: str


PortEvent = PortOpened | PortData | PortLost | PortEnded


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: before attempt n a wait between 0 and ``min(cap_s, first_s * 2**n)``."""

    first_s: float = 0.2
    cap_s: float = 2.0
    """Low, so that a device that was away for long is read again within 3 s of its return."""

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait before the given attempt, counted from 0."""
        return rng.uniform(0.0, min(self.cap_s, self.first_s * 2 ** min(attempt, 32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortCounters:
    """What a port has been through since it was started."""

    bytes_in: int = 0
    opens: int = 0
    failed_opens: int = 0
    losses: int = 0
    dropped_bytes: int = 0
    is_open: bool = False
    last_data_age_s: float | None = None
    """None while no byte has ever come."""
    silences: int = 0
    """How often it was opened anew because it had been open and silent for too long."""
    other_readers: tuple[str, ...] = ()
    """Programs that have the device open besides us, and so steal bytes of it."""
    problem: str | None = None
    """Why the port is not open now, in words; None while it is."""


class _Mailbox:
    """A bounded queue from one thread to one asyncio task."""

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int) -> None:
        self._loop = loop
        self._capacity = capacity
        self._events: deque[PortEvent] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._failure: BaseException | None = None
        self._wake = asyncio.Event()

    def offer(self, event: PortEvent) -> bool:
        """Put without waiting (thread); False when there is no room."""
        with self._changed:
            if self._is_closed or len(self._events) >= self._capacity:
                return False
            self._events.append(event)
        self._wake_task()
        return True

    def put(self, event: PortEvent) -> bool:
        """Wait for room and put (thread); False when the box was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._events) < self._capacity)
            if self._is_closed:
                return False
            self._events.append(event)
        self._wake_task()
        return True

    @property
    def is_closed(self) -> bool:
        """Nothing more is taken."""
        return self._is_closed

    def close(self, failure: BaseException | None = None) -> None:
        """Take nothing more (any thread); the task still gets what is inside, then the failure."""
        with self._changed:
            self._is_closed = True
            self._failure = self._failure or failure
            self._changed.notify_all()
        self._wake_task()

    async def get(self) -> PortEvent | None:
        """The next event (task); None once the box is closed and empty. Safe to cancel."""
        while True:
            with self._changed:
                if self._events:
                    event = self._events.popleft()
                    self._changed.notify_all()
                    return event
                if self._failure is not None:
                    raise self._failure
                if self._is_closed:
                    return None
                self._wake.clear()
            await self._wake.wait()

    def _wake_task(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:  # the loop has been closed over our head: nobody listens any more
            self._is_closed = True


class SerialPort:
    """Read a port for ever: opened, reopened with back-off when it is lost, never silently dead.

    Use it as an async context manager, or call :meth:`start` and :meth:`stop`, inside the event
    loop that takes the events. The queue holds ``queue_chunks`` chunks of at most 4096 bytes. When
    it is full, a recording waits; of a live device the newest bytes are dropped, counted, and the
    next chunk says how many went missing before it. A live device that is open and says nothing
    for ``silence_limit_s`` is closed and opened anew: some drivers hang with an open port.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        settings: LineSettings | None = None,
        backoff: Backoff | None = None,
        queue_chunks: int = 256,
        silence_limit_s: float | None = None,
        rng: random.Random | None = None,
        opener: Callable[[str, LineSettings | None], Transport] = open_transport,
    ) -> None:
        self.name = url
        self._clock = clock
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._queue_chunks = queue_chunks
        self._silence_limit_s = silence_limit_s
        self._look_mono_us = 0
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._opener = opener
        self._stopping = threading.Event()
        self._transport: Transport | None = None
        self._counters = PortCounters()
        self._last_data_mono_us: int | None = None
        self._missing = 0
        self._mailbox: _Mailbox | None = None
        self._thread: threading.Thread | None = None

    # -- the asyncio side -------------------------------------------------------------------------

    def start(self) -> None:
        """Start the reader thread. Call it once, inside the running event loop."""
        if self._thread is not None:
            raise RuntimeError(f"{self.name} has been started before")
        self._mailbox = _Mailbox(asyncio.get_running_loop(), self._queue_chunks)
        self._thread = threading.Thread(
            target=self._run, args=(self._mailbox,), name=f"port {self.name}", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Stop reading and wait for the thread; PortError if a driver does not let go of it."""
        self._stopping.set()
        if self._mailbox is None or self._thread is None:
            return
        self._mailbox.close()
        await asyncio.to_thread(self._thread.join, _JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            raise PortError(self.name, f"the driver blocks since {_JOIN_TIMEOUT_S:.0f} s")

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def next_event(self) -> PortEvent | None:
        """The next event; None after the end or a stop. Safe to cancel: no event is lost."""
        if self._mailbox is None:
            raise RuntimeError(f"{self.name} has not been started")
        await asyncio.sleep(0)  # a full queue must not keep the loop from its other tasks
        return await self._mailbox.get()

    async def __aiter__(self) -> AsyncIterator[PortEvent]:
        while (event := await self.next_event()) is not None:
            yield event

    async def write(self, data: bytes) -> None:
        """Write to the device; PortError while it is not there."""
        transport = self._transport
        if transport is None:
            raise PortError(self.name, "not open")
        await asyncio.to_thread(transport.write, data)

    def counters(self) -> PortCounters:
        """Counters as of now, for the health report."""
        last = self._last_data_mono_us
        age_s = None if last is None else (self._clock.mono() - last) / 1e6
        return replace(self._counters, is_open=self._transport is not None, last_data_age_s=age_s)

    # -- the reader thread ------------------------------------------------------------------------

    def _run(self, mailbox: _Mailbox) -> None:
        failure: BaseException | None = None
        try:
            self._keep_reading(mailbox)
        except BaseException as error:  # noqa: BLE001 - next_event raises it in the task
            failure = error
        mailbox.close(failure)

    def _keep_reading(self, mailbox: _Mailbox) -> None:
        attempt = 0
        told: str | None = None
        while not self._stopping.is_set():
            bytes_before = self._counters.bytes_in
            try:
                transport = self._opener(self.name, self._settings)
            except PortError as error:
                self._count(failed_opens=1)
                problem = error.problem
            else:
                told = None
                lost = self._read_until_lost(transport, mailbox)
                if lost is None:
                    return
                problem = lost
            self._counters = replace(self._counters, problem=problem)
            if problem != told:  # a device that stays away is told once, not at every attempt
                log.warning("port_lost", port=self.name, problem=problem)
                mailbox.put(PortLost(self.name, problem))
                told = problem
            # only bytes prove that a port works: some open well and fail at the first read
            attempt = 0 if self._counters.bytes_in > bytes_before else attempt + 1
            self._stopping.wait(self._backoff.delay_s(attempt, self._rng))

    def _read_until_lost(self, transport: Transport, mailbox: _Mailbox) -> str | None:
        """Move bytes until the device is lost (why), or reading is over (None)."""
        self._count(opens=1)
        self._counters = replace(self._counters, problem=None)
        self._transport = transport
        log.info("port_opened", port=self.name)
        quiet_since_us, self._look_mono_us = self._clock.mono(), 0
        try:
            mailbox.put(PortOpened(self.name))
            while not self._stopping.is_set():
                data = transport.read(_READ_BYTES, READ_TIMEOUT_S)
                if data:
                    quiet_since_us = self._clock.mono()
                    self._deliver(data, transport, mailbox)
                elif not transport.is_recording:
                    self._check_silence(quiet_since_us)
                self._look_for_readers(transport)
        except PortError as error:
            self._count(losses=1)
            return error.problem
        except EndOfRecording:
            mailbox.put(PortEnded(self.name))
            return None
        finally:
            self._transport = None
            self._close(transport)
        return None

    def _check_silence(self, since_us: int) -> None:
        limit_s = self._silence_limit_s
        if limit_s is not None and self._clock.mono() - since_us > limit_s * 1e6:
            self._count(silences=1)
            raise PortError(self.name, f"open, but silent for {limit_s:g} s: opened anew")

    def _look_for_readers(self, transport: Transport) -> None:
        """See whether another program reads the device too, now and then."""
        now_us = self._clock.mono()
        if transport.is_recording or now_us < self._look_mono_us:
            return
        self._look_mono_us = now_us + _LOOK_EVERY_US
        try:
            found = _strangers(transport.device)
        except OSError:  # unplugged at this very moment: the next read says so
            return
        if found and found != self._counters.other_readers:
            log.warning("port_has_second_reader", port=self.name, readers=list(found))
        self._counters = replace(self._counters, other_readers=found)

    def _deliver(self, data: bytes, transport: Transport, mailbox: _Mailbox) -> None:
        self._last_data_mono_us = self._clock.mono()
        self._count(bytes_in=len(data))
        event = PortData(
            port=self.name,
            data=data,
            received_us=self._clock.wall(),
            received_mono_us=self._last_data_mono_us,
            dropped_before=self._missing,
        )
        if mailbox.put(event) if transport.is_recording else mailbox.offer(event):
            self._missing = 0
        elif mailbox.is_closed:
            self._stopping.set()  # also when the loop went away without calling stop
        else:
            self._missing += len(data)
            self._count(dropped_bytes=len(data))

    def _close(self, transport: Transport) -> None:
        try:
            transport.close()
        except PortError as error:
            log.warning("port_close_failed", port=self.name, problem=error.problem)

    def _count(self, **increments: int) -> None:
        """Add to the counters; only the reader thread writes them, others see a whole record."""
        now = self._counters
        self._counters = replace(now, **{k: getattr(now, k) + v for k, v in increments.items()})


def _strangers(path: str | None) -> tuple[str, ...]:
    """Other programs that hold a device open; raises OSError if it is just going away."""
    return () if path is None else tuple(other_readers(path))
