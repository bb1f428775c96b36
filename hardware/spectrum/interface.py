"""The seam between spectrum devices: what each is asked, and how its answers read; no I/O."""

from __future__ import annotations

from typing import Protocol

from hardware.modems.interface import Arrival
from hardware.readings import Item


class SpectrumDialect(Protocol):
    """One attached spectrum analyser or tuner."""

    @property
    def name(self) -> str:
        """Name in the table of dialects."""

    def wake(self) -> bytes:
        """What is written once after the port opened; empty: nothing."""

    def poll(self) -> bytes | None:
        """What asks for the next readings; None: the device talks by itself."""

    def recover(self) -> bytes:
        """What brings a device back that does not answer; empty: nothing does."""

    def feed(self, data: bytes, arrival: Arrival) -> list[Item]:
        """Take bytes in any chunks; return what they complete. Never raises."""

    def is_answer(self, item: Item) -> bool:
        """Whether an item ends what :meth:`poll` asked for."""

    def close(self) -> list[Item]:
        """The stream breaks here."""
