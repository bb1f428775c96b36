"""The agent process: identity, outbox, uplink, sniffers or ATM, health – supervised together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from contract.clock import Clock, ClockQuality, SystemClock, UnixMicros, machine_boot_id
from contract.codec import Values
from contract.envelope import NO_PREVIOUS, seal
from contract.messages import OrderResult, State
from contract.orders import (
    CallVanOff,
    EndNotice,
    OrderBody,
    ReportHealth,
    RestartPart,
    SealedKeys,
    SendVan,
    ShowNotice,
)
from contract.topics import Channel, Lane
from contract.words import PartState, Presence
from edge_agent.central_time import CentralTime
from edge_agent.config import AgentConfig, ConfigError, Problem, SensorConfig, load_config
from edge_agent.crew import CrewBook, CrewPage
from edge_agent.desk import Desk
from edge_agent.enrolment import complete_rotation
from edge_agent.evidence import EvidenceStore
from edge_agent.health import HealthBook
from edge_agent.identity import Identity, IdentityError
from edge_agent.identity import find_central as find_central_key
from edge_agent.metrics import serve as serve_metrics
from edge_agent.order_store import OrderStore
from edge_agent.orders import CannotApplyError, OrderDesk, Receiver
from edge_agent.outbox import Outbox, OutboxError, OutboxStats, Trouble
from edge_agent.renewal import Renewal
from edge_agent.rf.known import BaselineTrust, Known, KnownError, load_known
from edge_agent.rf.survey import Survey
from edge_agent.supervision import Part, Supervisor
from edge_agent.watchdog import Watchdog
from hardware.gnss import FixTracker
from mqtt_bridge.downlink import Downlink
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.tls import tls_context
from mqtt_bridge.uplink import Uplink, UplinkStatus
from rf_watch.bearings import BearingBook

if TYPE_CHECKING:
    import ssl

    from edge_agent.atm.station import AtmStation, Link

EXIT_FAILED = 1
EXIT_CONFIG = 2

SESSION_BYTES = 8
ORDERS_STOP_S = 5.0

log = structlog.get_logger("agent")


class Agent:
    """One agent, composed from its configuration."""

    def __init__(self, config: AgentConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._known = self._load_known()
        self._clock: Clock = clock or SystemClock()
        self._version = version("qianshao")
        self._boot_id = machine_boot_id()
        self._session = os.urandom(SESSION_BYTES)
        self._book = HealthBook(clock=self._clock, version=self._version)
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if config.broker.tls is not None:
            complete_rotation(config.state_dir, config.broker.tls.certificate)
        self._identity = Identity.load_or_create(
            config.state_dir, config.device, config.evidence_token
        )
        self._outbox = Outbox.open(
            config.state_dir / "outbox.sqlite3",
            tenant=config.tenant,
            device=config.device,
            signer=self._identity.signer,
            clock=self._clock,
            boot_id=self._boot_id,
            central_keys=find_central_key(config.central.public_key),
            quota=config.outbox,
        )
        self._evidence = EvidenceStore(config.state_dir / "evidence", config.evidence)
        self._desk = Desk(self._outbox, self._book)
        self._time = CentralTime(self._clock, self._boot_id)
        self._health_asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._crew = CrewBook(config.state_dir / "dispatches.json")
        self._orders = self._make_orders()
        self._uplink = Uplink(
            self._address(),
            tenant=config.tenant,
            device=config.device,
            outbox=self._outbox,
            make_state=self._make_state,
            settings=config.uplink,
            downlink=Downlink(config.tenant, config.device, self),
        )
        self._watchdog = Watchdog()
        self._surveys: dict[str, Survey] = {}
        self._fixes = FixTracker()
        self._bearings = BearingBook()
        self._atm = self._make_atm()
        self._supervisor = self._make_parts()

    def _load_known(self) -> Known:
        """Read the plans and baselines; a bad row is logged, an unusable file is a ConfigError."""
        try:
            known = load_known(self._config.cells, self._baseline_trust())
        except KnownError as error:
            problem = Problem(self._config.file, None, f"cells.{error.key}", str(error))
            raise ConfigError([problem]) from None
        for row in known.bad_rows:
            log.warning("bad_row", row=row)
        return known

    def _baseline_trust(self) -> BaselineTrust:
        """Say who signs baselines, and where it is written down which were taken."""
        return BaselineTrust(
            tenant=self._config.tenant,
            find_central=find_central_key(self._config.central.public_key),
            memory=self._config.state_dir / "baselines.json",
        )

    def _make_orders(self) -> OrderDesk:
        find_central = find_central_key(self._config.central.public_key)
        receiver = Receiver(
            tenant=self._config.tenant,
            device=self._config.device,
            kind=self._config.kind,
            find_central=find_central,
            find_root=find_central,
        )
        return OrderDesk(
            OrderStore(self._config.state_dir / "orders.sqlite3"),
            receiver,
            clock=self._clock,
            time=self._time,
            report=self._put_result,
            act=self._act,
        )

    def take(self, channel: Channel, payload: bytes) -> None:
        """Take what the central says: the list for an ATM's lists, all else for the orders."""
        if channel is Channel.FEEDS:
            return  # the answer to ``qianshao feed send``, which listens itself
        if channel is not Channel.LISTS:
            self._orders.take(channel, payload)
        elif self._atm is not None and self._atm.lists is not None:
            self._atm.lists.take(payload)

    def _put_result(self, result: OrderResult) -> None:
        """Return when a result is durable; raises OutboxError, and the desk tries again."""
        self._outbox.put(result, Lane.DECISIONS).result()

    def _act(self, body: OrderBody) -> None:
        """Carry out a command; in the thread of the orders."""
        if isinstance(body, ReportHealth):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._health_asked.set)
        elif isinstance(body, SendVan | CallVanOff):
            try:
                self._crew.take(body)
            except OSError as error:
                raise CannotApplyError(f"the dispatch cannot be kept: {error.strerror}") from error
        elif isinstance(body, SealedKeys | ShowNotice | EndNotice):
            if self._atm is None:
                raise CannotApplyError("this is no ATM")
            self._atm.act(body)
        elif isinstance(body, RestartPart):
            if self._loop is None or body.part not in self._supervisor.names:
                known = ", ".join(self._supervisor.names)
                raise CannotApplyError(f"no part {body.part[:60]!r}; there are: {known}")
            self._loop.call_soon_threadsafe(self._supervisor.restart, body.part)

    def _address(self) -> BrokerAddress:
        broker = self._config.broker
        tls = None
        if broker.tls is not None:
            tls = self._identity.tls_files(ca=broker.tls.ca, certificate=broker.tls.certificate)
        return BrokerAddress(host=broker.host, port=broker.port, tls=tls)

    def _make_state(self, presence: Presence) -> bytes:
        """A birth or a last will: signed, outside the chain, tied to one connection.

        The uplink asks for the will first, then for the birth of the same connection: a new
        session begins at the will, so that a late will of an older one is told apart.
        """
        if presence is Presence.OFFLINE:
            self._session = os.urandom(SESSION_BYTES)
        return seal(
            State(
                presence=presence,
                session=self._session,
                kind=self._config.kind,
                version=self._version,
            ),
            tenant=self._config.tenant,
            device=self._config.device,
            boot_id=self._boot_id,
            seq=0,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            quality=self._clock.quality(),
            prev=NO_PREVIOUS,
            signer=self._identity.signer,
        )

    async def run(self) -> None:
        """Run until a signal asks to stop; what is in the outbox stays there for the next time."""
        stopping = asyncio.Event()
        loop = self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        log.info("agent_started", device=self._config.device, kind=self._config.kind.value)
        orders = threading.Thread(target=self._orders.run, name="orders", daemon=True)
        orders.start()
        self._uplink.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._supervisor.run()),
                    tasks.create_task(self._tell_systemd(orders)),
                ]
                self._watchdog.ready()
                await stopping.wait()
                self._watchdog.stopping()
                for task in running:
                    task.cancel()
        finally:
            await asyncio.to_thread(self._uplink.stop)
            self._orders.stop()
            await asyncio.to_thread(orders.join, ORDERS_STOP_S)
            await asyncio.to_thread(self._outbox.close)
            log.info("agent_stopped", device=self._config.device)

    async def _serve_metrics(self) -> None:
        """Answer Prometheus where a port is set; one that is taken stops nothing else."""
        port = self._config.metrics_port
        if port is None:
            return
        try:
            server = await serve_metrics(port, self._book.snapshot)
        except OSError as error:
            self._book.report("metrics", PartState.FAILED, f"port {port}: {error.strerror}")
            return
        self._book.report("metrics", PartState.OK)
        async with server:
            await server.serve_forever()

    async def _serve_crew(self) -> None:
        """Show the crew where it is sent; a port that is taken stops nothing else."""
        port = self._config.crew_port
        assert port is not None
        page = CrewPage(self._crew, self._desk.send, self._clock)
        try:
            server = await page.serve(port)
        except OSError as error:
            self._book.report("crew", PartState.FAILED, f"port {port}: {error.strerror}")
            return
        self._book.report("crew", PartState.OK)
        async with server:
            await server.serve_forever()

    async def _tell_systemd(self, orders: threading.Thread) -> None:
        """Say that the agent lives while its threads do; the loop itself is proved by saying it."""
        while self._watchdog.period_s is not None:
            if self._uplink.is_running and orders.is_alive():
                self._watchdog.alive()
            await asyncio.sleep(self._watchdog.period_s)

    def _make_atm(self) -> AtmStation | None:
        """At an ATM, what serves customers; its files are read now, so that mistakes end here."""
        if self._config.atm is None:
            return None
        from edge_agent.atm.station import AtmStation  # only an ATM loads the face engine

        return AtmStation(
            self._config.atm,
            device=self._config.device,
            tenant=self._config.tenant,
            state_dir=self._config.state_dir,
            clock=self._clock,
            desk=self._desk,
            book=self._book,
            signer=self._identity.signer,
            hold_on=self._orders.hold_on,
            link=self._link,
            time=self._time,
            find_central=find_central_key(self._config.central.public_key),
            find_order_key=self._orders.find_key,
            tls=self._own_papers,
            link_orders=self._orders.link_orders,
        )

    def _link(self) -> Link:
        """Whether the central is there: a signed receipt shows it."""
        from edge_agent.atm.station import Link

        status = self._uplink.status()
        return Link(status.is_connected, status.last_receipt_age_s)

    def _own_papers(self) -> ssl.SSLContext:
        """TLS with the central, both sides shown; raises OSError."""
        tls = self._address().tls
        if tls is None:
            raise OSError(
                "the central's port needs this device's certificate (ca, certificate in [broker])"
            )
        return tls_context(tls)

    def _make_parts(self) -> Supervisor:
        """What this kind of station does, each part kept alive by itself."""
        supervisor = Supervisor(self._book)
        supervisor.add(Part("health", self._report_for_ever))
        renewal = Renewal(
            self._config, self._identity, clock=self._clock, book=self._book, now=self._time.now
        )
        supervisor.add(Part("identity", renewal.run))
        supervisor.add(Part("housekeeper", self._keep_house))
        if self._config.metrics_port is not None:
            supervisor.add(Part("metrics", self._serve_metrics))
        if self._config.crew_port is not None:
            supervisor.add(Part("crew", self._serve_crew))
        if self._atm is not None:
            for atm_part in self._atm.parts():
                supervisor.add(atm_part)
        for sensor in self._config.sensors:
            part = f"sensor {sensor.name}"
            supervisor.add(
                Part(part, partial(self._survey, sensor), partial(self._fail_survey, sensor))
            )
        return supervisor

    async def _keep_house(self) -> None:
        """Prune raw evidence whose messages the central has."""
        while True:
            pruned = await asyncio.to_thread(self._prune_evidence)
            self._book.report("housekeeper", PartState.OK)
            self._book.count("housekeeper", "evidence_pruned", pruned)
            await asyncio.sleep(self._config.outbox.housekeeper_s)

    def _prune_evidence(self) -> int:
        now = self._clock.wall()
        waiting_s = self._outbox.stats().oldest_age_s or 0.0
        return self._evidence.prune(
            now=now if self._clock.quality().is_synced else None,
            before=UnixMicros(now - round(waiting_s * 1e6)),
        )

    async def _survey(self, sensor: SensorConfig) -> None:
        """Run one sniffer; each start has a new port and a new watch."""
        survey = self._surveys[sensor.name] = Survey(
            sensor,
            device=self._config.device,
            clock=self._clock,
            desk=self._desk,
            book=self._book,
            evidence=self._evidence,
            broadcast=self._config.broadcast,
            fixes=self._fixes,
            bearings=self._bearings,
            context=self._known.context,
        )
        await survey.run()

    def _fail_survey(self, sensor: SensorConfig, problem: str) -> None:
        self._surveys[sensor.name].fail(problem)

    # -- health ----------------------------------------------------------------------------------

    def _report_outbox(self) -> None:
        try:
            stats = self._outbox.stats()
        except OutboxError as error:
            self._book.report("outbox", PartState.FAILED, str(error))
            return
        word = _outbox_word(stats)
        state = PartState.DEGRADED if word else PartState.OK
        self._book.report("outbox", state, word, stats.counters())

    async def _report_for_ever(self) -> None:
        while True:
            self._refresh_book()
            await self._desk.send(self._book.snapshot())
            await self._pause_until_next_report()

    async def _pause_until_next_report(self) -> None:
        """Wait for the period, or until the central asks."""
        period_s = self._orders.setting("health.period_s") or self._config.health.period_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._health_asked.wait(), period_s)
        self._health_asked.clear()

    @staticmethod
    def _clock_counters(quality: ClockQuality, skew_s: float) -> Values:
        """What the central warns by; a number that is not known is left out."""
        counters: Values = {}
        if quality.estimated_error_ms is not None:
            counters["estimated_error_ms"] = quality.estimated_error_ms
        if skew_s:
            counters["skew_ms"] = round(skew_s * 1000)
        return counters

    def _refresh_book(self) -> None:
        for survey in self._surveys.values():
            survey.report_health()
        self._report_outbox()
        uplink = self._uplink.status()
        self._book.report(
            "uplink",
            PartState.OK if uplink.is_connected else PartState.FAILED,
            "" if uplink.problem is None else str(uplink.problem),
            _gauges(uplink),
        )
        self._book.report("orders", PartState.OK, "", dict(self._orders.counters))
        quality: ClockQuality = self._clock.quality()
        skew_s = round(self._time.skew_s(), 1)
        self._book.report(
            "clock",
            PartState.OK if quality.is_synced and not skew_s else PartState.DEGRADED,
            f"the wall clock is {skew_s:+g} s from the central's"
            if skew_s
            else ""
            if quality.is_synced
            else "the wall clock is not disciplined",
            self._clock_counters(quality, skew_s),
        )


def _outbox_word(stats: OutboxStats) -> str:
    """What is not as it should be, in plain words; empty when all is well."""
    if stats.quarantined is not None:
        return f"a damaged store was put aside: {stats.quarantined.name}"
    if Trouble.STRANGE_RECEIPT in stats.lately:
        return (
            f"{stats.receipts_refused} receipts were not signed by the central that this agent "
            "knows (central.public_key); nothing is deleted on their word"
        )
    if Trouble.MISMATCH in stats.lately:
        return (
            f"{stats.mismatches} receipts do not fit what was sent from here: another machine "
            "speaks with this identity, or an old copy of the state was put back by hand"
        )
    if Trouble.REFUSED in stats.lately:
        return f"{sum(stats.refused.values())} messages were refused for want of room"
    if stats.aside:
        return f"{stats.aside} messages are refused by the broker or the central; put aside"
    if Trouble.DROPPED in stats.lately:
        return f"{sum(stats.dropped.values())} messages were given up; signed gaps say which"
    return ""


def _gauges(status: UplinkStatus) -> Values:
    """The numbers of the uplink's status; what is not known now is left out."""
    numbers = asdict(replace(status, problem=None))
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in numbers.items()
        if isinstance(value, int | float)
    }


def main_agent(config_file: Path) -> int:
    """Run an agent until it is asked to stop; 2 for a configuration that cannot be used."""
    try:
        agent = Agent(load_config(config_file))
    except (ConfigError, IdentityError, OutboxError) as error:
        print(f"qianshao agent: {error}", file=sys.stderr)
        return EXIT_FAILED if isinstance(error, OutboxError) else EXIT_CONFIG
    asyncio.run(agent.run())
    return 0
