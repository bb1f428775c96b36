"""From a claim to an alert: one for each kind and subject, and what a further claim changes.

Pure. Texts are not made here: an alert carries words, and a page puts them into its language.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from central.alert_states import AlertState, next_call
from central.places import STATED
from central.store.interface import AlertRow
from contract import Detection, FaceEvidence, WithdrawalDecision
from contract.codec import Values, encode
from contract.messages import MachineAlarm
from contract.words import (
    AlertKind,
    Decision,
    DecisionReason,
    Level,
    Severity,
    TimeBasis,
)

NEW = AlertState.NEW.value
"""State of an alert that nobody has looked at."""

_FAMILY_ENDINGS = ("_SUSPECTED", "_CONFIRMED")
TECHNICAL = frozenset(
    {
        AlertKind.CLOCK_SKEW,
        AlertKind.REPLAY,
        AlertKind.TOPIC_ACL_VIOLATION,
        AlertKind.ORDER_REJECTED,
    }
)
"""Of the system itself: kept apart from police alerts, never a case."""

_TERMINAL = "terminal"
"""Name in a subject of the sniffer's own test terminal: part of a device, not of an emitter."""
MANY_CARDS_RULE = "ONE_FACE_MANY_CARDS"
WATCH_RULE = "WATCHED_ACCOUNT"
_NO_IDENTITY = frozenset({"rat"})
_PLACE = frozenset(STATED)
"""Where an emitter is, no part of what it is: one that moves stays one alert."""
_BASIS_RANK = (TimeBasis.SYNTHETIC, TimeBasis.RECORDED, TimeBasis.LIVE)


class Change(StrEnum):
    """What a claim did to the list of alerts, strongest first."""

    RAISED = "raised"
    ESCALATED = "escalated"
    UPDATED = "updated"

    @property
    def rank(self) -> int:
        """0 is the strongest."""
        return list(Change).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one message asks to be alerted of."""

    key: str
    kind: AlertKind
    level: Level
    severity: Severity
    subject: Values
    summary: dict[str, Any]
    device: str
    seq: int
    first_seen: int
    last_seen: int
    time_basis: TimeBasis
    fired_at: int | None


def family(kind: AlertKind) -> str:
    """Kinds that are one case at different levels share a family: FAKE_BTS, GOIP_DEN."""
    for ending in _FAMILY_ENDINGS:
        if kind.value.endswith(ending):
            return kind.value.removesuffix(ending)
    return kind.value


def alert_key(kind: AlertKind, subject: Values, device: str) -> str:
    """Return the name of a case: the same emitter has the same key from whatever device.

    A subject without any identity of an emitter (only a technology, or the terminal that was
    refused) means something on its own device alone.
    """
    pairs = [[name, subject[name]] for name in sorted(subject) if name != _TERMINAL]
    if any(name not in _PLACE | _NO_IDENTITY for name, _ in pairs):
        pairs = [pair for pair in pairs if pair[0] not in _PLACE]
    if all(name in _NO_IDENTITY for name, _ in pairs):
        pairs += [["device", device], [_TERMINAL, subject.get(_TERMINAL, "")]]
    return f"{family(kind)}:{encode(pairs).hex()}"


def placed_key(claim: Claim, area: str) -> str:
    """Return the key of a claim in the city where its device stands.

    Blasters leave their factory with the same identities, and a frequency is used in every city:
    the same subject in two cities is two cases. Without a known city there is one.
    """
    city = area[:4]
    if claim.kind in TECHNICAL or not city or city.endswith("00"):
        return claim.key
    kind, _, subject = claim.key.partition(":")
    return f"{kind}@{city}:{subject}"


def where_of(subject: Values, reasons: Iterable[Values]) -> dict[str, float]:
    """Return where a detection puts its emitter: by its subject, else by a reason that is a fix.

    A fix states the half axes of its 95 % ellipse; the longer one is the radius of the region.
    """
    for values in (subject, *reasons):
        lat, lon = _number(values.get("lat")), _number(values.get("lon"))
        if lat is None or lon is None:
            continue
        radius_m = _number(values.get("radius_m", values.get("semi_major_m")))
        place = {"lat": lat, "lon": lon}
        return place if radius_m is None else {**place, "radius_m": radius_m}
    return {}


def _summary_after(former: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new summary; without a position of its own it keeps the former's whole one."""
    if "lat" in new:
        return new
    return {**{name: former[name] for name in _PLACE if name in former}, **new}


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def claim_of_detection(detection: Detection, *, device: str, seq: int) -> Claim | None:
    """Return what a detection asks for; None while it is only observed."""
    if detection.alert is None:
        return None
    return Claim(
        key=alert_key(detection.alert, detection.subject, device),
        kind=detection.alert,
        level=detection.level,
        severity=detection.severity,
        subject=detection.subject,
        summary={
            "rules": [reason.rule for reason in detection.reasons],
            "sensor": detection.sensor,
            "source_file": detection.source.file,
            "source_place": detection.source.place,
            **where_of(detection.subject, [reason.values for reason in detection.reasons]),
        },
        device=device,
        seq=seq,
        first_seen=detection.first_seen,
        last_seen=detection.last_seen,
        time_basis=detection.time_basis,
        fired_at=detection.fired_at,
    )


def claims_of_decision(
    decision: WithdrawalDecision, *, device: str, seq: int, is_watched: bool = False
) -> tuple[Claim, ...]:
    """Return the alerts of one visit, the gravest first; none for any other outcome.

    Money asked from a stopped or frozen account; a face that matches and does not live; a face that
    failed to match many cards, at the visit that reached the number. Somebody who is not the owner
    and did not turn the head has shown nobody's face to the camera. Any visit with an account that
    was watched then, whatever came of it: the machine knows nothing of this alert.
    """
    rule = None if decision.reason is None else decision.reason.value
    found: list[tuple[AlertKind, Severity, str, str, str]] = []
    is_outgoing = decision.business not in {"deposit", "revoke"}
    if decision.reason in {DecisionReason.STOP_PAYMENT, DecisionReason.FROZEN} and is_outgoing:
        found.append((AlertKind.STOP_PAYMENT_HIT, Severity.CRITICAL, str(rule), "list", ""))
    is_spoof = decision.reason is DecisionReason.LIVENESS_FAILED and _matched(decision.face)
    if decision.decision is Decision.DENY and is_spoof:
        found.append((AlertKind.PRESENTATION_ATTACK, Severity.HIGH, str(rule), "camera", ""))
    if decision.many_cards is not None:
        words = f"{decision.many_cards} cards"
        found.append(
            (AlertKind.ONE_FACE_MANY_CARDS, Severity.HIGH, MANY_CARDS_RULE, "camera", words)
        )
    if is_watched:
        found.append((AlertKind.WATCHED_ACCOUNT, Severity.HIGH, WATCH_RULE, "list", ""))
    return tuple(_of_visit(decision, *one, device=device, seq=seq) for one in found)


def _of_visit(
    decision: WithdrawalDecision,
    kind: AlertKind,
    severity: Severity,
    rule: str,
    sensor: str,
    place: str,
    *,
    device: str,
    seq: int,
) -> Claim:
    subject: Values = {
        "atm": device,
        "visit": decision.visit,
        "card": f"**** {decision.card.last4}",
    }
    summary: dict[str, Any] = {
        "rules": [rule],
        "sensor": sensor,
        "source_file": "",
        "source_place": place,
    }
    if decision.many_cards is not None and kind is AlertKind.ONE_FACE_MANY_CARDS:
        summary["cards"] = decision.many_cards
    return Claim(
        key=alert_key(kind, subject, device),
        kind=kind,
        level=Level.SUSPECTED,
        severity=severity,
        subject=subject,
        summary=summary,
        device=device,
        seq=seq,
        first_seen=decision.started_at,
        last_seen=decision.decided_at,
        time_basis=TimeBasis.LIVE,
        fired_at=decision.decided_at,
    )


def claim_of_alarm(alarm: MachineAlarm, *, device: str, seq: int) -> Claim:
    """Return the alert for what an ATM's gate noticed: one for each machine and kind."""
    subject: Values = {"atm": device, "alarm": alarm.alarm.value}
    kind = AlertKind.DISPENSER_TAMPERING_SUSPECTED
    return Claim(
        key=alert_key(kind, subject, device),
        kind=kind,
        level=Level.SUSPECTED,
        severity=Severity.CRITICAL if alarm.alarm.is_critical else Severity.HIGH,
        subject=subject,
        summary={
            "rules": [alarm.alarm.name],
            "sensor": "gate",
            "source_file": "",
            "source_place": alarm.detail[:300],
        },
        device=device,
        seq=seq,
        first_seen=alarm.at,
        last_seen=alarm.at,
        time_basis=TimeBasis.LIVE,
        fired_at=alarm.at,
    )


def _matched(face: FaceEvidence | None) -> bool:
    return face is not None and face.similarity is not None and face.similarity >= face.threshold


def apply_claim(
    current: AlertRow | None,
    claim: Claim,
    *,
    now: int,
    is_counted: bool = False,
    area: str = "",
    follows: int | None = None,
) -> tuple[AlertRow, Change]:
    """Return the alert after a claim and what changed. A level once reached is not taken back.

    An alert that escalates has to be acknowledged again only if nobody has yet: who works on it
    sees it rise. ``follows``: the closed alert of the same subject that a new one comes after.

    ``is_counted``: the claim revises one that the alert counts already.
    """
    if current is None:
        return _raise_alert(claim, now, area, follows), Change.RAISED
    is_escalation = claim.level.rank > current.level.rank
    first_seen, last_seen, basis = _window(current, claim)
    changed = replace(
        current,
        count=current.count + (0 if is_counted else 1),
        first_seen=first_seen,
        last_seen=last_seen,
        time_basis=basis,
        severity=max(current.severity, claim.severity, key=list(Severity).index),
        risen_at=now if is_escalation else current.risen_at,
        updated_at=now,
    )
    if claim.level.rank >= current.level.rank:
        changed = replace(
            changed,
            is_technical=claim.kind in TECHNICAL,
            kind=claim.kind,
            level=claim.level,
            summary=_summary_after(current.summary, claim.summary),
            device=claim.device,
            seq=claim.seq,
        )
    if is_escalation and changed.escalate_at is not None:
        due, _ = next_call(changed.severity, now, 0)
        changed = replace(changed, escalation=0, escalate_at=due)
    return changed, Change.ESCALATED if is_escalation else Change.UPDATED


def _raise_alert(claim: Claim, now: int, area: str, follows: int | None) -> AlertRow:
    return AlertRow(
        id=0,
        key=claim.key,
        kind=claim.kind,
        level=claim.level,
        severity=claim.severity,
        state=NEW,
        subject=dict(claim.subject),
        summary=claim.summary,
        device=claim.device,
        seq=claim.seq,
        count=1,
        first_seen=claim.first_seen,
        last_seen=claim.last_seen,
        time_basis=claim.time_basis,
        fired_at=claim.fired_at,
        raised_at=now,
        risen_at=now,
        updated_at=now,
        is_technical=claim.kind in TECHNICAL,
        area=area,
        follows=follows,
        escalate_at=next_call(claim.severity, now, 0)[0],
    )


def _window(current: AlertRow, claim: Claim) -> tuple[int, int, TimeBasis]:
    """Join two windows; times of a better basis replace the others, never mix with them."""
    if claim.time_basis is current.time_basis:
        return (
            min(current.first_seen, claim.first_seen),
            max(current.last_seen, claim.last_seen),
            current.time_basis,
        )
    if _BASIS_RANK.index(claim.time_basis) > _BASIS_RANK.index(current.time_basis):
        return claim.first_seen, claim.last_seen, claim.time_basis
    return current.first_seen, current.last_seen, current.time_basis
