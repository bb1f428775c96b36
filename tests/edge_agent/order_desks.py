"""A desk of orders over a real file, and a process that dies at a step of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from contract import VirtualClock
from contract.clock import MonoMicros
from contract.codec import encode, to_map
from contract.keys import KeySigner, KnownKey
from contract.messages import OrderResult
from contract.orders import OrderBody
from contract.topics import Channel
from contract.words import DeviceKind, OrderType
from edge_agent.central_time import CentralTime
from edge_agent.order_store import OrderStore
from edge_agent.orders import OrderDesk, Receiver
from tests.orders import CENTRAL_KEY, NOW, TENANT, delivered, signed

BOOT = b"\x07" * 16


def find_central(kid: bytes) -> KnownKey | None:
    is_known = kid == KeySigner(CENTRAL_KEY).kid
    return KnownKey("central", CENTRAL_KEY.public_key()) if is_known else None


@dataclass
class Bench:
    """A device with its orders; results go into a list unless something else takes them."""

    folder: Path
    device: str = "atm-1"
    kind: DeviceKind = DeviceKind.ATM
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW, MonoMicros(5_000_000)))
    results: list[OrderResult] = field(default_factory=list)
    acted: list[OrderBody] = field(default_factory=list)
    on_step: Callable[[str], None] = lambda step: None
    report: Callable[[OrderResult], None] | None = None

    def open(self) -> OrderDesk:
        self.time = CentralTime(self.clock, BOOT)
        self.store = OrderStore(self.folder / "orders.sqlite3")
        return OrderDesk(
            self.store,
            Receiver(
                tenant=TENANT,
                device=self.device,
                kind=self.kind,
                find_central=find_central,
                find_root=find_central,
            ),
            clock=self.clock,
            time=self.time,
            report=self.report or self.results.append,
            act=self.acted.append,
            on_step=self.on_step,
        )


def with_officers(desk: OrderDesk, number: int = 1000) -> None:
    desk.take(Channel.CONFIGURATION, delivered(signed(OrderType.OFFICERS, number)))
    desk.step()


def main() -> None:
    """Take one stop and die by SIGKILL at the n-th step; results are lines of a file."""
    folder, die_at = Path(sys.argv[1]), int(sys.argv[2])
    steps = 0

    def count(step: str) -> None:
        nonlocal steps
        steps += 1
        if steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(result: OrderResult) -> None:
        with (folder / "results").open("a", encoding="ascii") as file:
            file.write(encode(to_map(result)).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())

    desk = Bench(folder, on_step=count, report=write).open()
    with_officers(desk)
    desk.take(Channel.ORDERS, delivered(signed()))
    desk.take(Channel.COMMANDS, delivered(signed(OrderType.REPORT_HEALTH, 7)))
    desk.step()


if __name__ == "__main__":
    main()
