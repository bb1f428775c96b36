"""The buffers under paho: the same bytes with fewer calls."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_bridge.buffered import WRITE_BYTES, BufferedSocket
from mqtt_bridge.connection import Session
from mqtt_bridge.events import Arrived, Granted, Taken
from mqtt_bridge.testing import HostileBroker
from tests.mqtt_bridge.doubles import next_event, opened


@pytest.fixture
def ends() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    here, there = socket.socketpair()
    here.setblocking(False)
    there.settimeout(30)
    yield BufferedSocket(here), there
    here.close()
    there.close()


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20), st.integers(1, 7))
def test_bytes_come_out_as_they_went_in_whatever_the_pieces(pieces: list[bytes], size: int) -> None:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    writer, reader = BufferedSocket(left), BufferedSocket(right)
    for piece in pieces:
        assert writer.send(piece) == len(piece)
    writer.flush()
    assert not writer.has_unsent
    wanted, found = b"".join(pieces), b""
    while len(found) < len(wanted):
        piece = reader.recv(size)
        assert 1 <= len(piece) <= size
        found += piece
    assert found == wanted
    with pytest.raises(BlockingIOError):
        reader.recv(1)
    writer.close()
    assert reader.recv(1) == b"", "the end is seen"
    reader.close()


def test_nothing_is_written_before_the_flush_and_closing_writes_the_rest(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    pipe.send(b"a")
    peer.settimeout(0.05)
    with pytest.raises(TimeoutError):
        peer.recv(1)
    peer.settimeout(30)
    pipe.send(b"b")
    pipe.close()
    assert peer.recv(10) == b"ab"


def test_a_full_buffer_says_so_and_goes_on_when_there_is_room(
    ends: tuple[BufferedSocket, socket.socket],
) -> None:
    pipe, peer = ends
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while taken < 100 * WRITE_BYTES:
            taken += pipe.send(bytes(1000))
    assert WRITE_BYTES <= taken < 100 * WRITE_BYTES
    assert pipe.has_unsent
    came = 0
    while came < taken:
        came += len(peer.recv(1 << 20))
        pipe.flush()
    assert not pipe.has_unsent


def test_many_messages_share_a_reading_and_their_pubacks_an_event() -> None:
    with HostileBroker() as broker:
        sender = opened(Session(address=broker.address, client_id="p"))
        hearer = opened(Session(address=broker.address, client_id="s"))
        assert sender._client.pipe is not None, "paho goes over the buffer"
        hearer.subscribe(["a/#"])
        assert next_event(hearer, Granted) is not None
        mids = [sender.publish("a/b", b"%d" % n) for n in range(200)]
        taken: list[int] = []
        events = 0
        while len(taken) < 200 and isinstance(event := next_event(sender, Taken), Taken):
            taken += event.mids
            events += 1
        assert (taken, events < 200) == (mids, True)
        heard = []
        for _ in range(200):
            event = next_event(hearer, Arrived)
            assert isinstance(event, Arrived)
            heard.append(event.payload)
            hearer.acknowledge(event.mid)
        assert heard == [b"%d" % n for n in range(200)]
        sender.close()
        hearer.close()
