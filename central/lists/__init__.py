"""The lists that ATMs look at: proposed, approved, signed, versioned, delivered."""

from central.lists.desk import ListDesk, TenantKey
from central.lists.holds import HoldSource, LiveHold, WireHolds, all_holds
from central.lists.keeper import ListKeeper

__all__ = [
    "HoldSource",
    "ListDesk",
    "ListKeeper",
    "LiveHold",
    "TenantKey",
    "WireHolds",
    "all_holds",
]
