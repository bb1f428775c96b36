"""What a station was told is durable, in a file of its own: the yardstick that nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path


class Ledger:
    """Numbers of messages whose enqueueing was acknowledged, one text line each.

    A line is one ``write`` to a file opened for appending. It outlives kill -9 of the process (the
    page cache belongs to the machine) though not a power cut, which is enough to judge a campaign
    of killed processes: what stands here and not in the central's store was lost.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def note(self, index: int) -> None:
        """Note that a message is durable; may be called from any thread."""
        os.write(self._file, b"%d\n" % index)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_ledger(path: Path) -> set[int]:
    """Numbers in a ledger; a line that a kill tore does not count."""
    if not path.exists():
        return set()
    lines = path.read_bytes().split(b"\n")[:-1]
    return {int(line) for line in lines if line}
