"""One MQTT connection over paho: opened once, ended once, never reused.

paho's own reconnecting resends what it likes and waits without jitter, and its thread dies silently
on bytes it cannot read. So a new client serves each connection, driven by a thread of ours through
paho's interface for external loops; its callbacks do nothing but put events into a queue, and the
last event is always :class:`Ended`. Messages and their PUBACKs go past it, by a :class:`Flow`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from queue import SimpleQueue

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from contract.clock import Clock, SystemClock
from mqtt_bridge import diagnosis
from mqtt_bridge.buffered import BufferedClient, BufferedSocket
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind, TlsFilesError
from mqtt_bridge.events import Arrived, Ended, Event, Granted, Opened, Poked, Taken
from mqtt_bridge.flow import MAX_UNACKED, Flow
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.tls import tls_context

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 10.0
SESSION_EXPIRY_S = 7 * 24 * 3600
"""MQTT 5 only: how long a broker keeps a persistent session without its client."""

_FLUSH_S = 1.0
_TICK_S = 1.0
_PAUSED_TICK_S = 0.05
_FIRST_FAILURE_CODE = 0x80

_TALK_ERRORS = (OSError, ValueError, LookupError, struct.error, MQTTException, TlsFilesError)
"""What TLS files, sockets and a broker's bytes provoke in paho 2.x."""


class Protocol(IntEnum):
    """MQTT versions spoken here. 3.1.1 is what every broker knows; 5 gives reasons."""

    MQTT_3_1_1 = 4
    MQTT_5 = 5


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when the connection ends without a goodbye."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a connection asks of the broker."""

    address: BrokerAddress
    client_id: str
    is_clean: bool = True
    will: Will | None = None
    protocol: Protocol = Protocol.MQTT_3_1_1
    keepalive_s: int = KEEPALIVE_S
    connect_timeout_s: float = CONNECT_TIMEOUT_S


class Connection:
    """A connection in its own thread. Methods may be called from any thread and never block."""

    def __init__(
        self,
        session: Session,
        *,
        clock: Clock | None = None,
        is_paused: Callable[[], bool] = lambda: False,
        on_arrived: Callable[[Arrived], None] | None = None,
    ) -> None:
        """``is_paused`` is asked before each read: while it says yes, the broker has to wait.

        ``on_arrived`` gets the messages instead of the events; it may only put them into a queue.
        """
        self.events: SimpleQueue[Event] = SimpleQueue()
        self._flow = Flow(session.protocol, on_arrived or self.events.put, self.events.put)
        self._session = session
        self._clock = clock or SystemClock()
        self._is_paused = is_paused
        self._is_open = False
        self._closing = threading.Event()
        self._problem: ConnectionProblem | None = None
        self._last_words = ""
        self._is_woken = False
        self._wake_here, self._wake_there = socket.socketpair()
        self._wake_here.setblocking(False)
        self._wake_there.setblocking(False)
        self._client = self._make_client()
        # paho writes from whichever thread publishes, without a lock: two would swap packets, or
        # tear one. Its callbacks take none of ours, so this lock cannot meet paho's own.
        self._talking = threading.RLock()
        self._thread = threading.Thread(
            target=self._run, name=f"mqtt-{session.client_id}", daemon=True
        )

    @property
    def is_open(self) -> bool:
        """Whether messages can be handed over now."""
        return self._is_open

    def start(self) -> None:
        """Begin to connect; events tell the rest."""
        self._thread.start()

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> int | None:
        """Hand over a QoS 1 message; returns the mid its PUBACK will name, None if not possible."""
        if not self._is_open:
            return None
        with self._talking:
            sock = self._client.pipe
            if sock is None:
                return None
            mid = self._flow.publish(sock, topic, payload, is_retained=is_retained)
        self._wake()
        return mid

    def subscribe(self, filters: Sequence[str]) -> int | None:
        """Subscribe with QoS 1; returns the mid its SUBACK will name, None if not possible."""
        if not self._is_open:
            return None
        with self._talking:
            result, mid = self._client.subscribe([(name, 1) for name in filters])
            # Into the buffer now: what is published after it would go past it, and the answer to
            # that come before the subscription.
            self._client.loop_write()
        self._wake()
        return mid if result == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def acknowledge(self, mid: int) -> None:
        """Tell the broker that a message is safe; without effect once the connection is over."""
        if self._is_open and mid:
            self._flow.acknowledge(mid)
            self._wake()

    def poke(self) -> None:
        """Put a :class:`Poked` into the events."""
        self.events.put(Poked())

    def resume(self) -> None:
        """Ask ``is_paused`` again at once."""
        self._wake()

    def close(self, timeout_s: float = 2.0) -> bool:
        """Say goodbye and end; False if the thread is still busy (a name look-up) after that."""
        self._closing.set()
        self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        else:
            self._release()
        return not self._thread.is_alive()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        problem = ConnectionProblem(ProblemKind.INTERNAL, "the connection's thread failed")
        ended: Ended | None = None
        try:
            ended = Ended(self._converse())
        except _TALK_ERRORS as error:
            problem = diagnosis.of_error(error, self._session.address, self._clock)
        finally:
            self._is_open = False
            self._release()
            self.events.put(ended or Ended(problem))

    def _converse(self) -> ConnectionProblem | None:
        session = self._session
        if session.address.tls is not None:
            self._client.tls_set_context(tls_context(session.address.tls))
        self._connect()
        patience_until = time.monotonic() + session.connect_timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_here, selectors.EVENT_READ)
            watched = 0
            while (sock := self._client.pipe) is not None:
                if self._closing.is_set():
                    self._say_goodbye()
                    return None
                if not self._is_open and time.monotonic() > patience_until:
                    return ConnectionProblem(
                        ProblemKind.TIMEOUT,
                        f"{session.address.host}:{session.address.port} took the connection "
                        f"but said nothing for {session.connect_timeout_s:g} s",
                    )
                watched = self._turn(selector, sock, watched)
        return None if self._closing.is_set() else self._problem

    def _connect(self) -> None:
        session = self._session
        if session.protocol is Protocol.MQTT_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            if not session.is_clean:
                properties.SessionExpiryInterval = SESSION_EXPIRY_S
            self._client.connect(
                session.address.host,
                session.address.port,
                session.keepalive_s,
                clean_start=session.is_clean,
                properties=properties,
            )
        else:
            self._client.connect(session.address.host, session.address.port, session.keepalive_s)

    def _turn(self, selector: selectors.BaseSelector, sock: BufferedSocket, watched: int) -> int:
        """Wait for the socket or a wake-up, and let paho do what is possible.

        Returns what the selector watches the socket for: told it only when that changes.
        """
        paused = self._is_paused()
        has_pending = sock.is_pending
        events = 0 if paused else selectors.EVENT_READ
        if sock.has_unsent:  # what paho has is tried below in any case
            events |= selectors.EVENT_WRITE
        if events != watched:
            _watch(selector, sock, events, watched)
        wait_s = _PAUSED_TICK_S if paused else 0.0 if has_pending else _TICK_S
        ready = {key.fileobj: mask for key, mask in selector.select(wait_s)}
        if self._wake_here in ready:
            self._wake_here.recv(4096)
            self._is_woken = False  # before looking at what there is: who comes later wakes again
        with self._talking:
            if ready.get(sock, 0) & selectors.EVENT_READ or (has_pending and not paused):
                self._read(sock)
            self._write(sock)
            self._client.loop_misc()
        return events

    def _read(self, sock: BufferedSocket) -> None:
        """Read what has come; the few packets that do not flow are paho's, and so is the end."""
        has_read = sock.fill()
        try:
            while self._flow.read(sock, self._is_paused):
                self._client.loop_read()
                if self._client.pipe is not sock:
                    return
            if sock.has_ended and not self._is_paused():
                self._client.loop_read()
        finally:
            if taken := self._flow.take_taken():
                self.events.put(Taken(taken))
        if has_read:
            self._client.note_life()

    def _write(self, sock: BufferedSocket) -> None:
        """Write what flows, then let paho write."""
        self._flow.write(sock)
        try:
            sock.flush()
            while self._client.want_write() and self._client.pipe is sock and not sock.has_unsent:
                self._client.loop_write()
                sock.flush()
        except OSError:
            self._client.loop_read()  # the broker's last words (a TLS alert) say more
            if self._client.pipe is not None:
                raise

    def _say_goodbye(self) -> None:
        """Flush what was handed over, DISCONNECT last, for a bounded time."""
        with self._talking:
            self._client.disconnect()
        until = time.monotonic() + _FLUSH_S
        while (sock := self._client.pipe) is not None and time.monotonic() < until:
            with self._talking:
                self._write(sock)  # paho closes the socket once DISCONNECT is written
            time.sleep(0.005 if self._client.want_write() else 0)

    def _release(self) -> None:
        sock = self._client.pipe
        if sock is not None:
            sock.close()
        self._wake_here.close()
        self._wake_there.close()

    def _wake(self) -> None:
        if self._is_woken:
            return  # and has not looked yet
        self._is_woken = True
        # Full: a wake-up is on its way anyway. Closed: the connection is over.
        with contextlib.suppress(OSError):
            self._wake_there.send(b"\0")

    # -- paho's callbacks, in the thread ---------------------------------------------------------

    def _make_client(self) -> BufferedClient:
        session = self._session
        is_5 = session.protocol is Protocol.MQTT_5
        client = BufferedClient(
            CallbackAPIVersion.VERSION2,
            client_id=session.client_id,
            clean_session=None if is_5 else session.is_clean,
            protocol=MQTTProtocolVersion.MQTTv5 if is_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = session.connect_timeout_s
        if session.will is not None:
            client.will_set(session.will.topic, session.will.payload, qos=1, retain=True)
        client.on_socket_open = _send_at_once
        client.on_socket_register_write = lambda _client, _data, _sock: self._wake()
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        return client

    def _on_log(self, _client: paho.Client, _data: object, level: int, words: str) -> None:
        if level in {LogLevel.MQTT_LOG_ERR, LogLevel.MQTT_LOG_WARNING}:
            self._last_words = words

    def _on_connect(
        self,
        _client: paho.Client,
        _data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._problem = diagnosis.of_connack(str(reason), reason.value, self._session.address)
        elif not self._is_open:
            # One message more than the broker takes, and it ends the connection.
            self._flow.limit_to(getattr(properties, "ReceiveMaximum", MAX_UNACKED))
            self._is_open = True
            self.events.put(Opened(bool(flags.session_present)))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        was_open, self._is_open = self._is_open, False
        if self._problem is None:
            self._problem = diagnosis.of_disconnect(
                str(reason),
                self._last_words,
                self._session.address,
                self._clock,
                was_open=was_open,
            )

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refusals = tuple(str(r) for r in reasons if r.value >= _FIRST_FAILURE_CODE)
        self.events.put(Granted(mid, refusals))


def _watch(
    selector: selectors.BaseSelector, sock: BufferedSocket, events: int, watched: int
) -> None:
    if not watched:
        selector.register(sock, events)
    elif not events:
        selector.unregister(sock)
    else:
        selector.modify(sock, events)


def _send_at_once(_client: paho.Client, _data: object, sock: paho.SocketLike) -> None:
    if isinstance(sock, BufferedSocket):
        sock.send_at_once()
