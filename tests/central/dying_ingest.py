"""A process of its own that dies at a named step of the ingest, for test_crash.py.

Arguments: folder of the store, step at which to die (``none``: live), file of messages.
"""

from __future__ import annotations

import itertools
import os
import pickle
import sys
from pathlib import Path

import sqlalchemy as sa

from tests.central.kit import Central


def die() -> None:
    """As SIGKILL would: no handler, no flush, no roll-back."""
    os._exit(9)


def main() -> None:
    folder, step, messages = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    central = Central(folder)
    if step == "before commit":
        sa.event.listen(central.store._engine, "commit", lambda _connection: die())
    if step == "before ack":
        central.intake.on_ack = die
    if step == "between acks":
        acks = itertools.count()

        def die_at_the_second() -> None:
            if next(acks) == 1:
                die()

        central.intake.on_ack = die_at_the_second
    if step == "before receipt":
        central.intake.on_publish = die
    for topic, raw in pickle.loads(messages.read_bytes()):
        central.intake.arrive(topic, raw)
    while central.ingest.step():
        pass


if __name__ == "__main__":
    main()
