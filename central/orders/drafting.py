"""From a form, or from an order that is there, to drafts: one for each account of a person."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from central.actor import Actor, is_within
from central.clocks import local
from central.orders.book import Application, OrderRecord
from central.orders.entry import Entry
from central.orders.kinds import KINDS, Hold, OrderKind, OrderRefusedError, Reason
from central.orders.office import OrderOffice
from central.orders.platform import BankError, Sealed
from central.store.links import link_keys
from contract.clock import UnixMicros
from contract.orders import MAX_COMPARING, ComparingMachine

FOLLOWERS: dict[Hold, tuple[OrderKind, ...]] = {
    Hold.STOP: (OrderKind.RELEASE_STOP, OrderKind.EXTEND_STOP, OrderKind.FREEZE),
    Hold.FREEZE: (OrderKind.RELEASE_FREEZE, OrderKind.EXTEND_FREEZE),
    Hold.WATCH: (OrderKind.END_WATCH,),
    Hold.SUSPENSION: (OrderKind.RESUME,),
    Hold.LINK: (OrderKind.END_CROSS_ATM_LINK,),
}
"""What may be drawn up of an order that lives, from its own page."""
MAX_ACCOUNTS = 50


@dataclass(frozen=True, slots=True)
class Drafted:
    """What became of one form."""

    orders: tuple[OrderRecord, ...]
    refused: tuple[tuple[str, OrderRefusedError], ...] = ()
    """Accounts of a person on which no order could be drawn up: last four digits and why."""


def draft_entry(office: OrderOffice, actor: Actor, entry: Entry) -> Drafted:
    """Draw up what was typed; raises OrderRefusedError if nothing of it could be.

    An order on a person is one on each account that the bank says is theirs: all are shown before
    anybody signs, and all are signed together.
    """
    base = entry.application_id or new_application_id(office, entry.area)
    if not entry.owner:
        return Drafted((_draft(office, actor, entry, entry.number, base, ""),))
    numbers = _accounts_of(office, entry)
    made: list[OrderRecord] = []
    refused: list[tuple[str, OrderRefusedError]] = []
    for place, number in enumerate(numbers, start=1):
        try:
            made.append(_draft(office, actor, entry, number, f"{base}-{place:02}", base))
        except OrderRefusedError as error:
            refused.append((number[-4:], error))
    if not made:
        raise refused[0][1]
    return Drafted(tuple(made), tuple(refused))


def new_application_id(office: OrderOffice, area: str) -> str:
    """Return a number for an application that came without one."""
    return f"{area}-{local(office.clock.wall()):%Y%m%d}-{secrets.token_hex(4).upper()}"


def _accounts_of(office: OrderOffice, entry: Entry) -> Sequence[str]:
    try:
        numbers = office.bank.accounts_of(entry.owner, entry.name)
    except BankError as error:
        raise OrderRefusedError(Reason.BANK_REFUSED, str(error)) from None
    if not numbers:
        raise OrderRefusedError(Reason.NAME_MISMATCH, "the bank knows no account of this person")
    if len(numbers) > MAX_ACCOUNTS:
        raise OrderRefusedError(Reason.MALFORMED, f"more than {MAX_ACCOUNTS} accounts")
    return numbers


def _draft(
    office: OrderOffice, actor: Actor, entry: Entry, number: str, application_id: str, group: str
) -> OrderRecord:
    application = Application(
        order_id=b"",
        kind=entry.kind,
        sender="",
        application_id=application_id,
        case=entry.case,
        area=entry.area,
        account=office.ref(number) if number else None,
        amount_fen=entry.amount_fen,
        transfer_at=entry.transfer_at,
        limit_fen=entry.limit_fen,
        is_urgent=entry.is_urgent,
        parent=office.ref(entry.parent).hmac if entry.parent else None,
        tier=entry.tier,
        until=entry.until,
        ground=entry.ground,
        group=group,
        machines=_machines(office, entry),
    )
    sealed = Sealed(number=number, name=entry.name, payer_number=entry.parent)
    return office.desk.draft(actor, application, sealed)


def _machines(office: OrderOffice, entry: Entry) -> tuple[ComparingMachine, ...]:
    """Return the machines that compare, with the keys they have now; raises OrderRefusedError."""
    if entry.kind is not OrderKind.CROSS_ATM_LINK:
        return ()
    keys = {device.device: (device, key) for device, key in link_keys(office.store)}
    names = set(entry.machines)
    if unknown := sorted(names - keys.keys()):
        words = f"no enrolled machine with a key: {', '.join(unknown)[:200]}"
        raise OrderRefusedError(Reason.MALFORMED, words)
    if entry.is_whole_area:
        names |= {
            name
            for name, (device, _) in keys.items()
            if is_within(device.area or office.area, entry.area)
        }
    if not 0 < len(names) <= MAX_COMPARING:
        words = f"{len(names)} machines compare: 1 to {MAX_COMPARING} may"
        raise OrderRefusedError(Reason.MALFORMED, words)
    try:
        return tuple(ComparingMachine(device=name, key=keys[name][1]) for name in sorted(names))
    except ValueError as error:
        raise OrderRefusedError(Reason.MALFORMED, str(error)) from None


def follow(
    office: OrderOffice,
    actor: Actor,
    orders: Sequence[OrderRecord],
    kind: OrderKind,
    ground: str = "",
) -> list[OrderRecord]:
    """Draw up what ends, renews or replaces live orders, without typing anything again.

    Release is as fast as stop (law 8): one press makes the drafts. Raises OrderRefusedError.
    """
    made = []
    group = "" if len(orders) == 1 else new_application_id(office, orders[0].application.area)
    for order in orders:
        former = order.application
        begins = KINDS[former.kind].begins
        if begins is None or kind not in FOLLOWERS[begins]:
            raise OrderRefusedError(Reason.NOT_NOW, f"no {kind.value} follows it")
        changes: dict[str, Any] = {"targets": (former.order_id,)}
        if kind is OrderKind.FREEZE:
            changes = {"amount_fen": former.amount_fen, "transfer_at": former.transfer_at}
        application = Application(
            order_id=b"",
            kind=kind,
            sender="",
            application_id=_following_id(office, former, kind),
            case=former.case,
            area=former.area,
            account=former.account,
            limit_fen=former.limit_fen if KINDS[kind].begins is Hold.FREEZE else None,
            parent=former.parent,
            tier=former.tier,
            ground=ground if KINDS[kind].ends is not None else "",
            group=group,
            **changes,
        )
        made.append(office.desk.draft(actor, application, _sealed_of(office, former)))
    return made


def _sealed_of(office: OrderOffice, former: Application) -> Sealed:
    return office.desk.open_sealed(former.order_id)


def _following_id(office: OrderOffice, former: Application, kind: OrderKind) -> str:
    code = office.codes.requests.get(kind, kind.value)
    at = f"{local(office.clock.wall()):%m%d%H%M%S}"
    return f"{former.application_id[:24]}-{code}-{at}-{secrets.token_hex(2)}"


def members(
    orders: Sequence[OrderRecord], of: OrderRecord, wanted: Callable[[OrderRecord], bool]
) -> list[OrderRecord]:
    """Orders of one application that belong together: of a person all, else the order alone."""
    group = of.application.group
    return [
        order
        for order in orders
        if (order is of or (group and order.application.group == group)) and wanted(order)
    ]


def remaining_us(order: OrderRecord, now: UnixMicros | int) -> int | None:
    """Time until its term is over; None where it holds nothing."""
    until = order.application.until
    return None if until is None or not order.is_live(now) else max(0, until - int(now))
