"""One process of a simulated fleet: ``python -m qianshao.fleet.member PLAN.json``.

It says on standard error, as JSON lines, how far it is; SIGTERM ends it.
"""

from __future__ import annotations

import heapq
import queue
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from qianshao.fleet.plan import Plan
from qianshao.fleet.station import Station
from qianshao.fleet.traffic import gaps_s
from qianshao.logs import configure_logs

STATUS_S = 0.5
_TICK_S = 0.002
_ORDER_THREADS = 4
"""A step waits for its result to be durable; an agent has a thread of its own for it, and one for
all stations of a process would do one after the other. A station's steps stay in one thread."""
_SWITCH_S = 0.05
"""A thread that waits for the interpreter looks again so often. With hundreds of them in one
process, as no agent has, the usual 5 ms cost more than all that the stations do."""

log = structlog.get_logger("fleet")


class Member:
    """The stations of one process, driven by one loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stopping = threading.Event()
        self._go = threading.Event()
        self._stations = [Station(plan, device) for device in plan.stations]
        self._live = {
            s.device: iter(i for i in s.unsaid() if i > plan.backlog) for s in self._stations
        }
        self._is_done: set[str] = set()
        self._ordered: list[queue.SimpleQueue[Station]] = [
            queue.SimpleQueue() for _ in range(_ORDER_THREADS)
        ]
        for number, station in enumerate(self._stations):
            station.on_order(self._ordered[number % _ORDER_THREADS].put)

    def _follow_orders(self, ordered: queue.SimpleQueue[Station]) -> None:
        """Let each station do what it was told."""
        while True:
            station = ordered.get()
            if station.orders is not None:
                station.orders.step()

    def run(self) -> None:
        """Fill, connect, speak, and wait to be ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        signal.signal(signal.SIGUSR1, lambda *_: self._go.set())
        try:
            for station in self._stations:
                station.fill([i for i in station.unsaid() if i <= self._plan.backlog])
                if self._stopping.is_set():
                    return
            log.info("fleet_ready", stations=len(self._stations))
            while self._plan.waits_for_go and not (self._go.is_set() or self._stopping.is_set()):
                self._go.wait(0.1)
            for ordered in self._ordered:
                threading.Thread(target=self._follow_orders, args=(ordered,), daemon=True).start()
            self._connect_all()
            log.info("fleet_connecting")
            self._speak()
        finally:
            for station in self._stations:
                station.disconnect()
            for station in self._stations:
                station.close()

    def _connect_all(self) -> None:
        pause_s = 1 / self._plan.connects_per_s if self._plan.connects_per_s else 0.0
        for station in self._stations:
            if self._stopping.wait(pause_s):
                return
            station.connect()

    def _speak(self) -> None:
        began = time.monotonic()
        due = self._timetable(began)
        outages = self._outages(began)
        next_status = began
        while not self._stopping.is_set():
            now = time.monotonic()
            while outages and outages[0][0] <= now:
                self._switch_lines(*heapq.heappop(outages)[1:])
            said = 0
            while due and due[0][0] <= now and said < 200:
                self._say_next(due)
                said += 1
            if now >= next_status:
                self._report()
                next_status = now + STATUS_S
            if not said:
                due_next = min((next_status, *(one[0] for one in (*due[:1], *outages[:1]))))
                self._stopping.wait(max(_TICK_S, due_next - time.monotonic()))

    def _timetable(self, began: float) -> list[tuple[float, int, Iterator[float]]]:
        """When each station speaks next, the earliest first."""
        due = []
        for number, station in enumerate(self._stations):
            chance = random.Random(f"{self._plan.seed}/{station.device}")  # noqa: S311 - traffic
            gaps = gaps_s(self._plan.arrivals, self._plan.rate_per_s, chance)
            due.append((began + chance.random() / self._plan.rate_per_s, number, gaps))
        heapq.heapify(due)
        return due

    def _say_next(self, due: list[tuple[float, int, Iterator[float]]]) -> None:
        moment, number, gaps = heapq.heappop(due)
        station = self._stations[number]
        index = next(self._live[station.device], None)
        if index is None:
            self._is_done.add(station.device)
            return
        station.put([index])
        heapq.heappush(due, (moment + next(gaps), number, gaps))

    def _outages(self, began: float) -> list[tuple[float, int, bool]]:
        """Moments at which lines go and come: when, how many stations, whether they come."""
        events = []
        for outage in self._plan.outages:
            count = round(outage.share * len(self._stations))
            events.append((began + outage.after_s, count, False))
            events.append((began + outage.after_s + outage.lasts_s, count, True))
        heapq.heapify(events)
        return events

    def _switch_lines(self, count: int, is_up: bool) -> None:
        for station in self._stations[:count]:
            if is_up:
                station.connect()
            else:
                station.disconnect()
        log.info("fleet_lines", stations=count, is_up=is_up)

    def _report(self) -> None:
        traffic = [station.traffic for station in self._stations]
        log.info(
            "fleet_status",
            waiting=sum(station.depth for station in self._stations),
            is_all_said=len(self._is_done) == len(self._stations),
            published=sum(published for published, _ in traffic),
            resent=sum(resent for _, resent in traffic),
        )


def main() -> None:
    """Run the member of a plan."""
    configure_logs()
    sys.setswitchinterval(_SWITCH_S)
    Member(Plan.read(Path(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
