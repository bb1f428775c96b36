"""Bodies of the messages that agents and the central exchange, one record for each type."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from contract.accounts import CardRef
from contract.clock import MonoMicros, UnixMicros
from contract.codec import Key, Values, encode
from contract.topics import Lane
from contract.words import (
    AlertKind,
    CrewWord,
    Decision,
    DecisionReason,
    DetectionKind,
    DeviceKind,
    FeedKind,
    GapReason,
    Level,
    MachineAlarmKind,
    OrderOutcome,
    OrderRefusal,
    Pad,
    PartState,
    PinVerdict,
    Presence,
    RivalVerdict,
    Severity,
    TimeBasis,
)

ID_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule that fired, with the values that fired it."""

    rule: Annotated[str, Key(0, "rule id of the detector's table")]
    family: Annotated[str, Key(1, "kind of evidence; two families count as independent")]
    weight: Annotated[
        float, Key(2, "weight of evidence, natural logarithm of the likelihood ratio")
    ]
    values: Annotated[Values, Key(3, "observed values")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """An innocent explanation and what became of it."""

    explanation: Annotated[str, Key(0, "id of the explanation")]
    verdict: Annotated[RivalVerdict, Key(1, "whether it was ruled out, stands or was not checked")]
    values: Annotated[Values, Key(2, "values the verdict rests on")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a reading came from: a file or a port, and the place in it."""

    file: Annotated[str, Key(0, "name of the recording or of the port, without a folder")]
    place: Annotated[str, Key(1, "packet, line or offset, or a range of them")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Raw bytes behind a claim, by hash; the bytes stay with the agent."""

    name: Annotated[str, Key(0, "what it is, e.g. nas_frames")]
    sha256: Annotated[bytes, Key(1, "SHA-256 of the raw bytes")]
    size_bytes: Annotated[int, Key(2, "length of the raw bytes")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A detector's claim about one emitter over one window of time."""

    detection_id: Annotated[
        bytes, Key(0, "derives from sensor, subject and window: see detection_id()")
    ]
    revision: Annotated[int, Key(1, "0 at first sight; grows as evidence is added")]
    sensor: Annotated[str, Key(2, "sensor of the device, e.g. modem0")]
    kind: Annotated[DetectionKind, Key(3, "what is claimed")]
    subkind: Annotated[str, Key(4, "finer kind, empty where there is none")] = ""
    level: Annotated[Level, Key(5, "how far the evidence carries")]
    severity: Annotated[Severity, Key(6, "urgency")]
    alert: Annotated[AlertKind | None, Key(7, "alert kind, absent while only observed")] = None
    score: Annotated[float, Key(8, "sum of the weights, each family capped")]
    reasons: Annotated[tuple[Reason, ...], Key(9, "rules that fired")]
    rivals: Annotated[tuple[Rival, ...], Key(10, "innocent explanations looked at")] = ()
    first_seen: Annotated[UnixMicros, Key(11, "time of the first reading of the window")]
    last_seen: Annotated[UnixMicros, Key(12, "time of the last reading of the window")]
    time_basis: Annotated[TimeBasis, Key(13, "where these times come from")]
    track_id: Annotated[str, Key(14, "stable name of the followed emitter")]
    subject: Annotated[Values, Key(15, "identities of the emitter")]
    source: Annotated[Source, Key(16, "where the readings came from")]
    evidence: Annotated[tuple[Evidence, ...], Key(17, "raw evidence by hash")] = ()
    fired_at: Annotated[
        UnixMicros | None, Key(18, "agent's wall time when the reading that fired it came in")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceEvidence:
    """What the face factor found: numbers and names, never a picture or a template."""

    engine: Annotated[str, Key(0, "engine id")]
    model_sha256: Annotated[bytes, Key(1, "SHA-256 over the weights in use")]
    similarity: Annotated[float | None, Key(2, "cosine similarity; absent if nothing was compared")]
    threshold: Annotated[float, Key(3, "similarity from which the engine says match")]
    pad: Annotated[Pad, Key(4, "presentation-attack detection that was really done")]
    is_simulated: Annotated[bool, Key(5, "true: the camera was a simulator")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalDecision:
    """One visit at an ATM and how it was decided."""

    visit: Annotated[str, Key(0, "visit number at this ATM")]
    business: Annotated[str, Key(1, "withdraw, deposit, transfer or revoke")]
    amount_fen: Annotated[int, Key(2, "amount asked for, fen")]
    card: Annotated[CardRef, Key(3, "the card")]
    pin: Annotated[PinVerdict, Key(4, "the keypad's verdict")]
    face: Annotated[FaceEvidence | None, Key(5, "absent: no face was captured")] = None
    decision: Annotated[Decision, Key(6, "outcome")]
    reason: Annotated[DecisionReason | None, Key(7, "absent when simply allowed")] = None
    policy_version: Annotated[str, Key(8, "policy that decided")]
    started_at: Annotated[UnixMicros, Key(9, "card in")]
    decided_at: Annotated[UnixMicros, Key(10, "decision")]
    many_cards: Annotated[
        int | None,
        Key(11, "cards this face failed to match here within the window, where this visit made it"),
    ] = None
    revokes: Annotated[
        str | None, Key(12, "of a revocation: the visit here whose waiting transfer it took back")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineAlarm:
    """An ATM's gate noticed somebody else at the dispenser, or kept a command from it."""

    alarm: Annotated[MachineAlarmKind, Key(0, "what was noticed")]
    detail: Annotated[str, Key(1, "in plain words, without any secret")]
    is_closed: Annotated[bool, Key(2, "the machine closed itself; a named person opens it")]
    at: Annotated[UnixMicros, Key(3, "device's wall time when it was noticed")]
    count: Annotated[int, Key(4, "so many of this kind since the last message of it")] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """Health of one part of an agent."""

    name: Annotated[str, Key(0, "part, e.g. sensor modem0, uplink, outbox")]
    state: Annotated[PartState, Key(1, "state")]
    detail: Annotated[str, Key(2, "in plain words")] = ""
    counters: Annotated[Values, Key(3, "counters and gauges, unit in the name")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """An agent's report about itself."""

    uptime_s: Annotated[int, Key(0, "seconds since the agent started")]
    version: Annotated[str, Key(1, "software version")]
    parts: Annotated[tuple[PartHealth, ...], Key(2, "its parts")]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Birth or last will of an agent's session; a will of an older session is ignored."""

    presence: Annotated[Presence, Key(0, "online or offline")]
    session: Annotated[bytes, Key(1, "random id of this connection's session")]
    kind: Annotated[DeviceKind, Key(2, "kind of station")]
    version: Annotated[str, Key(3, "software version")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeqRange:
    """An inclusive range of sequence numbers."""

    first: Annotated[int, Key(0, "first")]
    last: Annotated[int, Key(1, "last")]


MAX_SPANS = 1000
"""Ranges that one gap names: 20 KB at most, well below the limit of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A device's signed word that it dropped messages it had numbered: they will not come.

    It stands in the chain like any other message, after all that it names.
    """

    lane: Annotated[Lane, Key(0, "lane of the messages")]
    reason: Annotated[GapReason, Key(1, "why they are missing")]
    spans: Annotated[tuple[SeqRange, ...], Key(2, "their sequence numbers, in order")]
    size_bytes: Annotated[int, Key(3, "sum of their lengths")]
    digest: Annotated[bytes, Key(4, "SHA-256 over the SHA-256 of each of them, in order")]
    first_put: Annotated[UnixMicros, Key(5, "device's wall time at which the oldest was made")]
    last_put: Annotated[UnixMicros, Key(6, "and the newest")]

    def __post_init__(self) -> None:
        if not 1 <= len(self.spans) <= MAX_SPANS:
            raise ValueError(f"{len(self.spans)} spans, 1 to {MAX_SPANS} are taken")
        before = 0
        for span in self.spans:
            if not before < span.first <= span.last:
                raise ValueError("spans are in order, do not overlap and begin at 1")
            before = span.last

    @property
    def count(self) -> int:
        """How many messages are missing."""
        return sum(span.last - span.first + 1 for span in self.spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The central's word that it has committed a device's messages to its store."""

    device: Annotated[str, Key(0, "whose messages")]
    up_to: Annotated[int, Key(1, "every message up to this sequence number is stored; 0: none")]
    head: Annotated[bytes, Key(2, "SHA-256 of message up_to; empty if up_to is 0")]
    ranges: Annotated[tuple[SeqRange, ...], Key(3, "also stored, beyond a hole")] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDelivery:
    """One delivery of an order to one device, signed by the central.

    The order inside carries its own signatures, which alone give it force. The delivery only says
    that the central itself sends it again: the same delivery twice is somebody's replay.
    """

    device: Annotated[str, Key(0, "whom it is for")]
    attempt: Annotated[int, Key(1, "1 at first; grows while no result has come back")]
    order: Annotated[bytes, Key(2, "the order as it was signed, a tagged COSE_Sign")]

    def __post_init__(self) -> None:
        if self.attempt < 1:
            raise ValueError("attempts are counted from 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """What a device did with an order, a command or a bundle."""

    digest: Annotated[bytes, Key(0, "SHA-256 of the order as it came")]
    order_id: Annotated[bytes, Key(1, "id of the order; empty if it could not be read")]
    type: Annotated[str, Key(2, "type of the order; empty if it could not be read")]
    outcome: Annotated[OrderOutcome, Key(3, "what was done")]
    reason: Annotated[OrderRefusal | None, Key(4, "why it was refused")] = None
    detail: Annotated[str, Key(5, "in plain words, without any secret")] = ""
    at: Annotated[UnixMicros, Key(6, "device's wall time when it was done")]
    attempt: Annotated[int, Key(7, "delivery that this answers; 0: the order came bare")]


MAX_LINKED = 1000
"""Visits that one report names, the most alike first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedVisit:
    """A visit at the reporting machine whose face is like one of a parcel's."""

    visit: Annotated[int, Key(0, "number of the visit in the day's store of the machine")]
    captured_at: Annotated[UnixMicros, Key(1, "device's wall time of the visit")]
    similarity: Annotated[float, Key(2, "the greatest similarity with a face of the parcel")]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitLinkReport:
    """What a machine found when it compared another one's visits with its own, under an order.

    It holds no card, no picture and no template.
    """

    parcel: Annotated[bytes, Key(0, "SHA-256 of the parcel as it came")]
    order_id: Annotated[bytes, Key(1, "the order that allowed it")]
    sender: Annotated[str, Key(2, "machine whose visits came")]
    is_opened: Annotated[
        bool, Key(3, "false: it is not for this machine, order, sender or engine, or was altered")
    ]
    faces: Annotated[int, Key(4, "visits in the parcel")] = 0
    compared: Annotated[int, Key(5, "visits here that they were compared with")] = 0
    linked: Annotated[int, Key(6, "visits here that are like one of them")] = 0
    visits: Annotated[
        tuple[LinkedVisit, ...], Key(7, "these visits, the most alike first; at most 1,000")
    ] = ()
    at: Annotated[UnixMicros, Key(8, "device's wall time of the comparison")]

    def __post_init__(self) -> None:
        if len(self.parcel) != 32 or len(self.order_id) != ID_BYTES:
            raise ValueError("a parcel is named by 32 bytes, an order by 16")
        if min(self.faces, self.compared, self.linked) < 0 or len(self.visits) > MAX_LINKED:
            raise ValueError(f"counts are not negative, and at most {MAX_LINKED} visits are named")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeHint:
    """The central's time with an echo of what it last heard of the device.

    The echoed monotonic time bounds it on both sides: the central's wall time in the payload was
    true at some moment between the device's message and the arrival of this one.
    """

    device: Annotated[str, Key(0, "whom it is for")]
    echo_boot: Annotated[bytes, Key(1, "boot id of the device's message")]
    echo_mono: Annotated[MonoMicros, Key(2, "monotonic time of the device's message")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNotice:
    """Which list of accounts is in force now, and what leads there from the one before.

    Sent at each change, and again every ``atm.list_refresh_s`` with a manifest drawn up anew: its
    time is what an ATM counts the list's age from. Whatever is too large, or missed, is fetched
    whole over HTTPS.
    """

    manifest: Annotated[bytes, Key(0, "the signed manifest")]
    delta: Annotated[bytes, Key(1, "the delta file; empty: none, or too large")] = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewReport:
    """What a van's crew says about a dispatch; each word is a message of its own."""

    dispatch: Annotated[bytes, Key(0, "id of the dispatch, 16 bytes")]
    word: Annotated[CrewWord, Key(1, "what the crew says")]
    crew: Annotated[str, Key(2, "who says so, by name")]
    note: Annotated[str, Key(3, "what was found")] = ""
    at: Annotated[UnixMicros, Key(4, "device's wall time when it was said")]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmReport:
    """An alarm of 110 on its way through a broker; who and where the money went stay closed."""

    number: Annotated[str, Key(0, "number that the intake gave the alarm")]
    box: Annotated[bytes, Key(1, "the alarm as JSON, encrypted to the central's intake key")]
    at: Annotated[UnixMicros, Key(2, "device's wall time when it was handed over")]


MAX_FEED_LINE = 200
"""Characters of a unit's and a file's name, and of a reason in a receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    """Rows of a member unit's feed: a whole CSV, or a part of one with the header repeated."""

    unit: Annotated[str, Key(0, "the unit's short name; the sender must be bound to it")]
    kind: Annotated[FeedKind, Key(1, "what the rows hold")]
    name: Annotated[str, Key(2, "name of the file, without a folder")]
    rows: Annotated[str, Key(3, "the CSV: a header and rows")]
    lines_before: Annotated[
        int, Key(4, "lines of the file between its header and the first row of this part")
    ] = 0
    at: Annotated[UnixMicros, Key(5, "sender's wall time when it was handed over")]

    def __post_init__(self) -> None:
        for text in (self.unit, self.name):
            if not 0 < len(text) <= MAX_FEED_LINE or not text.isprintable():
                raise ValueError(f"names are 1 to {MAX_FEED_LINE} characters that can be printed")
        if not 0 <= self.lines_before < 1 << 31:
            raise ValueError("lines_before is the number of a line")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRefusal:
    """A row that was not taken."""

    line: Annotated[int, Key(0, "its line in the unit's file; 0: the report as a whole")]
    reason: Annotated[str, Key(1, "why, in plain words")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReceipt:
    """What became of a feed report, told to its sender once the rows are stored."""

    device: Annotated[str, Key(0, "whom it is for")]
    seq: Annotated[int, Key(1, "sequence number of the report")]
    unit: Annotated[str, Key(2, "the unit that the report named")]
    kind: Annotated[FeedKind, Key(3, "what the rows hold")]
    name: Annotated[str, Key(4, "name of the file")]
    feed: Annotated[int | None, Key(5, "the central's number of the feed; absent: refused")] = None
    taken: Annotated[int, Key(6, "rows taken")]
    refused: Annotated[int, Key(7, "rows refused")]
    refusals: Annotated[
        tuple[FeedRefusal, ...], Key(8, "the first of them, by line; the central shows more")
    ] = ()


Body = (
    Detection
    | WithdrawalDecision
    | MachineAlarm
    | Health
    | State
    | Gap
    | Receipt
    | OrderDelivery
    | OrderResult
    | VisitLinkReport
    | TimeHint
    | ListNotice
    | CrewReport
    | AlarmReport
    | FeedReport
    | FeedReceipt
)

BODY_TYPES: dict[str, type[Body]] = {
    "detection": Detection,
    "withdrawal_decision": WithdrawalDecision,
    "machine_alarm": MachineAlarm,
    "health": Health,
    "state": State,
    "gap": Gap,
    "receipt": Receipt,
    "order_delivery": OrderDelivery,
    "order_result": OrderResult,
    "visit_link_report": VisitLinkReport,
    "time_hint": TimeHint,
    "list_notice": ListNotice,
    "crew_report": CrewReport,
    "alarm_report": AlarmReport,
    "feed_report": FeedReport,
    "feed_receipt": FeedReceipt,
}
"""Message type on the wire to its record."""

_TYPE_OF: dict[type, str] = {record: name for name, record in BODY_TYPES.items()}


def type_of(body: Body) -> str:
    """Return the message type of a body."""
    return _TYPE_OF[type(body)]


def content_id(*parts: object) -> bytes:
    """Sixteen bytes that depend only on the parts (text, numbers, bytes, lists of them)."""
    return hashlib.sha256(encode(list(parts))).digest()[:ID_BYTES]


def order_result_id(device: str, result: OrderResult) -> bytes:
    """Id of a result from its content: reporting it again after a crash adds nothing.

    A refusal of the same bytes for the same reason is one message however often they come, so
    that a stranger's flood does not fill the outbox.
    """
    attempt = 0 if result.outcome is OrderOutcome.REFUSED else result.attempt
    reason = result.reason.value if result.reason else ""
    return content_id("result", device, result.digest, result.outcome.value, reason, attempt)


def visit_link_report_id(device: str, report: VisitLinkReport) -> bytes:
    """Id of a report from its parcel: comparing it again after a crash adds nothing."""
    return content_id("visit link", device, report.parcel)


def detection_id(device: str, sensor: str, subject: Values, window_start: UnixMicros) -> bytes:
    """Id of a detection from its content, so that a restart that detects again adds nothing."""
    pairs = [[name, subject[name]] for name in sorted(subject)]
    return content_id("detection", device, sensor, pairs, int(window_start))
