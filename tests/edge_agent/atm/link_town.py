"""Machines with their day's visits, an order office, and the central's port over mutual TLS."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from atm_face.day_visits import DayVisits
from atm_face.engines.interface import FaceEngine, Template
from atm_face.simulated import made_up_template
from central.authority import Authority
from central.clocks import local
from central.enrolment import EnrolmentDesk
from central.link_desk import LinkDesk
from central.orders.drafting import draft_entry
from central.orders.entry import read_entry
from central.orders.kinds import OrderKind
from central.store.identities import IssuedCertificate
from central.store.link_tables import link_parcels
from central.store.links import LinkComparison, VisitLink, comparisons, visit_links
from central.store.list_tables import device_boxes
from central.web.enrol import EnrolmentServer
from central.web.link_files import LinkRoutes
from contract.clock import UnixMicros
from contract.keys import public_pem
from contract.messages import VisitLinkReport
from contract.tenant_keys import box_key
from contract.topics import Lane
from edge_agent.atm.key_ring import BOX_FILE
from edge_agent.atm.link_book import LinkBook
from edge_agent.atm.visit_links import HttpsLinkPort, VisitLinks
from mqtt_bridge.ports import TlsFiles
from mqtt_bridge.tls import tls_context
from tests.central.office import AREA, NUMBER, OfficeTown, officer
from tests.mqtt_bridge.doubles import enrolled
from tests.orders import CENTRAL_KEY, HOUR_US, TENANT


@dataclass
class Machine:
    """One ATM's part in linking; :meth:`start` is a start of its agent."""

    town: LinkTown
    name: str
    papers: TlsFiles
    engine: FaceEngine
    reports: list[VisitLinkReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.town.folder / self.name
        self.own: X25519PrivateKey = box_key(self.folder / BOX_FILE)
        self.day = DayVisits(
            self.folder / "visits.sqlite3",
            bytes([len(self.name)]) * 32,
            self.engine,
            device=self.name,
            tenant=TENANT,
            find_key=self.town.desks[self.name].find_key,
        )

    @property
    def public(self) -> bytes:
        return self.own.public_key().public_bytes_raw()

    def visit(self, who: str, card: bytes = b"x" * 32) -> int:
        template = made_up_template(self.engine, who)
        self.town.templates.append(template)
        return self.day.add(template, card, self.town.central.clock.wall())

    def start(self, on_step: Callable[[str], None] = lambda step: None) -> VisitLinks:
        self.book = LinkBook(self.folder / "links.sqlite3")
        return VisitLinks(
            self.book,
            HttpsLinkPort(self.town.url, lambda: tls_context(self.papers)),
            self.day,
            device=self.name,
            own=self.own,
            clock=self.town.central.clock,
            orders=self.town.desks[self.name].link_orders,
            report=self.report,
            on_step=on_step,
        )

    def report(self, report: VisitLinkReport) -> None:
        self.reports.append(report)
        station = self.town.stations[self.name]
        self.town.sent.append(station.next(report))
        self.town.central.take(station.topic(Lane.DECISIONS), self.town.sent[-1])

    def step(self) -> list[str]:
        """Start, do one round, stop."""
        links = self.start()
        try:
            return links.step()
        finally:
            self.book.close()


class LinkTown(OfficeTown):
    """A central with its port, and machines ``atm-1`` to ``atm-3``."""

    def __init__(self, folder: Path, engine: FaceEngine, count: int = 3) -> None:
        super().__init__(folder, count)
        self.templates: list[Template] = []
        self.sent: list[bytes] = []
        self.authority = Authority.create(folder / "ca")
        self.links = LinkDesk(self.central.store, self.central.clock)
        desk = EnrolmentDesk(
            store=self.central.store,
            authority=self.authority,
            tenant=TENANT,
            central_key_pem=public_pem(CENTRAL_KEY.public_key()),
            clock=self.central.clock,
        )
        self.server = EnrolmentServer(
            desk,
            self.authority.issue_server(folder / "port"),
            "127.0.0.1",
            0,
            links=LinkRoutes(self.links, self.central.store),
        )
        self.machines = {
            name: Machine(self, name, self.papers(name), engine) for name in self.stations
        }
        for machine in self.machines.values():
            self.know_key(machine.name, machine.public)

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    @contextlib.contextmanager
    def open_port(self) -> Iterator[None]:
        self.server.start()
        try:
            yield
        finally:
            self.server.stop()
            for machine in self.machines.values():
                machine.day.close()

    def papers(self, name: str) -> TlsFiles:
        """Papers of a machine, which the central has written down."""
        files = enrolled(self.authority, self.folder / "papers" / name, name)
        shown = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        self.central.store.add_certificate(
            IssuedCertificate(
                serial=f"{shown.serial_number:x}",
                device=name,
                not_before=0,
                not_after=2**60,
                issued_at=1,
            )
        )
        return files

    def know_key(self, name: str, public: bytes) -> None:
        with self.central.store.transaction() as tx:
            connection = tx._connection  # type: ignore[attr-defined]
            connection.execute(device_boxes.delete().where(device_boxes.c.device == name))
            row = {"device": name, "public": public, "at": 1}
            connection.execute(device_boxes.insert(), row)

    def drafted(self, *machines: str, hours: int = 12, **typed: str) -> bytes:
        """Draw an order up by the form; returns its id."""
        until = UnixMicros(self.central.clock.wall() + hours * HOUR_US)
        fields = {
            "kind": OrderKind.CROSS_ATM_LINK.value,
            "number": NUMBER,
            "case": "C-7",
            "area": AREA,
            "until": f"{local(until):%Y-%m-%d %H:%M:%S}",
            "machines": " ".join(machines),
        }
        entry = read_entry(fields | typed, self.central.clock.wall())
        (made,) = draft_entry(self.office, officer(), entry).orders
        return made.application.order_id

    def link(self, *machines: str, hours: int = 12) -> bytes:
        """An order of two officers, at all machines."""
        order_id = self.drafted(*(machines or tuple(self.machines)), hours=hours)
        self.sign(order_id)
        return order_id

    def end(self) -> None:
        self.order(OrderKind.END_CROSS_ATM_LINK, account=None, case="C-7")

    def round(self, times: int = 2) -> list[str]:
        """Let every machine do its rounds; returns what could not be done."""
        return [
            problem
            for _ in range(times)
            for machine in self.machines.values()
            for problem in machine.step()
        ]

    def mule(self) -> bytes:
        """The card of the case."""
        return self.office.ref(NUMBER).hmac

    def comparisons(self, order_id: bytes) -> list[LinkComparison]:
        with self.central.store.reading() as connection:
            return list(comparisons(connection, order_id))

    def found(self, order_id: bytes) -> list[VisitLink]:
        with self.central.store.reading() as connection:
            return list(visit_links(connection, order_id, 100))

    def parcels(self) -> list[Any]:
        with self.central.store.reading() as connection:
            return list(connection.execute(link_parcels.select()).all())

    def ask(
        self, method: str, path: str, context: ssl.SSLContext, body: bytes | None = None
    ) -> tuple[int, bytes]:
        line = http.client.HTTPSConnection("localhost", self.server.port, context=context)
        with contextlib.closing(line):
            line.request(method, path, body)
            answer = line.getresponse()
            return answer.status, answer.read()
