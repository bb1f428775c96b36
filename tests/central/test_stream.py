"""The event stream over a real server: snapshot, live, resume, heartbeat, slow pages, stop."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from central.authority import Authority
from central.hub import Hub
from central.store import Event, EventKind
from central.store.people import end_sessions
from central.web import BindError, WebServer, create_app
from central.web.stream import MAX_CATCH_UP, resume_point
from contract.topics import Lane
from contract.words import AlertKind, Level, Presence, Severity
from tests.central.kit import Central, Station, a_health, settings
from tests.central.signing import sign_in
from tests.samples import a_detection


@dataclass(frozen=True)
class Frame:
    id: int
    kind: str
    data: Any


def frames(response: httpx.Response) -> Iterator[Frame | str]:
    """Frames and comments of a stream, as a browser reads them."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            yield line
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Frame(int(fields.get("id", "0")), fields["event"], json.loads(fields["data"]))
            fields = {}


@dataclass
class Site:
    central: Central
    hub: Hub
    server: WebServer
    cookie: str

    @contextmanager
    def listen(self, path: str = "/events", **headers: str) -> Iterator[Iterator[Frame | str]]:
        with (
            httpx.Client(
                base_url=self.server.url, timeout=10, cookies={"session": self.cookie}
            ) as client,
            client.stream("GET", path, headers={"accept-language": "en", **headers}) as response,
        ):
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            yield frames(response)


def frame_of(stream: Iterator[Frame | str]) -> Frame:
    return next(f for f in stream if isinstance(f, Frame) and f.kind != "counts")


@pytest.fixture
def site(central: Central) -> Iterator[Site]:
    hub = Hub(queue_events=8)
    central.ingest = central.new_ingest(on_events=hub.publish)
    chosen = settings(central.path.parent, stream_heartbeat_s=0.2)
    app = create_app(central.store, hub, chosen)
    server = WebServer(app, hub, "127.0.0.1", 0)
    server.start()
    yield Site(central, hub, server, sign_in(app)[0])
    server.stop()
    assert not server.is_alive


def test_a_snapshot_comes_first_and_then_what_happens(site: Site, van: Station) -> None:
    site.central.take(van.topic(), van.next(a_detection()))
    with site.listen() as stream:
        first = frame_of(stream)
        assert first.kind == "snapshot"
        assert [a["id"] for a in first.data["alerts"]] == [1]
        assert [d["id"] for d in first.data["devices"]] == ["van-1"]
        site.central.take(van.state_topic, van.state(Presence.ONLINE))
        second = frame_of(stream)
        assert (second.kind, second.data["device"]["presence_text"]) == ("device", "online")
        assert second.id > first.id


@pytest.mark.parametrize("by", ["header", "query", "header before query"])
def test_a_page_that_comes_back_gets_what_it_missed_and_nothing_twice(
    site: Site, van: Station, by: str
) -> None:
    suspected = a_detection(
        level=Level.SUSPECTED, severity=Severity.HIGH, alert=AlertKind.FAKE_BTS_SUSPECTED
    )
    with site.listen() as stream:
        frame_of(stream)
        site.central.take(van.topic(), van.next(suspected))
        seen = frame_of(stream)
    site.central.take(van.topic(), van.next(a_detection(revision=1)))
    site.central.take(van.state_topic, van.state(Presence.ONLINE))
    path, headers = "/events", {}
    if by == "query":
        path = f"/events?last={seen.id}"
    else:
        headers = {"last-event-id": str(seen.id)}
    if by == "header before query":
        path = "/events?last=0"
    with site.listen(path, **headers) as stream:
        missed = [frame_of(stream), frame_of(stream)]
        assert [f.id for f in missed] == [seen.id + 1, seen.id + 2]
        assert (missed[0].kind, missed[0].data["change"]) == ("alert", "escalated")
        assert missed[1].kind == "device"
        site.central.take(van.state_topic, van.state(Presence.OFFLINE))
        assert frame_of(stream).id == seen.id + 3


def test_a_number_from_another_life_of_the_store_gives_a_snapshot(site: Site) -> None:
    with site.listen(**{"last-event-id": "4711"}) as stream:
        assert frame_of(stream).kind == "snapshot"


def test_a_page_that_missed_too_much_gets_a_snapshot(site: Site) -> None:
    with site.central.store.transaction() as tx:
        for _ in range(MAX_CATCH_UP + 1):
            tx.add_event(1, EventKind.REFUSAL, {"device": "", "reason": "malformed", "count": 1})
    with site.listen("/events?last=0") as stream:
        first = frame_of(stream)
        assert (first.kind, first.id) == ("snapshot", MAX_CATCH_UP + 1)
    with site.listen("/events?last=1") as stream:
        assert frame_of(stream).kind == "refusal"


def test_an_idle_stream_beats(site: Site) -> None:
    with site.listen() as stream:
        frame_of(stream)
        counts = next(stream)
        assert isinstance(counts, Frame)
        assert (counts.kind, counts.data["open"]["critical"]) == ("counts", "0")
        assert next(stream) == ": still here"
        assert next(stream) == ": still here"


def test_a_stream_ends_with_its_session(site: Site) -> None:
    with site.listen() as stream:
        frame_of(stream)
        with site.central.store.transaction() as tx:
            end_sessions(tx._connection, "tester", 1)  # type: ignore[attr-defined]
        assert all(isinstance(f, str) or f.kind in {"counts", "signed_out"} for f in stream)


def test_the_language_of_the_stream_is_the_pages(site: Site, van: Station) -> None:
    site.central.take(van.topic(), van.next(a_detection()))
    with site.listen("/events?lang=zh") as stream:
        assert frame_of(stream).data["alerts"][0]["severity_text"] == "紧急"


def test_an_open_stream_does_not_hold_up_the_stop(site: Site) -> None:
    with site.listen() as stream:
        frame_of(stream)
        began = time.monotonic()
        site.server.stop()
        assert time.monotonic() - began < 20.0  # a stream lives for hours
        assert all(isinstance(f, str) or f.kind == "counts" for f in stream)


def test_a_page_that_leaves_is_forgotten(site: Site, van: Station) -> None:
    with site.listen() as stream:
        frame_of(stream)
        assert site.hub.listeners == 1
    deadline = time.monotonic() + 5
    while site.hub.listeners and time.monotonic() < deadline:
        time.sleep(0.05)
    assert site.hub.listeners == 0


def test_the_server_listens_on_loopback_only(site: Site) -> None:
    app = create_app(site.central.store, site.hub, settings(site.central.path.parent))
    with pytest.raises(BindError):
        WebServer(app, site.hub, "0.0.0.0", 0)
    with pytest.raises(OSError, match="in use"):
        WebServer(app, site.hub, "127.0.0.1", site.server.port).start()


def test_with_a_certificate_the_pages_speak_tls_under_their_names(
    central: Central, tmp_path: Path
) -> None:
    authority = Authority.create(tmp_path / "ca")
    files = authority.issue_server(tmp_path / "pages", names=("localhost",), addresses=())
    tls = (files.certificate, files.private_key)
    chosen = settings(central.path.parent, http_tls=tls, names=("central.example",))
    hub = Hub()
    app = create_app(central.store, hub, chosen)
    server = WebServer(app, hub, "localhost", 0, tls)
    server.start()
    try:
        assert server.url.startswith("https://localhost:")
        context = ssl.create_default_context(cafile=str(files.ca))
        cookie, _ = sign_in(app)
        with httpx.Client(base_url=server.url, verify=context) as client:
            answer = client.get("/account", headers={"cookie": f"__Host-session={cookie}"})
            assert answer.status_code == 200
            assert "strict-transport-security" in answer.headers
            named = {"host": "central.example", "cookie": f"session={cookie}"}
            assert client.get("/account", headers=named).status_code == 303  # not by the plain name
            assert client.get("/account", headers={"host": "evil.example"}).status_code == 400
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("header", "query", "point"),
    [
        (None, None, None),
        ("", "", None),
        ("7", "3", 7),
        ("x", "3", 3),
        ("-1", None, None),
        ("٣", None, None),
        ("9" * 19, None, None),
    ],
)
def test_the_resume_point_is_a_number_or_nothing(
    header: str | None, query: str | None, point: int | None
) -> None:
    assert resume_point(header, query) == point


# -- the hub ---------------------------------------------------------------------------------------


def an_event(number: int) -> Event:
    return Event(number, 0, EventKind.DEVICE, {})


def test_a_slow_page_is_let_go_after_what_it_has_queued() -> None:
    async def listen() -> list[Event | None]:
        hub = Hub(queue_events=3)
        subscription = hub.subscribe()

        def pour() -> None:
            for number in range(1, 9):
                hub.publish([an_event(number)])

        publisher = threading.Thread(target=pour)
        publisher.start()
        await asyncio.to_thread(publisher.join)
        await asyncio.sleep(0)
        got = [await subscription.next(1) for _ in range(4)]
        hub.publish([an_event(9)])
        assert hub.listeners == 0
        return got

    assert asyncio.run(listen()) == [an_event(1), an_event(2), an_event(3), None]


def test_a_closed_hub_ends_those_who_listen_and_those_who_come() -> None:
    async def listen() -> None:
        hub = Hub()
        before = hub.subscribe()
        hub.publish([an_event(1)])
        hub.close()
        assert await before.next(1) == an_event(1)
        assert await before.next(1) is None
        after = hub.subscribe()
        assert await after.next(1) is None
        hub.unsubscribe(after)
        hub.publish([an_event(2)])

    asyncio.run(listen())


def test_publishing_never_waits_for_a_loop_that_is_gone() -> None:
    hub = Hub()

    async def come_and_go() -> None:
        hub.subscribe()

    asyncio.run(come_and_go())
    hub.publish([replace(an_event(1), id=2)])
    assert hub.listeners == 0


def test_an_event_between_snapshot_and_subscription_is_not_lost(site: Site, van: Station) -> None:
    """Streams opened while messages pour in all end with the last event."""
    done = threading.Event()

    def pour() -> None:
        for depth in range(40):
            site.central.take(van.topic(Lane.HEALTH), van.next(a_health(depth)))
        done.set()

    thread = threading.Thread(target=pour)
    thread.start()
    ends = []
    for _ in range(4):
        with site.listen() as stream:
            last = frame_of(stream)
            ids = [last.id]
            while ids[-1] < 40:
                ids.append(frame_of(stream).id)
            ends.append(ids)
    thread.join(30)
    for ids in ends:
        assert ids == list(range(ids[0], 41))


def test_the_port_is_free_again_after_the_stop(central: Central) -> None:
    hub = Hub()
    server = WebServer(
        create_app(central.store, hub, settings(central.path.parent)), hub, "127.0.0.1", 0
    )
    server.start()
    port = server.port
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass
