"""The central's side of the broker: messages in, acknowledged only when they are safe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

import structlog

from contract import topics
from contract.clock import Clock
from mqtt_bridge.backoff import Backoff
from mqtt_bridge.connection import Arrived, Connection, Event, Granted, Opened, Protocol, Session
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind
from mqtt_bridge.link import Link
from mqtt_bridge.ports import BrokerAddress, Delivery

CAPACITY = 2000
"""Deliveries held in memory; beyond that nothing is read from the broker."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStatus:
    """What an intake has to say about itself; counters since it was made."""

    is_running: bool
    is_connected: bool
    problem: ConnectionProblem | None
    connects: int
    arrived: int
    waiting: int
    published: int
    sessions_lost: int
    """Times the broker had forgotten the persistent session: devices will send again."""


class Intake(Link):
    """Takes in everything a tenant's devices say, over a persistent session.

    ``client_id`` names that session and must stay the same over restarts; it should be hard to
    guess, because a broker gives the session to whoever connects with it. A message that was never
    acknowledged comes again after a reconnect: the receiver takes duplicates.
    """

    def __init__(
        self,
        address: BrokerAddress,
        tenant: str,
        *,
        client_id: str,
        capacity: int = CAPACITY,
        protocol: Protocol = Protocol.MQTT_3_1_1,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        topics.check_id(tenant, "tenant")
        super().__init__("intake", clock=clock, backoff=backoff)
        self._address = address
        self._filters = (topics.up_filter(tenant), topics.state_filter(tenant))
        self._client_id = client_id
        self._capacity = capacity
        self._protocol = protocol
        self._deliveries: SimpleQueue[Delivery] = SimpleQueue()
        self._arrived = 0
        self._published = 0
        self._sessions_lost = 0

    def batch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Up to ``limit`` deliveries, waiting ``wait_s`` seconds for the first; maybe none."""
        deliveries: list[Delivery] = []
        try:
            deliveries.append(self._deliveries.get(timeout=wait_s))
            while len(deliveries) < limit:
                deliveries.append(self._deliveries.get_nowait())
        except Empty:
            pass
        connection = self._connection
        if connection is not None and deliveries:
            connection.resume()
        return deliveries

    def publish(self, topic: str, payload: bytes, *, is_retained: bool = False) -> bool:
        """Publish QoS 1 without waiting for the PUBACK; False while there is no connection."""
        connection = self._connection
        if connection is None:
            return False
        is_taken = connection.publish(topic, payload, is_retained=is_retained) is not None
        self._published += is_taken
        return is_taken

    def status(self) -> IntakeStatus:
        """Return the state of the link and its counters."""
        return IntakeStatus(
            is_running=self.is_running,
            is_connected=self.is_connected,
            problem=self.problem,
            connects=self._connects,
            arrived=self._arrived,
            waiting=self._deliveries.qsize(),
            published=self._published,
            sessions_lost=self._sessions_lost,
        )

    # -- the link ---------------------------------------------------------------------------------

    def _session(self) -> Session:
        return Session(
            address=self._address,
            client_id=self._client_id,
            is_clean=False,
            protocol=self._protocol,
        )

    def _on_open(self, connection: Connection, opened: Opened) -> None:
        if not opened.is_session_present and self._connects > 1:
            self._sessions_lost += 1
            log.warning("intake_session_lost", client_id=self._client_id)
        connection.subscribe(self._filters)

    def _on_event(self, connection: Connection, event: Event) -> None:
        match event:
            case Arrived():
                self._arrived += 1
                self._deliveries.put(
                    Delivery(
                        topic=event.topic,
                        payload=event.payload,
                        is_retained=event.is_retained,
                        ack=partial(connection.acknowledge, event.mid),
                    )
                )
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
        connection = self._connection
        waiting = self._deliveries.qsize() + (connection.events.qsize() if connection else 0)
        return waiting >= self._capacity
