"""The central's side of the broker: messages in, acknowledged only when they are safe.

Two sessions where the broker allows it, so that it keeps two queues: one for what devices say as it
happens, one for what had to wait. The second is read only as far as there is time for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from contract import topics
from contract.clock import Clock
from mqtt_bridge.backoff import Backoff
from mqtt_bridge.connection import Connection, Protocol, Session
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind
from mqtt_bridge.events import Arrived, Event, Granted, Opened
from mqtt_bridge.link import Link
from mqtt_bridge.ports import BrokerAddress, Delivery

CAPACITY = 2000
"""Deliveries of each session held in memory; beyond that nothing is read from the broker."""

REPLAYED_AT_ONCE = 500
"""Messages that had to wait, in one batch: what happens meanwhile waits as long as they take."""

_LEAST_PART = 10
"""A tenth of each batch is for what had to wait, whatever happens now."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStatus:
    """What an intake has to say about itself; counters since it was made."""

    is_running: bool
    is_connected: bool
    problem: ConnectionProblem | None
    connects: int
    """Of the session for what happens now."""
    arrived: int
    waiting: int
    published: int
    sessions_lost: int
    """Times the broker had forgotten a persistent session: devices will send again."""


class _Tap(Link):
    """One persistent session: puts what arrives into a queue."""

    def __init__(
        self,
        address: BrokerAddress,
        name: str,
        filters: Sequence[str],
        *,
        client_id: str,
        capacity: int,
        protocol: Protocol,
        clock: Clock | None,
        backoff: Backoff | None,
        on_arrival: Callable[[], None],
    ) -> None:
        super().__init__(name, clock=clock, backoff=backoff)
        self._address = address
        self._filters = filters
        self._client_id = client_id
        self._capacity = capacity
        self._protocol = protocol
        self._on_arrival = on_arrival
        self.deliveries: deque[Delivery] = deque()
        self.arrived = 0
        self.sessions_lost = 0

    @property
    def connects(self) -> int:
        """Connections so far."""
        return self._connects

    def take(self, limit: int) -> list[Delivery]:
        """Up to ``limit`` of the oldest deliveries, and read on."""
        queue = self.deliveries
        taken = [queue.popleft() for _ in range(min(limit, len(queue)))]  # only one thread takes
        connection = self._connection
        if connection is not None and taken:
            connection.resume()
        return taken

    def publish(self, topic: str, payload: bytes, *, is_retained: bool) -> bool:
        """Publish QoS 1; False while there is no connection."""
        connection = self._connection
        if connection is None:
            return False
        return connection.publish(topic, payload, is_retained=is_retained) is not None

    # -- the link ---------------------------------------------------------------------------------

    def _session(self) -> Session:
        return Session(
            address=self._address,
            client_id=self._client_id,
            is_clean=False,
            protocol=self._protocol,
        )

    def _connect(self) -> Connection:
        # Straight from the connection's thread: one hand less for each message.
        connection = Connection(
            self._session(),
            clock=self._clock,
            is_paused=self._is_paused,
            on_arrived=lambda arrived: self._put(connection, arrived),
        )
        return connection

    def _put(self, connection: Connection, arrived: Arrived) -> None:
        self.arrived += 1
        self.deliveries.append(
            Delivery(
                topic=arrived.topic,
                payload=arrived.payload,
                is_retained=arrived.is_retained,
                ack=partial(connection.acknowledge, arrived.mid),
            )
        )
        self._on_arrival()

    def _on_open(self, connection: Connection, opened: Opened) -> None:
        if not opened.is_session_present and self._connects > 1:
            self.sessions_lost += 1
            log.warning("intake_session_lost", client_id=self._client_id)
        connection.subscribe(self._filters)

    def _on_event(self, connection: Connection, event: Event) -> None:
        match event:
            case Granted(refusals=refusals) if refusals:
                self._problem = ConnectionProblem(
                    ProblemKind.NOT_AUTHORISED,
                    f"the broker refuses to deliver {' and '.join(self._filters)}: {refusals[0]}",
                )
            case _:
                pass

    def _before_goodbye(self, connection: Connection) -> None:
        """The session persists: there is nobody to say goodbye to."""

    def _is_paused(self) -> bool:
        return len(self.deliveries) >= self._capacity


class Intake:
    """Takes in everything a tenant's devices say, over persistent sessions.

    ``client_id`` names them and must stay the same over restarts; it should be hard to guess,
    because a broker gives a session to whoever connects with it. A message that was never
    acknowledged comes again after a reconnect: the receiver takes duplicates.
    """

    def __init__(
        self,
        address: BrokerAddress,
        tenant: str,
        *,
        client_id: str,
        has_replay_session: bool = True,
        capacity: int = CAPACITY,
        protocol: Protocol = Protocol.MQTT_3_1_1,
        clock: Clock | None = None,
        backoff: Callable[[], Backoff] | None = None,
    ) -> None:
        """``has_replay_session``: a broker may take one certificate's second session for the first
        one come back, and end it; then one session has to do, and its queue is shared."""
        topics.check_id(tenant, "tenant")
        self._has_arrived = threading.Event()
        self._published = 0

        def tap(name: str, own_id: str, filters: Sequence[str]) -> _Tap:
            return _Tap(
                address,
                name,
                filters,
                client_id=own_id,
                capacity=capacity,
                protocol=protocol,
                clock=clock,
                backoff=None if backoff is None else backoff(),
                on_arrival=self._note_arrival,
            )

        now = (topics.up_filter(tenant), topics.state_filter(tenant))
        waited = (topics.replay_filter(tenant),)
        own_id = f"{client_id}-{topics.REPLAY}"
        self._live = tap("intake", client_id, now if has_replay_session else (*now, *waited))
        self._replay = tap("intake-replay", own_id, waited) if has_replay_session else None
        self._taps = (self._live,) if self._replay is None else (self._live, self._replay)

    def start(self) -> None:
        """Begin; an unreachable broker is no error here, only a problem that is tried again."""
        for tap in self._taps:
            tap.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End both sessions' links; False if a thread is still busy after so many seconds."""
        have_ended = [tap.stop(timeout_s) for tap in self._taps]
        return all(have_ended)

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Up to ``limit`` deliveries, waiting ``wait_s`` seconds for the first; maybe none.

        What happens now comes first; what had to wait fills up the rest, within limits.
        """
        self._has_arrived.clear()
        if not any(tap.deliveries for tap in self._taps):
            self._has_arrived.wait(wait_s)
        if self._replay is None:
            return self._live.take(limit)
        replayed = self._replay.take(min(limit // _LEAST_PART, len(self._replay.deliveries)))
        live = self._live.take(limit - len(replayed))
        more = min(limit - len(live), REPLAYED_AT_ONCE) - len(replayed)
        return live + replayed + self._replay.take(max(0, more))

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        """Publish QoS 1 without waiting for the PUBACK; False while there is no connection."""
        is_taken = self._live.publish(topic, payload, is_retained=is_retained)
        self._published += is_taken
        return is_taken

    @property
    def is_running(self) -> bool:
        """Whether the threads live."""
        return all(tap.is_running for tap in self._taps)

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there now."""
        return all(tap.is_connected for tap in self._taps)

    @property
    def problem(self) -> ConnectionProblem | None:
        """Why there is no connection, or what is wrong with one; None while all is well."""
        return next((tap.problem for tap in self._taps if tap.problem is not None), None)

    def status(self) -> IntakeStatus:
        """Return the state of the links and their counters."""
        return IntakeStatus(
            is_running=self.is_running,
            is_connected=self.is_connected,
            problem=self.problem,
            connects=self._live.connects,
            arrived=sum(tap.arrived for tap in self._taps),
            waiting=sum(len(tap.deliveries) for tap in self._taps),
            published=self._published,
            sessions_lost=sum(tap.sessions_lost for tap in self._taps),
        )

    def _note_arrival(self) -> None:
        if not self._has_arrived.is_set():
            self._has_arrived.set()
