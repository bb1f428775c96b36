"""One simulated station: made-up messages, everything else as in an agent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from contract.clock import SystemClock, machine_boot_id
from contract.envelope import NO_PREVIOUS, seal
from contract.messages import OrderResult, State
from contract.topics import Channel, Lane
from contract.words import DeviceKind, Presence
from edge_agent.central_time import CentralTime
from edge_agent.identity import Identity, find_central
from edge_agent.order_store import OrderStore
from edge_agent.orders import OrderDesk, Receiver
from edge_agent.outbox import Enqueued, Outbox
from mqtt_bridge.downlink import Downlink
from mqtt_bridge.ports import BrokerAddress
from mqtt_bridge.uplink import Uplink, UplinkStatus
from qianshao.fleet.ledger import Ledger, read_ledger
from qianshao.fleet.plan import Plan
from qianshao.fleet.traffic import lane_of, made_up

LEDGER = "ledger.txt"
BATCH = 100
_SESSION_BYTES = 8


class Station:
    """A station's real outbox and uplink; its messages are numbered from 1."""

    def __init__(self, plan: Plan, device: str) -> None:
        folder = Path(plan.folder) / device
        self.device = device
        self._plan = plan
        self._clock = SystemClock()
        self._boot_id = machine_boot_id()
        self._identity = Identity.load_or_create(folder, device)
        tls = self._identity.tls_files(ca=Path(plan.ca), certificate=folder / "tls.pem")
        self._address = BrokerAddress(host=plan.broker_host, port=plan.broker_port, tls=tls)
        self._outbox = Outbox.open(
            folder / "outbox.sqlite3",
            tenant=plan.tenant,
            device=device,
            signer=self._identity.signer,
            clock=self._clock,
            boot_id=self._boot_id,
            central_keys=find_central(Path(plan.central_key)),
        )
        self._said = read_ledger(folder / LEDGER)
        self._ledger = Ledger(folder / LEDGER)
        self._session = os.urandom(_SESSION_BYTES)
        self._uplink: Uplink | None = None
        self.orders: OrderDesk | None = None
        self._to_do: Callable[[Station], None] = lambda station: None
        if plan.takes_orders:
            self.orders = self._make_orders(folder)
        self._published = self._resent = 0

    def _make_orders(self, folder: Path) -> OrderDesk:
        find = find_central(Path(self._plan.central_key))
        me = Receiver(
            tenant=self._plan.tenant,
            device=self.device,
            kind=self._kind,
            find_central=find,
            find_root=find,
        )
        return OrderDesk(
            OrderStore(folder / "orders.sqlite3"),
            me,
            clock=self._clock,
            time=CentralTime(self._clock, self._boot_id),
            report=self._report,
            act=lambda body: None,
        )

    def _report(self, result: OrderResult) -> None:
        """Return when a result is durable."""
        self._outbox.put(result, Lane.DECISIONS).result()

    @property
    def _kind(self) -> DeviceKind:
        return DeviceKind.ATM if self._plan.takes_orders else DeviceKind.FIXED_SITE

    def on_order(self, to_do: Callable[[Station], None]) -> None:
        """Say who lets the orders be worked on: one thread serves many stations."""
        self._to_do = to_do

    def take(self, channel: Channel, payload: bytes) -> None:
        """See :class:`mqtt_bridge.downlink.DownlinkSink`."""
        if self.orders is not None and channel is not Channel.LISTS:
            self.orders.take(channel, payload)
            self._to_do(self)

    def unsaid(self) -> Sequence[int]:
        """Return the messages that this station was not yet told are durable, in order."""
        return [n for n in range(1, self._plan.last_index + 1) if n not in self._said]

    def put(self, indices: Sequence[int]) -> list[Future[Enqueued]]:
        """Hand messages to the outbox; each is noted in the ledger when it is durable."""
        pairs = [(made_up(self.device, index), lane_of(index)) for index in indices]
        futures = self._outbox.put_many(pairs)
        for index, future in zip(indices, futures, strict=True):
            future.add_done_callback(lambda done, index=index: self._note(index, done))  # type: ignore[misc]
        return futures

    def _note(self, index: int, done: Future[Enqueued]) -> None:
        if done.exception() is None:
            self._ledger.note(index)

    def fill(self, indices: Sequence[int]) -> None:
        """Hand messages over and wait until all are durable; raises OutboxError."""
        for start in range(0, len(indices), BATCH):
            for future in self.put(indices[start : start + BATCH]):
                future.result()

    def connect(self) -> None:
        """Bring the line up; an uplink that is up stays."""
        if self._uplink is None:
            self._uplink = Uplink(
                self._address,
                tenant=self._plan.tenant,
                device=self.device,
                outbox=self._outbox,
                make_state=self._make_state,
                downlink=(
                    None if self.orders is None else Downlink(self._plan.tenant, self.device, self)
                ),
            )
            self._uplink.start()

    def disconnect(self) -> None:
        """Take the line away."""
        if self._uplink is not None:
            status = self._uplink.status()
            self._published += status.published
            self._resent += status.resent
            self._uplink.stop()
            self._uplink = None

    def _make_state(self, presence: Presence) -> bytes:
        if presence is Presence.OFFLINE:
            self._session = secrets.token_bytes(_SESSION_BYTES)
        return seal(
            State(
                presence=presence,
                session=self._session,
                kind=self._kind,
                version="fleet",
            ),
            tenant=self._plan.tenant,
            device=self.device,
            boot_id=self._boot_id,
            seq=0,
            wall=self._clock.wall(),
            mono=self._clock.mono(),
            quality=self._clock.quality(),
            prev=NO_PREVIOUS,
            signer=self._identity.signer,
        )

    @property
    def depth(self) -> int:
        """Messages without a receipt."""
        return self._outbox.depth

    @property
    def traffic(self) -> tuple[int, int]:
        """Messages published, and published again."""
        status: UplinkStatus | None = self._uplink.status() if self._uplink else None
        now = (status.published, status.resent) if status else (0, 0)
        return self._published + now[0], self._resent + now[1]

    def close(self) -> None:
        """End the line and close the store."""
        self.disconnect()
        self._outbox.close()
        self._ledger.close()
