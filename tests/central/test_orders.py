"""Orders from the central to the machines: each answers once, who is away is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.orders import OrderDispatcher, dispatch, order_keys
from central.orders.dispatch import FIRST_AGAIN_S
from contract import OrderResult
from contract.cosign import OrderError
from contract.keys import KeySigner
from contract.topics import Channel, Lane, parse_down
from contract.words import AlertKind, DecisionReason, DeviceKind, OrderOutcome, OrderType, Presence
from edge_agent.orders import OrderDesk
from tests.central.kit import CENTRAL_KEY as KIT_KEY
from tests.central.kit import Central, Station
from tests.edge_agent.order_desks import Bench
from tests.orders import CARD, CENTRAL_KEY, HOUR_US, NOW, OFFICERS, TENANT, signed

assert KIT_KEY.private_bytes_raw() == CENTRAL_KEY.private_bytes_raw()


class Town:
    """A central and some machines whose links are function calls."""

    def __init__(self, folder: Path, count: int) -> None:
        self.central = Central(folder)
        signer = KeySigner(CENTRAL_KEY)
        self.dispatcher = OrderDispatcher(
            self.central.store,
            self.central.intake,
            tenant=TENANT,
            signer=signer,
            clock=self.central.clock,
            find_key=order_keys(self.central.store, signer),
        )
        self.central.ingest = self.central.new_ingest(on_heard=self.dispatcher.heard)
        self.stations: dict[str, Station] = {}
        self.desks: dict[str, OrderDesk] = {}
        self.away: set[str] = set()
        for number in range(1, count + 1):
            self.add(folder, number)

    def add(self, folder: Path, number: int) -> None:
        name = f"atm-{number}"
        station = self.central.enrol(Station(name, DeviceKind.ATM, seed=number))
        (folder / name).mkdir()
        bench = Bench(folder / name, device=name, report=lambda result: self.report(name, result))
        self.stations[name], self.desks[name] = station, bench.open()
        self.born(name)

    def report(self, name: str, result: OrderResult) -> None:
        station = self.stations[name]
        self.central.take(station.topic(Lane.DECISIONS), station.next(result))

    def born(self, name: str, presence: Presence = Presence.ONLINE) -> None:
        station = self.stations[name]
        self.central.take(station.state_topic, station.state(presence))

    def publish(self, raw: bytes) -> bytes:
        order_id = self.dispatcher.publish(raw).order.order_id
        self.carry()
        return order_id

    def carry(self) -> int:
        """Send what is due and let the machines that are there do what they are told."""
        self.central.intake.published.clear()
        sent = self.dispatcher.step()
        for topic, payload in list(self.central.intake.published):
            to = parse_down(topic)
            if to.channel is not Channel.RECEIPTS and to.device not in self.away:
                self.desks[to.device].take(to.channel, payload)
                self.desks[to.device].step()
        return sent

    def alerts(self) -> list[tuple[AlertKind, int]]:
        return [(alert.kind, alert.count) for alert in self.central.store.alerts(10)]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    town = Town(tmp_path, 3)
    town.publish(signed(OrderType.OFFICERS, 1000))
    return town


def test_every_machine_answers_and_the_stop_holds(town: Town) -> None:
    order_id = town.publish(signed())
    answers = town.central.store.answers(order_id)
    assert [a.outcome for a in answers] == [OrderOutcome.APPLIED] * 3
    assert town.dispatcher.pending(order_id) == []
    assert {d.hold_on(CARD) for d in town.desks.values()} == {DecisionReason.STOP_PAYMENT}
    assert town.carry() == 0
    assert town.alerts() == []
    assert town.central.store.take_order_counter() == 1


def test_who_is_away_is_pending_and_catches_up_when_it_is_back(town: Town) -> None:
    town.away = {"atm-2"}
    town.born("atm-2", Presence.OFFLINE)
    order_id = town.publish(signed())
    assert town.dispatcher.pending(order_id) == ["atm-2"]
    town.away = set()
    assert town.carry() == 0  # nobody knows yet that it is back
    town.born("atm-2")
    assert town.carry() == 1
    assert town.dispatcher.pending(order_id) == []
    assert town.alerts() == []


def test_a_lost_delivery_goes_again_and_is_no_replay(town: Town) -> None:
    town.away = {"atm-2"}
    order_id = town.publish(signed())
    town.away = set()
    assert town.carry() == 0
    town.central.clock.advance(round(FIRST_AGAIN_S * 1_000_000))
    assert town.carry() == 1
    assert town.dispatcher.pending(order_id) == []
    assert town.alerts() == []


def test_a_birth_that_the_broker_kept_for_us_is_answered_too(town: Town) -> None:
    """The order went before the machine listened, and the machine was born before we did."""
    town.away = {"atm-2"}
    order_id = town.publish(signed())
    station = town.stations["atm-2"]
    kept = station.state(Presence.ONLINE, b"another0")
    town.away = set()
    town.central.take(station.state_topic, kept, is_retained=True)
    assert town.carry() == 1
    assert town.dispatcher.pending(order_id) == []
    town.central.take(station.state_topic, kept, is_retained=True)  # as after each reconnect
    assert town.dispatcher.step() == 0


def test_a_birth_counts_although_the_line_had_no_room_just_then(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.away = {"atm-2"}
    order_id = town.publish(signed())
    town.away = set()
    town.born("atm-2")
    with monkeypatch.context() as full:
        full.setattr(town.central.intake, "publish", lambda *_args, **_options: False)
        assert town.dispatcher.step() == 0
    assert town.carry() == 1
    assert town.dispatcher.pending(order_id) == []


def test_many_that_answer_at_once_are_not_told_twice_and_one_alone_is_soon(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "AGAIN_EACH_S", 10.0)
    town.away = {"atm-1", "atm-2"}
    town.publish(signed())
    town.away = set()
    town.central.clock.advance(round(FIRST_AGAIN_S * 1_000_000))
    assert town.carry() == 0  # two or more wait for their answers: ten seconds for each
    town.central.clock.advance(30_000_000)
    assert town.carry() == 2


def test_a_replay_to_all_machines_is_one_alert_and_nothing_changes(town: Town) -> None:
    order_id = town.publish(signed())
    for desk in town.desks.values():
        desk.take(Channel.ORDERS, signed())
        desk.step()
    assert town.alerts() == [(AlertKind.REPLAY, 3)]
    answers = town.central.store.answers(order_id)
    assert [a.outcome for a in answers] == [OrderOutcome.APPLIED] * 3


def test_an_unsigned_order_is_rejected_everywhere_and_is_one_alert(town: Town) -> None:
    for desk in town.desks.values():
        desk.take(Channel.ORDERS, signed(by=[]))
        desk.step()
    assert town.alerts() == [(AlertKind.ORDER_REJECTED, 3)]
    assert {d.hold_on(CARD) for d in town.desks.values()} == {None}


def test_the_central_itself_publishes_nothing_that_is_signed_once(town: Town) -> None:
    with pytest.raises(OrderError):
        town.dispatcher.publish(signed(by=[OFFICERS["li"]]))
    assert town.central.store.pending_orders(int(NOW)) == []


def test_a_machine_enrolled_later_gets_what_is_in_force(town: Town, tmp_path: Path) -> None:
    town.publish(signed())
    town.add(tmp_path, 4)
    assert town.carry() == 1  # the officers' keys alone: an order before them would be refused
    assert town.carry() == 1
    assert town.desks["atm-4"].hold_on(CARD) is DecisionReason.STOP_PAYMENT


def test_an_expired_order_is_sent_no_more(town: Town) -> None:
    town.away = {"atm-1"}
    town.publish(signed())
    town.central.clock.advance(25 * HOUR_US)
    town.away = set()
    assert town.carry() == 0


def test_a_birth_is_answered_with_the_centrals_time(town: Town) -> None:
    topics = [parse_down(t).channel for t, _ in town.central.intake.published]
    town.born("atm-1")
    town.dispatcher.step()
    topics = [parse_down(t).channel for t, _ in town.central.intake.published]
    assert Channel.TIME in topics
