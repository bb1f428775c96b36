"""Where the central keeps what it has taken: one interface, one file for each kind of database."""

from central.store.interface import (
    AlertRow,
    DecisionRow,
    DetectionRow,
    Device,
    Dropped,
    DropRow,
    Event,
    EventKind,
    Link,
    Message,
    RefusalRow,
    Run,
    Snapshot,
    Store,
    Stored,
    StoreUnavailableError,
    Totals,
    Transaction,
)
from central.store.migrations import MigrationError
from central.store.sqlite import open_sqlite

__all__ = [
    "AlertRow",
    "DecisionRow",
    "DetectionRow",
    "Device",
    "DropRow",
    "Dropped",
    "Event",
    "EventKind",
    "Link",
    "Message",
    "MigrationError",
    "RefusalRow",
    "Run",
    "Snapshot",
    "Store",
    "StoreUnavailableError",
    "Stored",
    "Totals",
    "Transaction",
    "open_sqlite",
]
