"""An order office over a real store, with real machines behind function calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.actor import Actor, Role
from central.config import CentralSettings
from central.orders import order_keys
from central.orders.bank import Account, Incoming, SimulatedBank
from central.orders.book import Application, OrderRecord
from central.orders.dispatch import take_order
from central.orders.drafting import draft_entry
from central.orders.entry import read_entry
from central.orders.kinds import OrderKind
from central.orders.office import OrderOffice, open_office
from central.orders.platform import Sealed
from central.people.desk import PeopleDesk
from contract.clock import Clock, UnixMicros
from contract.cosign import Signature, sign_content
from contract.keys import KeySigner, public_pem
from contract.words import DeviceKind
from tests.central.kit import Central, Station, settings
from tests.central.test_orders import Town
from tests.edge_agent.order_desks import Bench
from tests.orders import CENTRAL_KEY, HOUR_US, NOW, TENANT

AREA = "140500"
NUMBER, SECOND, INNOCENT = "6217000000000000012", "6217000000000000020", "6217000000000000038"
NAME = "张三"
OWNER = "140502199001010011"
TRANSFER = UnixMicros(NOW - HOUR_US)
CARD_KEY = b"k" * 32
KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    for seed, name in enumerate(("li.wei", "wang", "zhao"), start=151)
}


def a_bank(now: Any) -> SimulatedBank:
    """A bank at which one person has two accounts and another one has one."""
    bank = SimulatedBank(now)
    money = [Incoming(4_600_000, TRANSFER)]
    bank.accounts[NUMBER] = Account(NAME, 5_000_000, list(money), OWNER)
    bank.accounts[SECOND] = Account(NAME, 700_000, list(money), OWNER)
    bank.accounts[INNOCENT] = Account("李四", 100_000, list(money), "another")
    return bank


def officer(name: str = "li.wei", *areas: str, role: Role = Role.REVIEWER) -> Actor:
    return Actor(name, frozenset({role}), frozenset(areas or (AREA,)))


@dataclass
class OfficeTown(Town):
    """Machines, a central, and its order office. Two officers are in the bundle."""

    folder: Path
    count: int = 2
    officers: Iterable[str] = ("li.wei", "wang")
    serial: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__init__(self.folder, self.count)
        self.bank = a_bank(self.central.clock.wall)
        self.settings = settings(self.folder)
        self.office = self.open()
        self.name_people()
        for name in self.officers:
            self.office.officers.add("admin", name, public_pem(KEYS[name].public_key()))
        self.carry()

    def add(self, folder: Path, number: int) -> None:
        """As in every town, but all clocks are one: it can be moved for the whole."""
        name = f"atm-{number}"
        self.stations[name] = self.central.enrol(Station(name, DeviceKind.ATM, seed=number))
        (folder / name).mkdir()
        bench = Bench(
            folder / name,
            device=name,
            clock=self.central.clock,
            report=lambda result: self.report(name, result),
        )
        self.desks[name] = bench.open()
        self.born(name)

    def name_people(self) -> None:
        desk = PeopleDesk(self.central.store, self.central.clock, self.folder)
        for name in KEYS:
            desk.create(name, [Role.REVIEWER], [AREA])

    def open(self) -> OrderOffice:
        """Open the office, as a central that starts does."""
        return open_office(
            self.central.store,
            self.settings,
            clock=self.central.clock,
            signer=KeySigner(CENTRAL_KEY),
            publish=self.dispatcher.publish,
            account_key=lambda: CARD_KEY,
            bank=self.bank,
        )

    def draft(
        self, kind: OrderKind = OrderKind.STOP_PAYMENT, number: str = NUMBER, **changes: Any
    ) -> OrderRecord:
        self.serial += 1
        fields: dict[str, Any] = {
            "order_id": b"",
            "kind": kind,
            "sender": "",
            "application_id": f"A-{self.serial}",
            "case": "C-1",
            "area": AREA,
            "account": self.office.ref(number),
            "amount_fen": 4_600_000,
            "transfer_at": TRANSFER,
        }
        sealed = Sealed(number=number, name=changes.pop("name", NAME))
        application = Application(**(fields | changes))
        return self.office.desk.draft(officer(), application, sealed)

    def signature(self, order_id: bytes, name: str) -> Signature:
        content = self.office.desk.content(order_id)
        return sign_content(content, tenant=TENANT, signer=KeySigner(KEYS[name]))

    def sign(self, order_id: bytes, *names: str) -> OrderRecord:
        for name in names or ("li.wei", "wang"):
            self.office.desk.sign(officer(name), order_id, self.signature(order_id, name))
        self.carry()
        return self.office.desk.book.get(order_id)

    def order(self, kind: OrderKind = OrderKind.STOP_PAYMENT, **changes: Any) -> OrderRecord:
        return self.sign(self.draft(kind, **changes).application.order_id)


def filled_office(central: Central, chosen: CentralSettings, clock: Clock) -> OrderOffice:
    """An office beside other things of a central: a live stop, a person's drafts, a mismatch.

    Signed in as ``tester``, whose key is ``KEYS["wang"]``.
    """
    bank = a_bank(clock.wall)
    for account in bank.accounts.values():
        account.incoming = [Incoming(4_600_000, UnixMicros(1_767_319_200_000_000))]
    signer = KeySigner(CENTRAL_KEY)
    office = open_office(
        central.store,
        chosen,
        clock=clock,
        signer=signer,
        publish=lambda raw: take_order(
            central.store, raw, chosen.tenant, order_keys(central.store, signer)
        ),
        account_key=lambda: CARD_KEY,
        bank=bank,
    )
    desk = PeopleDesk(central.store, clock, chosen.folder)
    for name, key in (("tester", KEYS["wang"]), ("zhao", KEYS["zhao"])):
        if central.store.person(name) is None:
            desk.create(name, Role, ["000000"])
        office.officers.add("admin", name, public_pem(key.public_key()))
    typed = {
        "kind": "stop_payment", "number": NUMBER, "name": NAME, "amount": "46,000",
        "transfer_at": "2026-01-02 10:00:00", "case": "C-1", "area": AREA,
    }  # fmt: skip
    actor = Actor("tester", frozenset(Role), frozenset({"000000"}))
    for changes, is_signed in (
        ({"is_urgent": "on"}, True),
        ({"name": "<img src=x onerror=alert(1)>"}, True),
        (
            {"target": "person", "owner": OWNER, "kind": "suspend", "until": "2027-12-31 00:00"},
            False,
        ),
    ):
        entry = read_entry({**typed, **changes}, clock.wall())
        for order in draft_entry(office, actor, entry).orders:
            order_id = order.application.order_id
            content = office.desk.content(order_id)
            for who, key in (("tester", KEYS["wang"]), ("zhao", KEYS["zhao"])) if is_signed else ():
                part = sign_content(content, tenant=chosen.tenant, signer=KeySigner(key))
                office.desk.sign(Actor(who, frozenset(Role), frozenset({"000000"})), order_id, part)
    return office
