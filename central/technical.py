"""The technical alerts in one place: REPLAY, TOPIC_ACL_VIOLATION, ORDER_REJECTED, CLOCK_SKEW.

None of them is a police alert. They come from three sides: what a broker refused, what ingest
refused, and what devices say of orders and clocks. One alert stands for each kind and subject; what
happens again is counted on it.
"""

from __future__ import annotations

from central.admission import Refused
from central.alerts import Claim, alert_key
from contract import Health, Refusal
from contract.codec import Values
from contract.messages import FeedReport, OrderResult
from contract.words import AlertKind, Level, OrderRefusal, Severity, TimeBasis
from mqtt_bridge.brokers.violations import Violation

SKEW_ALERT_S = 60.0
"""``time.skew_alert_s`` of the scenario format."""

SKEW_AGAIN_US = 600 * 1_000_000
"""A clock that is found off again within ten minutes is still the same fault."""

CLOCK_PART = "clock"
SKEW_COUNTER = "skew_ms"

NOT_PERMITTED = "TOPIC_NOT_PERMITTED"
WRONG_SENDER = "WRONG_SENDER"
CLOCK_OFF = "CLOCK_OFF"
SEQUENCE_REUSED = "SEQUENCE_REUSED"
RULES = (NOT_PERMITTED, WRONG_SENDER, CLOCK_OFF, SEQUENCE_REUSED)
UNKNOWN = "unknown"


def claim_of_violation(violation: Violation, *, now: int) -> Claim:
    """Return the alert for what a broker refused."""
    return _violation(
        violation.client or UNKNOWN,
        violation.owner,
        rule=NOT_PERMITTED,
        sensor="broker",
        place=f"{violation.action.value} {violation.topic}",
        now=now,
    )


def claim_of_refusal(refused: Refused, *, now: int) -> Claim | None:
    """Return the alert for a message of one device on the topic or under the name of another.

    And for a second message under a number that is taken: it verified, so two machines have this
    device's key, or one machine has forgotten what it said (a clone, an old copy put back by hand).
    Other refusals (damage, unknown keys, broken chains) are counted and accuse nobody.
    """
    if refused.reason is Refusal.SEQUENCE_REUSED:
        return _claim(
            AlertKind.REPLAY,
            Severity.HIGH,
            {"device": refused.device},
            device=refused.device,
            seq=0,
            rule=SEQUENCE_REUSED,
            sensor="ingest",
            place=refused.detail,
            at=now,
        )
    if refused.reason is not Refusal.WRONG_SENDER or not refused.signer:
        return None
    return _violation(
        refused.signer,
        refused.device,
        rule=WRONG_SENDER,
        sensor="ingest",
        place=refused.topic,
        now=now,
    )


def claim_of_feed(report: FeedReport, *, device: str, seq: int, now: int) -> Claim:
    """Return the alert for a feed in the name of a unit that the sender is not bound to."""
    return _claim(
        AlertKind.TOPIC_ACL_VIOLATION,
        Severity.HIGH,
        {"publisher": device, "unit": report.unit[:40]},
        device=device,
        seq=seq,
        rule=WRONG_SENDER,
        sensor="ingest",
        place=f"feed of {report.unit[:40]}",
        at=now,
    )


def _violation(
    publisher: str, owner: str, *, rule: str, sensor: str, place: str, now: int
) -> Claim:
    subject: Values = {"publisher": publisher}
    if owner:
        subject["topic_of"] = owner
    return _claim(
        AlertKind.TOPIC_ACL_VIOLATION,
        Severity.HIGH,
        subject,
        device=publisher,
        seq=0,
        rule=rule,
        sensor=sensor,
        place=place,
        at=now,
    )


def skew_s_of(health: Health) -> float:
    """Seconds by which a device's clock is off, by its own account of the central's hints."""
    for part in health.parts:
        skew_ms = part.counters.get(SKEW_COUNTER) if part.name == CLOCK_PART else None
        if isinstance(skew_ms, int | float) and not isinstance(skew_ms, bool):
            return skew_ms / 1000
    return 0.0


def surely_ahead_s(wall: int, now: int) -> float:
    """Seconds by which a message comes from the future; one from the past may only be late."""
    return max(0.0, (wall - now) / 1e6)


def claim_of_skew(skew_s: float, *, device: str, seq: int, now: int) -> Claim | None:
    """Return a warning for a clock that is further off than the limit; its messages are taken."""
    if abs(skew_s) <= SKEW_ALERT_S:
        return None
    return _claim(
        AlertKind.CLOCK_SKEW,
        Severity.WARNING,
        {"device": device},
        device=device,
        seq=seq,
        rule=CLOCK_OFF,
        sensor=CLOCK_PART,
        place=f"{skew_s:+.0f} s",
        at=now,
    )


def claim_of_order_result(result: OrderResult, *, device: str, seq: int) -> Claim | None:
    """Return a technical alert for an order that no honest central would have sent; else None.

    The subject is the order, not the machine: the same bytes at a thousand machines are one case.
    """
    if result.reason is None or not result.reason.is_attack:
        return None
    is_replay = result.reason is OrderRefusal.REPLAYED
    subject: Values = {"message": result.digest.hex()[:16]}
    if result.order_id:
        subject["order"] = result.order_id.hex()
    return _claim(
        AlertKind.REPLAY if is_replay else AlertKind.ORDER_REJECTED,
        Severity.HIGH,
        subject,
        device=device,
        seq=seq,
        rule=result.reason.value,
        sensor="orders",
        place="",
        at=int(result.at),
    )


def _claim(
    kind: AlertKind,
    severity: Severity,
    subject: Values,
    *,
    device: str,
    seq: int,
    rule: str,
    sensor: str,
    place: str,
    at: int,
) -> Claim:
    return Claim(
        key=alert_key(kind, subject, device),
        kind=kind,
        level=Level.SUSPECTED,
        severity=severity,
        subject=subject,
        summary={
            "rules": [rule],
            "sensor": sensor,
            "source_file": "",
            "source_place": place[:300],
        },
        device=device,
        seq=seq,
        first_seen=at,
        last_seen=at,
        time_basis=TimeBasis.LIVE,
        fired_at=at,
    )
