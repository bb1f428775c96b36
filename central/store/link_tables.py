"""Tables of visits linked over machines: what waits from one to another, and what they found."""

from __future__ import annotations

import sqlalchemy as sa

from central.store.tables import _need, _table

link_parcels = _table(
    "link_parcels",
    _need("digest", sa.LargeBinary, primary_key=True),
    _need("order_id", sa.LargeBinary, sa.ForeignKey("orders.order_id")),
    _need("sender", sa.Text),
    _need("recipient", sa.Text),
    _need("parcel", sa.LargeBinary),
    _need("came_at", sa.BigInteger),
)
sa.Index("link_parcels_by_recipient", link_parcels.c.recipient, link_parcels.c.came_at)

link_comparisons = _table(
    "link_comparisons",
    _need("machine", sa.Text, primary_key=True),
    _need("digest", sa.LargeBinary, primary_key=True),
    _need("order_id", sa.LargeBinary, sa.ForeignKey("orders.order_id")),
    _need("sender", sa.Text),
    _need("is_opened", sa.BigInteger),
    _need("faces", sa.BigInteger),
    _need("compared", sa.BigInteger),
    _need("linked", sa.BigInteger),
    _need("at", sa.BigInteger),
)
sa.Index("link_comparisons_by_order", link_comparisons.c.order_id, link_comparisons.c.at)

linked_visits = _table(
    "linked_visits",
    _need("order_id", sa.LargeBinary, sa.ForeignKey("orders.order_id"), primary_key=True),
    _need("machine", sa.Text, primary_key=True),
    _need("sender", sa.Text, primary_key=True),
    _need("visit", sa.BigInteger, primary_key=True),
    _need("captured_at", sa.BigInteger),
    _need("similarity", sa.Double),
)
