"""From claims to alerts: one for each kind and subject, and a level once reached stays."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.alerts import (
    Change,
    Claim,
    alert_key,
    apply_claim,
    claim_of_alarm,
    claim_of_detection,
    claims_of_decision,
    family,
)
from central.places import Place, stated_place
from central.store import AlertRow
from central.views import alert_json
from contract import Reason, UnixMicros
from contract.codec import Values
from contract.messages import MachineAlarm
from contract.words import (
    AlertKind,
    Decision,
    DecisionReason,
    Level,
    MachineAlarmKind,
    Severity,
    TimeBasis,
)
from tests.central.kit import a_decision, an_attack
from tests.samples import SUBJECT, a_detection

SUSPECTED: dict[str, Any] = {
    "level": Level.SUSPECTED,
    "severity": Severity.HIGH,
    "alert": AlertKind.FAKE_BTS_SUSPECTED,
}


def claim(device: str = "van-1", seq: int = 1, **changes: Any) -> Claim:
    made = claim_of_detection(a_detection(**changes), device=device, seq=seq)
    assert made is not None
    return made


def applied(*claims: Claim) -> tuple[AlertRow, list[Change]]:
    row: AlertRow | None = None
    changes = []
    for now, one in enumerate(claims, start=100):
        row, change = apply_claim(row, one, now=now)
        changes.append(change)
    assert row is not None
    return row, changes


def test_only_what_asks_for_an_alert_becomes_one() -> None:
    assert claim_of_detection(a_detection(alert=None), device="van-1", seq=1) is None


def test_levels_of_one_case_share_a_family() -> None:
    assert family(AlertKind.FAKE_BTS_SUSPECTED) == family(AlertKind.FAKE_BTS_CONFIRMED)
    assert family(AlertKind.GOIP_DEN_SUSPECTED) == "GOIP_DEN"
    assert family(AlertKind.PRESENTATION_ATTACK) == "PRESENTATION_ATTACK"


def test_the_key_depends_on_the_emitter_and_not_on_the_device() -> None:
    kind = AlertKind.FAKE_BTS_SUSPECTED
    cell: Values = {"plmn": "460-00", "channel": 62}
    assert alert_key(kind, cell, "van-1") == alert_key(
        kind, dict(reversed(list(cell.items()))), "van-2"
    )
    assert alert_key(kind, cell, "van-1") == alert_key(kind, {**cell, "terminal": "m0"}, "van-2")
    assert alert_key(kind, cell, "van-1") != alert_key(kind, {**cell, "channel": 63}, "van-1")
    assert alert_key(kind, {"channel": 1}, "v") != alert_key(kind, {"channel": "1"}, "v")


def test_a_subject_without_identity_stays_with_its_device() -> None:
    kind = AlertKind.FAKE_BTS_SUSPECTED
    bare: Values = {"rat": "LTE", "terminal": "modem0"}
    assert alert_key(kind, bare, "van-1") != alert_key(kind, bare, "van-2")
    assert alert_key(kind, bare, "van-1") == alert_key(kind, bare, "van-1")
    assert alert_key(kind, bare, "van-1") != alert_key(kind, {**bare, "terminal": "m1"}, "van-1")


def test_an_escalation_changes_the_same_alert_and_a_lower_level_does_not_take_it_back() -> None:
    row, changes = applied(claim(**SUSPECTED), claim(seq=2), claim(seq=3, **SUSPECTED))
    assert changes == [Change.RAISED, Change.ESCALATED, Change.UPDATED]
    assert (row.kind, row.level, row.severity) == (
        AlertKind.FAKE_BTS_CONFIRMED,
        Level.CONFIRMED,
        Severity.CRITICAL,
    )
    assert (row.seq, row.count) == (2, 3)
    assert (row.raised_at, row.risen_at, row.updated_at) == (100, 101, 102)


def test_a_revision_is_not_counted_again() -> None:
    row, _ = apply_claim(None, claim(), now=1)
    row, _ = apply_claim(row, claim(seq=2), now=2, is_counted=True)
    assert row.count == 1


def test_windows_join_within_one_basis_and_never_across() -> None:
    def seen(first: int, last: int, basis: TimeBasis) -> Claim:
        return claim(first_seen=UnixMicros(first), last_seen=UnixMicros(last), time_basis=basis)

    live, recorded = TimeBasis.LIVE, TimeBasis.RECORDED
    row, _ = applied(seen(50, 60, live), seen(40, 55, live))
    assert (row.first_seen, row.last_seen) == (40, 60)
    row, _ = applied(seen(5, 6, recorded), seen(50, 60, live), seen(1, 2, TimeBasis.SYNTHETIC))
    assert (row.first_seen, row.last_seen, row.time_basis) == (50, 60, live)


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize("reason", [None, *DecisionReason])
def test_of_decisions_only_holds_and_a_denied_failed_liveness_alert(
    decision: Decision, reason: DecisionReason | None
) -> None:
    made = claims_of_decision(a_decision(decision=decision, reason=reason), device="atm-1", seq=1)
    wanted: list[tuple[AlertKind, Severity]] = []
    if reason in {DecisionReason.STOP_PAYMENT, DecisionReason.FROZEN}:
        wanted = [(AlertKind.STOP_PAYMENT_HIT, Severity.CRITICAL)]
    if (decision, reason) == (Decision.DENY, DecisionReason.LIVENESS_FAILED):
        wanted = [(AlertKind.PRESENTATION_ATTACK, Severity.HIGH)]
    assert [(one.kind, one.severity) for one in made] == wanted


def test_one_face_with_many_cards_is_an_alert_beside_others() -> None:
    stopped = a_decision(decision=Decision.DENY, reason=DecisionReason.STOP_PAYMENT, many_cards=3)
    made = claims_of_decision(stopped, device="atm-1", seq=1)
    assert [one.kind for one in made] == [
        AlertKind.STOP_PAYMENT_HIT,
        AlertKind.ONE_FACE_MANY_CARDS,
    ]
    assert made[1].summary["cards"] == 3
    deposit = dataclasses.replace(stopped, business="deposit", many_cards=None)
    assert claims_of_decision(deposit, device="atm-1", seq=1) == ()


def test_a_watched_account_alerts_whatever_came_of_the_visit() -> None:
    for decision in (a_decision(), a_decision(business="deposit"), an_attack()):
        made = claims_of_decision(decision, device="atm-1", seq=1, is_watched=True)
        assert (made[-1].kind, made[-1].severity) == (AlertKind.WATCHED_ACCOUNT, Severity.HIGH)
        assert made[-1].subject["card"] == f"**** {decision.card.last4}"


@pytest.mark.parametrize("alarm", MachineAlarmKind)
def test_an_alarm_of_a_gate_is_one_alert_for_each_machine(alarm: MachineAlarmKind) -> None:
    told = MachineAlarm(alarm=alarm, detail="2 clients", is_closed=True, at=UnixMicros(5))
    made = claim_of_alarm(told, device="atm-1", seq=1)
    assert made.kind is AlertKind.DISPENSER_TAMPERING_SUSPECTED
    assert (made.severity is Severity.CRITICAL) == (alarm is MachineAlarmKind.UNEXPLAINED_DISPENSE)
    assert made.key != claim_of_alarm(told, device="atm-2", seq=1).key


@pytest.mark.parametrize(
    ("similarity", "is_attack"), [(0.363, True), (0.362, False), (None, False)]
)
def test_only_a_face_that_matches_can_be_an_attack(
    similarity: float | None, is_attack: bool
) -> None:
    face = an_attack().face
    assert face is not None
    decision = an_attack(face=dataclasses.replace(face, similarity=similarity))
    assert bool(claims_of_decision(decision, device="atm-1", seq=1)) == is_attack
    assert claims_of_decision(an_attack(face=None), device="atm-1", seq=1) == ()


@given(st.lists(st.sampled_from([SUSPECTED, {}]), min_size=1, max_size=6))
def test_the_level_is_the_highest_ever_claimed(order: list[dict[str, Any]]) -> None:
    claims = [claim(seq=n, **changes) for n, changes in enumerate(order, start=1)]
    row, _ = applied(*claims)
    assert row.level is max((c.level for c in claims), key=lambda level: level.rank)
    assert row.count == len(claims)
    assert dataclasses.asdict(row)["first_seen"] == claims[0].first_seen


def test_an_emitter_that_moves_is_one_alert_and_its_place_is_the_newest() -> None:
    def told(revision: int, **where: float) -> Claim:
        found = a_detection(revision=revision, subject={**SUBJECT, **where})
        claim = claim_of_detection(found, device="van-1", seq=revision + 1)
        assert claim is not None
        return claim

    row, _ = apply_claim(None, told(0, lat=25.0, lon=102.7, radius_m=300), now=1)
    assert stated_place(row) == Place(25.0, 102.7, 300.0)
    moved = told(1, lat=25.1, lon=102.8)
    assert moved.key == row.key
    row, _ = apply_claim(row, moved, now=2)
    assert stated_place(row) == Place(25.1, 102.8)
    shown = alert_json(row)["subject"]  # the radius was of the place before
    assert shown == {**SUBJECT, "lat": 25.1, "lon": 102.8}
    row, _ = apply_claim(row, told(2), now=3)  # nobody said where: it is where it was
    assert stated_place(row) == Place(25.1, 102.8)


def test_a_fix_among_the_reasons_is_the_place_of_an_alert() -> None:
    fix = Reason(
        rule="FM-FIX", family="place", weight=0.0,
        values={"lat": 25.04, "lon": 102.71, "semi_major_m": 180, "bearings": 3},
    )  # fmt: skip
    claim = claim_of_detection(a_detection(reasons=(fix,)), device="van-1", seq=1)
    assert claim is not None
    row, _ = apply_claim(None, claim, now=1)
    assert stated_place(row) == Place(25.04, 102.71, 180.0)
    two = alert_key(AlertKind.GOIP_DEN_SUSPECTED, {"lat": 1.0, "lon": 2.0}, "van-1")
    assert two != alert_key(AlertKind.GOIP_DEN_SUSPECTED, {"lat": 1.1, "lon": 2.0}, "van-1")
