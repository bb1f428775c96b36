"""What one process of a fleet is to do, handed to it as a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from contract.files import replace_durably
from qianshao.fleet.traffic import Arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The line of some stations is gone for a while; seconds count from the connection."""

    after_s: float
    lasts_s: float
    share: float
    """Part of the stations that it hits, the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stations of one process and their traffic."""

    tenant: str
    folder: str
    """Holds a folder for each station, its certificate and its ledger in it."""
    stations: tuple[str, ...]
    broker_host: str
    broker_port: int
    ca: str
    central_key: str
    backlog: int
    """Messages that each station holds before it first connects."""
    messages: int
    """Messages of each station after that."""
    rate_per_s: float
    """Of each station."""
    arrivals: Arrivals
    outages: tuple[Outage, ...] = ()
    waits_for_go: bool = False
    """Connect only at SIGUSR1, so that all processes return at once."""
    connects_per_s: float | None = None
    """None: all at once. Real machines bring a processor each for their handshake; here thousands
    share this machine's, so that what is to be measured begins only when all are there."""
    seed: int = 0
    takes_orders: bool = False
    """Stations are ATMs that take orders, each into a store of its own, as an agent does."""

    @property
    def last_index(self) -> int:
        """Number of a station's last message; the first is 1."""
        return self.backlog + self.messages

    def write(self, path: Path) -> None:
        """Write the plan for its process."""
        replace_durably(path, json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read what :meth:`write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["stations"] = tuple(values["stations"])
        values["arrivals"] = Arrivals(values["arrivals"])
        values["outages"] = tuple(Outage(**outage) for outage in values["outages"])
        return cls(**values)
