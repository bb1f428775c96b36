"""Tables of numbers to block, member units, dissuasion and notices."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import Json, _may, _need, _table


def _id() -> sa.Column[int]:
    return _need("id", sa.Integer, primary_key=True, autoincrement=True)


feeds = _table(
    "feeds",
    _id(),
    _need("unit", sa.Text),
    _need("kind", sa.Text),
    _need("name", sa.Text),
    _need("sha256", sa.Text),
    _need("taken", sa.BigInteger),
    _need("refused", sa.BigInteger),
    _need("refusals", Json),
    _need("received_by", sa.Text),
    _need("received_at", sa.BigInteger),
)
sa.Index("feeds_by_unit", feeds.c.unit, feeds.c.id)

numbers = _table(
    "numbers",
    _need("number", sa.Text, primary_key=True),
    _need("state", sa.Text),
    _need("reason", sa.Text),
    _may("decided_by", sa.Text),
    _may("decided_at", sa.BigInteger),
    _may("seen_at", sa.BigInteger),
)
sa.Index("numbers_by_state", numbers.c.state, numbers.c.number)

number_sources = _table(
    "number_sources",
    _need("number", sa.Text, sa.ForeignKey("numbers.number"), primary_key=True),
    _need("feed_id", sa.BigInteger, sa.ForeignKey("feeds.id"), primary_key=True),
    _need("line", sa.BigInteger, primary_key=True),
)

number_pushes = _table(
    "number_pushes",
    _need("number", sa.Text, sa.ForeignKey("numbers.number"), primary_key=True),
    _need("carrier", sa.Text),
    _need("rule", sa.Text),
    _need("pushed_by", sa.Text),
    _need("pushed_at", sa.BigInteger),
    _may("done_at", sa.BigInteger),
    _may("wrong_by", sa.Text),
    _may("back_at", sa.BigInteger),
    _may("answered_at", sa.BigInteger),
    _may("answered_by", sa.Text),
    _need("answer", sa.Text),
)
sa.Index("number_pushes_by_carrier", number_pushes.c.carrier, number_pushes.c.number)

rule_changes = _table(
    "rule_changes",
    _id(),
    _need("rule", sa.Text),
    _need("text", sa.Text),
    _need("state", sa.Text),
    _need("proposed_by", sa.Text),
    _need("proposed_at", sa.BigInteger),
    _may("decided_by", sa.Text),
    _may("decided_at", sa.BigInteger),
)

member_units = _table(
    "member_units",
    _need("unit", sa.Text, primary_key=True),
    _need("zh", sa.Text),
    _need("en", sa.Text),
    _need("kind", sa.Text),
    _need("feed_every_h", sa.BigInteger),
    _need("added_by", sa.Text),
    _need("added_at", sa.BigInteger),
)

indicators = _table(
    "indicators",
    _need("unit", sa.Text, sa.ForeignKey("member_units.unit"), primary_key=True),
    _need("name", sa.Text, primary_key=True),
    _need("period", sa.Text, primary_key=True),
    _need("value", sa.Text),
    _need("feed_id", sa.BigInteger, sa.ForeignKey("feeds.id")),
)

feed_inbox = _table(
    "feed_inbox",
    _need("device", sa.Text, primary_key=True),
    _need("seq", sa.BigInteger, primary_key=True),
    _need("unit", sa.Text),
    _need("kind", sa.Text),
    _need("name", sa.Text),
    _need("csv", sa.LargeBinary),
    _need("lines_before", sa.BigInteger),
    _need("area", sa.Text),
    _need("came_at", sa.BigInteger),
    _need("is_bound", sa.BigInteger),
    _may("feed_id", sa.BigInteger, sa.ForeignKey("feeds.id")),
    _may("done_at", sa.BigInteger),
    _may("told_at", sa.BigInteger),
)
sa.Index("feed_inbox_untold", feed_inbox.c.told_at, feed_inbox.c.came_at)

dissuasions = _table(
    "dissuasions",
    _id(),
    _need("last4", sa.Text),
    _need("seal_id", sa.LargeBinary),
    _need("sealed", sa.LargeBinary),
    _need("risk", sa.Text),
    _need("area", sa.Text),
    _need("note", sa.Text),
    _need("opened_by", sa.Text),
    _need("opened_at", sa.BigInteger),
)

dissuasion_steps = _table(
    "dissuasion_steps",
    _id(),
    _need("dissuasion_id", sa.BigInteger, sa.ForeignKey("dissuasions.id")),
    _need("step", sa.Text),
    _need("outcome", sa.Text),
    _need("text", sa.Text),
    _need("actor", sa.Text),
    _need("at", sa.BigInteger),
)
sa.Index("dissuasion_steps_by_case", dissuasion_steps.c.dissuasion_id, dissuasion_steps.c.id)

screen_notices = _table(
    "screen_notices",
    _need("notice", sa.LargeBinary, primary_key=True),
    _need("order_id", sa.LargeBinary),
    _need("zh", sa.Text),
    _need("en", sa.Text),
    _need("until", sa.BigInteger),
    _need("shown_by", sa.Text),
    _need("shown_at", sa.BigInteger),
    _may("ended_by", sa.Text),
    _may("ended_at", sa.BigInteger),
)
