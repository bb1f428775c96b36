"""Tables of what people do with alerts, and of what is known to be harmless."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import Json, _may, _need, _table

alert_events = _table(
    "alert_events",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id")),
    _need("at", sa.BigInteger),
    _need("actor", sa.Text),
    _need("action", sa.Text),
    _need("from_state", sa.Text),
    _need("to_state", sa.Text),
    _need("version", sa.BigInteger),
    _may("reason_code", sa.Text),
    _need("note", sa.Text),
    _need("data", Json),
)
sa.Index("alert_events_by_alert", alert_events.c.alert_id, alert_events.c.id)

observations = _table(
    "observations",
    _need("device", sa.Text, primary_key=True),
    _need("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _need("detection_id", sa.LargeBinary),
    _need("revision", sa.BigInteger),
    _need("last_seen", sa.BigInteger),
)
sa.Index(
    "observations_by_detection",
    observations.c.device,
    observations.c.detection_id,
    observations.c.seq,
)

alert_detections = _table(
    "alert_detections",
    _need("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id"), primary_key=True),
    _need("device", sa.Text, primary_key=True),
    _need("detection_id", sa.LargeBinary, primary_key=True),
)
sa.Index(
    "alert_detections_by_detection", alert_detections.c.device, alert_detections.c.detection_id
)

alert_routes = _table(
    "alert_routes",
    _need("key", sa.Text, primary_key=True),
    _need("device", sa.Text, primary_key=True),
    _need("to_key", sa.Text),
)

allowances = _table(
    "allowances",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("kind", sa.Text),
    _need("match", Json),
    _need("area", sa.Text),
    _need("valid_from", sa.BigInteger),
    _may("valid_until", sa.BigInteger),
    _need("note", sa.Text),
    _need("added_by", sa.Text),
    _need("added_at", sa.BigInteger),
    _may("removed_by", sa.Text),
    _may("removed_at", sa.BigInteger),
    _need("hits", sa.BigInteger, default=0),
    _may("last_hit_at", sa.BigInteger),
)
