"""Everything one device's readings are watched for, behind one ``feed``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from contract.messages import Detection
from hardware.readings import (
    BearingReading,
    CarrierReading,
    NetworkReading,
    RdsReading,
    Reading,
    SweepReading,
    TunerReading,
    UplinkReading,
)
from rf_watch.cells import CellWatch
from rf_watch.context import CellContext
from rf_watch.dens import DenWatch

if TYPE_CHECKING:
    from rf_watch.broadcast import BroadcastWatch


class RadioWatch:
    """Gives each reading to the detector that knows its kind; other readings say nothing.

    The broadcast detector needs numpy and is made with the first reading for it, so that a bare
    agent that has modems only runs without.
    """

    def __init__(
        self,
        device: str,
        *,
        context: CellContext | None = None,
        broadcast: Callable[[], BroadcastWatch] | None = None,
    ) -> None:
        self._cells = CellWatch(device, context=context)
        self._make_broadcast = broadcast or (lambda: _plain_broadcast(device))
        self.broadcast: BroadcastWatch | None = None
        self.dens = DenWatch(device)

    def feed(self, reading: Reading) -> list[Detection]:
        """Take one reading; returns new detections and new revisions of earlier ones."""
        if isinstance(reading, NetworkReading):
            return self._cells.feed(reading)
        if isinstance(
            reading, SweepReading | TunerReading | RdsReading | CarrierReading | BearingReading
        ):
            if self.broadcast is None:
                self.broadcast = self._make_broadcast()
            return self.broadcast.feed(reading)
        if isinstance(reading, UplinkReading):
            return self.dens.feed(reading)
        return self._cells.feed(reading)

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        return self._cells.close() + (self.broadcast.close() if self.broadcast else [])

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        raw = self._cells.raw_evidence(detection) + self.dens.raw_evidence(detection)
        return raw + (self.broadcast.raw_evidence(detection) if self.broadcast else [])


def _plain_broadcast(device: str) -> BroadcastWatch:
    from rf_watch.broadcast import BroadcastWatch

    return BroadcastWatch(device)
