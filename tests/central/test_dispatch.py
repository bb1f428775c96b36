"""Which van is sent, what its crew says, and who is asked when nobody answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.alert_states import RuleError
from central.case_desk import CaseDesk
from central.case_work import SeenCase
from central.dispatch import (
    CREW_TABLE,
    DispatchState,
    Van,
    after_word,
    distance_m,
    duty_text,
    parse_duty,
    ranked,
)
from central.dispatch_desk import DispatchDesk
from central.orders import OrderDispatcher, order_keys
from central.van_orders import van_orders
from contract import Health, PartHealth
from contract.codec import Scalar, Values
from contract.cosign import open_order
from contract.keys import KeySigner
from contract.messages import CrewReport
from contract.orders import CallVanOff, OrderBody, SendVan
from contract.topics import Lane
from contract.words import CrewWord, PartState
from tests.central.kit import CENTRAL_KEY, START, TENANT, Central, Station
from tests.central.test_case_desk import DUTY

KUNMING = (25.0389, 102.7183)


def test_the_nearest_free_van_on_duty_comes_first_and_unknown_places_last() -> None:
    vans = [
        Van(device="far", lat=25.2, lon=102.7),
        Van(device="near", lat=25.04, lon=102.72),
        Van(device="busy", lat=25.0389, lon=102.7183, is_busy=True),
        Van(device="off", lat=25.0389, lon=102.7183, duty_from=0, duty_until=60),
        Van(device="somewhere"),
    ]
    order = [van.device for van, _ in ranked(vans, *KUNMING, minute=600)]
    assert order == ["near", "far", "somewhere"]
    assert next(v.device for v, _ in ranked(vans, *KUNMING, minute=600, besides=["near"])) == "far"


def test_distances_and_duty_over_midnight() -> None:
    assert distance_m(25.0, 102.7, 25.0, 102.7) == 0
    assert distance_m(25.0, 102.7, 26.0, 102.7) == pytest.approx(111_195, abs=1)
    night = Van(device="n", duty_from=22 * 60, duty_until=6 * 60)
    assert [night.is_on_duty(m) for m in (21 * 60, 23 * 60, 5 * 60, 6 * 60)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert parse_duty("22:00-06:00") == (1320, 360)
    assert duty_text(1320, 360) == "22:00-06:00"
    assert parse_duty(" ") == (0, 0)


@given(st.text(max_size=20))
def test_any_duty_hours_are_read_or_refused(text: str) -> None:
    try:
        duty = parse_duty(text)
    except RuleError:
        return
    assert all(0 <= minute < 1440 for minute in duty)


def test_no_word_of_a_crew_leads_out_of_an_end() -> None:
    for ways in CREW_TABLE.values():
        assert not set(ways) & {
            DispatchState.DONE, DispatchState.DECLINED, DispatchState.EXPIRED,
            DispatchState.CANCELLED,
        }  # fmt: skip
    assert after_word(CrewWord.ARRIVED, DispatchState.EXPIRED) is None


class Board:
    """A central with two vans, a case, and the orders that were given."""

    def __init__(self, central: Central) -> None:
        self.central = central
        self.told: list[tuple[str, OrderBody]] = []
        self.vans = {
            name: central.enrol(Station(device=name, seed=seed))
            for name, seed in (("van-1", 7), ("van-2", 9))
        }
        self.desk = DispatchDesk(
            central.store,
            central.clock,
            lambda device, body: self.told.append((device, body)),
            central.events.extend,
        )
        self.desk.place(DUTY, "van-1", (25.04, 102.72), "", "crew one")
        self.desk.place(DUTY, "van-2", (25.30, 102.72), "", "crew two")
        case = CaseDesk(central.store, central.clock).open_lead(
            DUTY, "GOIP_DEN", "530102", {"about": "x"}, "", KUNMING
        )
        self.seen = SeenCase(case.id, case.version)

    def say(self, van: str, word: CrewWord, dispatch: bytes, **changes: Any) -> None:
        report = CrewReport(dispatch=dispatch, word=word, crew="Wang", at=START, **changes)
        station = self.vans[van]
        self.central.take(station.topic(Lane.DECISIONS), station.next(report))

    def states(self) -> list[tuple[str, str]]:
        return [(d.van, d.state) for d in self.central.store.dispatches()]


def test_a_van_is_sent_acknowledges_arrives_and_reports(either: Central) -> None:
    board = Board(either)
    sent = board.desk.send(DUTY, board.seen, None, "roof of block 7")
    assert (sent.van, sent.state) == ("van-1", "SENT")
    ((device, body),) = board.told
    assert device == "van-1"
    assert isinstance(body, SendVan)
    assert (body.dispatch, body.text) == (sent.dispatch_id, "roof of block 7")
    board.say("van-2", CrewWord.ACKNOWLEDGED, sent.dispatch_id)  # not theirs to answer
    assert board.states() == [("van-1", "SENT")]
    board.say("van-1", CrewWord.ACKNOWLEDGED, sent.dispatch_id)
    either.clock.advance(120_000_000)
    assert board.desk.next_due() == 0
    board.say("van-1", CrewWord.ARRIVED, sent.dispatch_id)
    board.say("van-1", CrewWord.DONE, sent.dispatch_id, note="found it")
    (row,) = either.store.dispatches()
    assert (row.state, row.crew, row.report) == ("DONE", "Wang", "found it")
    assert row.acknowledged_at is not None
    assert row.arrived_at is not None
    board.say("van-1", CrewWord.DECLINED, sent.dispatch_id)
    assert board.states() == [("van-1", "DONE")]
    assert not either.store.dispatches(is_open=True)


def test_after_a_minute_of_silence_the_next_van_is_asked(either: Central) -> None:
    board = Board(either)
    first = board.desk.send(DUTY, board.seen, None, "")
    either.clock.advance(59_000_000)
    assert board.desk.next_due() == 0
    either.clock.advance(2_000_000)
    assert board.desk.next_due() == 1
    assert board.states() == [("van-2", "SENT"), ("van-1", "EXPIRED")]
    assert [(d, type(b)) for d, b in board.told[1:]] == [
        ("van-1", CallVanOff),
        ("van-2", SendVan),
    ]
    board.say("van-1", CrewWord.ARRIVED, first.dispatch_id)  # too late
    assert board.states()[1] == ("van-1", "EXPIRED")
    either.clock.advance(61_000_000)
    assert board.desk.next_due() == 1
    assert board.states()[0] == ("van-2", "EXPIRED")  # nobody is left to ask
    assert board.desk.next_due() == 0


def test_a_crew_that_declines_is_followed_at_once(either: Central) -> None:
    board = Board(either)
    sent = board.desk.send(DUTY, board.seen, None, "")
    board.say("van-1", CrewWord.DECLINED, sent.dispatch_id, note="flat tyre")
    assert board.desk.next_due() == 1
    assert board.states() == [("van-2", "SENT"), ("van-1", "DECLINED")]


def test_a_busy_van_is_not_sent_twice_and_may_be_called_off(either: Central) -> None:
    board = Board(either)
    sent = board.desk.send(DUTY, board.seen, None, "")
    case = either.store.case(1)
    assert case is not None
    again = SeenCase(case.id, case.version)
    with pytest.raises(RuleError, match="van-1 is not free"):
        board.desk.send(DUTY, again, None, "", van="van-1")
    with pytest.raises(RuleError, match="has changed"):
        board.desk.cancel(DUTY, sent.id, 7)
    board.desk.cancel(DUTY, sent.id, 1)
    assert board.states() == [("van-1", "CANCELLED")]
    with pytest.raises(RuleError, match="CANCELLED already"):
        board.desk.cancel(DUTY, sent.id, 2)
    assert board.desk.send(DUTY, again, None, "", van="van-1").van == "van-1"


def test_nobody_is_sent_without_a_place_or_a_van(either: Central) -> None:
    board = Board(either)
    lead = CaseDesk(either.store, either.clock).open_lead(DUTY, "GOIP_DEN", "530102", {}, "")
    seen = SeenCase(lead.id, lead.version)
    with pytest.raises(RuleError, match="has no place"):
        board.desk.send(DUTY, seen, None, "")
    for name in ("van-1", "van-2"):
        board.desk.place(DUTY, name, None, "00:00-00:01", "")
    with pytest.raises(RuleError, match="no van is free"):
        board.desk.send(DUTY, seen, KUNMING, "")
    assert board.told == []


def test_a_van_stands_where_its_own_receiver_says_unless_an_officer_knows_better(
    either: Central,
) -> None:
    van = either.enrol(Station())
    desk = DispatchDesk(either.store, either.clock, lambda device, body: None)

    def report(lat: float, at: int, lon: Scalar = 1_027_000_000) -> None:
        where: Values = {"lat_e7": round(lat * 1e7), "lon_e7": lon, "fix_unix_s": at // 1_000_000}
        part = PartHealth(name="gnss", state=PartState.OK, counters=where)
        body = Health(uptime_s=1, version="0.1.0", parts=(part,))
        either.take(van.topic(Lane.HEALTH), van.next(body))

    report(25.1, START)
    (known,) = either.store.vans()
    assert (known.lat, known.lon, known.placed_at, known.is_own_word) == (25.1, 102.7, START, True)
    either.clock.advance(60_000_000)
    desk.place(DUTY, "van-1", KUNMING, "", "")
    (known,) = either.store.vans()
    assert ((known.lat, known.lon), known.is_own_word) == (KUNMING, False)
    report(25.2, START + 120_000_000)
    assert either.store.vans()[0].lat == 25.2
    report(25.3, START + 180_000_000, lon="east")
    (known,) = either.store.vans()
    assert ((known.lat, known.lon), known.is_own_word) == (KUNMING, False)  # nonsense is no place


def test_a_van_gets_a_signed_order_of_the_central(central: Central, van: Station) -> None:
    signer = KeySigner(CENTRAL_KEY)
    find = order_keys(central.store, signer)
    orders = OrderDispatcher(
        central.store, central.intake, tenant=TENANT, signer=signer, clock=central.clock,
        find_key=find,
    )  # fmt: skip
    tell = van_orders(central.store, central.clock, signer, TENANT, orders.publish)
    tell("van-1", SendVan(dispatch=b"\x01" * 16, case="C", lat=1.0, lon=2.0))
    tell("van-1", CallVanOff(dispatch=b"\x01" * 16))
    first, second = central.store.pending_orders(int(central.clock.wall()))
    opened = open_order(first.raw, tenant=TENANT, find_key=find)
    assert isinstance(opened.body, SendVan)
    assert (opened.order.targets, opened.signers) == (("van-1",), ("central",))
    assert second.device == "van-1"
