"""MQTT topics: fixed depth, no personal data, the device id equal to the certificate's common name.

``v1/TENANT/up/DEVICE/LANE`` carries what a device says now, the same with ``/replay`` behind it
what had to wait (so that a broker can keep the two in queues of their own),
``v1/TENANT/down/DEVICE/CHANNEL`` what it is told, ``v1/TENANT/state/DEVICE`` (retained) whether it
is there. A dot or a space would break brokers that map topics to subjects, so ids hold neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

VERSION = "v1"
REPLAY = "replay"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Lane(StrEnum):
    """Upward lanes in order of priority, highest first."""

    EVIDENCE = "evt"
    DECISIONS = "dec"
    TELEMETRY = "tel"
    HEALTH = "health"

    @property
    def priority(self) -> int:
        """0 is sent first and dropped last."""
        return list(Lane).index(self)


class Channel(StrEnum):
    """Downward channels: what a device is told."""

    RECEIPTS = "rcpt"
    ORDERS = "ord"
    COMMANDS = "cmd"
    CONFIGURATION = "cfg"
    TIME = "time"
    LISTS = "list"
    FEEDS = "feed"


class TopicError(ValueError):
    """A topic or an id that the contract does not know."""


@dataclass(frozen=True, slots=True)
class DownTopic:
    """A parsed downward topic."""

    tenant: str
    device: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class UpTopic:
    """A parsed upward topic."""

    tenant: str
    device: str
    lane: Lane
    is_replay: bool = False


def check_id(value: str, what: str = "id") -> str:
    """Return ``value`` if it may stand in a topic and a certificate's common name."""
    if not _ID.fullmatch(value):
        raise TopicError(f"{what} {value!r}: 1 to 40 of a-z, 0-9 and '-', not beginning with '-'")
    return value


def up(tenant: str, device: str, lane: Lane, *, is_replay: bool = False) -> str:
    """Topic on which a device publishes one lane, what is new or what had to wait."""
    topic = f"{VERSION}/{tenant}/up/{device}/{lane.value}"
    return f"{topic}/{REPLAY}" if is_replay else topic


def up_filter(tenant: str) -> str:
    """Filter of everything that a tenant's devices say as it happens."""
    return f"{VERSION}/{tenant}/up/+/+"


def replay_filter(tenant: str) -> str:
    """Filter of everything that had to wait on a tenant's devices."""
    return f"{VERSION}/{tenant}/up/+/+/{REPLAY}"


def parse_up(topic: str) -> UpTopic:
    """Take an upward topic apart; raises TopicError."""
    parts = topic.split("/")
    is_replay = len(parts) == 6 and parts[5] == REPLAY
    if (len(parts) != 5 and not is_replay) or parts[0] != VERSION or parts[2] != "up":
        raise TopicError(f"{topic!r} is no upward topic")
    try:
        lane = Lane(parts[4])
    except ValueError as error:
        raise TopicError(f"{topic!r}: unknown lane {parts[4]!r}") from error
    return UpTopic(check_id(parts[1], "tenant"), check_id(parts[3], "device"), lane, is_replay)


def down(tenant: str, device: str, channel: Channel) -> str:
    """Topic on which a device is told one kind of thing."""
    return f"{VERSION}/{tenant}/down/{device}/{channel.value}"


def down_filter(tenant: str, device: str) -> str:
    """Filter of everything that a device is told.

    One filter, not one for each channel: to nats-server each is a consumer that it keeps on disk,
    and a thousand devices that come back at once wait for them all.
    """
    return f"{VERSION}/{tenant}/down/{device}/+"


def parse_down(topic: str) -> DownTopic:
    """Take a downward topic apart; raises TopicError."""
    parts = topic.split("/")
    if len(parts) != 5 or parts[0] != VERSION or parts[2] != "down":
        raise TopicError(f"{topic!r} is no downward topic")
    try:
        channel = Channel(parts[4])
    except ValueError as error:
        raise TopicError(f"{topic!r}: unknown channel {parts[4]!r}") from error
    return DownTopic(check_id(parts[1], "tenant"), check_id(parts[3], "device"), channel)


def receipts(tenant: str, device: str) -> str:
    """Topic on which a device is told what the central has stored."""
    return down(tenant, device, Channel.RECEIPTS)


def state(tenant: str, device: str) -> str:
    """Retained topic of a device's birth and last will."""
    return f"{VERSION}/{tenant}/state/{device}"


def state_filter(tenant: str) -> str:
    """Filter of all births and deaths of a tenant."""
    return f"{VERSION}/{tenant}/state/+"


def parse_state(topic: str) -> tuple[str, str]:
    """Return (tenant, device) of a state topic; raises TopicError."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != VERSION or parts[2] != "state":
        raise TopicError(f"{topic!r} is no state topic")
    return check_id(parts[1], "tenant"), check_id(parts[3], "device")
