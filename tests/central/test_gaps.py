"""What a device gave up, by its own signed word: receipts go on, people see it, nothing doubles."""

from __future__ import annotations

from typing import Any

import pytest

from central.hub import Hub
from central.store.interface import Dropped, Run
from central.views import gaps
from central.web.app import create_app
from contract import Gap, Refusal, SeqRange, UnixMicros
from contract.envelope import message_digest
from contract.topics import Lane
from contract.words import GapReason
from tests.central.kit import START, Central, Station, a_health, settings
from tests.central.signing import client_as


def a_gap(*spans: tuple[int, int], **changes: Any) -> Gap:
    arguments: dict[str, Any] = {
        "lane": Lane.TELEMETRY,
        "reason": GapReason.CAPACITY,
        "spans": tuple(SeqRange(first=first, last=last) for first, last in spans),
        "size_bytes": 900,
        "digest": bytes(32),
        "first_put": START,
        "last_put": UnixMicros(START + 5),
    }
    return Gap(**{**arguments, **changes})


def fed(central: Central, van: Station, lost: set[int], count: int, gap: Gap) -> list[bytes]:
    """Send ``count`` messages without those that were lost, then the gap; returns all bytes."""
    raws = [van.next(a_health()) for _ in range(count)] + [van.next(gap)]
    came = [raw for seq, raw in enumerate(raws, start=1) if seq not in lost]
    central.take(van.topic(), *came)
    return raws


def test_receipts_go_on_past_what_a_device_gave_up(central: Central, van: Station) -> None:
    raws = fed(central, van, {2, 4, 5}, 5, a_gap((2, 2), (4, 5)))
    assert central.store.runs("van-1") == [Run(1, 6)]
    receipt = central.intake.receipts()[-1]
    assert (receipt.up_to, receipt.head, receipt.ranges) == (6, message_digest(raws[5]), ())
    assert gaps(central.store.runs("van-1")) == []
    (dropped,) = central.store.dropped("van-1")
    assert dropped == Dropped(
        lane=Lane.TELEMETRY,
        reason=GapReason.CAPACITY,
        messages=3,
        first_put=START,
        last_put=START + 5,
    )
    assert central.store.totals().messages == 3


def test_a_receipt_names_the_last_message_that_has_a_hash(central: Central, van: Station) -> None:
    raws = [van.next(a_health()) for _ in range(4)]
    late = van.next(a_health())
    gap = van.next(a_gap((3, 4)))
    central.take(van.topic(), raws[0], raws[1], gap)
    receipt = central.intake.receipts()[-1]
    assert (receipt.up_to, receipt.head) == (2, message_digest(raws[1]))
    assert [(r.first, r.last) for r in receipt.ranges] == [(6, 6)]
    central.take(van.topic(), late)
    assert central.intake.receipts()[-1].up_to == 6


def test_the_first_message_of_all_may_be_given_up(central: Central, van: Station) -> None:
    fed(central, van, {1, 2}, 3, a_gap((1, 2)))
    assert central.intake.receipts()[-1].up_to == 4


def test_a_gap_that_comes_twice_counts_once(central: Central, van: Station) -> None:
    raws = fed(central, van, {2}, 3, a_gap((2, 2)))
    central.take(van.topic(), raws[-1], raws[-1])
    assert [d.messages for d in central.store.dropped("van-1")] == [1]
    device = central.store.device("van-1")
    assert device is not None
    assert (device.duplicates, device.refused) == (2, 0)


@pytest.mark.parametrize("is_before", [True, False])
def test_a_message_that_came_after_all_is_stored_once_and_no_longer_missing(
    central: Central, van: Station, is_before: bool
) -> None:
    raws = [van.next(a_health()) for _ in range(3)] + [van.next(a_gap((2, 3)))]
    order = [0, 1, 3] if is_before else [0, 3, 1]
    for index in order:
        central.take(van.topic(), raws[index])
    central.take(van.topic(), raws[1])
    assert [d.messages for d in central.store.dropped("van-1")] == [1]
    assert central.store.totals().messages == 3
    assert central.store.runs("van-1") == [Run(1, 4)]
    assert central.intake.receipts()[-1].up_to == 4


@pytest.mark.parametrize("span", [(1, 3), (3, 3), (5, 9)])
def test_a_gap_names_only_what_was_numbered_before_it(
    central: Central, van: Station, span: tuple[int, int]
) -> None:
    raws = [van.next(a_health()), van.next(a_health()), van.next(a_gap(span))]
    central.take(van.topic(), *raws)
    assert central.store.runs("van-1") == [Run(1, 2)]
    assert central.store.refusal_counts("van-1") == {Refusal.MALFORMED: 1}


@pytest.mark.parametrize("spans", [[], [(2, 1)], [(0, 1)], [(1, 3), (3, 4)], [(4, 5), (1, 2)]])
def test_spans_are_in_order_and_apart(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="spans"):
        a_gap(*spans)


def test_people_see_what_was_given_up(central: Central, van: Station) -> None:
    fed(central, van, {2, 3}, 4, a_gap((2, 3)))
    hub = Hub(100)
    app = create_app(central.store, hub, settings(central.path.parent))
    with client_as(app) as client:
        body = client.get("/api/devices/van-1").json()
        page = client.get("/devices/van-1", headers={"accept-language": "en"}).text
    assert body["gaps"] == []
    assert body["dropped"] == [
        {
            "lane": "telemetry",
            "reason": "capacity",
            "messages": 2,
            "first_put": "2026-01-02T03:00:00.000000Z",
            "last_put": "2026-01-02T03:00:00.000005Z",
        }
    ]
    assert "telemetry: 2 · thinned or dropped for want of room" in page
