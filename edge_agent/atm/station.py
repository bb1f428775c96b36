"""What an ATM's agent runs: face assertions, the gate, the customer's screen, and the withdrawals.

Each is a supervised part with a line in health. The bank decides by the configuration which of them
there are; docs/configuration.md has the tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path

import structlog

from atm_face.day_visits import DayVisits, Retention
from atm_face.device_key import DeviceKeyError, file_key
from atm_face.engines.interface import FaceEngine
from atm_face.policy import ListMode, Policy, list_mode
from atm_face.sanctions import Holds, holds_of, is_listed_payee, merged
from atm_face.templates import StoreError
from contract.account_list import ListError
from contract.accounts import CardRef
from contract.clock import Clock
from contract.cosign import FindOrderKey
from contract.keyfiles import KeyFileError
from contract.keys import FindKey, Signer
from contract.messages import Body, VisitLinkReport, WithdrawalDecision
from contract.orders import EndNotice, SealedKeys, ShowNotice
from contract.tenant_keys import KeyBundleError, box_key, open_bundle
from contract.words import DecisionReason, MachineAlarmKind, PartState
from edge_agent.atm.alarms import Alarms
from edge_agent.atm.assertion_service import AssertionService
from edge_agent.atm.assertions import AccountState, AssertionDesk, CallRefusedError, Refusal
from edge_agent.atm.booth import Booth
from edge_agent.atm.clock_watch import ClockWatch
from edge_agent.atm.closure import Closure
from edge_agent.atm.counter import AtmCounter
from edge_agent.atm.gate import XfsGate
from edge_agent.atm.key_ring import BOX_FILE
from edge_agent.atm.kiosk import Kiosk, KioskDialog
from edge_agent.atm.link_book import LinkBook
from edge_agent.atm.link_rounds import keep_linking
from edge_agent.atm.lists import AccountLists
from edge_agent.atm.notices import Notices
from edge_agent.atm.runner import AtmRunner
from edge_agent.atm.spent import FILE_NAME as SPENT_FILE
from edge_agent.atm.spent import SpentToday
from edge_agent.atm.visit_links import HttpsLinkPort, VisitLinks
from edge_agent.atm_config import AssertionConfig, AtmConfig, GateConfig, MachineConfig
from edge_agent.central_time import CentralTime
from edge_agent.desk import Desk
from edge_agent.health import HealthBook
from edge_agent.orders import CannotApplyError
from edge_agent.supervision import Part

REPORT_S = 1.0
VISITS_FILE, VISITS_KEY_FILE = "visits.sqlite3", "visits.key"
LINKS_FILE = "links.sqlite3"
CHINA = dt.timezone(dt.timedelta(hours=8))
"""Terms of the law end at midnight there."""
DURABLE_S = 10.0
"""How long a decision may take to reach the disk, before the assertion is refused."""

log = structlog.get_logger("atm")

_CLOSING_ALARMS = frozenset({MachineAlarmKind.SECOND_CLIENT, MachineAlarmKind.UNEXPLAINED_DISPENSE})
"""Somebody else drives the dispenser. What the gate only refused has done nothing."""


@dataclass(frozen=True, slots=True)
class Link:
    """Whether the broker is there, and the seconds since the central last signed a receipt."""

    is_up: bool
    heard_s: float | None


class AtmStation:
    """The parts of one machine, and what they share."""

    def __init__(
        self,
        config: AtmConfig,
        *,
        device: str,
        tenant: str,
        state_dir: Path,
        clock: Clock,
        desk: Desk,
        book: HealthBook,
        signer: Signer,
        hold_on: Callable[[CardRef], DecisionReason | None],
        link: Callable[[], Link],
        time: CentralTime,
        find_central: FindKey,
        find_order_key: FindOrderKey,
        tls: Callable[[], ssl.SSLContext],
        link_orders: Callable[[], dict[bytes, bytes]] = dict,
    ) -> None:
        """``hold_on``: what orders say of an account; ``link``: whether the central is there.
        ``tls``: this device's own papers, for the central's port; ``link_orders``: orders to link
        visits that are in force, by id.

        Reads every file of the configuration; raises ConfigError, IdentityError.
        """
        self._config = config
        self._device, self._tenant = device, tenant
        self._state_dir = state_dir
        self._clock = clock
        self._desk = desk
        self._book = book
        self._signer = signer
        self._hold_on = hold_on
        self._link = link
        self._time = time
        self._tls = tls
        self._find_order_key = find_order_key
        self._link_orders = link_orders
        self._day: DayVisits | None = None
        self._policy = Policy(
            pad_floor=config.face.pad_floor,
            max_once_fen=config.max_once_fen,
            max_day_fen=config.max_day_fen,
        )
        self.lists: AccountLists | None = None
        if config.lists is not None:
            self.lists = AccountLists(
                state_dir / "lists", tenant=tenant, find_central=find_central, now=time.now
            )
        self._spent = SpentToday(state_dir / SPENT_FILE)
        self.closure = Closure(state_dir)
        self.booth = Booth(config, clock=clock, book=book, make_day=self._make_day)
        self.notices = Notices(state_dir / "notices.json", now=time.now)
        self.kiosk = Kiosk(idle=self.notices.current)
        self._dialog = KioskDialog(self.kiosk)
        self._watch = ClockWatch(clock, time)
        self._gate: XfsGate | None = None
        self._alarms = Alarms(desk, clock)
        if config.gate is not None:
            self._gate = XfsGate(
                config.gate.upstream, config.gate.dialect, clock=clock, on_alarm=self._alarm
            )

    def parts(self) -> Iterator[Part]:
        """Return what is to be supervised."""
        config = self._config
        if config.lists is not None:
            yield Part("lists", self._run_lists)
        if config.lists is not None and config.face.visits is not None:
            yield Part("links", self._run_links)
        if config.screen_port is not None:
            yield Part("screen", self._run_screen)
        if config.gate is not None:
            yield Part("gate", self._run_gate)
        if config.assertion is not None:
            yield Part("assertions", self._run_assertions)
        if config.machine is not None:
            yield Part("atm", self._runner(config.machine).run)
        elif config.assertion is None:
            counter = AtmCounter(
                self.booth,
                state_dir=self._state_dir,
                clock=self._clock,
                desk=self._desk,
                book=self._book,
                hold_on=self._held,
            )
            yield Part("atm", counter.run)

    def act(self, body: SealedKeys | ShowNotice | EndNotice) -> None:
        """Carry out what the central says to an ATM; raises CannotApplyError. In any thread."""
        try:
            if isinstance(body, SealedKeys):
                own = box_key(self._state_dir / BOX_FILE)
                self.booth.keys.take(open_bundle(body.sealed, own, self._tenant, self._device))
            else:
                self.notices.take(body)
        except (KeyBundleError, KeyFileError, OSError) as error:
            raise CannotApplyError(str(error)) from error

    def _runner(self, machine: MachineConfig) -> AtmRunner:
        return AtmRunner(
            machine,
            self.booth,
            state_dir=self._state_dir,
            clock=self._clock,
            desk=self._desk,
            book=self._book,
            closure=self.closure,
            watch=self._watch,
            account_of=lambda card: self._state_of(card).visit(),
            dialog=self._dialog,
            policy=self._policy,
            spent=self._spent,
            is_listed=self._is_listed,
        )

    def _make_day(self, engine: FaceEngine) -> DayVisits | None:
        """Open the day's sealed visits, where the bank keeps any; raises EngineError."""
        visits = self._config.face.visits
        if visits is None:
            return None
        try:
            key = file_key(self._state_dir / VISITS_KEY_FILE)
        except DeviceKeyError as error:
            raise StoreError(str(error)) from None
        term = Retention(in_force_from=dt.date(1970, 1, 1), hours=visits.hours, basis=visits.basis)
        self._day = DayVisits(
            self._state_dir / VISITS_FILE,
            key,
            engine,
            device=self._device,
            tenant=self._tenant,
            find_key=self._find_order_key,
            retention=(term,),
        )
        return self._day

    # -- visits linked over machines, under an order -----------------------------------------------

    async def _run_links(self) -> None:
        config = self._config.lists
        assert config is not None
        await asyncio.to_thread(self.booth.load)
        if self._day is None:
            raise OSError("the day's visits are not open: see the face engine")
        loop = asyncio.get_running_loop()
        links = VisitLinks(
            LinkBook(self._state_dir / LINKS_FILE),
            HttpsLinkPort(config.url, self._tls),
            self._day,
            device=self._device,
            own=box_key(self._state_dir / BOX_FILE),
            clock=self._clock,
            orders=self._link_orders,
            report=lambda report: self._keep_report(loop, report),
        )
        await keep_linking(links, self._link_orders, self._book)

    def _keep_report(self, loop: asyncio.AbstractEventLoop, report: VisitLinkReport) -> None:
        """Return when the report is durable; raises OSError, and the next round tries again."""
        if not self._is_durable(loop, report):
            raise OSError("the report could not be kept")

    # -- the list ----------------------------------------------------------------------------------

    async def _run_lists(self) -> None:
        """Fetch the list whole where a delta cannot lead to it, or nothing was heard of it."""
        config, lists = self._config.lists, self.lists
        assert config is not None
        assert lists is not None
        asked = -math.inf
        loop = asyncio.get_running_loop()
        problem = ""
        while True:
            age_s = lists.age_s()
            is_quiet = age_s is None or age_s > 2 * config.refresh_s
            if (lists.needs_whole or is_quiet) and loop.time() - asked >= config.refresh_s:
                asked = loop.time()
                try:
                    await asyncio.to_thread(lists.fetch, config.url, self._tls())
                    problem = ""
                except (ListError, OSError) as error:
                    problem = str(error)
                    log.warning("list_not_fetched", problem=problem)
            self._report_lists(lists, config.max_age_s, problem)
            await asyncio.sleep(min(REPORT_S, config.refresh_s))

    def _report_lists(self, lists: AccountLists, max_age_s: float, problem: str) -> None:
        age_s = lists.age_s()
        counters: dict[str, int | float] = {**lists.counters}
        if age_s is not None:
            counters |= {"age_s": round(age_s), "version": lists.version or 0}
        if age_s is None or age_s > max_age_s:
            words = "no list" if age_s is None else f"the list is {age_s:.0f} s old"
            self._book.report(
                "lists", PartState.FAILED, "; ".join(filter(None, (words, problem))), counters
            )
            return
        state = PartState.DEGRADED if problem else PartState.OK
        self._book.report("lists", state, problem, counters)

    # -- the screen --------------------------------------------------------------------------------

    async def _run_screen(self) -> None:
        assert self._config.screen_port is not None
        self._dialog.loop = asyncio.get_running_loop()
        try:
            server = await self.kiosk.listen(self._config.screen_port)
        except OSError as error:
            raise _no_port(self._config.screen_port, error) from None
        async with server:
            self._book.report("screen", PartState.OK, f"port {self._config.screen_port}")
            watch = asyncio.create_task(self.kiosk.watch())
            try:
                await server.serve_forever()
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
                await self.kiosk.close()

    # -- the gate ----------------------------------------------------------------------------------

    def _alarm(self, alarm: MachineAlarmKind, detail: str) -> None:
        """Close the machine where cash is at stake, and tell the central; in the agent's loop."""
        is_closing = alarm in _CLOSING_ALARMS
        if is_closing:
            self.closure.close(f"{alarm.value}: {detail}")
        self._alarms.tell(alarm, detail, is_closed=is_closing)

    async def _run_gate(self) -> None:
        config, gate = self._gate_config(), self._gate
        assert gate is not None
        try:
            server = await gate.listen(config.port)
        except OSError as error:
            raise _no_port(config.port, error) from None
        async with server:
            while True:
                problem = self.closure.problem()
                state = PartState.OK if problem is None else PartState.FAILED
                words = f"port {config.port}" if problem is None else f"closed: {problem}"
                self._book.report("gate", state, words, dict(gate.counters))
                await asyncio.sleep(REPORT_S)

    def _gate_config(self) -> GateConfig:
        assert self._config.gate is not None
        return self._config.gate

    # -- face assertions ---------------------------------------------------------------------------

    async def _run_assertions(self) -> None:
        config = self._config.assertion
        assert config is not None
        factor = await asyncio.to_thread(self.booth.load)
        if factor is None:
            self._book.report("assertions", PartState.FAILED, "no face engine")
            return
        loop = asyncio.get_running_loop()
        desk = AssertionDesk(
            device=self._device,
            tenant=self._tenant,
            terminal=config.terminal,
            card_of=self.booth.keys.ref,
            signer=self._signer,
            examiner=self.booth.examiner(factor),
            clock=self._clock,
            state_of=self._state_of,
            is_listed=self._is_listed,
            policy=self._policy,
            spent=self._spent,
            on_decision=lambda decision: self._keep(loop, decision),
            on_allowed=self._allow,
            on_face=self.booth.report_camera,
            problem=self.closure.problem,
        )
        service = AssertionService(desk)
        server = await self._listen(service, config)
        where = str(config.socket) if config.socket is not None else f"port {config.port}"
        async with server:
            while True:
                problem = self.closure.problem()
                state = PartState.OK if problem is None else PartState.FAILED
                words = where if problem is None else f"closed: {problem}"
                self._book.report("assertions", state, words, desk.counters | service.counters)
                await asyncio.sleep(REPORT_S)

    async def _listen(self, service: AssertionService, config: AssertionConfig) -> asyncio.Server:
        if config.socket is not None:
            return await service.on_socket(config.socket)
        assert config.port is not None
        try:
            return await service.on_loopback(config.port, _mutual_tls(config))
        except OSError as error:
            raise _no_port(config.port, error) from None

    def _state_of(self, card: CardRef) -> AccountState:
        """What orders and the list say of a card at this moment; either is enough to hold it."""
        hold, holds = self._held(card), Holds()
        if self.lists is not None:
            found, today = [self.lists.find(ref) for ref in self._refs(card)], self._today()
            holds = merged(holds_of(listed, today) for listed in found)
        return AccountState(hold=hold, holds=holds, list_mode=self.list_mode())

    def _is_listed(self, payee: CardRef) -> bool:
        """Whether nobody may send money there: an order holds it, or the list names it."""
        if self._held(payee) is not None:
            return True
        if self.lists is None:
            return False
        today = self._today()
        return any(is_listed_payee(self.lists.find(ref), today) for ref in self._refs(payee))

    def _refs(self, card: CardRef) -> tuple[CardRef, ...]:
        """A card under each of the tenant's keys, for as long as there are two."""
        return self.booth.keys.refs(card)

    def _held(self, card: CardRef) -> DecisionReason | None:
        """What orders say of a card under each key that it is known by; a stop before a freeze."""
        found = {self._hold_on(ref) for ref in self._refs(card)} - {None}
        stop = DecisionReason.STOP_PAYMENT
        return stop if stop in found else next(iter(found), None)

    def _today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self._time.now() / 1e6, CHINA).date()

    def list_mode(self) -> ListMode:
        """How far orders and list may be relied on.

        With a list, being on line means that the central still confirms it.
        """
        link = self._link()
        if self.lists is None or self._config.lists is None:
            return list_mode(is_online=link.is_up, age_s=link.heard_s)
        age_s, max_age_s = self.lists.age_s(), self._config.lists.max_age_s
        is_online = link.is_up and age_s is not None and age_s <= max_age_s
        return list_mode(is_online=is_online, age_s=age_s, max_age_s=max_age_s)

    def _keep(self, loop: asyncio.AbstractEventLoop, decision: WithdrawalDecision) -> None:
        """Return when the decision is durable; without that no assertion is given."""
        if not self._is_durable(loop, decision):
            raise CallRefusedError(Refusal.CLOSED, "the decision could not be kept")

    def _is_durable(self, loop: asyncio.AbstractEventLoop, body: Body) -> bool:
        """Wait in another thread until a message is on the disk."""
        future = asyncio.run_coroutine_threadsafe(self._desk.send(body), loop)
        with contextlib.suppress(FutureTimeoutError):
            return future.result(DURABLE_S)
        return False

    def _allow(self, amount_fen: int, currency: str) -> None:
        """One dispense may pass the gate; the host's token goes by the bank's application."""
        if self._gate is not None:
            self._gate.approve(amount_fen, currency, None)


def _no_port(port: int, error: OSError) -> OSError:
    return OSError(f"port {port}: {error.strerror or error}")


def _mutual_tls(config: AssertionConfig) -> ssl.SSLContext:
    """Take only callers whose certificate the bank's own authority signed; raises OSError."""
    assert config.ca is not None
    assert config.certificate is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(config.ca)
    context.load_cert_chain(config.certificate, config.private_key)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
