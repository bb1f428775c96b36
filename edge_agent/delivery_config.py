"""``[outbox]``, ``[evidence]`` and ``[uplink]`` of an agent: operators' words follow Kura's."""

from __future__ import annotations

from enum import StrEnum

from contract.settings import Table
from contract.topics import Lane
from edge_agent.evidence import EvidenceLimits
from edge_agent.outbox_quota import LaneQuota, Quota
from mqtt_bridge.connection import Protocol
from mqtt_bridge.pacing import Pace
from mqtt_bridge.uplink import UplinkSettings

_MOST = 2**40
_YEARS_S = 10 * 366 * 86_400.0


class MqttVersion(StrEnum):
    """What is spoken with the broker."""

    V3_1_1 = "3.1.1"
    V5 = "5"


def read_outbox(table: Table | None) -> Quota:
    """Return how much may wait."""
    default = Quota()
    if table is None:
        return default
    lanes = {}
    for lane in Lane:
        lanes[lane] = _lane(table.table_or_none(lane.name.lower()), default.lanes[lane])
    return Quota(
        max_rows=table.integer_or("capacity_messages", default.max_rows, 100, _MOST),
        max_bytes=table.integer_or("capacity_bytes", default.max_bytes, 1_000_000, _MOST),
        min_free_bytes=table.integer_or("min_free_bytes", default.min_free_bytes, 0, _MOST),
        housekeeper_s=table.number_or(
            "housekeeper_interval_s", default.housekeeper_s, 1.0, 86_400.0
        ),
        lanes=lanes,
    )


def _lane(table: Table | None, default: LaneQuota) -> LaneQuota:
    if table is None:
        return default
    age_s = table.number_or("purge_age_s", default.max_age_s, 0.0, _YEARS_S)
    return LaneQuota(
        max_bytes=table.integer_or("capacity_bytes", default.max_bytes, 100_000, _MOST),
        max_age_s=age_s or None,  # 0: for ever
    )


def read_evidence(table: Table | None) -> EvidenceLimits:
    """Return how long raw evidence stays."""
    default = EvidenceLimits()
    if table is None:
        return default
    age_s = table.number_or("purge_age_s", default.max_age_s, 0.0, _YEARS_S)
    return EvidenceLimits(
        max_bytes=table.integer_or("capacity_bytes", default.max_bytes, 1_000_000, _MOST),
        max_age_s=age_s or None,  # 0: for ever
    )


def read_uplink(table: Table | None) -> UplinkSettings:
    """Return how messages are sent."""
    default = UplinkSettings()
    if table is None:
        return default
    version = table.word_or("mqtt_version", MqttVersion.V3_1_1, MqttVersion)
    least_s = table.number_or("republish_min_s", default.resend_min_s, 1.0, 600.0)
    most_s = table.number_or("republish_max_s", max(default.resend_max_s, least_s), 1.0, 3600.0)
    if most_s < least_s:
        table.problem("republish_max_s", f"is below republish_min_s, {least_s:g}")
    return UplinkSettings(
        window=table.integer_or("in_flight_messages", default.window, 1, 100_000),
        window_bytes=table.integer_or("in_flight_bytes", default.window_bytes, 1, 2**30),
        resend_min_s=least_s,
        resend_max_s=most_s,
        pace=Pace(
            most_per_s=table.number_or(
                "replay_max_per_s", default.pace.most_per_s, default.pace.least_per_s, 100_000.0
            )
        ),
        protocol=Protocol.MQTT_5 if version is MqttVersion.V5 else Protocol.MQTT_3_1_1,
    )
