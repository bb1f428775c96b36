"""A link that is kept up: connect, serve, say why it broke, wait, connect again."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from queue import Empty

import structlog

from contract.clock import Clock, SystemClock
from mqtt_bridge.backoff import Backoff
from mqtt_bridge.connection import Connection, Session
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind
from mqtt_bridge.events import Ended, Event, Opened

_IDLE_S = 1.0
_EVENTS_A_TURN = 100

log = structlog.get_logger(__name__)


class Link(ABC):
    """One thread that keeps one connection to a broker; subclasses say what is done with it."""

    def __init__(self, name: str, *, clock: Clock | None, backoff: Backoff | None) -> None:
        self._name = name
        self._clock = clock or SystemClock()
        self._backoff = backoff or Backoff(clock=self._clock)
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._problem: ConnectionProblem | None = None
        self._connects = 0
        self._was_up = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; an unreachable broker is no error here, only a problem that is tried again."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the link; False if its thread is still busy after ``timeout_s`` seconds."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.poke()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        """Whether the thread lives; after start() only a defect or stop() ends it."""
        return self._thread.is_alive()

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there now."""
        connection = self._connection
        return connection is not None and connection.is_open

    @property
    def problem(self) -> ConnectionProblem | None:
        """Why there is no connection, or what is wrong with it; None while all is well."""
        return self._problem

    # -- what a subclass says ---------------------------------------------------------------------

    @abstractmethod
    def _session(self) -> Session:
        """What to ask of the broker this time."""

    def _connect(self) -> Connection:
        """Make the connection, not yet started."""
        return Connection(self._session(), clock=self._clock, is_paused=self._is_paused)

    @abstractmethod
    def _on_open(self, connection: Connection, opened: Opened) -> None:
        """The broker took the session."""

    @abstractmethod
    def _on_event(self, connection: Connection, event: Event) -> None:
        """Anything but Opened and Ended."""

    def _on_turn(self, connection: Connection) -> float:
        """Called after some events of an open connection; seconds until it wants another turn."""
        return _IDLE_S

    def _on_end(self, problem: ConnectionProblem | None) -> None:  # noqa: B027 - not all care
        """The connection is over."""

    @abstractmethod
    def _before_goodbye(self, connection: Connection) -> None:
        """The link is being stopped while the connection is open. Must take a second at most."""

    def _is_paused(self) -> bool:
        """Whether nothing more can be taken from the broker for the moment."""
        return False

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        said: ConnectionProblem | None = None
        while not self._stopping.is_set():
            self._problem = self._serve_one_connection() or self._problem
            if self._stopping.is_set():
                break
            delay_s = self._backoff.next_delay_s()
            # A broker that is away for days is one line in the log, not one for each try.
            if self._problem is not None and (said != self._problem or self._was_up):
                said, self._was_up = self._problem, False
                log.warning("link_down", link=self._name, kind=said.kind.value, detail=said.detail)
            self._stopping.wait(delay_s)

    def _serve_one_connection(self) -> ConnectionProblem | None:
        connection: Connection | None = None
        try:
            connection = self._connect()
            self._connection = connection
            connection.start()
            return self._serve(connection)
        except Exception as error:  # a failing outbox (disk full) must not end the link
            log.exception("link_failed", link=self._name)
            return ConnectionProblem(ProblemKind.INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            self._connection = None
            if connection is not None:
                connection.close()

    def _serve(self, connection: Connection) -> ConnectionProblem | None:
        wait_s = _IDLE_S
        while not self._stopping.is_set():
            for event in _events(connection, wait_s):
                match event:
                    case Ended(problem):
                        self._on_end(problem)
                        return problem
                    case Opened():
                        self._connects += 1
                        self._was_up = True
                        self._problem = None
                        self._backoff.opened()
                        log.info("link_up", link=self._name, connects=self._connects)
                        self._on_open(connection, event)
                    case _:
                        self._on_event(connection, event)
            if connection.is_open:
                wait_s = self._on_turn(connection)
        if connection.is_open:
            self._before_goodbye(connection)
        return None


def _events(connection: Connection, wait_s: float) -> Iterator[Event]:
    """Yield what has come, waiting for the first; a bounded number, so that turns come too."""
    try:
        yield connection.events.get(timeout=wait_s)
        for _ in range(_EVENTS_A_TURN):
            yield connection.events.get_nowait()
    except Empty:
        return
