"""The health book: every part's line, whoever writes it, in a report that can be sent."""

from __future__ import annotations

import math
import threading

from contract import PartHealth, VirtualClock
from contract.codec import from_map, to_map
from contract.messages import Health
from contract.words import PartState
from edge_agent.health import MAX_DETAIL_CHARS, HealthBook


def a_book(clock: VirtualClock | None = None) -> HealthBook:
    return HealthBook(clock=clock or VirtualClock(), version="1.2")


def test_a_report_carries_each_part_with_its_state_detail_and_counters() -> None:
    clock = VirtualClock()
    clock.advance(5_000_000)
    book = a_book(clock)
    book.register("uplink")
    book.report("sensor modem0", PartState.OK, counters={"readings": 3})
    book.report("sensor modem0", PartState.FAILED, "unplugged", {"reopened": 1})
    clock.advance(61_999_999)
    report = book.snapshot()
    assert (report.uptime_s, report.version) == (61, "1.2")
    assert report.parts == (
        PartHealth(name="uplink", state=PartState.DEGRADED, detail="starting", counters={}),
        PartHealth(
            name="sensor modem0",
            state=PartState.FAILED,
            detail="unplugged",
            counters={"readings": 3, "reopened": 1},
        ),
    )
    assert from_map(Health, to_map(report)) == report


def test_registering_again_does_not_forget_what_a_part_said() -> None:
    book = a_book()
    book.report("uplink", PartState.OK)
    book.register("uplink")
    assert book.state("uplink") is PartState.OK
    assert book.state("camera") is None


def test_a_snapshot_does_not_change_afterwards() -> None:
    book = a_book()
    book.count("uplink", "sent")
    before = book.snapshot()
    book.count("uplink", "sent", 4)
    assert before.parts[0].counters == {"sent": 1}
    assert book.snapshot().parts[0].counters == {"sent": 5}


def test_a_gauge_that_is_no_number_has_no_value() -> None:
    book = a_book()
    book.set("outbox", {"age_s": 1.5, "depth": 2})
    book.set("outbox", {"age_s": math.nan, "rate": math.inf})
    assert book.snapshot().parts[0].counters == {"depth": 2}


def test_a_long_detail_is_shortened() -> None:
    book = a_book()
    book.report("camera", PartState.FAILED, "x" * 5000)
    detail = book.snapshot().parts[0].detail
    assert (len(detail), detail[-1]) == (MAX_DETAIL_CHARS, "…")


def test_counts_of_many_threads_all_arrive() -> None:
    book = a_book()

    def count() -> None:
        for _ in range(500):
            book.count("uplink", "sent")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.snapshot().parts[0].counters == {"sent": 4000}
