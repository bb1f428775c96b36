"""What the central asks of a store: rows as frozen values, one write transaction, plain reads.

Times are microseconds since 1970-01-01T00:00:00Z; JSON columns hold the contract's JSON view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from central.allow import Allowance
from contract import Detection, Refusal
from contract.keys import FindKey, KnownKey
from contract.messages import CrewReport, OrderResult, VisitLinkReport
from contract.topics import Lane
from contract.words import (
    AlertKind,
    Decision,
    DecisionReason,
    DetectionKind,
    DeviceKind,
    GapReason,
    Level,
    Presence,
    Severity,
    TimeBasis,
)

Json = dict[str, Any]


class StoreUnavailableError(Exception):
    """The store cannot be read or written now (disk full, locked, damaged): try again later."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class EventKind(StrEnum):
    """What pages are told of."""

    ALERT = "alert"
    DECISION = "decision"
    DEVICE = "device"
    REFUSAL = "refusal"
    NOTICE = "notice"
    """The duty officer is told something: an alarm came, a clock of the law is due."""
    ORDER = "order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An enrolled device and what it last said of itself."""

    device: str
    tenant: str
    kind: DeviceKind
    name: str
    version: str
    enrolled_at: int
    revoked_at: int | None = None
    presence: Presence | None = None
    session: bytes | None = None
    session_boot: bytes | None = None
    session_mono: int | None = None
    last_seen: int | None = None
    health: Json | None = None
    health_boot: bytes | None = None
    health_mono: int | None = None
    health_at: int | None = None
    chain_start: int | None = None
    """Greatest stored seq whose ``prev`` is zeros: where the device's chain began (anew)."""
    receipt_up_to: int | None = None
    receipt_at: int | None = None
    duplicates: int = 0
    refused: int = 0
    area: str = ""
    """Administrative division in which it stands; empty: the central's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One signed message as it came."""

    device: str
    seq: int
    message_id: bytes
    type: str
    boot_id: bytes
    wall: int
    mono: int
    is_clock_synced: bool
    clock_error_ms: int | None
    received_at: int
    digest: bytes
    prev: bytes
    kid: bytes
    cose: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """What the chain needs of a stored message."""

    seq: int
    digest: bytes
    prev: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """Sequence numbers stored without a hole, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert: one for each kind and subject."""

    id: int
    """0 before it is stored."""
    key: str
    kind: AlertKind
    level: Level
    severity: Severity
    state: str
    subject: Json
    summary: Json
    device: str
    seq: int
    count: int
    first_seen: int
    last_seen: int
    time_basis: TimeBasis
    fired_at: int | None
    raised_at: int
    risen_at: int
    """Raised or escalated last: the order of the list."""
    updated_at: int
    is_technical: bool = False
    area: str = ""
    """Administrative division of the device that raised it."""
    version: int = 0
    """Grows with what people do, not with the count."""
    handler: str | None = None
    """Who acknowledged it first."""
    reason_code: str | None = None
    closed_at: int | None = None
    """When it was dismissed or closed."""
    snoozed_until: int | None = None
    merged_into: int | None = None
    follows: int | None = None
    """A closed alert of the same subject."""
    escalation: int = 0
    """How many calls went out while nobody acknowledged it."""
    escalate_at: int | None = None
    """When the next one is due; None: somebody has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRow:
    """The latest revision of a detection."""

    device: str
    detection_id: bytes
    revision: int
    seq: int
    kind: DetectionKind
    level: Level
    alert_kind: AlertKind | None
    severity: Severity
    score: float
    first_seen: int
    last_seen: int
    time_basis: TimeBasis
    body: Json
    received_at: int
    alert_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow:
    """One visit at an ATM."""

    device: str
    seq: int
    visit: str
    decision: Decision
    reason: DecisionReason | None
    decided_at: int
    received_at: int
    body: Json
    alert_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRow:
    """A message that was not taken: what it claimed and why, never its content."""

    id: int = 0
    at: int
    device: str
    topic: str
    reason: Refusal
    detail: str
    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRow:
    """Numbers that a device will not send, by its own signed word."""

    device: str
    gap_seq: int
    """Message that says so."""
    first: int
    last: int
    lane: Lane
    reason: GapReason
    first_put: int
    last_put: int
    """Device's wall time of the oldest and the newest message of that word."""
    received_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What a device dropped of one lane for one reason."""

    lane: Lane
    reason: GapReason
    messages: int
    """Those of them that came after all are not counted."""
    first_put: int
    last_put: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only stream; ``id`` only grows."""

    id: int
    at: int
    kind: EventKind
    data: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over the whole store."""

    messages: int
    detections: int
    decisions: int
    alerts: int
    duplicates: int
    refused: int
    alert_latencies_ms: tuple[float, ...]
    """From the agent's reading to the alert in the store, of the alerts that state it."""


class Transaction(Protocol):
    """Everything that one batch changes; it becomes visible whole or not at all."""

    def device(self, device: str) -> Device | None:
        """The device as this transaction sees it."""

    def update_device(self, device: str, **changes: Any) -> None:
        """Change named columns of a device."""

    def update_devices(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change named columns of devices."""

    def expect(
        self, seqs: Mapping[str, Collection[int]], detections: Collection[tuple[str, bytes]]
    ) -> None:
        """Read together what a batch will ask for one by one; only a hint."""

    def links_around(self, device: str, seq: int) -> dict[int, Link]:
        """Digest and ``prev`` of the stored messages seq - 1, seq and seq + 1, by seq."""

    def add_message(self, message: Message) -> None:
        """Store a message and join it to its runs; the caller has checked the chain."""

    def add_drop(self, row: DropRow) -> None:
        """Note numbers that will not come; they close the hole for receipts."""

    def note_order_result(self, device: str, result: OrderResult) -> None:
        """Note what a device did with an order."""

    def note_order_refused(self, device: str, result: OrderResult, at: int) -> None:
        """Put a device's refusal of an order into the audit."""

    def note_crew_report(self, device: str, report: CrewReport, at: int) -> None:
        """Note what a van's crew says about where it was sent."""

    def note_link_report(self, device: str, report: VisitLinkReport) -> bool:
        """Keep which visits a machine linked; False: no order asked it."""

    def count_duplicate(self, device: str) -> None:
        """Note that a stored message came again."""

    def add_refusal(self, refusal: RefusalRow) -> None:
        """Note and count a message that was not taken."""

    def detection(self, device: str, detection_id: bytes) -> DetectionRow | None:
        """The stored revision."""

    def add_detection(self, row: DetectionRow) -> None:
        """Store a detection that is not there yet."""

    def replace_detection(self, row: DetectionRow) -> None:
        """Put a revision in the place of the stored one."""

    def support_alert(self, alert_id: int, device: str, detection_id: bytes) -> None:
        """Let a detection support a further alert beside the one that it raised."""

    def add_decision(self, row: DecisionRow) -> None:
        """Store a decision."""

    def alert_by_key(self, key: str) -> AlertRow | None:
        """The alert of one kind and subject."""

    def alert_by_id(self, alert_id: int) -> AlertRow | None:
        """One alert, as this transaction sees it."""

    def retire_alert(self, row: AlertRow) -> None:
        """Let a closed alert give its key free for the next one of the same subject."""

    def route(self, key: str, device: str) -> str:
        """The key to which a split sent what one device says of a subject; else the same."""

    def allowances(self) -> Sequence[Allowance]:
        """What is known to be harmless and was not taken back."""

    def count_allowance(self, allowance_id: int, at: int) -> None:
        """Note that an allowance kept a claim from becoming an alert."""

    def is_watched(self, account: bytes, at: int) -> bool:
        """Whether the list in force at a time watched an account, named by its HMAC."""

    def add_observation(self, device: str, seq: int, detection: Detection) -> None:
        """Note which message carried which revision of a detection."""

    def put_alert(self, row: AlertRow) -> AlertRow:
        """Store an alert (id 0: a new one) and return it with its id."""

    def add_event(self, at: int, kind: EventKind, data: Json) -> Event:
        """Append to the stream."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the live page shows, and the event up to which it is true."""

    last_event_id: int
    alerts: tuple[AlertRow, ...]
    decisions: tuple[DecisionRow, ...]
    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a receipt says: the runs of a device and the digest at the end of its prefix."""

    up_to: int
    head: bytes
    islands: tuple[Run, ...]


class Store(Protocol):
    """The central's store. Every method may raise StoreUnavailableError."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a write; committed durably when the block ends, rolled back if it raises."""

    def enrol(
        self, device: str, *, tenant: str, kind: DeviceKind, name: str, public_pem: str, at: int
    ) -> None:
        """Make a device known, or give a known one a further evidence key."""

    def revoke(self, device: str, at: int) -> bool:
        """Take nothing more that this device signs; False if it is not known."""

    def find_key(self, kid: bytes) -> KnownKey | None:
        """The key that may sign now; None if unknown or revoked."""

    def finding_keys(self) -> AbstractContextManager[FindKey]:
        """As :meth:`find_key`, for many messages: each key is looked up once, all at one moment."""

    def known_key(self, kid: bytes) -> KnownKey | None:
        """The key whether or not it was revoked since: for evidence already stored."""

    def stored(self, device: str, came: Collection[int] | None = None) -> Stored:
        """Prefix and islands of a device, from one moment.

        ``came`` asks only for the islands around some sequence numbers: a device that sends its
        evidence before its telemetry may have a hundred thousand.
        """

    def stored_by(self, came: Mapping[str, Collection[int]]) -> dict[str, Stored]:
        """The same for several devices at once, each with what came of it."""

    def note_receipts(self, at: int, up_to: dict[str, int]) -> None:
        """Remember which receipts were published."""

    def snapshot(
        self,
        alerts: int,
        decisions: int,
        areas: frozenset[str] | None = None,
        *,
        covers_own: bool = True,
    ) -> Snapshot:
        """Latest alerts and decisions (of some areas), all devices, from one moment."""

    def events_after(self, last_id: int, limit: int) -> Sequence[Event]:
        """Events with a greater id, in order."""

    def last_event_id(self) -> int:
        """Id of the newest event; 0 if there is none."""

    def alerts(
        self, limit: int, before_id: int | None = None, areas: frozenset[str] | None = None
    ) -> Sequence[AlertRow]:
        """Alerts by id, newest first; ``areas``: only those that lie there."""

    def alert(self, alert_id: int) -> AlertRow | None:
        """One alert."""

    def detections_of(self, alert_id: int, limit: int = 200) -> Sequence[DetectionRow]:
        """Detections behind an alert, newest first."""

    def decision(self, device: str, seq: int) -> DecisionRow | None:
        """The decision that a message carried."""

    def message(self, device: str, seq: int) -> Message | None:
        """One stored message."""

    def devices(self) -> Sequence[Device]:
        """All devices by id."""

    def device(self, device: str) -> Device | None:
        """One device."""

    def runs(self, device: str) -> Sequence[Run]:
        """Runs of a device in order."""

    def dropped(self, device: str) -> Sequence[Dropped]:
        """What a device said it dropped, by lane and reason."""

    def refusals(self, limit: int, device: str | None = None) -> Sequence[RefusalRow]:
        """Latest refusals, of all or of one claimed device."""

    def refusal_counts(self, device: str) -> dict[Refusal, int]:
        """Refusals of a claimed device by reason, since ever."""

    def totals(self) -> Totals:
        """Counts over the whole store."""

    def close(self) -> None:
        """Let go of the files."""
