"""Orders over real brokers: applied soon after the machine is back, kept where the sink fails."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import topic_matches_sub

from central.orders import OrderDispatcher, order_keys
from contract.clock import SystemClock, UnixMicros
from contract.keys import KeySigner
from contract.messages import OrderResult
from contract.orders import AccountHold
from contract.topics import Channel, Lane, down
from contract.words import DecisionReason, DeviceKind, OrderType
from edge_agent.central_time import CentralTime
from edge_agent.order_store import OrderStore
from edge_agent.orders import OrderDesk, Receiver
from edge_agent.outbox import Outbox, Quota
from mqtt_bridge.downlink import Downlink
from mqtt_bridge.uplink import Uplink
from tests.central.kit import Central, Station
from tests.edge_agent.order_desks import BOOT, find_central
from tests.mqtt_bridge.doubles import Site, eventually, quick_backoff, running
from tests.orders import CARD, CENTRAL_KEY, HOUR_US, TENANT, officers, signed


class Machine:
    """A real agent's half: outbox, desk of orders, uplink."""

    def __init__(self, folder: Path, site: Site, station: Station) -> None:
        signer = KeySigner(station.key)
        self.station, self.site = station, site
        self.outbox = Outbox.open(
            folder / "outbox.sqlite3",
            tenant=TENANT,
            device=station.device,
            signer=signer,
            clock=SystemClock(),
            boot_id=BOOT,
            central_keys=find_central,
            quota=Quota(min_free_bytes=0),
        )
        self.desk = OrderDesk(
            OrderStore(folder / "orders.sqlite3"),
            Receiver(
                tenant=TENANT,
                device=station.device,
                kind=DeviceKind.ATM,
                find_central=find_central,
                find_root=find_central,
            ),
            clock=SystemClock(),
            time=CentralTime(SystemClock(), BOOT),
            report=self._report,
            act=lambda body: None,
        )
        threading.Thread(target=self.desk.run, daemon=True).start()

    def _report(self, result: OrderResult) -> None:
        self.outbox.put(result, Lane.DECISIONS).result()

    def uplink(self) -> Uplink:
        return Uplink(
            self.site.address(self.station.device),
            TENANT,
            self.station.device,
            self.outbox,
            self.station.state,
            backoff=quick_backoff(),
            downlink=Downlink(TENANT, self.station.device, self.desk),
        )


def test_an_order_is_applied_within_five_seconds_of_the_machines_return(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "central").mkdir()
    central = Central(tmp_path / "central")
    station = central.enrol(Station("van-1", DeviceKind.ATM))
    machine = Machine(tmp_path, site, station)
    intake, signer = site.intake(), KeySigner(CENTRAL_KEY)
    dispatcher = OrderDispatcher(
        central.store,
        intake,
        tenant=TENANT,
        signer=signer,
        clock=SystemClock(),
        find_key=order_keys(central.store, signer),
    )
    central.intake = intake  # type: ignore[assignment]
    ingest = central.new_ingest(clock=SystemClock(), on_heard=dispatcher.heard)
    now = SystemClock().wall()
    times: dict[str, Any] = {"issued_at": now, "not_before": now, "expires": now + HOUR_US}
    since, until = UnixMicros(now - HOUR_US), UnixMicros(now + HOUR_US)
    people = officers()
    people = dataclasses.replace(
        people,
        officers=tuple(
            dataclasses.replace(o, valid_from=since, valid_until=until) for o in people.officers
        ),
    )
    hold = AccountHold(account=CARD, until=UnixMicros(now + HOUR_US))
    threads = [threading.Thread(target=t.run, daemon=True) for t in (ingest, dispatcher)]
    for thread in threads:
        thread.start()
    with running(intake):
        dispatcher.publish(signed(OrderType.OFFICERS, 1, body=people, **times))
        with running(machine.uplink()):
            assert eventually(lambda: not central.store.pending_orders(int(now)))
        stop = dispatcher.publish(signed(OrderType.STOP_PAYMENT, 2, body=hold, **times))
        assert dispatcher.pending(stop.order.order_id) == ["van-1"]
        uplink = machine.uplink()
        with running(uplink):
            assert eventually(lambda: uplink.is_connected)
            back = time.monotonic()
            assert eventually(
                lambda: machine.desk.hold_on(CARD) is DecisionReason.STOP_PAYMENT, 5.0
            )
            applied_s = time.monotonic() - back
            assert eventually(lambda: not dispatcher.pending(stop.order.order_id))
        print(f"applied {applied_s:.3f} s after the connection was back")
        ingest.stop()
        dispatcher.stop()
        for thread in threads:
            thread.join(30)
    machine.desk.stop()
    machine.outbox.close()


def test_what_the_sink_cannot_keep_stays_the_brokers() -> None:
    class Full:
        def take(self, channel: Channel, payload: bytes) -> None:
            raise OSError("the disk is full")

    downlink = Downlink(TENANT, "van-1", Full())
    assert not downlink.deliver(down(TENANT, "van-1", Channel.ORDERS), b"x")
    assert downlink.deliver("v1/demo/down/van-2/ord", b"x")  # not ours: nothing to keep
    assert (downlink.arrived, downlink.not_taken) == (1, 1)
    assert all(topic_matches_sub(downlink.filter, down(TENANT, "van-1", c)) for c in Channel)
    assert not topic_matches_sub(downlink.filter, down(TENANT, "van-2", Channel.ORDERS))
