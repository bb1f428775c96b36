"""Lines of an AT link: any chunking gives the same lines, and each line is what it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.modems.at import (
    MAX_LINE_BYTES,
    Line,
    LineKind,
    LineSplitter,
    kind_of,
    name_of,
    without_long_numbers,
)

STREAMS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"OK", b"AT", b" ", b"\x00\xff", b"x" * 600])
    | st.binary(max_size=8)
).map(b"".join)


def test_lines_are_numbered_by_line_feeds_as_an_editor_does() -> None:
    stream = b"AT+CENG=2\r\r\nOK\r\n\r\nRING\r\n"
    assert [(line.number, line.data) for line in LineSplitter().feed(stream)] == [
        (1, b"AT+CENG=2"),
        (2, b"OK"),
        (4, b"RING"),
    ]


@given(STREAMS, st.data())
def test_any_chunking_gives_the_same_lines(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = LineSplitter()
    lines: list[Line] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += splitter.feed(stream[start:end])
    whole = LineSplitter()
    assert lines + splitter.close() == whole.feed(stream) + whole.close()


@given(STREAMS)
def test_no_byte_of_a_line_is_lost(stream: bytes) -> None:
    splitter = LineSplitter()
    lines = splitter.feed(stream) + splitter.close()
    kept = [part.strip() for part in stream.replace(b"\r", b"\n").split(b"\n")]
    assert [line.data for line in lines if not line.is_overlong] == [
        part
        for part, whole in zip(kept, stream.replace(b"\r", b"\n").split(b"\n"), strict=True)
        if part and len(whole) <= MAX_LINE_BYTES
    ]


def test_an_endless_line_is_kept_short_and_told() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"z" * 1000) == []
    [line] = splitter.feed(b"\n")
    assert line.is_overlong
    assert (line.length, len(line.data)) == (100_000, MAX_LINE_BYTES)
    assert splitter.feed(b"OK\n")[0].data == b"OK"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"AT", LineKind.ECHO),
        (b"ATE1", LineKind.ECHO),
        (b'at+qeng="servingcell"', LineKind.ECHO),
        (b"AT#MONI=7", LineKind.ECHO),
        (b"OK", LineKind.OK),
        (b"ERROR", LineKind.ERROR),
        (b"+CME ERROR: 10", LineKind.ERROR),
        (b"+CMS ERROR: no memory", LineKind.ERROR),
        (b"NO CARRIER", LineKind.ERROR),
        (b'+QIND: "csq",20,99', LineKind.NAMED),
        (b"^MODE: 5", LineKind.NAMED),
        (b"RING", LineKind.WORD),
        (b"POWERED DOWN", LineKind.WORD),
        (b"OK?", LineKind.OTHER),
        (b"ATTACHED", LineKind.OTHER),
        (b"60,00,247C", LineKind.OTHER),
        (b"", LineKind.OTHER),
    ],
)
def test_a_line_is_told_by_its_form(line: bytes, kind: LineKind) -> None:
    assert kind_of(line) is kind


def test_a_named_line_gives_its_name() -> None:
    assert name_of(b"+CREG: 1") == b"+CREG"
    assert name_of(b"RDY") == b""


def test_long_numbers_are_blanked_and_cell_numbers_are_not() -> None:
    assert without_long_numbers(b'+CLIP "+8613800138000",129') == b'+CLIP "+*************",129'
    assert without_long_numbers(b"170C23000,3279165,633984") == b"170C23000,3279165,633984"
