"""Orders: drawn up, signed by two, matched at the bank, sent to every machine, ended in time."""

from central.orders.dispatch import Heard, OrderDispatcher, order_keys

__all__ = ["Heard", "OrderDispatcher", "order_keys"]
