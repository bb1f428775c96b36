"""Tables of what happened to orders; what the machines got is in :mod:`central.store.tables`."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import Json, _may, _need, _table

order_events = _table(
    "order_events",
    _need("id", sa.Integer, primary_key=True, autoincrement=True),
    _need("order_id", sa.LargeBinary),
    _need("step", sa.Text),
    _need("at", sa.BigInteger),
    _need("actor", sa.Text),
    _need("detail", Json),
    _may("application", Json),
)
sa.Index("order_events_by_order", order_events.c.order_id, order_events.c.id)

order_sealed = _table(
    "order_sealed",
    _need("order_id", sa.LargeBinary, primary_key=True),
    _need("sealed", sa.LargeBinary),
)

order_counter = _table(
    "order_counter",
    _need("id", sa.BigInteger, primary_key=True),
    _need("last", sa.BigInteger),
)

waiting_passkeys = _table(
    "waiting_passkeys",
    _need("kid", sa.LargeBinary, primary_key=True),
    _need("person", sa.Text, sa.ForeignKey("people.name")),
    _need("credential_id", sa.LargeBinary),
    _need("public_pem", sa.Text),
    _need("made_at", sa.BigInteger),
)
sa.Index("waiting_passkeys_by_person", waiting_passkeys.c.person, waiting_passkeys.c.made_at)
