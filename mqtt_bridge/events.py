"""What a connection has to tell, one event after the other."""

from __future__ import annotations

from dataclasses import dataclass

from mqtt_bridge.diagnosis import ConnectionProblem


@dataclass(frozen=True, slots=True)
class Opened:
    """The broker took the session."""

    is_session_present: bool


@dataclass(frozen=True, slots=True)
class Acked:
    """A PUBACK with a bad word: nobody gets the message."""

    mid: int
    is_taken: bool
    reason: str
    is_refused: bool = False
    """Whether it says that this message will never be taken, not only that nobody listens."""


@dataclass(frozen=True, slots=True)
class Taken:
    """PUBACKs that say nothing more, of one reading: nearly all of them."""

    mids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """The broker's SUBACK with the refusals in words; empty: all filters were granted."""

    mid: int
    refusals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message; it stays the broker's until its connection's ``acknowledge`` is called."""

    topic: str
    payload: bytes
    is_retained: bool
    mid: int


@dataclass(frozen=True, slots=True)
class Poked:
    """Somebody called the connection's ``poke``."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over; ``problem`` is None if this side ended it."""

    problem: ConnectionProblem | None


Event = Opened | Acked | Taken | Granted | Arrived | Poked | Ended
