"""Trees of accounts: where the money went, and what of it is held, nothing counted twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from central.orders.book import OrderRecord
from central.orders.kinds import KINDS, Hold
from contract.clock import UnixMicros

_MONEY = frozenset({Hold.STOP, Hold.FREEZE})


@dataclass(frozen=True, slots=True)
class Node:
    """One account of a case, under the account its money came from."""

    account: bytes
    last4: str
    tier: int
    parent: bytes | None
    held_fen: int
    """Held now. A stop and a freeze on the same money count once: the greater of them."""
    orders: tuple[bytes, ...]


def account_tree(orders: Iterable[OrderRecord], case: str, now: UnixMicros | int) -> list[Node]:
    """Return a case's accounts, tier by tier."""
    by_account: dict[bytes, list[OrderRecord]] = defaultdict(list)
    for record in orders:
        application = record.application
        is_money = KINDS[application.kind].begins in _MONEY
        if application.case == case and is_money and application.account is not None:
            by_account[application.account.hmac].append(record)
    nodes = []
    for account, records in by_account.items():
        newest = records[-1].application
        assert newest.account is not None
        held = max((r.held_fen for r in records if r.is_live(now)), default=0)
        parent = next((r.application.parent for r in records if r.application.parent), None)
        tier = min(r.application.tier for r in records)
        names = tuple(r.application.order_id for r in records)
        nodes.append(Node(account, newest.account.last4, tier, parent, held, names))
    return sorted(nodes, key=lambda node: (node.tier, node.account))


@dataclass(frozen=True, slots=True)
class Branch:
    """A node where a page shows it: below its parent, with what is held from it downwards."""

    depth: int
    node: Node
    with_children_fen: int


def branches(nodes: Iterable[Node]) -> list[Branch]:
    """Return each account once, the parent before its children.

    An account whose parent no order names stands at the top, and so does the first of a ring:
    money that came back to where it was is no reason to count it again.
    """
    every = list(nodes)
    known = {node.account for node in every}
    below: dict[bytes | None, list[Node]] = defaultdict(list)
    for node in every:
        below[node.parent if node.parent in known else None].append(node)
    seen: set[bytes] = set()
    found: list[Branch] = []

    def walk(top: Node) -> None:
        """Depth first, without recursion: a chain of mules may be long."""
        first, waiting = len(found), [(0, top)]
        while waiting:
            depth, node = waiting.pop()
            if node.account in seen:
                continue
            seen.add(node.account)
            found.append(Branch(depth, node, node.held_fen))
            waiting += [(depth + 1, child) for child in reversed(below[node.account])]
        path: list[int] = []
        for at in range(first, len(found)):
            del path[found[at].depth :]
            for above in path:
                whole = found[above].with_children_fen + found[at].node.held_fen
                found[above] = replace(found[above], with_children_fen=whole)
            path.append(at)

    for node in [*below[None], *every]:
        walk(node)
    return found


def held_fen(orders: Iterable[OrderRecord], case: str, now: UnixMicros | int) -> int:
    """Sum of what is held in a case, over all tiers; each account counts once.

    What the parent's account still holds and what its child's holds are different money: the bank
    reports what lies on each account, so that the tiers add up without overlap.
    """
    return sum(node.held_fen for node in account_tree(orders, case, now))
