"""What is known to be harmless never becomes an alert; everything else still does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actor import Actor, Role
from central.alert_work import NotCoveredError, UnknownError
from central.allow import Allowance, AllowanceError, AllowanceKind, check_match, find, parse_match
from central.allow_desk import AllowDesk
from contract.codec import Scalar
from tests.central.kit import START, Central, Station
from tests.central.test_alert_desk import COUNTRY, sighting

REVIEWER = Actor("qian", frozenset({Role.REVIEWER}), COUNTRY)


def allowance(**changes: Any) -> Allowance:
    values: dict[str, Any] = {
        "kind": AllowanceKind.DRIVE_TEST,
        "match": {"plmn": "460-11", "arfcn": "62"},
        "area": "000000",
        "valid_from": 0,
        "valid_until": None,
        "note": "云A·12345",
        "added_by": "",
        "added_at": 0,
    }
    return Allowance(**{**values, **changes})


def test_every_pair_has_to_agree_in_the_area_and_the_time() -> None:
    row = allowance(area="530100", valid_from=10, valid_until=20)
    subject: dict[str, Scalar] = {"plmn": "460-11", "arfcn": 62, "lac": 1}
    assert row.covers(subject, "530102", 10)
    assert not row.covers(subject, "530102", 20)
    assert not row.covers(subject, "530102", 9)
    assert not row.covers(subject, "530400", 10)
    assert not row.covers({"plmn": "460-11", "arfcn": 63}, "530102", 10)
    assert not row.covers({"plmn": "460-11"}, "530102", 10)
    assert not allowance(removed_at=1).covers(subject, "530102", 10)
    assert find([row], subject, "110000", 10) is None


def test_a_frequency_agrees_within_half_a_step() -> None:
    row = allowance(kind=AllowanceKind.LICENSED_STATION, match={"mhz": "98.5"})
    assert row.covers({"mhz": 98.503}, "", 1)
    assert not row.covers({"mhz": 98.55}, "", 1)
    assert not row.covers({"mhz": "no number"}, "", 1)


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (AllowanceKind.DRIVE_TEST, "plmn=460-00", "must name"),
        (AllowanceKind.OWN_CELL, "colour=red", "does not know 'colour'"),
        (AllowanceKind.LICENSED_STATION, "", "must name"),
        (AllowanceKind.DRIVE_TEST, "plmn", "pair 1: name=value"),
        (AllowanceKind.DRIVE_TEST, "plmn=1\nplmn=2", "pair 2: 'plmn' is named twice"),
        (AllowanceKind.DRIVE_TEST, f"plmn={'x' * 99}", "longer than 80"),
    ],
)
def test_what_would_allow_too_much_is_refused(kind: AllowanceKind, text: str, problem: str) -> None:
    with pytest.raises(AllowanceError, match=problem):
        check_match(kind, parse_match(text))


@given(st.text(max_size=200))
def test_any_text_is_pairs_or_a_clear_error(text: str) -> None:
    try:
        pairs = parse_match(text)
    except AllowanceError:
        return
    assert all(name and value for name, value in pairs.items())


def test_an_allowed_subject_keeps_its_evidence_and_raises_no_alert(either: Central) -> None:
    van = either.enrol(Station())
    desk = AllowDesk(either.store, either.clock)
    made = desk.allow(REVIEWER, allowance())
    either.take(van.topic(), van.next(sighting(0)), van.next(sighting(1)))
    assert either.store.alerts(10) == []
    assert either.store.totals().detections == 2
    (row,) = either.store.all_allowances()
    assert (row.id, row.hits, row.added_by, row.added_at) == (made, 2, "qian", START)
    desk.disallow(REVIEWER, made)
    either.take(van.topic(), van.next(sighting(2)))
    assert len(either.store.alerts(10)) == 1
    with pytest.raises(UnknownError, match="no allowance 1"):
        desk.disallow(REVIEWER, made)


def test_nobody_allows_beyond_their_areas(either: Central) -> None:
    local = Actor("wu", frozenset({Role.REVIEWER}), frozenset({"530100"}))
    desk = AllowDesk(either.store, either.clock)
    with pytest.raises(NotCoveredError, match="000000"):
        desk.allow(local, allowance())
    made = desk.allow(local, allowance(area="530100"))
    stranger = Actor("zhou", frozenset({Role.REVIEWER}), frozenset({"370000"}))
    with pytest.raises(NotCoveredError, match="530100"):
        desk.disallow(stranger, made)
