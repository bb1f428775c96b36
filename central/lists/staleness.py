"""How old the list is at each machine, by what it last reported of itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from central.store.interface import Device
from central.store.lists import ListVersion
from contract.words import DeviceKind, PartState

MAX_AGE_S = 900
"""``atm.list_max_age_s``: from then on a machine refers to the counter."""
PART = "lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtmList:
    """One machine's list. ``state``: current, behind, stale, none."""

    device: str
    name: str
    state: str
    version: int | None = None
    age_s: int | None = None
    reported_at: int | None = None
    problem: str = ""


def atm_lists(devices: Iterable[Device], newest: ListVersion | None, now: int) -> list[AtmList]:
    """Machines, those that need somebody first.

    A report grows old with the list: a machine that says nothing is counted as if nothing reached
    it either.
    """
    found = [
        _of(device, newest, now)
        for device in devices
        if device.kind is DeviceKind.ATM and device.revoked_at is None
    ]
    order = ("stale", "none", "behind", "current")
    return sorted(found, key=lambda one: (order.index(one.state), one.device))


def _of(device: Device, newest: ListVersion | None, now: int) -> AtmList:
    parts = (device.health or {}).get("parts", ())
    part = next((part for part in parts if part["name"] == PART), None)
    if part is None or "age_s" not in part["counters"] or device.health_at is None:
        problem = "" if part is None else str(part["detail"])
        return AtmList(device=device.device, name=device.name, state="none", problem=problem)
    version = int(part["counters"].get("version", 0))
    age_s = int(part["counters"]["age_s"]) + max(0, now - device.health_at) // 1_000_000
    is_stale = age_s > MAX_AGE_S
    is_newest = newest is not None and version == newest.version
    state = "stale" if is_stale else "current" if is_newest else "behind"
    return AtmList(
        device=device.device,
        name=device.name,
        state=state,
        version=version,
        age_s=age_s,
        reported_at=device.health_at,
        problem="" if part["state"] == PartState.OK else str(part["detail"]),
    )
