"""Everything one device's readings are watched for, behind one ``feed``."""

from __future__ import annotations

from contract.messages import Detection
from hardware.readings import NetworkReading, Reading
from rf_watch.cells import CellWatch
from rf_watch.context import CellContext


class RadioWatch:
    """Gives each reading to the detector that knows its kind; other readings say nothing."""

    def __init__(self, device: str, *, context: CellContext | None = None) -> None:
        self._cells = CellWatch(device, context=context)

    def feed(self, reading: Reading) -> list[Detection]:
        """Take one reading; returns new detections and new revisions of earlier ones."""
        if isinstance(reading, NetworkReading):
            return self._cells.feed(reading)
        return []

    def close(self) -> list[Detection]:
        """End everything that is open and return the last revisions."""
        return self._cells.close()

    def raw_evidence(self, detection: Detection) -> list[bytes]:
        """The bytes whose hashes a detection of the last feed() or close() names."""
        return self._cells.raw_evidence(detection)
