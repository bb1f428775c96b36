"""How much may wait in an outbox, and what makes room for what. Operators' words follow Kura's.

Evidence and decisions are never given up for newer messages: where there is no room even after
telemetry and health have been thinned, the newest is refused and its maker is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contract.topics import Lane
from edge_agent.outbox_store import DropRow, Tally

LANE_SHARE = {Lane.EVIDENCE: 1.0, Lane.DECISIONS: 0.9, Lane.TELEMETRY: 0.7, Lane.HEALTH: 0.5}
"""Part of the whole quota up to which a lane may fill the store, so that evidence finds room."""

LANE_RESERVES = {Lane.EVIDENCE: 1, Lane.DECISIONS: 2, Lane.TELEMETRY: 4, Lane.HEALTH: 8}
"""Multiple of the free space on the disk that a lane leaves: health stops first, evidence last."""

MAKES_ROOM = {
    Lane.EVIDENCE: (Lane.TELEMETRY, Lane.HEALTH),
    Lane.DECISIONS: (Lane.TELEMETRY, Lane.HEALTH),
    Lane.TELEMETRY: (Lane.TELEMETRY,),
    Lane.HEALTH: (Lane.HEALTH,),
}
"""Lanes that are thinned so that a message of a lane finds room, in this order."""

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneQuota:
    """Limits of one lane beside its share of the whole."""

    max_bytes: int | None = None
    """Kura: store capacity."""
    max_age_s: float | None = None
    """Kura: purge age. Older messages are dropped, with a gap; None: kept for ever."""


def default_lanes() -> dict[Lane, LaneQuota]:
    """A month of telemetry and a week of health; evidence and decisions for ever."""
    return {
        Lane.EVIDENCE: LaneQuota(),
        Lane.DECISIONS: LaneQuota(),
        Lane.TELEMETRY: LaneQuota(max_age_s=30 * _DAY_S),
        Lane.HEALTH: LaneQuota(max_age_s=7 * _DAY_S),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much may wait."""

    max_rows: int = 1_000_000
    max_bytes: int = 512 * 1024 * 1024
    """Sum of the signed messages."""
    max_file_bytes: int | None = None
    """Limit of the SQLite file itself; None: the disk is the limit."""
    min_free_bytes: int = 16 * 1024 * 1024
    """Free space that evidence leaves on the disk, so that receipts can still be applied; the
    other lanes leave a multiple."""
    housekeeper_s: float = 3600.0
    """How often ages are looked at."""
    lanes: Mapping[Lane, LaneQuota] = field(default_factory=default_lanes)


def lack_of_room(quota: Quota, usage: Tally, lane: Lane, size_bytes: int) -> str:
    """Say what of the quota one more message would exceed; empty: there is room."""
    share, own = LANE_SHARE[lane], quota.lanes.get(lane, LaneQuota())
    if usage.rows + 1 > share * quota.max_rows:
        return f"{usage.rows} messages wait, its limit is {share * quota.max_rows:.0f}"
    if usage.size_bytes + size_bytes > share * quota.max_bytes:
        return f"{usage.size_bytes} bytes wait, its limit is {share * quota.max_bytes:.0f}"
    used = usage.lane_bytes[lane]
    if own.max_bytes is not None and used + size_bytes > own.max_bytes:
        return f"{used} bytes of this lane wait, its limit is {own.max_bytes}"
    return ""


def lack_of_disk(quota: Quota, free_bytes: int, lane: Lane) -> str:
    """Say whether a lane must leave what is free on the disk to others; empty: it need not."""
    if free_bytes < LANE_RESERVES[lane] * quota.min_free_bytes:
        return f"{free_bytes} bytes are free on the disk"
    return ""


def thin(rows: Sequence[DropRow], lane: Lane) -> Sequence[DropRow]:
    """Choose what to give up of the oldest rows of a lane: half of them, of telemetry every second.

    A sparse series of readings is worth more than one with a hole; a report of health that a later
    one follows is worth nothing. Half, because each giving up costs a message of its own.
    """
    if lane is Lane.TELEMETRY and len(rows) > 1:
        return rows[1::2]
    return rows[: (len(rows) + 1) // 2]
