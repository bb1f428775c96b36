"""Who may publish and subscribe where: the one definition that brokers, ingest and docs share.

Whoever is not named may nothing. A device's name is the common name of its certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contract.topics import VERSION, Channel, Lane


class Action(StrEnum):
    """What a client does with a topic."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


@dataclass(frozen=True, slots=True)
class Access:
    """One permission: an MQTT filter in which TENANT and DEVICE stand for the client's own."""

    who: str
    action: Action
    topics: str
    purpose: str

    def filter(self, tenant: str, device: str) -> str:
        """The filter for one client."""
        return self.topics.replace("TENANT", tenant).replace("DEVICE", device)


DEVICE_ACCESS = (
    Access(
        "device",
        Action.PUBLISH,
        f"{VERSION}/TENANT/up/DEVICE/#",
        f"its signed messages, by lane: {', '.join(lane.value for lane in Lane)}",
    ),
    Access(
        "device",
        Action.PUBLISH,
        f"{VERSION}/TENANT/state/DEVICE",
        "its birth and its last will (retained)",
    ),
    Access(
        "device",
        Action.SUBSCRIBE,
        f"{VERSION}/TENANT/down/DEVICE/#",
        f"what it is told: {', '.join(channel.value for channel in Channel)}",
    ),
)

CENTRAL_ACCESS = (
    Access("central", Action.PUBLISH, f"{VERSION}/#", "receipts, orders, configuration, time"),
    Access("central", Action.SUBSCRIBE, f"{VERSION}/#", "everything that devices say"),
)

ACCESS = (*DEVICE_ACCESS, *CENTRAL_ACCESS)


def device_may(action: Action, topic: str, *, tenant: str, device: str) -> bool:
    """Whether a device may publish on a topic, or subscribe to a filter (all that it matches)."""
    return any(
        _covers(access.filter(tenant, device), topic)
        for access in DEVICE_ACCESS
        if access.action is action
    )


def owner_of(topic: str) -> str | None:
    """The device whose topic it is, as the topic claims; None if it names none."""
    parts = topic.split("/")
    named = len(parts) >= 4 and parts[0] == VERSION and parts[2] in {"up", "down", "state"}
    return parts[3] if named and parts[3] not in {"+", "#", ""} else None


def access_table() -> str:
    """The table of docs/security.md, in Markdown."""
    lines = ["| who | may | topics | for |", "|---|---|---|---|"]
    lines += [f"| {a.who} | {a.action.value} | `{a.topics}` | {a.purpose} |" for a in ACCESS]
    return "\n".join(lines) + "\n"


def _covers(permitted: str, wanted: str) -> bool:
    """Whether every topic that ``wanted`` matches is matched by ``permitted``."""
    have, want = permitted.split("/"), wanted.split("/")
    for index, level in enumerate(have):
        if level == "#":
            return True
        if index >= len(want) or want[index] != level:
            return False
    return len(have) == len(want)
