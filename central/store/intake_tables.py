"""Tables of alarms, of what runs from them, of refunds and of reports."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.case_tables import _case, _id
from central.store.tables import Json, _may, _need, _table

alarms = _table(
    "alarms",
    _id(),
    _need("source", sa.Text),
    _need("number", sa.Text),
    _case(),
    _need("via", sa.Text),
    _need("area", sa.Text),
    _need("alarm_at", sa.BigInteger),
    _need("received_at", sa.BigInteger),
    _need("amount_fen", sa.BigInteger),
    _need("victim", sa.Text),
    _need("seal_key", sa.LargeBinary),
    _need("sealed", sa.LargeBinary),
    _need("brief", sa.Text),
    _need("taken_by", sa.Text),
)
sa.Index("alarms_by_case", alarms.c.case_id, alarms.c.id)
sa.Index("alarms_by_time", alarms.c.alarm_at, alarms.c.area)

alarm_accounts = _table(
    "alarm_accounts",
    _id(),
    _need("alarm_id", sa.BigInteger, sa.ForeignKey("alarms.id")),
    _need("last4", sa.Text),
    _need("holder", sa.Text),
    _need("bank", sa.Text),
    _need("amount_fen", sa.BigInteger),
    _need("transfer_at", sa.BigInteger),
    _need("seal_key", sa.LargeBinary),
    _need("sealed", sa.LargeBinary),
    _need("added_by", sa.Text),
    _need("added_at", sa.BigInteger),
)
sa.Index("alarm_accounts_by_alarm", alarm_accounts.c.alarm_id, alarm_accounts.c.id)

alarm_refusals = _table(
    "alarm_refusals",
    _id(),
    _need("at", sa.BigInteger),
    _need("via", sa.Text),
    _need("sender", sa.Text),
    _need("number", sa.Text),
    _need("problems", Json),
)

happenings = _table(
    "happenings",
    _id(),
    _case(),
    _need("happening", sa.Text),
    _need("subject", sa.Text),
    _need("at", sa.BigInteger),
    _need("detail", sa.Text),
    _need("noted_by", sa.Text),
    _need("noted_at", sa.BigInteger),
)
sa.Index("happenings_by_case", happenings.c.case_id, happenings.c.id)
sa.Index("happenings_by_time", happenings.c.happening, happenings.c.at)

case_clocks = _table(
    "case_clocks",
    _case(primary_key=True),
    _need("is_running", sa.BigInteger),
    _may("next_at", sa.BigInteger),
    _need("told_until", sa.BigInteger),
)
sa.Index("case_clocks_due", case_clocks.c.next_at)
sa.Index("case_clocks_running", case_clocks.c.is_running, case_clocks.c.next_at)

notices = _table(
    "notices",
    _id(),
    _need("at", sa.BigInteger),
    _need("kind", sa.Text),
    _case(),
    _need("area", sa.Text),
    _need("told_to", sa.Text),
    _need("data", Json),
    _may("seen_by", sa.Text),
    _may("seen_at", sa.BigInteger),
)
sa.Index("notices_unseen", notices.c.seen_at, notices.c.id)
sa.Index("notices_by_case", notices.c.case_id, notices.c.id)

refunds = _table(
    "refunds",
    _id(),
    _case(),
    _need("account", sa.Text),
    _need("held_fen", sa.BigInteger),
    _need("method", sa.Text),
    _need("claims", Json),
    _need("shares", Json),
    _need("left_fen", sa.BigInteger),
    _need("state", sa.Text),
    _need("proposed_by", sa.Text),
    _need("proposed_at", sa.BigInteger),
    _may("approved_by", sa.Text),
    _may("approved_at", sa.BigInteger),
    _may("notice_until", sa.BigInteger),
    _may("decided_by", sa.Text),
    _may("decided_at", sa.BigInteger),
    _may("done_by", sa.Text),
    _may("done_at", sa.BigInteger),
    _need("note", sa.Text),
    _need("version", sa.BigInteger),
)
sa.Index("refunds_by_case", refunds.c.case_id, refunds.c.id)
sa.Index("refunds_by_state", refunds.c.state, refunds.c.id)

reports = _table(
    "reports",
    _id(),
    _need("span", sa.Text),
    _need("first_day", sa.Text),
    _need("area", sa.Text),
    _need("revision", sa.BigInteger),
    _need("made_at", sa.BigInteger),
    _need("made_by", sa.Text),
    _need("reason", sa.Text),
    _need("data", Json),
    _need("digest", sa.Text),
)

stated_figures = _table(
    "stated_figures",
    _id(),
    _need("indicator", sa.Text),
    _need("area", sa.Text),
    _need("period", sa.Text),
    _need("value", sa.Text),
    _need("stated_at", sa.BigInteger),
    _need("stated_by", sa.Text),
    _need("reason", sa.Text),
)
sa.Index(
    "stated_figures_by_period",
    stated_figures.c.indicator,
    stated_figures.c.period,
    stated_figures.c.id,
)
