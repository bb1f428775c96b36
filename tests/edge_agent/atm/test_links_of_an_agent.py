"""A whole agent and another machine link visits of one face: real broker, real port, real order."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from atm_face.day_visits import DayVisits
from atm_face.engines.interface import Template
from atm_face.engines.sface import SFaceEngine
from atm_face.faces import template_of
from atm_face.images import decode_image
from central.enrolment import EnrolmentDesk
from central.link_desk import LinkDesk
from central.orders import order_keys
from central.store.identities import IssuedCertificate
from central.store.links import VisitLink, visit_links
from central.web.enrol import EnrolmentServer
from central.web.link_files import LinkRoutes
from contract.clock import SystemClock, UnixMicros
from contract.keys import KeySigner, public_pem
from contract.messages import VisitLinkReport
from contract.orders import ComparingMachine, CrossAtmLink, CrossAtmLinkEnd
from contract.tenant_keys import box_key
from contract.words import DeviceKind, OrderType
from edge_agent.atm.key_ring import BOX_FILE
from edge_agent.atm.link_book import LinkBook
from edge_agent.atm.visit_links import HttpsLinkPort, VisitLinks
from hardware.simulators import portraits
from mqtt_bridge.tls import tls_context
from tests.central.kit import Central, Station
from tests.edge_agent.atm.test_agent import CARD, Bank, Officers, agent, enrol, prepare, site
from tests.mqtt_bridge.doubles import Site, enrolled, eventually
from tests.orders import CENTRAL_KEY, HOUR_US, TENANT

__all__ = ["site"]

ATM = """
[atm.lists]
url = "https://localhost:{port}"
max_age_s = 900
refresh_s = 60
[atm.face.visits]
hours = 24
basis = "the test's own"
[atm.assertion]
terminal = "ATM00001"
socket = "run/assertion.sock"
"""


def know(central: Central, certificate: Path, device: str) -> None:
    shown = x509.load_pem_x509_certificate(certificate.read_bytes())
    central.store.add_certificate(
        IssuedCertificate(
            serial=f"{shown.serial_number:x}",
            device=device,
            not_before=0,
            not_after=2**60,
            issued_at=1,
        )
    )


def port_of(central: Central, site: Site, folder: Path) -> EnrolmentServer:
    desk = EnrolmentDesk(
        store=central.store,
        authority=site.authority,
        tenant=TENANT,
        central_key_pem=public_pem(CENTRAL_KEY.public_key()),
        clock=SystemClock(),
    )
    links = LinkRoutes(LinkDesk(central.store, SystemClock()), central.store)
    papers = site.authority.issue_server(folder / "port")
    return EnrolmentServer(desk, papers, "127.0.0.1", 0, links=links)


def test_an_agent_links_its_visits_with_another_machine_and_stops_with_the_order(
    tmp_path: Path, site: Site
) -> None:
    (tmp_path / "central").mkdir()
    central, clock, engine = Central(tmp_path / "central"), SystemClock(), SFaceEngine()
    bank, officers = Bank(tmp_path / "run" / "assertion.sock"), Officers(central, site)
    server = port_of(central, site, tmp_path)
    server.start()
    config = prepare(tmp_path, site, ATM.format(port=server.port))
    enrol(central, tmp_path)
    know(central, tmp_path / "atm-1" / "device.pem", "atm-1")
    agents_key = box_key(tmp_path / "state" / BOX_FILE)

    # The other machine, of which only the part that links is here.
    central.enrol(Station(device="atm-2", kind=DeviceKind.ATM, seed=5))
    papers, own = enrolled(site.authority, tmp_path / "two", "atm-2"), box_key(tmp_path / "two.box")
    know(central, papers.certificate, "atm-2")
    find_key = order_keys(central.store, KeySigner(CENTRAL_KEY))
    day = DayVisits(
        tmp_path / "two.visits",
        b"2" * 32,
        engine,
        device="atm-2",
        tenant=TENANT,
        find_key=find_key,
    )
    template = template_of(engine, decode_image(portraits.with_brightness(0.8), "visit"))
    assert isinstance(template, Template)
    day.add(template, CARD.hmac, clock.wall())
    orders: dict[bytes, bytes] = {}
    reports: list[VisitLinkReport] = []
    other = VisitLinks(
        LinkBook(tmp_path / "two.links"),
        HttpsLinkPort(f"https://localhost:{server.port}", lambda: tls_context(papers)),
        day,
        device="atm-2",
        own=own,
        clock=clock,
        orders=lambda: orders,
        report=reports.append,
    )

    def found(order_id: bytes) -> list[VisitLink]:
        with central.store.reading() as connection:
            return list(visit_links(connection, order_id, 10))

    with officers.at_work():
        officers.appoint()
        with agent(config):
            assert eventually(bank.is_heard, 30)
            bank.decide(bank.open_visit())
        assert other.step() == []
        assert reports == []
        machines = tuple(
            ComparingMachine(device=name, key=key.public_key().public_bytes_raw())
            for name, key in (("atm-1", agents_key), ("atm-2", own))
        )
        until = UnixMicros(clock.wall() + HOUR_US)
        body = CrossAtmLink(case="C-7", until=until, accounts=(CARD,), machines=machines)
        order = officers.order(OrderType.CROSS_ATM_LINK, body)
        order_id = order.order.order_id
        orders[order_id] = order.raw
        assert other.step() == []  # its visit waits for the agent
        assert found(order_id) == []
        with agent(config):
            assert eventually(lambda: bool(found(order_id)), 60)
            (link,) = found(order_id)
            assert (link.machine, link.sender, link.visit) == ("atm-1", "atm-2", 1)
            assert link.similarity > engine.default_threshold

            def is_compared() -> bool:
                assert other.step() == []
                return bool(reports)

            assert eventually(is_compared, 30)
            (report,) = reports
            assert (report.sender, report.is_opened, report.linked) == ("atm-1", True, 1)
            officers.order(OrderType.END_CROSS_ATM_LINK, CrossAtmLinkEnd(ends=(order_id,)))
            is_ended = LinkBook(tmp_path / "state" / "links.sqlite3")
            assert eventually(lambda: is_ended.up_to(order_id, "atm-2") == 0, 30)
            is_ended.close()
    other.step()
    assert len(reports) == 1
    server.stop()
    day.close()
    central.store.close()
