"""The seam between modems: one dialect for each family of AT answers, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hardware.readings import Item, TimeBasisWord


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When bytes came in, and what that time is worth."""

    at_us: int
    time_basis: TimeBasisWord
    received_us: int | None = None
    """Agent's wall time; None in a replay of a file."""


@dataclass(frozen=True, slots=True)
class LongCommand:
    """A survey that keeps a modem busy; any byte sent to it ends it early (V.250 5.6.1)."""

    command: bytes
    timeout_s: float


class ModemDialect(Protocol):
    """What one family of modems is asked, and how its answers read."""

    @property
    def name(self) -> str:
        """Name in the table of dialects."""

    @property
    def forms(self) -> Mapping[str, int]:
        """Forms of line seen so far, by name: they tell a firmware's variant."""

    def poll(self) -> Sequence[bytes]:
        """Commands of one survey round, in order, each with its end of line."""

    def survey(self) -> Sequence[LongCommand]:
        """Surveys of whole bands, each of which may take minutes; no part of a round."""

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what the lines they complete say. Never raises.

        A line takes the time of the chunk that completes it.
        """

    def close(self) -> list[Item]:
        """The stream breaks here (unplugged, bytes lost, end of file): return what was left.

        The dialect may be fed again afterwards; a new stream starts with a new line.
        """
