"""One message that a broker or the central will not have must not hold up the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.topics import Lane, receipts
from mqtt_bridge.connection import Protocol
from mqtt_bridge.intake import Intake
from mqtt_bridge.packets import Publish
from mqtt_bridge.suspects import TRIES, Suspects
from mqtt_bridge.testing import HostileBroker, Trick
from mqtt_bridge.uplink import Uplink, UplinkSettings
from tests.mqtt_bridge.doubles import (
    TENANT,
    MemoryOutbox,
    a_state,
    eventually,
    quick_backoff,
    running,
)

POISON = b"message 3"


def on_poison(trick: Trick) -> Callable[[Publish], Trick]:
    return lambda message: trick if message.payload == POISON else Trick.NONE


@contextlib.contextmanager
def a_site(trick: Callable[[Publish], Trick]) -> Iterator[HostileBroker]:
    broker = HostileBroker(trick)
    try:
        yield broker
    finally:
        broker.close()


def an_uplink(broker: HostileBroker, outbox: MemoryOutbox, protocol: Protocol) -> Uplink:
    settings = UplinkSettings(resend_min_s=0.3, resend_max_s=0.5, protocol=protocol)
    return Uplink(
        broker.address,
        TENANT,
        "van-1",
        outbox,
        a_state,
        settings=settings,
        backoff=quick_backoff(),
    )


class CentralDouble:
    """Receipts each message that comes, by itself, as ranges do."""

    def __init__(self, broker: HostileBroker, outbox: MemoryOutbox) -> None:
        self.intake = Intake(broker.address, TENANT, client_id="central-1")
        self._outbox = outbox

    def step(self) -> None:
        came = [d for d in self.intake.batch(100, 0.02) if "/up/" in d.topic]
        for delivery in came:
            delivery.ack()
        for seq in {int(d.payload.split()[1]) for d in came}:
            self.intake.publish(receipts(TENANT, "van-1"), b"only %d" % seq)

    def until(self, is_so: Callable[[], bool], patience_s: float = 30.0) -> bool:
        def once() -> bool:
            self.step()
            return is_so()

        return eventually(once, patience_s)


@pytest.mark.parametrize(
    ("trick", "protocol", "words"),
    [
        (Trick.REFUSE, Protocol.MQTT_5, "Not authorized"),
        (Trick.SWALLOW, Protocol.MQTT_3_1_1, "pass it over"),
        (Trick.HANG_UP, Protocol.MQTT_3_1_1, "hangs up"),
    ],
)
def test_a_message_that_is_refused_is_put_aside_and_the_others_arrive(
    trick: Trick, protocol: Protocol, words: str
) -> None:
    outbox = MemoryOutbox()
    outbox.put(6)
    with a_site(on_poison(trick)) as broker:
        central, uplink = CentralDouble(broker, outbox), an_uplink(broker, outbox, protocol)
        with running(central.intake):
            uplink.start()

            def keep_talking() -> bool:
                if len(outbox.seqs) < 3:
                    outbox.put(1, Lane.TELEMETRY)
                return bool(outbox.aside)

            assert central.until(keep_talking)
            assert list(outbox.aside) == [3]
            assert words in outbox.aside[3]
            assert central.until(lambda: outbox.seqs == [])
            assert uplink.status().put_aside == 1
            assert uplink.stop()
    assert len([m for m in broker.published if m.payload == POISON]) >= TRIES


@pytest.mark.parametrize("trick", [Trick.SWALLOW, Trick.HANG_UP, Trick.REFUSE, Trick.NOBODY])
def test_where_nothing_gets_through_nothing_is_refused(trick: Trick) -> None:
    outbox = MemoryOutbox()
    outbox.put(5)
    seen: list[Publish] = []

    def play(message: Publish) -> Trick:
        seen.append(message)
        return trick if "/up/" in message.topic else Trick.NONE

    with a_site(play) as broker:
        uplink = an_uplink(broker, outbox, Protocol.MQTT_5)
        uplink.start()
        assert eventually(lambda: sum(m.payload == b"message 1" for m in seen) > TRIES + 1, 30)
        assert uplink.stop()
    assert outbox.aside == {}
    assert outbox.seqs == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "trick", [Trick.WRONG_ID, Trick.SILENCE, Trick.DOUBLE, Trick.LATE, Trick.HALF]
)
def test_other_mischief_of_a_broker_loses_and_refuses_nothing(trick: Trick) -> None:
    outbox, played = MemoryOutbox(), [0]

    def play(message: Publish) -> Trick:
        played[0] += 1
        return trick if "/up/" in message.topic and played[0] % 5 == 0 else Trick.NONE

    with a_site(play) as broker:
        central = CentralDouble(broker, outbox)
        uplink = an_uplink(broker, outbox, Protocol.MQTT_3_1_1)
        with running(central.intake):
            uplink.start()
            outbox.put(20)
            assert central.until(lambda: outbox.seqs == [], 30)
            assert uplink.stop()
    assert outbox.aside == {}


def test_signs_count_only_while_others_get_through() -> None:
    suspects = Suspects()
    suspects.landed(5)
    for _ in range(TRIES):
        suspects.note(7, "why")
    assert (suspects.refused(), suspects.may_try(7)) == ([], False)
    suspects.landed(1)
    assert (suspects.refused(), suspects.may_try(7)) == ([(7, "why")], True)
    suspects.keep_only({8})
    assert suspects.refused() == []


@given(st.lists(st.sampled_from(["note", "land"]), max_size=20))
def test_a_message_is_refused_after_enough_signs_and_a_landing(script: list[str]) -> None:
    suspects, signs, is_landed = Suspects(), 0, False
    for word in script:
        if word == "note":
            suspects.note(1, "why")
            signs += 1
        else:
            suspects.landed(1)
            is_landed = is_landed or signs > 0
    assert bool(suspects.refused()) is (signs >= TRIES and is_landed)
