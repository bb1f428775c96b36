"""Frames: golden ones, any payload, any chunks, a bad line, garbage without end."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.board.frames import Frame, FrameReader, decode, encode, stuff, unstuff
from hardware.board.fuzz import FRAMINGS, campaign

FRAMES = st.builds(
    lambda kind, seq, payload: (kind, seq, payload, encode(kind, seq, payload)),
    st.integers(0, 255),
    st.integers(0, 65535),
    st.binary(max_size=238),
)


def test_recorded_frames(field_data: Path) -> None:
    vectors = json.loads((field_data / "firmware" / "frame_vectors.json").read_text())["vectors"]
    for vector in vectors:
        payload = bytes.fromhex(vector["payload"])
        assert stuff(payload).hex() == vector["cobs_of_payload"]
        body = payload + zlib.crc32(payload).to_bytes(4, "little")
        assert (stuff(body) + b"\0").hex() == vector["frame_cobs_payload_crc32le_00"]
    assert len(vectors) == 10


@given(st.binary(max_size=1100))
def test_any_bytes_are_stuffed_without_a_zero_and_come_back(data: bytes) -> None:
    assert 0 not in stuff(data)
    assert unstuff(stuff(data)) == data


@given(st.binary(max_size=300))
def test_garbage_is_no_frame_and_no_error(data: bytes) -> None:
    assert decode(data.replace(b"\0", b"\1")) is None
    reader = FrameReader()
    assert reader.feed(data + b"\0") == []


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 400), max_size=20))
def test_any_chunks_give_the_same_frames(
    frames: list[tuple[int, int, bytes, bytes]], cuts: list[int]
) -> None:
    wire = b"\0".join(f[3] for f in frames)
    reader = FrameReader()
    found: list[Frame] = []
    at = 0
    for cut in [*cuts, len(wire)]:
        found += reader.feed(wire[at : at + cut])
        at += cut
    assert [(f.type, f.seq, f.payload) for f in found] == [f[:3] for f in frames]
    assert reader.bad == 0


def test_a_payload_too_long_is_refused() -> None:
    assert len(encode(1, 0, bytes(238))) == 252
    with pytest.raises(ValueError, match="239 bytes, 238 fit"):
        encode(1, 0, bytes(239))


def test_ten_megabytes_without_an_end_cost_one_error_and_no_memory() -> None:
    reader = FrameReader()
    chunk = random.Random(1).randbytes(65536).replace(b"\0", b"\1")
    for _ in range(160):
        assert reader.feed(chunk) == []
    assert len(reader._buffer) < 300
    assert [f.payload for f in reader.feed(b"\0" + encode(7, 1, b"x"))] == [b"x"]
    assert reader.bad == 1


def test_bytes_that_went_missing_end_the_frame_they_were_in() -> None:
    reader = FrameReader()
    wire = encode(7, 1, b"abcdef")
    reader.feed(wire[:8])
    reader.reset()
    assert reader.feed(wire[8:]) == []
    assert reader.bad == 2
    assert len(reader.feed(wire)) == 1


@pytest.mark.parametrize("rate", [1e-3, 1e-2])
def test_a_bad_line_never_gives_a_wrong_frame(rate: float) -> None:
    """20,000 frames each; make bench prints the table with other framings beside it."""
    row = campaign(rate, frames=20_000, seed=4)
    assert row.accepted_wrong == 0
    assert row.intact > (1 - rate) ** 25 * row.frames - 400  # a frame is 25 bytes
    assert row.intact < row.frames, "the line damaged nothing"


@pytest.mark.parametrize("framing", [name for name in FRAMINGS if "no check" in name])
def test_the_bad_line_is_bad_enough_to_fool_a_framing_without_a_check(framing: str) -> None:
    assert campaign(1e-2, frames=2_000, seed=4, framing=framing).accepted_wrong > 20
    whole = campaign(1e-9, frames=500, seed=4, framing=framing)
    assert (whole.intact, whole.accepted_wrong) == (500, 0)
