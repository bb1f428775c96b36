"""``qianshao central keys``: going over to another key for accounts, from the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contract.clock import SystemClock

if TYPE_CHECKING:
    from central.config import CentralSettings
    from central.store.sql import SqlStore


def take_step(
    settings: CentralSettings, store: SqlStore, verb: str, number: int = 0
) -> dict[str, Any]:
    """Take one step and return what counts then; raises ValueError where it may not be taken.

    Orders are put into the store, where a running central finds and delivers them.
    """
    from central.audit import TERMINAL
    from central.lists.rotation import key_desk_in
    from central.orders import order_keys
    from central.own_key import central_signer
    from contract.cosign import open_order

    signer = central_signer(settings)

    def publish(raw: bytes) -> None:
        find_key = order_keys(store, signer)
        signed = open_order(raw, tenant=settings.tenant, find_key=find_key)
        store.add_order(signed, list(signed.order.targets))

    desk = key_desk_in(settings, store, SystemClock(), signer=signer, publish=publish)
    if verb == "begin":
        desk.begin(TERMINAL)
    elif verb == "switch":
        desk.switch(TERMINAL)
    elif verb == "retire":
        desk.retire(TERMINAL, number)
    state = desk.state()
    return {
        "schema": "qianshao-tenant-keys/1",
        "in_use": state.primary,
        "handed_out": state.coming,
        "former": list(state.former),
        "machines": {one.device: one.state for one in desk.receipts()},
    }
