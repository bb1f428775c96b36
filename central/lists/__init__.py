"""The lists that ATMs look at: proposed, approved, signed, versioned, delivered."""

from central.lists.desk import ListDesk
from central.lists.holds import HoldSource, LiveHold, WireHolds, all_holds
from central.lists.keeper import ListKeeper
from central.lists.twins import TenantKey

__all__ = [
    "HoldSource",
    "ListDesk",
    "ListKeeper",
    "LiveHold",
    "TenantKey",
    "WireHolds",
    "all_holds",
]
