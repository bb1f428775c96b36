"""Everything of orders in one running central: the desk, the officers, the way to the banks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from central.audit import SYSTEM, record
from central.clocks import Law, Subject, day_of, load_law
from central.config import CentralSettings
from central.orders.bank import SimulatedBank, load_accounts
from central.orders.book import HOUR_US, Book, OrderRecord
from central.orders.desk import OrderDesk, Wiring
from central.orders.dispatch import order_keys
from central.orders.effects import Flag, flagged
from central.orders.kinds import KINDS, Hold
from central.orders.log import SqlOrderLog
from central.orders.officers import OfficersDesk
from central.orders.platform import PLATFORM_FILE, BankAdapter, Codes, NoBank, load_codes
from central.orders.sealed import Vault
from central.orders.settings import BankKind
from central.store.interface import Event
from central.store.sql import SqlStore
from contract.accounts import MIN_KEY_BYTES, CardRef, card_ref
from contract.clock import Clock, UnixMicros
from contract.cosign import SignedOrder
from contract.files import create_durably
from contract.keyfiles import KeyFileError, check_private, read_file
from contract.keys import CENTRAL, KeySigner

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class OrderOffice:
    """What pages, commands and the ticking thread work with."""

    store: SqlStore
    clock: Clock
    law: Law
    codes: Codes
    bank: BankAdapter
    desk: OrderDesk
    officers: OfficersDesk
    tenant: str
    area: str
    """The central's own division, of machines that name none."""
    account_key: Callable[[], bytes]
    """Key under which accounts are named now."""
    _warned_to: int = 0

    def ref(self, number: str) -> CardRef:
        """Return an account as orders name it; raises ValueError."""
        return card_ref(number, self.account_key())

    def tick(self) -> int:
        """End, lapse and take up what is due, and warn of what ends soon."""
        moved = self.desk.tick()
        for order, at in self._warnings():
            with self.store.transaction() as tx:
                detail = {"ends_at": int(order.application.until or 0)}
                name = order.application.order_id.hex()
                record(tx, at, SYSTEM, "order.warning", name, detail=detail)
            _log.warning("order_ends_soon", order=order.application.order_id.hex())
            moved += 1
        return moved

    def _warnings(self) -> list[tuple[OrderRecord, UnixMicros]]:
        now = int(self.clock.wall())
        after, self._warned_to = self._warned_to or now, now
        return [
            (order, at)
            for order in self.desk.live()
            for at in self.warn_at(order)
            if after < at <= now
        ]

    def warn_at(self, order: OrderRecord) -> tuple[UnixMicros, ...]:
        """Moments at which people are warned of an order's end; the law's row says how long before.

        Kinds that no law gives a term have no warning.
        """
        term, until = KINDS[order.application.kind].term, order.application.until
        if term is None or until is None:
            return ()
        values = self.law.row(term, day_of(order.application.drafted_at)).values
        hours: Sequence[int] = values.get("warn_before_hours", ())
        return tuple(UnixMicros(until - h * HOUR_US) for h in hours)

    def times_left(self, account: bytes) -> int:
        """How often an account may still be stopped."""
        row = self.law.row(Subject.STOP_PAYMENT, day_of(self.clock.wall()))
        return max(0, int(row.values["max_times"]) - self.desk.book.executed_stops(account))

    def flags(self) -> list[Flag]:
        """Accounts that live orders watch or suspend, for whoever builds the list."""
        return list(flagged(self.desk.live(), self.clock.wall()))

    def holds(self, hold: Hold) -> list[OrderRecord]:
        """Live orders of one hold."""
        return [r for r in self.desk.live() if KINDS[r.application.kind].begins is hold]


def account_key_file(settings: CentralSettings) -> Callable[[], bytes]:
    """Return the reader of the key under which ATMs know accounts; made here where it is missing.

    Raises KeyFileError at once if the file cannot be used.
    """
    path = settings.orders.tenant_key or settings.folder / "card.key"
    if settings.orders.tenant_key is None and not path.exists():
        create_durably(path, secrets.token_bytes(MIN_KEY_BYTES))

    def read() -> bytes:
        check_private(path)
        key = read_file(path)
        if len(key) < MIN_KEY_BYTES:
            raise KeyFileError(path, f"has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
        return key

    read()
    return read


def open_office(
    store: SqlStore,
    settings: CentralSettings,
    *,
    clock: Clock,
    signer: KeySigner,
    publish: Callable[[bytes], SignedOrder],
    on_events: Callable[[Sequence[Event]], None] = lambda events: None,
    account_key: Callable[[], bytes] | None = None,
    bank: BankAdapter | None = None,
) -> OrderOffice:
    """Open the desk over what the store knows; raises KeyFileError, PlatformError, BankFileError.

    ``publish`` gives a signed order to the machines; ``bank`` stands in for the configured one.
    """
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    codes, law = load_codes(settings.orders.platform or PLATFORM_FILE), load_law()
    vault = Vault.at(settings.folder / "sealed.key")
    simulated: SimulatedBank | None = None
    if bank is None and settings.orders.bank is BankKind.SIMULATED:
        simulated = SimulatedBank(clock.wall, codes)
        assert settings.orders.accounts is not None
        simulated.accounts = load_accounts(settings.orders.accounts)
    chosen: BankAdapter = bank or simulated or NoBank()
    log = SqlOrderLog(store, clock, on_events)
    wiring = Wiring(
        tenant=settings.tenant,
        issuer=CENTRAL,
        clock=clock,
        find_key=lambda at: order_keys(store, signer, at),
        bank=chosen,
        codes=codes,
        vault=vault,
        publish=publish,
        counter=store.take_order_counter,
    )
    desk = OrderDesk(Book(law, log.load()), log, wiring)
    if simulated is not None:
        for order in desk.live():
            number = desk.open_sealed(order.application.order_id).number
            simulated.adopt(order.application, number)
    return OrderOffice(
        store=store,
        clock=clock,
        law=law,
        codes=codes,
        bank=chosen,
        desk=desk,
        officers=OfficersDesk(
            store, clock, signer, settings.tenant, publish, settings.orders.passkeys
        ),
        tenant=settings.tenant,
        area=settings.area,
        account_key=account_key or account_key_file(settings),
    )
