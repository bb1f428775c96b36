"""The ATM's list: whole over HTTPS, deltas by notice, and what must not change it."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.authority import Authority
from contract.account_list import (
    Listed,
    ListedFor,
    ListError,
    ListManifest,
    build_delta,
    build_list,
    seal_manifest,
)
from contract.accounts import CardRef
from contract.clock import ClockQuality, MonoMicros, UnixMicros
from contract.envelope import NO_PREVIOUS, seal
from contract.keys import CENTRAL, KeySigner, KnownKey
from contract.messages import ListNotice
from edge_agent.atm.lists import FUTURE_US, AccountLists
from mqtt_bridge.tls import tls_context
from tests.mqtt_bridge.doubles import enrolled
from tests.orders import CENTRAL_KEY, OFFICERS, TENANT

SIGNER = KeySigner(CENTRAL_KEY)
START = 1_764_000_000_000_000
STOP = Listed(ListedFor.STOP)


def card(number: int) -> CardRef:
    return CardRef(hmac=hashlib.sha256(number.to_bytes(8, "big")).digest(), last4="0000")


@dataclass
class Publisher:
    """The central's side: builds lists and deltas, and signs what they are."""

    folder: Path
    accounts: dict[bytes, Listed] = field(default_factory=dict)
    version: int = 0
    made_at: int = START
    sha256: bytes = b""

    @property
    def manifest(self) -> bytes:
        content = ListManifest(
            version=self.version,
            count=len(self.accounts),
            sha256=self.sha256,
            made_at=UnixMicros(self.made_at),
        )
        return seal_manifest(content, TENANT, SIGNER)

    def publish(self, changes: dict[int, Listed | None]) -> ListNotice:
        """Draw up the next version; the notice leads there from the one before."""
        older = self.version
        self.version += 1
        keyed = {card(number).hmac: listed for number, listed in changes.items()}
        for key, listed in keyed.items():
            if listed is None:
                self.accounts.pop(key, None)
            else:
                self.accounts[key] = listed
        self.sha256 = build_list(self.file, self.version, self.accounts.items())
        delta = self.folder / "delta"
        build_delta(delta, older, self.version, keyed.items())
        return ListNotice(manifest=self.manifest, delta=delta.read_bytes() if older else b"")

    @property
    def file(self) -> Path:
        return self.folder / f"{self.version}"


def find_central(kid: bytes) -> KnownKey | None:
    return KnownKey(CENTRAL, CENTRAL_KEY.public_key()) if kid == SIGNER.kid else None


@dataclass
class Kit:
    publisher: Publisher
    folder: Path
    url: str
    context: ssl.SSLContext
    now: int = START
    asked: list[str] = field(default_factory=list)
    spoil: bytes = b""

    def open(self) -> AccountLists:
        return AccountLists(
            self.folder / "lists",
            tenant=TENANT,
            find_central=find_central,
            now=lambda: UnixMicros(self.now),
        )


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A server that asks for the device's certificate, as the central's does."""
    authority = Authority.create(tmp_path / "ca")
    papers = authority.issue_server(tmp_path / "server")
    (tmp_path / "central").mkdir()
    publisher = Publisher(tmp_path / "central")
    made: list[Kit] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made[0].asked.append(self.path)
            body = publisher.manifest
            if self.path != "/lists/manifest":
                body = publisher.file.read_bytes() + made[0].spoil
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(papers.certificate, papers.private_key)
    tls.load_verify_locations(papers.ca)
    tls.verify_mode = ssl.CERT_REQUIRED
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    context = tls_context(enrolled(authority, tmp_path / "device", "atm-1"))
    url = f"https://localhost:{server.server_address[1]}"
    made.append(Kit(publisher, tmp_path, url, context))
    yield made[0]
    server.shutdown()
    thread.join()
    server.server_close()


def test_whole_then_deltas_and_over_a_restart(kit: Kit) -> None:
    kit.publisher.publish(dict.fromkeys(range(1000), STOP))
    lists = kit.open()
    assert (lists.age_s(), lists.find(card(1)), lists.needs_whole) == (None, None, True)
    lists.fetch(kit.url, kit.context)
    assert kit.asked == ["/lists/manifest", "/lists/1"]
    assert (lists.version, lists.find(card(1)), lists.needs_whole) == (1, STOP, False)
    assert lists.find(card(5000)) is None

    lists.offer(kit.publisher.publish({5000: STOP, 1: None}))
    assert (lists.version, lists.find(card(5000)), lists.find(card(1))) == (2, STOP, None)
    assert len(kit.asked) == 2  # nothing was fetched for it
    again = kit.open()
    assert (again.version, again.find(card(5000)), again.needs_whole) == (2, STOP, False)
    assert [one.name for one in (kit.folder / "lists").glob("*.list")] == ["accounts-2.list"]


def test_age_is_that_of_the_signed_word_and_no_replay_makes_it_younger(kit: Kit) -> None:
    first = kit.publisher.publish({1: STOP})
    lists = kit.open()
    lists.fetch(kit.url, kit.context)
    kit.now += 600_000_000
    assert lists.age_s() == 600.0
    lists.offer(ListNotice(manifest=first.manifest))  # an old word again
    assert lists.age_s() == 600.0
    kit.publisher.made_at = kit.now
    lists.offer(ListNotice(manifest=kit.publisher.manifest))
    assert lists.age_s() == 0.0
    with pytest.raises(ListError, match="older"):
        lists.offer(ListNotice(manifest=first.manifest))
    assert kit.open().age_s() == 0.0


def test_a_delta_from_another_base_is_refused_and_the_whole_list_is_asked_for(kit: Kit) -> None:
    kit.publisher.publish({1: STOP})
    lists = kit.open()
    lists.fetch(kit.url, kit.context)
    kit.publisher.publish({2: STOP})  # this notice is lost
    with pytest.raises(ListError, match="leads from 2 to 3"):
        lists.offer(kit.publisher.publish({3: STOP}))
    assert (lists.version, lists.needs_whole, lists.counters["wrong_base"]) == (1, True, 1)
    assert lists.find(card(1)) == STOP  # what is here serves on
    lists.fetch(kit.url, kit.context)
    assert (lists.version, lists.needs_whole, lists.find(card(3))) == (3, False, STOP)


def test_an_older_list_and_one_of_a_stranger_change_nothing(kit: Kit) -> None:
    old = kit.publisher.publish({1: STOP})
    lists = kit.open()
    kit.publisher.publish({2: STOP})
    lists.fetch(kit.url, kit.context)
    with pytest.raises(ListError, match="older"):
        lists.offer(old)
    content = ListManifest(version=9, count=0, sha256=bytes(32), made_at=UnixMicros(kit.now))
    forged = seal_manifest(content, TENANT, KeySigner(OFFICERS["li"]))
    with pytest.raises(ListError, match="manifest"):
        lists.offer(ListNotice(manifest=forged))
    ahead = ListManifest(
        version=9, count=0, sha256=bytes(32), made_at=UnixMicros(kit.now + FUTURE_US + 1)
    )
    with pytest.raises(ListError, match="future"):
        lists.offer(ListNotice(manifest=seal_manifest(ahead, TENANT, SIGNER)))
    assert lists.version == 2


def test_a_file_that_is_not_the_signed_one_is_never_used(kit: Kit) -> None:
    kit.publisher.publish({1: STOP})
    kit.spoil = b"x"
    lists = kit.open()
    with pytest.raises(ListError, match="not the file of version"):
        lists.fetch(kit.url, kit.context)
    assert lists.version is None
    assert list((kit.folder / "lists").iterdir()) == []
    kit.spoil = b""
    lists.fetch(kit.url, kit.context)
    (kit.folder / "lists" / "accounts-1.list").write_bytes(b"torn")
    assert kit.open().needs_whole  # a broken list is as none: stale, so the counter


def test_a_central_that_is_away_or_a_stranger_is_an_error_and_no_more(kit: Kit) -> None:
    kit.publisher.publish({1: STOP})
    lists = kit.open()
    with pytest.raises(OSError, match="Errno"):
        lists.fetch("https://localhost:1", kit.context)
    nobody = ssl.create_default_context()
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        lists.fetch(kit.url, nobody)
    with pytest.raises(ListError, match="no https"):
        lists.fetch("http://localhost:1", kit.context)


def notice(body: ListNotice, key: Any = CENTRAL_KEY) -> bytes:
    return seal(
        body,
        tenant=TENANT,
        device=CENTRAL,
        boot_id=b"\x09" * 16,
        seq=0,
        wall=UnixMicros(START),
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True),
        prev=NO_PREVIOUS,
        signer=KeySigner(key),
    )


def test_a_notice_is_taken_from_the_central_alone(kit: Kit) -> None:
    kit.publisher.publish({1: STOP})
    lists = kit.open()
    lists.fetch(kit.url, kit.context)
    next_one = kit.publisher.publish({2: STOP})
    lists.take(notice(next_one, OFFICERS["li"]))
    assert (lists.version, lists.counters["refused"]) == (1, 1)
    lists.take(notice(next_one))
    assert lists.version == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), at=st.integers(0, 300), byte=st.integers(1, 255))
def test_no_bytes_break_it(kit: Kit, raw: bytes, at: int, byte: int) -> None:
    if not kit.publisher.version:
        kit.publisher.publish({1: STOP})
    lists = kit.open()
    if lists.version is None:
        lists.fetch(kit.url, kit.context)
    good = bytearray(notice(ListNotice(manifest=kit.publisher.manifest, delta=raw)))
    good[at % len(good)] ^= byte
    for one in (raw, bytes(good)):
        lists.take(one)
    assert (lists.version, lists.find(card(1))) == (1, STOP)
