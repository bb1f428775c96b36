"""Tables of the lists that ATMs look at."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import Json, _device, _may, _need, _table

list_changes = _table(
    "list_changes",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("kind", sa.Text),
    _need("state", sa.Text),
    _need("name", sa.Text),
    _need("note", sa.Text),
    _need("taken", sa.BigInteger),
    _need("refused", sa.BigInteger),
    _need("refusals", Json),
    _may("back_to", sa.BigInteger),
    _need("proposed_by", sa.Text),
    _need("proposed_at", sa.BigInteger),
    _may("decided_by", sa.Text),
    _may("decided_at", sa.BigInteger),
    _may("version", sa.BigInteger),
)
sa.Index("list_changes_by_state", list_changes.c.state, list_changes.c.version)

list_entries = _table(
    "list_entries",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("account", sa.LargeBinary),
    _need("last4", sa.Text),
    _need("listed_for", sa.BigInteger),
    _need("regime", sa.BigInteger),
    _may("from_at", sa.BigInteger),
    _may("until_at", sa.BigInteger),
    _need("source", sa.Text),
    _need("source_ref", sa.Text),
    _need("note", sa.Text),
    _may("change_id", sa.BigInteger),
    _may("added_version", sa.BigInteger),
    _may("removed_version", sa.BigInteger),
    _may("seal_id", sa.LargeBinary),
    _may("sealed", sa.LargeBinary),
    _need("key_number", sa.BigInteger),
)
IS_LIVE = sa.and_(
    list_entries.c.added_version.is_not(None), list_entries.c.removed_version.is_(None)
)
"""What stands in the newest list."""
sa.Index(
    "list_entries_live",
    list_entries.c.account,
    list_entries.c.listed_for,
    list_entries.c.regime,
    list_entries.c.until_at,
    list_entries.c.added_version,
    list_entries.c.removed_version,
    sqlite_where=IS_LIVE,
)
sa.Index("list_entries_added", list_entries.c.added_version)
sa.Index(
    "list_entries_removed",
    list_entries.c.removed_version,
    sqlite_where=list_entries.c.removed_version.is_not(None),
)
sa.Index("list_entries_by_change", list_entries.c.change_id)
sa.Index(
    "list_entries_until",
    list_entries.c.until_at,
    sqlite_where=list_entries.c.removed_version.is_(None),
)

list_change_targets = _table(
    "list_change_targets",
    _need("change_id", sa.BigInteger, sa.ForeignKey("list_changes.id"), primary_key=True),
    _need("entry_id", sa.BigInteger, sa.ForeignKey("list_entries.id"), primary_key=True),
)

list_versions = _table(
    "list_versions",
    _need("version", sa.BigInteger, primary_key=True),
    _need("why", sa.Text),
    _need("count", sa.BigInteger),
    _need("added", sa.BigInteger),
    _need("removed", sa.BigInteger),
    _may("sha256", sa.LargeBinary),
    _need("made_at", sa.BigInteger),
)

device_boxes = _table(
    "device_boxes",
    _device(primary_key=True),
    _need("public", sa.LargeBinary),
    _need("at", sa.BigInteger),
)

tenant_key_steps = _table(
    "tenant_key_steps",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("step", sa.Text),
    _need("number", sa.BigInteger),
    _need("actor", sa.Text),
    _need("at", sa.BigInteger),
)
