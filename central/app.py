"""The central process: broker, intake, ingest, store and pages, started and stopped together."""

from __future__ import annotations

import datetime as dt
import gc
import hashlib
import signal
import sys
import threading
import time
from pathlib import Path

import structlog

from central.alert_desk import AlertDesk
from central.audit import AuditLog
from central.authority import Authority, AuthorityError, split_hosts
from central.case_watch import CaseWatch
from central.checking import suitable_check
from central.clock_work import ClockDesk
from central.config import BrokerKind, CentralSettings, load_settings
from central.dispatch_desk import DispatchDesk, Tell
from central.enrolment import EnrolmentDesk
from central.hub import Hub
from central.ingest import Ingest
from central.intake.door import AlarmDoor
from central.link_desk import LinkDesk
from central.lists import ListDesk, ListKeeper, WireHolds, all_holds
from central.lists.keys import desk_in, keys_in_force
from central.lists.rotation import key_desk_in
from central.order_clocks import ReceiptWatch
from central.orders import OrderDispatcher, order_keys
from central.orders.bank import BankFileError
from central.orders.office import open_office
from central.orders.platform import PlatformError
from central.own_key import central_signer
from central.store.interface import StoreUnavailableError
from central.store.migrations import MigrationError
from central.store.opening import open_store
from central.store.retention import erase
from central.tending import Duty, Tending
from central.units.inbox import FeedInbox
from central.units.outreach import outreach_in
from central.van_orders import van_orders
from central.web.app import create_app
from central.web.enrol import EnrolmentServer
from central.web.link_files import LinkRoutes
from central.web.list_files import ListRoutes
from central.web.security import BindError, check_bind
from central.web.server import WebServer
from central.webhooks import Courier, WebhookError
from contract.clock import SystemClock
from contract.keyfiles import KeyFileError
from contract.keys import KeySigner, public_pem
from contract.settings import ConfigError
from mqtt_bridge.brokers.interface import Broker, BrokerError, DeviceGrant
from mqtt_bridge.brokers.managed import Listener
from mqtt_bridge.brokers.mosquitto import MosquittoBroker
from mqtt_bridge.brokers.nats import NatsBroker
from mqtt_bridge.intake import Intake
from mqtt_bridge.ports import BrokerAddress, TlsFiles

EXIT_FAILED = 1
EXIT_CONFIG = 2
TEND_S = 0.5
"""How often the broker is looked after."""
GC_THRESHOLD = (50_000, 20, 50)
"""A batch of messages makes tens of thousands of objects without a cycle: looking for cycles every
700 of them costs a tenth of ingest."""
SEAL_S = 60.0
"""How often the end of the audit log is signed."""
RENEW_S = 24 * 3600.0
"""How often the central renews its own certificates; they live for 30 days."""

CALLS_EVERY_S = 5.0
"""How often alerts are looked through that nobody has acknowledged."""
CLOCKS_EVERY_S = 1.0
"""How often the law's clocks are asked what is due."""
CASES_EVERY_S = 10.0
"""How often open cases are looked through for silence, for sightings and for what meets a lead."""
VANS_EVERY_S = 2.0
"""How often crews are looked through that have not answered."""
LINKS_EVERY_S = 5.0
"""How often parcels are looked for whose order is over."""
ORDERS_EVERY_S = 1.0
FEEDS_EVERY_S = 1.0
"""How often orders are looked through: what is over ends, what was cut off is taken up."""
OFFICERS_EVERY_S = 24 * 3600.0
RETENTION_EVERY_S = 24 * 3600.0

_BROKERS: dict[BrokerKind, type[NatsBroker] | type[MosquittoBroker]] = {
    BrokerKind.NATS: NatsBroker,
    BrokerKind.MOSQUITTO: MosquittoBroker,
}

log = structlog.get_logger("central")


def spare_the_collector() -> None:
    """Look for cycles rarely, and never again among what stays for as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


class Central:
    """One central, composed from its settings."""

    def __init__(self, settings: CentralSettings) -> None:
        check_bind(settings.http_host, has_tls=settings.http_tls is not None)
        self._settings = settings
        self._stopping = threading.Event()
        self._issued = 0.0
        self._sealed = 0.0
        self._granted: tuple[str, ...] = ()
        settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        signer = central_signer(settings)
        self._public_pem = public_pem(signer.public)
        self._store = open_store(settings.store_path, settings.store_url)
        self._broker, address = self._make_broker()
        # The session's name must outlive restarts and be hard to guess: it derives from the key.
        session = hashlib.sha256(b"intake session\0" + signer.sign(b"intake session")).hexdigest()
        self._intake = Intake(
            address,
            settings.tenant,
            client_id=f"central-{session[:24]}",
            has_replay_session=settings.broker_sessions > 1,
        )
        self._audit = AuditLog(self._store, SystemClock(), signer)
        self._hub = Hub(settings.stream_queue_events)
        self._orders = OrderDispatcher(
            self._store,
            self._intake,
            tenant=settings.tenant,
            signer=signer,
            clock=SystemClock(),
            find_key=order_keys(self._store, signer),
        )
        self._feeds = FeedInbox(
            self._store,
            self._intake,
            tenant=settings.tenant,
            signer=signer,
            clock=SystemClock(),
            senders=settings.feed_senders,
            on_events=self._hub.publish,
        )
        self._ingest = self._make_ingest(signer)
        tell_van = van_orders(
            self._store, SystemClock(), signer, settings.tenant, self._orders.publish
        )
        self._vans = DispatchDesk(
            self._store,
            SystemClock(),
            tell_van,
            self._hub.publish,
            utc_offset_minutes=settings.utc_offset_minutes,
        )
        self._office = open_office(
            self._store,
            settings,
            clock=SystemClock(),
            signer=signer,
            publish=self._orders.publish,
            on_events=self._hub.publish,
            account_key=lambda: keys_in_force(settings, self._store)[0].secret,
        )
        self._alerts = AlertDesk(self._store, SystemClock(), self._hub.publish)
        self._clocks = ClockDesk(self._store, SystemClock(), self._hub.publish)
        self._cases = CaseWatch(self._store, SystemClock(), self._hub.publish)
        self._links = LinkDesk(self._store, SystemClock())
        self._tending = self._make_tending()
        holds = all_holds(WireHolds(self._store), self._office.flags)
        self._lists = ListKeeper(
            self._store,
            self._intake,
            settings.folder / "lists",
            tenant=settings.tenant,
            signer=signer,
            clock=SystemClock(),
            holds=holds,
        )
        lists = desk_in(settings, self._store, SystemClock(), self._lists.wake)
        self._keys = key_desk_in(
            settings,
            self._store,
            SystemClock(),
            signer=signer,
            publish=self._orders.publish,
            holds=holds,
            on_change=self._lists.wake,
        )
        self._couriers = tuple(
            Courier(
                self._store, target, settings.folder / "webhooks", settings.tenant, SystemClock()
            )
            for target in settings.webhooks
        )
        self._web = self._make_web(signer, tell_van, lists)
        self._enrolment = self._make_enrolment()

    def _make_ingest(self, signer: KeySigner) -> Ingest:
        settings = self._settings
        return Ingest(
            self._store,
            self._intake,
            tenant=settings.tenant,
            signer=signer,
            clock=SystemClock(),
            on_events=self._hub.publish,
            on_heard=self._orders.heard,
            area=settings.area,
            take_alarm=AlarmDoor.at(settings.folder, settings.alarm_senders).take,
            take_feed=self._feeds.note,
            batch_messages=settings.batch_messages,
            receipt_interval_ms=settings.receipt_interval_ms,
            signatures=suitable_check(),
        )

    def _make_tending(self) -> Tending:
        """What is to be looked after, and how often."""
        return Tending(
            SystemClock(),
            Duty("vans", VANS_EVERY_S, self._vans.next_due),
            Duty("cases", CASES_EVERY_S, self._cases.step),
            Duty("calls", CALLS_EVERY_S, self._alerts.call_due),
            Duty("clocks", CLOCKS_EVERY_S, self._clocks.tell_due),
            Duty("receipts", CLOCKS_EVERY_S, ReceiptWatch(self._store, SystemClock()).step),
            Duty("order_desk", ORDERS_EVERY_S, self._office.tick),
            Duty("feeds", FEEDS_EVERY_S, self._feeds.step),
            Duty("links", LINKS_EVERY_S, self._links.forget_over),
            Duty("officers", OFFICERS_EVERY_S, self._office.officers.renew_due),
            Duty("retention", RETENTION_EVERY_S, self._erase_old),
        )

    def _make_web(self, signer: KeySigner, tell_van: Tell, lists: ListDesk) -> WebServer:
        settings = self._settings
        app = create_app(
            self._store,
            self._hub,
            settings,
            lambda: self._ingest.status,
            signer=signer,
            couriers=self._couriers,
            tell_van=tell_van,
            lists=lists,
            keys=self._keys,
            outreach=outreach_in(
                settings,
                self._store,
                SystemClock(),
                signer=signer,
                publish=self._orders.publish,
            ),
            order_office=self._office,
        )
        return WebServer(app, self._hub, settings.http_host, settings.http_port, settings.http_tls)

    def _erase_old(self) -> int:
        return erase(self._store, self._settings.retention, int(SystemClock().wall()))

    def _make_enrolment(self) -> EnrolmentServer | None:
        """Return the port at which devices enrol, where the configuration opens one."""
        settings = self._settings
        if settings.enrol_host is None:
            return None
        desk = self._make_desk()
        return EnrolmentServer(
            desk,
            self._issue_enrolment(desk.authority),
            settings.enrol_host,
            settings.enrol_port,
            ListRoutes(self._lists, self._store),
            LinkRoutes(self._links, self._store),
        )

    def _make_desk(self) -> EnrolmentDesk:
        settings = self._settings
        return EnrolmentDesk(
            store=self._store,
            authority=Authority.load(settings.folder / "ca"),
            tenant=settings.tenant,
            central_key_pem=self._public_pem,
            clock=SystemClock(),
            certificate_life=dt.timedelta(days=settings.certificate_days),
            seal_keys=self._seal_keys,
        )

    def _seal_keys(self, device: str, box: bytes) -> bytes:
        return self._keys.sealed_for(device, box)  # there is a desk before there are keys

    def _issue_enrolment(self, authority: Authority) -> TlsFiles:
        """Renew the certificate of the enrolment port in its place."""
        names, addresses = split_hosts(self._settings.names)
        self._issued = time.monotonic()
        return authority.issue_server(
            self._settings.folder / "enrol-tls", names=names, addresses=addresses
        )

    def _make_broker(self) -> tuple[Broker | None, BrokerAddress]:
        """Return the embedded broker and its address, or the operator's own by address alone."""
        settings = self._settings
        if settings.broker is not None:
            return None, settings.broker
        server, own = self._issue_certificates()
        self._granted = self._enrolled()
        listener = Listener(
            tls=server,
            grants=[DeviceGrant(settings.tenant, device) for device in self._granted],
            host=settings.broker_host,
            port=settings.broker_port,
            crl=self._make_desk().publish_crl(),
            papers=self._take_over,
        )
        broker = _BROKERS[settings.broker_kind](
            settings.folder / "broker", listener, binary=settings.broker_binary
        )
        broker.start()
        return broker, broker.address(own)

    def _issue_certificates(self) -> tuple[TlsFiles, TlsFiles]:
        """Renew the broker's and the central's own certificate in their places."""
        folder = self._settings.folder
        authority = Authority.load(folder / "ca")
        self._issued = time.monotonic()
        names, addresses = split_hosts(self._settings.names)
        server = authority.issue_server(folder / "broker-tls", names=names, addresses=addresses)
        return server, authority.issue_client(folder / "tls")

    def _take_over(self, device: str) -> TlsFiles:
        """Papers in a device's name, for the minute in which its session is ended."""
        folder = self._settings.folder
        return Authority.load(folder / "ca").issue_client(
            folder / "take-over", device, life=dt.timedelta(minutes=5)
        )

    def _enrolled(self) -> tuple[str, ...]:
        """Devices that may talk to the broker now."""
        return tuple(d.device for d in self._store.devices() if d.revoked_at is None)

    def run(self) -> None:
        """Run until a signal asks to stop."""
        spare_the_collector()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        ingest = threading.Thread(target=self._ingest.run, name="ingest", daemon=True)
        orders = threading.Thread(target=self._orders.run, name="orders", daemon=True)
        tending = threading.Thread(target=self._tending.run, name="tending", daemon=True)
        lists = threading.Thread(target=self._lists.run, name="lists", daemon=True)
        try:
            self._web.start()
            if self._enrolment is not None:
                self._enrolment.start()
            self._intake.start()
            ingest.start()
            orders.start()
            tending.start()
            lists.start()
            for courier in self._couriers:
                threading.Thread(
                    target=courier.run, name=f"webhook-{courier.target.name}", daemon=True
                ).start()
            log.info("central_started", url=self._web.url)
            self._watch(ingest, orders, tending, lists)
        finally:
            self._tending.stop()
            self._lists.stop()
            for courier in self._couriers:
                courier.stop()
            self._orders.stop()
            self._ingest.stop()
            if ingest.is_alive():
                ingest.join(timeout=10.0)
            self._intake.stop()
            self._web.stop()
            if self._enrolment is not None:
                self._enrolment.stop()
            if self._broker is not None:
                self._broker.stop()
            self._store.close()
            log.info("central_stopped")

    def _watch(self, *threads: threading.Thread) -> None:
        """Tend the broker; a dead thread ends the process to be restarted."""
        while not self._stopping.wait(TEND_S):
            is_due = time.monotonic() - self._issued > RENEW_S
            self._seal_audit()
            if self._broker is not None:
                self._tend(self._broker, is_due=is_due)
            if is_due and self._enrolment is not None:
                self._issue_enrolment(Authority.load(self._settings.folder / "ca"))
                self._enrolment.renew()
            if not (all(t.is_alive() for t in threads) and self._web.is_alive):
                raise RuntimeError("a thread of the central died; the log says why")

    def _seal_audit(self) -> None:
        """Sign the end of the audit log now and then, if something was added."""
        if time.monotonic() - self._sealed < SEAL_S:
            return
        self._sealed = time.monotonic()
        try:
            self._audit.seal()
        except StoreUnavailableError as error:
            log.warning("store_unavailable", problem=error.problem)

    def _tend(self, broker: Broker, *, is_due: bool) -> None:
        """Keep it alive, with the enrolled devices' permissions and a fresh certificate."""
        if broker.ensure():
            log.warning("broker_restarted")
        self._ingest.note_violations(broker.violations())
        try:
            enrolled = self._enrolled()
            if enrolled != self._granted or is_due:
                self._make_desk().publish_crl()  # first: who is put out must not come back
        except StoreUnavailableError as error:
            log.warning("store_unavailable", problem=error.problem)
            return
        if enrolled == self._granted and not is_due:
            return
        if is_due:
            self._issue_certificates()
        self._granted = enrolled
        broker.reload([DeviceGrant(self._settings.tenant, device) for device in enrolled])
        log.info("broker_reloaded", devices=len(enrolled))


def main_central(config_file: Path) -> int:
    """Run the central until it is asked to stop; 2 for a configuration that cannot be used."""
    try:
        central = Central(load_settings(config_file))
    except (
        *(ConfigError, BindError, KeyFileError, AuthorityError, WebhookError),
        *(PlatformError, BankFileError),
    ) as error:
        print(f"qianshao central: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except (StoreUnavailableError, MigrationError, BrokerError) as error:
        print(f"qianshao central: {error}", file=sys.stderr)
        return EXIT_FAILED
    try:
        central.run()
    except (BrokerError, OSError) as error:
        print(f"qianshao central: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0
