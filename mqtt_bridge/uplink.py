"""The device's way up: outbox rows to the broker, again and again until a receipt covers them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty

import structlog

from contract import topics
from contract.clock import Clock, MonoMicros
from contract.envelope import EnvelopeError
from contract.topics import Lane
from contract.words import Presence
from mqtt_bridge.backoff import Backoff
from mqtt_bridge.connection import Connection, Protocol, Session, Will
from mqtt_bridge.diagnosis import ConnectionProblem, ProblemKind
from mqtt_bridge.downlink import Downlink
from mqtt_bridge.events import Acked, Arrived, Ended, Event, Granted, Opened, Poked, Taken
from mqtt_bridge.feed import BACKLOG_SHARE, Feed
from mqtt_bridge.link import Link
from mqtt_bridge.pacing import Pace, Pacer
from mqtt_bridge.ports import BrokerAddress, OutboxPort, OutboxRow
from mqtt_bridge.suspects import Suspects
from mqtt_bridge.window import Window

_GOODBYE_S = 1.0
_LOOK_S = 5.0
"""New rows and receipts announce themselves; this only bounds a mistake."""
_RETRY_HANDOVER_S = 0.2
_SHORTEST_TURN_S = 0.01
_SHORT_S = 10.0
"""A connection that ends so soon after it opened may have been ended by a message."""
_SHORT_ENDS = 3
"""So many in a row, without a receipt between, may not be chance."""
_LIMIT_FACTOR = 4
_SILENCE_S = 10.0
"""Receipts missing for so long, with a full window: the central was away, and what waits is old."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkSettings:
    """Knobs of an uplink."""

    window: int = 8192
    """Rows on their way, published and not receipted, at most. The central receipts once a second,
    so this over a second and the way there and back is the most that a device sends in a second."""
    window_bytes: int = 6 * 1024 * 1024
    """The same in bytes; they are held in memory."""
    resend_min_s: float = 4.0
    resend_max_s: float = 60.0
    pace: Pace = field(default_factory=Pace)
    protocol: Protocol = Protocol.MQTT_3_1_1


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStatus:
    """What an uplink has to say about itself; counters since it was made."""

    is_running: bool
    is_connected: bool
    problem: ConnectionProblem | None
    connects: int
    published: int
    resent: int
    pubacks: int
    not_delivered: int
    """PUBACKs that said so (MQTT 5 reasons 0x10, 0x87 and other failures)."""
    receipts: int
    receipts_refused: int
    rows_receipted: int
    put_aside: int
    """Messages that are refused again and again, and no longer sent."""
    in_flight: int
    in_flight_bytes: int
    replay_per_s: float
    """Backlog rows a second that the way carries now; live messages are not held back."""
    last_receipt_age_s: float | None


@dataclass(slots=True)
class _Counts:
    published: int = 0
    resent: int = 0
    pubacks: int = 0
    not_delivered: int = 0
    receipts: int = 0
    receipts_refused: int = 0
    rows_receipted: int = 0
    put_aside: int = 0
    last_receipt: MonoMicros | None = None


class Uplink(Link):
    """Keeps a device connected and its outbox draining.

    A row is gone only when ``outbox.apply_receipt`` took it out; a PUBACK is merely counted. After
    each connection everything without a receipt goes again: what becomes durable from then on at
    once, what waited before at a pace, each by lane and from the oldest.

    ``make_state`` is called twice for each connection, first with OFFLINE for the last will and
    then with ONLINE for the birth: both belong to the same session.
    """

    def __init__(
        self,
        address: BrokerAddress,
        tenant: str,
        device: str,
        outbox: OutboxPort,
        make_state: Callable[[Presence], bytes],
        *,
        settings: UplinkSettings | None = None,
        clock: Clock | None = None,
        backoff: Backoff | None = None,
        downlink: Downlink | None = None,
    ) -> None:
        topics.check_id(tenant, "tenant")
        topics.check_id(device, "device")
        self._downlink = downlink
        super().__init__(f"uplink-{device}", clock=clock, backoff=backoff)
        self._address = address
        self._tenant = tenant
        self._device = device
        self._outbox = outbox
        self._make_state = make_state
        self._settings = settings or UplinkSettings()
        # A broker drops a session when its client id comes again: nobody else can guess this one,
        # and the same process coming back still replaces its own half-dead connection.
        self._client_id = f"{device}-{secrets.token_hex(8)}"
        self._state_topic = topics.state(tenant, device)
        self._receipts_topic = topics.receipts(tenant, device)
        self._filter = self._receipts_topic if downlink is None else downlink.filter
        self._topics = {
            (lane, is_replay): topics.up(tenant, device, lane, is_replay=is_replay)
            for lane in Lane
            for is_replay in (False, True)
        }
        self._will = b""
        self._window = Window(
            self._settings.window,
            min_s=self._settings.resend_min_s,
            max_s=self._settings.resend_max_s,
            max_bytes=self._settings.window_bytes,
            clock=self._clock,
        )
        self._pacer = Pacer(self._settings.pace, self._clock)
        self._feed = Feed(outbox, self._window, self._pacer)
        self._has_to_look = False
        self._progress_us = 0
        self._opened_us = 0
        self._short_ends = 0
        self._suspects = Suspects()
        self._mids: dict[int, int] = {}
        self._counts = _Counts()

    def start(self) -> None:
        """Begin; an unreachable broker is no error here, only a problem that is tried again."""
        self._outbox.tell_of_rows(self._poke)
        super().start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Say goodbye and end; False if the thread is still busy after ``timeout_s`` seconds."""
        self._outbox.tell_of_rows(None)
        return super().stop(timeout_s)

    def status(self) -> UplinkStatus:
        """Return the state of the link and its counters."""
        counts = self._counts
        age_s = None
        if counts.last_receipt is not None:
            age_s = (self._clock.mono() - counts.last_receipt) / 1e6
        return UplinkStatus(
            is_running=self.is_running,
            is_connected=self.is_connected,
            problem=self.problem,
            connects=self._connects,
            published=counts.published,
            resent=counts.resent,
            pubacks=counts.pubacks,
            not_delivered=counts.not_delivered,
            receipts=counts.receipts,
            receipts_refused=counts.receipts_refused,
            rows_receipted=counts.rows_receipted,
            put_aside=counts.put_aside,
            in_flight=len(self._window),
            in_flight_bytes=self._window.size_bytes,
            replay_per_s=self._pacer.rate_per_s,
            last_receipt_age_s=age_s,
        )

    # -- the link ---------------------------------------------------------------------------------

    def _session(self) -> Session:
        self._will = self._make_state(Presence.OFFLINE)
        return Session(
            address=self._address,
            client_id=self._client_id,
            is_clean=True,
            will=Will(self._state_topic, self._will),
            protocol=self._settings.protocol,
        )

    def _on_open(self, connection: Connection, opened: Opened) -> None:
        self._window.clear()
        self._mids.clear()
        self._feed.restart()
        self._opened_us = self._clock.mono()
        self._has_to_look = True
        self._progress_us = self._clock.mono()
        connection.subscribe([self._filter])
        birth = self._make_state(Presence.ONLINE)
        connection.publish(self._state_topic, birth, is_retained=True)

    def _on_event(self, connection: Connection, event: Event) -> None:
        match event:
            case Arrived():
                if self._take(event):
                    connection.acknowledge(event.mid)
            case Taken(mids=mids):
                self._counts.pubacks += len(mids)
                for mid in mids:
                    self._mids.pop(mid, None)
            case Acked():
                self._counts.pubacks += 1
                self._counts.not_delivered += not event.is_taken
                seq = self._mids.pop(event.mid, None)
                if event.is_refused and seq is not None:
                    self._suspects.note(seq, f"the broker says: {event.reason}")
                    self._put_aside_refused()
            case Granted(refusals=refusals) if refusals:
                self._problem = ConnectionProblem(
                    ProblemKind.NOT_AUTHORISED,
                    f"the broker refuses to deliver {self._filter}: {refusals[0]}",
                )
            case Poked():
                self._has_to_look = True
            case _:
                pass

    def _on_turn(self, connection: Connection) -> float:
        self._pacer.check_silence(is_waiting=self._window.replayed > 0)
        for row in self._window.due():
            if not self._send(connection, row):
                return _RETRY_HANDOVER_S
            self._counts.resent += 1
            if passes := self._window.passes(row.seq):
                self._suspects.note(row.seq, "receipts pass it over", passes)
        self._try_alone(connection)
        if self._has_to_look or self._feed.has_backlog:
            self._has_to_look = not self._send_new(connection)
        if self._has_to_look:
            return _RETRY_HANDOVER_S
        waits = [_LOOK_S, self._window.next_due_s(), self._next_token_s()]
        return max(_SHORTEST_TURN_S, min(wait for wait in waits if wait is not None))

    def _next_token_s(self) -> float | None:
        """Seconds until more of the backlog may go; None where it waits for something else."""
        if not self._feed.has_backlog or not self._window.room(BACKLOG_SHARE):
            return None
        return self._pacer.wait_s()

    def _send_new(self, connection: Connection) -> bool:
        """Send what may be sent; False if the connection did not take it all."""
        for row in self._feed.rows():
            if not self._send(connection, row):
                return False
            self._counts.published += 1
        return True

    def _send(self, connection: Connection, row: OutboxRow) -> bool:
        is_replay = self._feed.is_backlog(row.seq) and row.seq not in self._window
        mid = connection.publish(self._topics[row.lane, is_replay], row.cose)
        if mid is None:
            return False
        self._mids[mid] = row.seq
        self._window.sent(row, is_replay=is_replay)
        return True

    def _take(self, event: Arrived) -> bool:
        """Take a message from above; False if it must stay the broker's."""
        if event.topic == self._receipts_topic:
            self._take_receipt(event.payload)
        elif self._downlink is not None:
            return self._downlink.deliver(event.topic, event.payload)
        return True

    def _take_receipt(self, raw: bytes) -> None:
        try:
            gone = self._outbox.apply_receipt(raw)
        except EnvelopeError as error:
            self._counts.receipts_refused += 1
            log.warning("receipt_refused", device=self._device, reason=error.refusal.value)
            return
        self._counts.receipts += 1
        self._counts.rows_receipted += gone
        self._counts.last_receipt = self._clock.mono()
        self._note_progress()

    def _note_progress(self) -> None:
        """Make room in the window, learn from the delay, and see what is next."""
        now, was_full = self._clock.mono(), self._window.is_full
        held = self._outbox.held([*self._window.seqs, *self._suspects.seqs])
        landed = self._window.keep_only(held)
        self._has_to_look = True
        for row in self._feed.held_back():
            if row.seq not in held:
                self._feed.let_go(row.seq)
        self._suspects.keep_only(held)
        if landed.rows == 0:
            return
        self._suspects.landed(landed.rows)
        if self._feed.limit is None:
            self._short_ends = 0
        if self._feed.limit is not None:
            more = self._feed.limit * _LIMIT_FACTOR
            self._feed.limit = more if more < self._window.size else None
        self._put_aside_refused()
        if (now - self._progress_us) / 1e6 > _SILENCE_S and was_full:
            self._feed.rebase()
        self._progress_us = now
        if landed.replayed:
            self._pacer.heard(landed.delay_s)

    # -- what is refused --------------------------------------------------------------------------

    def _put_aside_refused(self) -> None:
        for seq, why in self._suspects.refused():
            if self._outbox.put_aside(seq, why):
                log.error("message_put_aside", device=self._device, seq=seq, why=why)
                self._window.drop(seq)
                self._counts.put_aside += 1
            self._feed.let_go(seq)
            self._suspects.cleared(seq)

    def _on_end(self, problem: ConnectionProblem | None) -> None:
        """Find out whether the broker hung up on a message: fewer on their way, in the end one.

        A connection that lasted was not ended by what was sent first.
        """
        lasted_s = (self._clock.mono() - self._opened_us) / 1e6
        rows = self._window.rows()
        if problem is None or not rows or lasted_s > _SHORT_S:
            return
        self._short_ends += 1
        if self._short_ends < _SHORT_ENDS:
            return  # a line that breaks now and then
        if len(rows) == 1:
            self._suspects.note(rows[0].seq, "the broker hangs up on it")
            self._feed.hold_back(rows[0])
            self._put_aside_refused()
        self._feed.limit = max(1, len(rows) // _LIMIT_FACTOR)

    def _try_alone(self, connection: Connection) -> None:
        """Send a row that the broker seems to hang up on once more, with nothing beside it.

        Where nothing else gets through either, it waits as long as a row that nobody receipts.
        """
        rows = self._feed.held_back()
        if not rows or len(self._window):
            return
        idle_s = (self._clock.mono() - max(self._opened_us, self._progress_us)) / 1e6
        is_idle = idle_s > self._settings.resend_min_s
        chosen = [row for row in rows if self._suspects.may_try(row.seq)] or (is_idle and rows)
        if chosen:
            self._send(connection, chosen[0])

    def _before_goodbye(self, connection: Connection) -> None:
        """A clean DISCONNECT discards the will, so its words are published first."""
        mid = connection.publish(self._state_topic, self._will, is_retained=True)
        until = self._clock.mono() + round(_GOODBYE_S * 1e6)
        while mid is not None and self._clock.mono() < until:
            try:
                event = connection.events.get(timeout=_GOODBYE_S)
            except Empty:
                return
            if isinstance(event, Ended) or (isinstance(event, Taken) and mid in event.mids):
                return

    def _poke(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.poke()
