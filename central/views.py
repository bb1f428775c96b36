"""JSON views of rows: what the API answers, and what an event carries. No language in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from central.places import STATED
from central.store.interface import (
    AlertRow,
    DecisionRow,
    DetectionRow,
    Device,
    Dropped,
    Json,
    RefusalRow,
    Run,
)
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.words import PartState

_OUTBOX_PART = "outbox"
_DEPTH_COUNTER = "depth"


def time_or_none(at: int | None) -> str | None:
    """RFC 3339 text of a time in microseconds."""
    return None if at is None else rfc3339(UnixMicros(at))


def alert_json(row: AlertRow) -> Json:
    """Return the view of an alert."""
    return {
        "id": row.id,
        "kind": row.kind.value,
        "level": row.level.value,
        "severity": row.severity.value,
        "state": row.state,
        "subject": _subject(row),
        "rules": row.summary["rules"],
        "source": {
            "sensor": row.summary["sensor"],
            "file": row.summary["source_file"],
            "place": row.summary["source_place"],
        },
        "device": row.device,
        "seq": row.seq,
        "count": row.count,
        "first_seen": time_or_none(row.first_seen),
        "last_seen": time_or_none(row.last_seen),
        "time_basis": row.time_basis.value,
        "fired_at": time_or_none(row.fired_at),
        "raised_at": time_or_none(row.raised_at),
        "updated_at": time_or_none(row.updated_at),
        "is_technical": row.is_technical,
        "area": row.area,
        "version": row.version,
        "handler": row.handler,
        "reason_code": row.reason_code,
        "closed_at": time_or_none(row.closed_at),
        "snoozed_until": time_or_none(row.snoozed_until),
        "merged_into": row.merged_into,
        "follows": row.follows,
        "escalation": row.escalation,
        "latency_ms": None if row.fired_at is None else (row.raised_at - row.fired_at) / 1000,
    }


def _subject(row: AlertRow) -> Json:
    """Return what an alert is about; an emitter that moves is where it was heard last."""
    if "lat" not in row.subject or "lat" not in row.summary:
        return row.subject
    named = {name: value for name, value in row.subject.items() if name not in STATED}
    return named | {name: row.summary[name] for name in STATED if name in row.summary}


def detection_json(row: DetectionRow) -> Json:
    """Return the view of a detection: its body, and which message carried it."""
    return {
        **row.body,
        "device": row.device,
        "seq": row.seq,
        "received_at": time_or_none(row.received_at),
    }


def decision_json(row: DecisionRow) -> Json:
    """Return the view of a decision; of the card it keeps the last four digits."""
    face = row.body["face"]
    return {
        "device": row.device,
        "seq": row.seq,
        "visit": row.visit,
        "business": row.body["business"],
        "amount_fen": row.body["amount_fen"],
        "card_last4": row.body["card"]["last4"],
        "pin": row.body["pin"],
        "face": face,
        "decision": row.decision.value,
        "reason": None if row.reason is None else row.reason.value,
        "policy_version": row.body["policy_version"],
        "started_at": row.body["started_at"],
        "decided_at": time_or_none(row.decided_at),
        "received_at": time_or_none(row.received_at),
        "alert_id": row.alert_id,
    }


def outbox_depth(health: Json | None) -> int | None:
    """Messages that wait in a device's outbox, by its last health report."""
    for part in (health or {}).get("parts", ()):
        if part["name"] == _OUTBOX_PART:
            depth: Any = part["counters"].get(_DEPTH_COUNTER)
            if isinstance(depth, int) and not isinstance(depth, bool):
                return depth
    return None


def worst_part(health: Json | None) -> PartState | None:
    """State of the worst part; None without a report."""
    parts = (health or {}).get("parts", ())
    return max((PartState(p["state"]) for p in parts), key=list(PartState).index, default=None)


def device_json(row: Device) -> Json:
    """Return the view of a device."""
    worst = worst_part(row.health)
    return {
        "device": row.device,
        "kind": row.kind.value,
        "name": row.name,
        "area": row.area,
        "version": row.version,
        "presence": None if row.presence is None else row.presence.value,
        "last_seen": time_or_none(row.last_seen),
        "enrolled_at": time_or_none(row.enrolled_at),
        "revoked_at": time_or_none(row.revoked_at),
        "worst_part": None if worst is None else worst.value,
        "health": row.health,
        "health_at": time_or_none(row.health_at),
        "outbox_depth": outbox_depth(row.health),
        "receipt_up_to": row.receipt_up_to,
        "receipt_at": time_or_none(row.receipt_at),
        "duplicates": row.duplicates,
        "refused": row.refused,
    }


def refusal_json(row: RefusalRow) -> Json:
    """Return the view of a refusal."""
    return {
        "at": time_or_none(row.at),
        "device": row.device,
        "topic": row.topic,
        "reason": row.reason.value,
        "detail": row.detail,
        "sha256": row.sha256.hex(),
        "size_bytes": row.size_bytes,
    }


def dropped_json(row: Dropped) -> Json:
    """Return the view of what a device dropped, by its own signed word."""
    return {
        "lane": row.lane.name.lower(),
        "reason": row.reason.value,
        "messages": row.messages,
        "first_put": time_or_none(row.first_put),
        "last_put": time_or_none(row.last_put),
    }


def gaps(runs: Sequence[Run]) -> list[Run]:
    """Return the numbers below the highest that are neither stored nor dropped, as runs."""
    holes = []
    expected = 1
    for run in runs:
        if run.first > expected:
            holes.append(Run(expected, run.first - 1))
        expected = run.last + 1
    return holes
