"""What an admitted message changes in the store: one Recorder for each batch and transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from central import alerts, allow, technical
from central.admission import Admitted, Refused, refused
from central.alert_states import AlertState, is_news
from central.chain import Place, check_place
from central.store.interface import (
    AlertRow,
    DecisionRow,
    DetectionRow,
    Device,
    DropRow,
    Event,
    EventKind,
    Message,
    RefusalRow,
    Transaction,
)
from central.views import alert_json, decision_json, device_json
from contract import (
    Detection,
    Envelope,
    EnvelopeError,
    Gap,
    Health,
    OrderResult,
    Refusal,
    State,
    WithdrawalDecision,
)
from contract.clock import UnixMicros
from contract.codec import to_json
from contract.messages import (
    AlarmReport,
    CrewReport,
    FeedReport,
    MachineAlarm,
    VisitLinkReport,
)
from contract.words import OrderOutcome, Presence, TimeBasis
from mqtt_bridge.brokers.violations import Violation

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Recorded:
    """What one batch did, told after its commit."""

    events: list[Event] = field(default_factory=list)
    owed: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Devices that get a receipt, with the sequence numbers that came."""
    heard: dict[str, tuple[bytes, int, bool]] = field(default_factory=dict)
    """Boot id and monotonic time of a device's latest birth or health, and whether it is a birth:
    what an answer with the central's time echoes."""
    stored: int = 0
    duplicates: int = 0
    refused: int = 0


TakeAlarm = Callable[[Transaction, int, str, str, AlarmReport], Sequence[Event]]
"""Opens a case for an alarm that a device handed over: transaction, now, device, its area, body."""

TakeFeed = Callable[[Transaction, int, str, int, str, FeedReport], bool]
"""Puts a unit's feed aside: transaction, now, device, sequence number, its area, body. False: the
device may not feed that unit."""


class Recorder:
    """Applies a batch to one transaction. Events are written at the end, one for each thing."""

    def __init__(
        self,
        tx: Transaction,
        now: UnixMicros,
        area: str = "",
        take_alarm: TakeAlarm | None = None,
        take_feed: TakeFeed | None = None,
    ) -> None:
        """``area``: the central's own division, of devices that name none."""
        self._tx = tx
        self._take_alarm = take_alarm
        self._take_feed = take_feed
        self._area = area
        self._allowances: Sequence[allow.Allowance] | None = None
        self._now = int(now)
        self._devices: dict[str, Device] = {}
        self._changes: dict[str, dict[str, Any]] = defaultdict(dict)
        self._alerts: dict[int, tuple[AlertRow, alerts.Change]] = {}
        self._decisions: list[DecisionRow] = []
        self._refusals: Counter[tuple[str, Refusal]] = Counter()
        self._told: set[str] = set()
        self._done = Recorded()

    def expect(self, items: Sequence[Admitted | Refused]) -> None:
        """Let the store read together what this batch will ask for."""
        seqs: dict[str, list[int]] = defaultdict(list)
        detections: list[tuple[str, bytes]] = []
        for item in items:
            if isinstance(item, Refused):
                continue
            sender, body = item.envelope.payload.device, item.envelope.body
            if item.envelope.payload.seq:
                seqs[sender].append(item.envelope.payload.seq)
            if isinstance(body, Detection):
                detections.append((sender, body.detection_id))
        self._tx.expect(seqs, detections)

    def apply(self, item: Admitted | Refused) -> None:
        """Take one message, or note why it is not taken."""
        if isinstance(item, Refused):
            self._refuse(item)
            return
        try:
            self._take(item)
        except EnvelopeError as error:
            raw, sender = item.envelope.raw, item.envelope.payload.device
            self._refuse(refused(item.topic, raw, sender, error))

    def finish(self) -> Recorded:
        """Write what was gathered and the events of this batch; the caller commits."""
        self._tx.update_devices(self._changes)
        for row, change in self._alerts.values():
            self._tell(EventKind.ALERT, {"change": change.value, "alert": alert_json(row)})
        for decision in self._decisions:
            self._tell(EventKind.DECISION, {"decision": decision_json(decision)})
        for (claimed, reason), times in self._refusals.items():
            self._tell(
                EventKind.REFUSAL, {"device": claimed, "reason": reason.value, "count": times}
            )
        for device in sorted(self._told):
            known = self._tx.device(device)
            if known is not None:
                self._tell(EventKind.DEVICE, {"device": device_json(known)})
        return self._done

    def _tell(self, kind: EventKind, data: dict[str, Any]) -> None:
        self._done.events.append(self._tx.add_event(self._now, kind, data))

    def _refuse(self, item: Refused) -> None:
        self._tx.add_refusal(
            RefusalRow(
                at=self._now,
                device=item.device,
                topic=item.topic,
                reason=item.reason,
                detail=item.detail,
                sha256=item.sha256,
                size_bytes=item.size_bytes,
            )
        )
        self._refusals[item.device, item.reason] += 1
        claim = technical.claim_of_refusal(item, now=self._now)
        if claim is not None:
            self._raise(claim, counted_by=None)
        self._told.add(item.device)
        self._done.refused += 1

    def note_violations(self, violations: Mapping[Violation, int]) -> None:
        """Take what a broker refused, with how often."""
        for violation, times in violations.items():
            claim = technical.claim_of_violation(violation, now=self._now)
            self._raise(claim, counted_by=None, times=times)

    def _warn_of_skew(self, skew_s: float, device: str, seq: int) -> None:
        """Warn once for each fault: while a clock stays off, each message would say so again."""
        claim = technical.claim_of_skew(skew_s, device=device, seq=seq, now=self._now)
        if claim is None:
            return
        current = self._tx.alert_by_key(claim.key)
        if current is None or self._now - current.updated_at > technical.SKEW_AGAIN_US:
            self._raise(claim, counted_by=None)

    def _take(self, item: Admitted) -> None:
        envelope = item.envelope
        sender, seq = envelope.payload.device, envelope.payload.seq
        if isinstance(envelope.body, State):
            self._take_state(envelope, envelope.body, item.is_retained)
            return
        if seq > 0:
            links = self._tx.links_around(sender, seq)
            place = check_place(
                envelope,
                same=links.get(seq),
                before=links.get(seq - 1),
                after=links.get(seq + 1),
            )
            self._done.owed[sender].add(seq)
            if place is Place.DUPLICATE:
                self._tx.count_duplicate(sender)
                self._done.duplicates += 1
                return
            self._tx.add_message(_message(item, self._now))
            self._done.stored += 1
        self._change(sender, last_seen=self._now)
        ahead_s = technical.surely_ahead_s(int(envelope.payload.wall), self._now)
        self._warn_of_skew(ahead_s, sender, seq)
        if isinstance(envelope.body, Detection):
            self._take_detection(envelope.body, item)
        elif isinstance(envelope.body, WithdrawalDecision):
            self._take_decision(envelope.body, item)
        elif isinstance(envelope.body, MachineAlarm):
            self._raise(
                alerts.claim_of_alarm(envelope.body, device=sender, seq=seq), counted_by=None
            )
        elif isinstance(envelope.body, Health):
            self._take_health(envelope, to_json(envelope.body))
            self._warn_of_skew(technical.skew_s_of(envelope.body), sender, seq)
        elif isinstance(envelope.body, Gap):
            self._take_gap(envelope.body, sender, seq)
        elif isinstance(envelope.body, OrderResult):
            self._take_order_result(envelope.body, sender, seq)
        elif isinstance(envelope.body, VisitLinkReport):
            if not self._tx.note_link_report(sender, envelope.body):
                _log.warning("link_report_not_asked_for", device=sender, seq=seq)
        elif isinstance(envelope.body, CrewReport):
            self._tx.note_crew_report(sender, envelope.body, self._now)
        elif isinstance(envelope.body, AlarmReport) and self._take_alarm is not None:
            area = self._area_of(sender)
            told = self._take_alarm(self._tx, self._now, sender, area, envelope.body)
            self._done.events += told
        elif isinstance(envelope.body, FeedReport) and self._take_feed is not None:
            area, report = self._area_of(sender), envelope.body
            if not self._take_feed(self._tx, self._now, sender, seq, area, report):
                claim = technical.claim_of_feed(report, device=sender, seq=seq, now=self._now)
                self._raise(claim, counted_by=None)

    def _device(self, device: str) -> Device:
        if device not in self._devices:
            known = self._tx.device(device)
            assert known is not None, "a key belongs to a device"
            self._devices[device] = known
        return self._devices[device]

    def _change(self, device: str, **changes: Any) -> None:
        known = self._changes[device]
        if all(known.get(name, self) == value for name, value in changes.items()):
            return
        self._devices[device] = replace(self._device(device), **changes)
        self._changes[device].update(changes)

    # -- kinds of messages --------------------------------------------------------------------

    def _take_state(self, envelope: Envelope, state: State, is_retained: bool) -> None:
        payload, known = envelope.payload, self._device(envelope.payload.device)
        if not is_retained:  # what the broker kept may be days old
            self._change(payload.device, last_seen=self._now)
        if state.presence is Presence.OFFLINE:
            if known.session is not None and state.session != known.session:
                return  # the will of a session that was replaced
        elif _is_older(payload.boot_id, payload.mono, known.session_boot, known.session_mono):
            return
        # A birth that came before we listened is told to us by what the broker kept: no sign of
        # life now, but what was sent before that device listened may be lost, and has to go again.
        is_new = not is_retained or state.session != known.session
        if state.presence is Presence.ONLINE and is_new:
            self._done.heard[payload.device] = (payload.boot_id, payload.mono, True)
        self._change(
            payload.device,
            presence=state.presence,
            session=state.session,
            session_boot=payload.boot_id,
            session_mono=payload.mono,
            version=state.version,
        )
        self._told.add(payload.device)

    def _take_health(self, envelope: Envelope, body_json: dict[str, Any]) -> None:
        payload, known = envelope.payload, self._device(envelope.payload.device)
        if _is_older(payload.boot_id, payload.mono, known.health_boot, known.health_mono):
            return
        is_birth = self._done.heard.get(payload.device, (b"", 0, False))[2]
        self._done.heard[payload.device] = (payload.boot_id, payload.mono, is_birth)
        self._change(
            payload.device,
            health=body_json,
            health_boot=payload.boot_id,
            health_mono=payload.mono,
            health_at=int(payload.wall),
            version=body_json["version"],
        )
        self._told.add(payload.device)

    def _take_gap(self, gap: Gap, device: str, seq: int) -> None:
        """Note what will not come, so that receipts go on past it and people see the hole."""
        for span in gap.spans:
            self._tx.add_drop(
                DropRow(
                    device=device,
                    gap_seq=seq,
                    first=span.first,
                    last=span.last,
                    lane=gap.lane,
                    reason=gap.reason,
                    first_put=int(gap.first_put),
                    last_put=int(gap.last_put),
                    received_at=self._now,
                )
            )
        self._told.add(device)

    def _take_detection(self, detection: Detection, item: Admitted) -> None:
        device, seq = item.envelope.payload.device, item.envelope.payload.seq
        former = self._tx.detection(device, detection.detection_id)
        if seq > 0:
            self._tx.add_observation(device, seq, detection)
        if former is not None and detection.revision <= former.revision:
            return
        alert_id = None if former is None else former.alert_id
        claim = alerts.claim_of_detection(detection, device=device, seq=seq)
        if claim is not None and not self._is_allowed(claim):
            alert_id = self._raise(claim, counted_by=alert_id)
        if former is not None and former.alert_id not in {None, alert_id}:
            # What it raised before still rests on it: a closed alert, or one of another subject.
            self._tx.support_alert(former.alert_id, device, detection.detection_id)
        store = self._tx.add_detection if former is None else self._tx.replace_detection
        store(
            DetectionRow(
                device=device,
                detection_id=detection.detection_id,
                revision=detection.revision,
                seq=seq,
                kind=detection.kind,
                level=detection.level,
                alert_kind=detection.alert,
                severity=detection.severity,
                score=detection.score,
                first_seen=detection.first_seen,
                last_seen=detection.last_seen,
                time_basis=detection.time_basis,
                body=to_json(item.envelope.body),
                received_at=self._now,
                alert_id=alert_id,
            )
        )

    def _take_decision(self, decision: WithdrawalDecision, item: Admitted) -> None:
        device, seq = item.envelope.payload.device, item.envelope.payload.seq
        is_watched = self._tx.is_watched(decision.card.hmac, decision.decided_at)
        claims = alerts.claims_of_decision(decision, device=device, seq=seq, is_watched=is_watched)
        raised = [self._raise(claim, counted_by=None) for claim in claims]
        row = DecisionRow(
            device=device,
            seq=seq,
            visit=decision.visit,
            decision=decision.decision,
            reason=decision.reason,
            decided_at=decision.decided_at,
            received_at=self._now,
            body=to_json(item.envelope.body),
            alert_id=raised[0] if raised else None,
        )
        self._tx.add_decision(row)
        self._decisions.append(row)

    def _take_order_result(self, result: OrderResult, device: str, seq: int) -> None:
        self._tx.note_order_result(device, result)
        if result.outcome is OrderOutcome.REFUSED:
            self._tx.note_order_refused(device, result, self._now)
        claim = technical.claim_of_order_result(result, device=device, seq=seq)
        if claim is not None:
            self._raise(claim, counted_by=None)

    def _area_of(self, device: str) -> str:
        known = self._tx.device(device) if device not in self._devices else self._devices[device]
        return (known.area if known is not None else "") or self._area

    def _is_allowed(self, claim: alerts.Claim) -> bool:
        """Whether a list says that the subject is harmless; a synthetic time has no date."""
        if self._allowances is None:
            self._allowances = self._tx.allowances()
        at = self._now if claim.time_basis is TimeBasis.SYNTHETIC else claim.last_seen
        found = allow.find(self._allowances, claim.subject, self._area_of(claim.device), at)
        if found is None:
            return False
        self._tx.count_allowance(found.id, self._now)
        return True

    def _raise(self, claim: alerts.Claim, *, counted_by: int | None, times: int = 1) -> int:
        area = self._area_of(claim.device)
        key = self._tx.route(alerts.placed_key(claim, area), claim.device)
        claim = replace(claim, key=key)
        current, follows = self._current(claim)
        is_counted = current is not None and current.id == counted_by
        row, change = alerts.apply_claim(
            current, claim, now=self._now, is_counted=is_counted, area=area, follows=follows
        )
        row = replace(row, count=row.count + times - 1)
        row = self._tx.put_alert(row)
        if row.id in self._alerts:
            change = min(change, self._alerts[row.id][1], key=lambda c: c.rank)
        self._alerts[row.id] = row, change
        return row.id

    def _current(self, claim: alerts.Claim) -> tuple[AlertRow | None, int | None]:
        """Return the alert that takes a claim, or the closed one that a new alert follows."""
        own = current = self._tx.alert_by_key(claim.key)
        while current is not None and current.merged_into is not None:
            current = self._tx.alert_by_id(current.merged_into)
        if own is None or current is None:
            return None, None
        if not is_news(
            AlertState(current.state),
            current.level,
            current.closed_at,
            claimed=claim.level,
            now=self._now,
        ):
            return current, None
        self._tx.retire_alert(own)
        return None, current.id


def _is_older(boot: bytes, mono: int, known_boot: bytes | None, known_mono: int | None) -> bool:
    """Within one boot the monotonic clock decides; another boot is taken to be a later one."""
    return boot == known_boot and known_mono is not None and mono < known_mono


def _message(item: Admitted, now: int) -> Message:
    payload = item.envelope.payload
    return Message(
        device=payload.device,
        seq=payload.seq,
        message_id=payload.message_id,
        type=payload.type,
        boot_id=payload.boot_id,
        wall=payload.wall,
        mono=payload.mono,
        is_clock_synced=payload.is_clock_synced,
        clock_error_ms=payload.clock_error_ms,
        received_at=now,
        digest=item.envelope.digest,
        prev=payload.prev,
        kid=item.envelope.kid,
        cose=item.envelope.raw,
    )
