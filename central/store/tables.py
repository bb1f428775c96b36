"""The tables as SQLAlchemy Core sees them; ``schema/*.sql`` is what makes them."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from contract import Refusal
from contract.topics import Lane
from contract.words import (
    AlertKind,
    Decision,
    DecisionReason,
    DetectionKind,
    DeviceKind,
    GapReason,
    Level,
    OrderOutcome,
    OrderRefusal,
    OrderType,
    Presence,
    Severity,
    TimeBasis,
)

to_text = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class Word(TypeDecorator[StrEnum]):
    """A word of a closed list, kept as text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: sa.Dialect) -> str | None:
        """Word to text."""
        return None if value is None else value.value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> StrEnum | None:
        """Text to word."""
        return None if value is None else self.words(value)


class Json(TypeDecorator[Any]):
    """A JSON value as text with sorted keys, so that equal values are equal text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Value to text."""
        if value is None:
            return None
        return to_text(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """Text to value."""
        return None if value is None else json.loads(value)


metadata = sa.MetaData()


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _need(name: str, kind: Any, *more: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *more, nullable=False, **options)


def _may(name: str, kind: Any, *more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *more, nullable=True)


def _device(**options: Any) -> sa.Column[Any]:
    return _need("device", sa.Text, sa.ForeignKey("devices.device"), **options)


devices = _table(
    "devices",
    _need("device", sa.Text, primary_key=True),
    _need("tenant", sa.Text),
    _need("kind", Word(DeviceKind)),
    _need("name", sa.Text),
    _need("version", sa.Text),
    _need("enrolled_at", sa.BigInteger),
    _may("revoked_at", sa.BigInteger),
    _may("presence", Word(Presence)),
    _may("session", sa.LargeBinary),
    _may("session_boot", sa.LargeBinary),
    _may("session_mono", sa.BigInteger),
    _may("last_seen", sa.BigInteger),
    _may("health", Json),
    _may("health_boot", sa.LargeBinary),
    _may("health_mono", sa.BigInteger),
    _may("health_at", sa.BigInteger),
    _may("chain_start", sa.BigInteger),
    _may("receipt_up_to", sa.BigInteger),
    _may("receipt_at", sa.BigInteger),
    _need("duplicates", sa.BigInteger),
    _need("refused", sa.BigInteger),
    _need("area", sa.Text, server_default=""),
)

device_keys = _table(
    "device_keys",
    _need("kid", sa.LargeBinary, primary_key=True),
    _device(),
    _need("public_pem", sa.Text),
    _need("added_at", sa.BigInteger),
    _may("revoked_at", sa.BigInteger),
)

messages = _table(
    "messages",
    _device(primary_key=True),
    _need("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("message_id", sa.LargeBinary),
    _need("type", sa.Text),
    _need("boot_id", sa.LargeBinary),
    _need("wall", sa.BigInteger),
    _need("mono", sa.BigInteger),
    _need("is_clock_synced", sa.Boolean),
    _may("clock_error_ms", sa.BigInteger),
    _need("received_at", sa.BigInteger),
    _need("digest", sa.LargeBinary),
    _need("prev", sa.LargeBinary),
    _need("kid", sa.LargeBinary),
    _need("cose", sa.LargeBinary),
)

runs = _table(
    "runs",
    _device(primary_key=True),
    _need("first", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("last", sa.BigInteger),
)

drops = _table(
    "drops",
    _device(primary_key=True),
    _need("gap_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("first", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("last", sa.BigInteger),
    _need("lane", Word(Lane)),
    _need("reason", Word(GapReason)),
    _need("first_put", sa.BigInteger),
    _need("last_put", sa.BigInteger),
    _need("received_at", sa.BigInteger),
)

alerts = _table(
    "alerts",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("key", sa.Text, unique=True),
    _need("kind", Word(AlertKind)),
    _need("level", Word(Level)),
    _need("severity", Word(Severity)),
    _need("state", sa.Text),
    _need("subject", Json),
    _need("summary", Json),
    _need("device", sa.Text),
    _need("seq", sa.BigInteger),
    _need("count", sa.BigInteger),
    _need("first_seen", sa.BigInteger),
    _need("last_seen", sa.BigInteger),
    _need("time_basis", Word(TimeBasis)),
    _may("fired_at", sa.BigInteger),
    _need("raised_at", sa.BigInteger),
    _need("risen_at", sa.BigInteger),
    _need("updated_at", sa.BigInteger),
    _need("is_technical", sa.Boolean),
    _need("area", sa.Text),
    _need("version", sa.BigInteger),
    _may("handler", sa.Text),
    _may("reason_code", sa.Text),
    _may("closed_at", sa.BigInteger),
    _may("snoozed_until", sa.BigInteger),
    _may("merged_into", sa.BigInteger, sa.ForeignKey("alerts.id")),
    _may("follows", sa.BigInteger, sa.ForeignKey("alerts.id")),
    _need("escalation", sa.BigInteger),
    _may("escalate_at", sa.BigInteger),
)
sa.Index("alerts_by_rise", alerts.c.is_technical, alerts.c.risen_at, alerts.c.id)
sa.Index("alerts_by_state", alerts.c.is_technical, alerts.c.state, alerts.c.risen_at, alerts.c.id)
sa.Index("alerts_counted", alerts.c.is_technical, alerts.c.state, alerts.c.severity, alerts.c.area)
sa.Index("alerts_by_call", alerts.c.escalate_at)
sa.Index("alerts_merged", alerts.c.merged_into)
sa.Index("alerts_risen", alerts.c.risen_at, alerts.c.id)
sa.Index("alerts_by_kind", alerts.c.state, alerts.c.kind, alerts.c.severity, alerts.c.area)
sa.Index(
    "alerts_timed",
    alerts.c.id,
    alerts.c.fired_at,
    alerts.c.raised_at,
    sqlite_where=alerts.c.fired_at.is_not(None),
)

tallies = _table(
    "tallies", _need("what", sa.Text, primary_key=True), _need("number", sa.BigInteger)
)

detections = _table(
    "detections",
    _device(primary_key=True),
    _need("detection_id", sa.LargeBinary, primary_key=True),
    _need("revision", sa.BigInteger),
    _need("seq", sa.BigInteger),
    _need("kind", Word(DetectionKind)),
    _need("level", Word(Level)),
    _may("alert_kind", Word(AlertKind)),
    _need("severity", Word(Severity)),
    _need("score", sa.Double),
    _need("first_seen", sa.BigInteger),
    _need("last_seen", sa.BigInteger),
    _need("time_basis", Word(TimeBasis)),
    _need("body", Json),
    _need("received_at", sa.BigInteger),
    _may("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id")),
)
sa.Index("detections_by_alert", detections.c.alert_id)

decisions = _table(
    "decisions",
    _device(primary_key=True),
    _need("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("visit", sa.Text),
    _need("decision", Word(Decision)),
    _may("reason", Word(DecisionReason)),
    _need("decided_at", sa.BigInteger),
    _need("received_at", sa.BigInteger),
    _need("body", Json),
    _may("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id")),
)
sa.Index("decisions_by_receipt", decisions.c.received_at)
sa.Index("decisions_by_alert", decisions.c.alert_id)

refusals = _table(
    "refusals",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("at", sa.BigInteger),
    _need("device", sa.Text),
    _need("topic", sa.Text),
    _need("reason", Word(Refusal)),
    _need("detail", sa.Text),
    _need("sha256", sa.LargeBinary),
    _need("size_bytes", sa.BigInteger),
)
sa.Index("refusals_by_device", refusals.c.device, refusals.c.id)

refusal_counts = _table(
    "refusal_counts",
    _need("device", sa.Text, primary_key=True),
    _need("reason", Word(Refusal), primary_key=True),
    _need("count", sa.BigInteger),
)

events = _table(
    "events",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("at", sa.BigInteger),
    _need("kind", sa.Text),
    _need("data", Json),
)

orders = _table(
    "orders",
    _need("order_id", sa.LargeBinary, primary_key=True),
    _need("type", Word(OrderType)),
    _need("counter", sa.BigInteger),
    _need("issued_at", sa.BigInteger),
    _need("expires", sa.BigInteger),
    _need("signers", Json),
    _need("raw", sa.LargeBinary),
)

order_targets = _table(
    "order_targets",
    _need("order_id", sa.LargeBinary, sa.ForeignKey("orders.order_id"), primary_key=True),
    _device(primary_key=True),
    _may("outcome", Word(OrderOutcome)),
    _may("reason", Word(OrderRefusal)),
    _need("detail", sa.Text, default=""),
    _may("answered_at", sa.BigInteger),
    _need("attempts", sa.BigInteger, default=0),
)
sa.Index(
    "order_targets_pending",
    order_targets.c.device,
    sqlite_where=order_targets.c.outcome.is_(None),
)

invitations = _table(
    "invitations",
    _need("hashed", sa.LargeBinary, primary_key=True),
    _need("device", sa.Text),
    _need("tenant", sa.Text),
    _need("kind", Word(DeviceKind)),
    _need("name", sa.Text),
    _need("made_at", sa.BigInteger),
    _need("expires_at", sa.BigInteger),
    _may("used_at", sa.BigInteger),
    _may("used_kid", sa.LargeBinary),
)
sa.Index("invitations_by_device", invitations.c.device)

certificates = _table(
    "certificates",
    _need("serial", sa.Text, primary_key=True),
    _device(),
    _need("not_before", sa.BigInteger),
    _need("not_after", sa.BigInteger),
    _need("issued_at", sa.BigInteger),
    _may("revoked_at", sa.BigInteger),
)
sa.Index("certificates_by_device", certificates.c.device)
