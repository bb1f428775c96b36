"""Tables of cases, of the vans that are sent, and of what people told."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import Json, Word, _device, _may, _need, _table
from contract.words import Severity


def _id() -> sa.Column[int]:
    return _need("id", sa.Integer, primary_key=True, autoincrement=True)


def _case(**options: object) -> sa.Column[int]:
    return _need("case_id", sa.BigInteger, sa.ForeignKey("cases.id"), **options)


cases = _table(
    "cases",
    _id(),
    _need("number", sa.Text, unique=True),
    _need("kind", sa.Text),
    _need("severity", Word(Severity)),
    _need("area", sa.Text),
    _need("state", sa.Text),
    _may("dormant_since", sa.BigInteger),
    _need("owner", sa.Text),
    _need("subject", Json),
    _may("lat", sa.Double),
    _may("lon", sa.Double),
    _need("opened_by", sa.Text),
    _need("opened_at", sa.BigInteger),
    _need("first_seen", sa.BigInteger),
    _need("state_at", sa.BigInteger),
    _need("updated_at", sa.BigInteger),
    _may("ended_at", sa.BigInteger),
    _may("reason_code", sa.Text),
    _may("transfer_to", sa.Text),
    _may("transfer_by", sa.Text),
    _need("version", sa.BigInteger),
)
sa.Index("cases_by_state", cases.c.state, cases.c.updated_at, cases.c.id)
sa.Index("cases_by_update", cases.c.updated_at, cases.c.id)
sa.Index("cases_by_owner", cases.c.owner, cases.c.updated_at)

case_alerts = _table(
    "case_alerts",
    _case(primary_key=True),
    _need("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id"), primary_key=True),
    _need("relation", sa.Text),
    _need("linked_by", sa.Text),
    _need("linked_at", sa.BigInteger),
)
sa.Index("case_alerts_by_alert", case_alerts.c.alert_id)

case_events = _table(
    "case_events",
    _id(),
    _case(),
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
sa.Index("case_events_by_case", case_events.c.case_id, case_events.c.id)

case_parts = _table(
    "case_parts",
    _id(),
    _case(),
    _need("kind", sa.Text),
    _need("text", sa.Text),
    _need("data", Json),
    _need("added_by", sa.Text),
    _need("added_at", sa.BigInteger),
    _may("ended_by", sa.Text),
    _may("ended_at", sa.BigInteger),
    _need("outcome", sa.Text),
)
sa.Index("case_parts_by_case", case_parts.c.case_id, case_parts.c.id)

inquiries = _table(
    "inquiries",
    _id(),
    _case(),
    _need("unit", sa.Text),
    _need("question", sa.Text),
    _need("asked_by", sa.Text),
    _need("asked_at", sa.BigInteger),
    _may("answer", sa.Text),
    _may("answered_for", sa.Text),
    _may("answered_by", sa.Text),
    _may("answered_at", sa.BigInteger),
    _need("note", sa.Text),
    _need("role", sa.Text, server_default=""),
)
sa.Index("inquiries_by_case", inquiries.c.case_id, inquiries.c.id)
sa.Index("inquiries_open", inquiries.c.answered_at, inquiries.c.unit)

tip_offs = _table(
    "tip_offs",
    _id(),
    _may("case_id", sa.BigInteger, sa.ForeignKey("cases.id")),
    _need("source", sa.Text),
    _need("text", sa.Text),
    _need("area", sa.Text),
    _may("lat", sa.Double),
    _may("lon", sa.Double),
    _need("taken_by", sa.Text),
    _need("taken_at", sa.BigInteger),
    _may("reward_fen", sa.BigInteger),
    _may("awarded_by", sa.Text),
    _may("awarded_at", sa.BigInteger),
)
sa.Index("tip_offs_by_case", tip_offs.c.case_id)
sa.Index("tip_offs_by_area", tip_offs.c.area, tip_offs.c.taken_at)

van_posts = _table(
    "van_posts",
    _device(primary_key=True),
    _may("lat", sa.Double),
    _may("lon", sa.Double),
    _may("placed_at", sa.BigInteger),
    _need("duty_from", sa.BigInteger),
    _need("duty_until", sa.BigInteger),
    _need("crew", sa.Text),
    _need("changed_by", sa.Text),
    _need("changed_at", sa.BigInteger),
)

dispatches = _table(
    "dispatches",
    _id(),
    _need("dispatch_id", sa.LargeBinary, unique=True),
    _case(),
    _need("van", sa.Text, sa.ForeignKey("devices.device")),
    _need("state", sa.Text),
    _need("lat", sa.Double),
    _need("lon", sa.Double),
    _need("text", sa.Text),
    _may("distance_m", sa.Double),
    _need("sent_by", sa.Text),
    _need("sent_at", sa.BigInteger),
    _may("acknowledge_by", sa.BigInteger),
    _may("acknowledged_at", sa.BigInteger),
    _may("arrived_at", sa.BigInteger),
    _may("ended_at", sa.BigInteger),
    _need("crew", sa.Text),
    _need("report", sa.Text),
    _may("follows", sa.BigInteger, sa.ForeignKey("dispatches.id")),
    _need("version", sa.BigInteger),
)
sa.Index("dispatches_by_case", dispatches.c.case_id, dispatches.c.id)
sa.Index("dispatches_by_van", dispatches.c.van, dispatches.c.ended_at)
sa.Index("dispatches_due", dispatches.c.acknowledge_by)
sa.Index("dispatches_open", dispatches.c.ended_at, dispatches.c.id)
