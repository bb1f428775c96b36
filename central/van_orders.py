"""Orders to vans, signed by the central itself and given to whoever delivers orders."""

from __future__ import annotations

import os
from collections.abc import Callable

from central.dispatch_desk import Tell
from central.store.sql import SqlStore
from contract.clock import Clock, UnixMicros
from contract.cosign import sign_order
from contract.keys import CENTRAL, Signer
from contract.messages import ID_BYTES
from contract.orders import VERSION, Order, OrderBody, SendVan
from contract.words import OrderType

LIFE_US = 3600 * 1_000_000
"""An hour later the van that was away has nothing to be sent to any more."""


def van_orders(
    store: SqlStore, clock: Clock, signer: Signer, tenant: str, publish: Callable[[bytes], object]
) -> Tell:
    """Return what gives one van one order."""

    def tell(device: str, body: OrderBody) -> None:
        now = int(clock.wall())
        order = Order(
            version=VERSION,
            order_id=os.urandom(ID_BYTES),
            type=OrderType.SEND_VAN if isinstance(body, SendVan) else OrderType.CALL_VAN_OFF,
            issuer=CENTRAL,
            counter=store.take_order_counter(),
            issued_at=UnixMicros(now),
            not_before=UnixMicros(now - LIFE_US),  # a van's clock may be behind
            expires=UnixMicros(now + LIFE_US),
            targets=(device,),
        )
        publish(sign_order(order, body, tenant=tenant, signers=[signer]))

    return tell
