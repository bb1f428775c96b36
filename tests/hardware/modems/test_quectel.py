"""The Quectel dialect over good, split, doubled and ruined streams; all cells are invented."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardware.modems import DIALECTS
from hardware.modems.interface import Arrival, ModemDialect
from hardware.modems.quectel import (
    QuectelDialect,
    looks_like_transcript,
    read_transcript,
    rounds,
)
from hardware.readings import CellReading, Item, Rat, Stamp, Unreadable

AT_NOON = Arrival(at_us=1_700_000_000_000_000, time_basis="live", received_us=1_700_000_000_000_000)
SERVING = b'AT+QENG="servingcell"\r\r\n'
NEIGHBOURS = b'AT+QENG="neighbourcell"\r\r\n'
LTE_LINE = (
    b'+QENG: "servingcell","NOCONN","LTE","FDD",460,01,9A3150B,217,1650,3,5,5,D2A1,-92,-9,-65,17,29'
)
GSM_LINE = b'+QENG: "neighbourcell","GSM",460,00,52A1,3C08,44,23,-78,27,87,0,0'
SEARCH = b'+QENG: "servingcell","SEARCH"'
END = b"\r\n\r\nOK\r\n"
SESSION = SERVING + LTE_LINE + END + NEIGHBOURS + GSM_LINE + b"\r\n" + GSM_LINE + END


def dialect() -> QuectelDialect:
    return QuectelDialect(sensor="modem0", file="ttyUSB2")


def heard(*chunks: bytes) -> list[Item]:
    """Everything a fresh dialect makes of a stream in these chunks."""
    modem = dialect()
    items = [item for chunk in chunks for item in modem.feed(chunk, AT_NOON)]
    return items + modem.close()


def cells(items: list[Item]) -> list[CellReading]:
    return [item for item in items if isinstance(item, CellReading)]


def refusals(items: list[Item]) -> list[Unreadable]:
    return [item for item in items if isinstance(item, Unreadable)]


def test_the_table_of_dialects_makes_one_by_name() -> None:
    modem: ModemDialect = DIALECTS["quectel"](sensor="modem0", file="ttyUSB2")
    assert modem.name == "quectel"
    assert modem.poll()[-2:] == (b'AT+QENG="servingcell"\r', b'AT+QENG="neighbourcell"\r')


def test_a_session_gives_its_cells_and_nothing_else() -> None:
    items = heard(SESSION)
    assert [(cell.rat, cell.is_serving) for cell in cells(items)] == [
        (Rat.LTE, True),
        (Rat.GSM, False),
        (Rat.GSM, False),
    ]
    assert not refusals(items)
    assert cells(items)[0].stamp == Stamp(
        at_us=AT_NOON.at_us,
        time_basis="live",
        sensor="modem0",
        file="ttyUSB2",
        place="line 2",
        received_us=AT_NOON.received_us,
    )
    assert cells(items)[0].raw == LTE_LINE


def test_a_line_takes_the_time_of_the_chunk_that_completes_it() -> None:
    modem = dialect()
    later = Arrival(at_us=AT_NOON.at_us + 5, time_basis="live")
    assert modem.feed(LTE_LINE, AT_NOON) == []
    [cell] = cells(modem.feed(b"\r\n", later))
    assert cell.stamp.at_us == later.at_us


def test_unsolicited_lines_between_answers_are_counted_and_hide_nothing() -> None:
    noise = b"\r\nRING\r\n+CREG: 2\r\n\r\nRDY\r\n"
    items = heard(SESSION.replace(b"\r\n+QENG", b"\r\n" + noise + b"+QENG"))
    assert len(cells(items)) == 3
    passed_over = refusals(items)
    assert {item.raw for item in passed_over} == {b"RING", b"+CREG", b"RDY"}
    assert not any(item.is_damage for item in passed_over)


def test_a_torn_line_is_kept_with_its_place_and_the_next_is_read() -> None:
    items = heard(GSM_LINE[:40] + b"\r\n" + GSM_LINE + b"\r\n" + GSM_LINE[30:] + b"\r\n")
    assert len(cells(items)) == 1
    assert [(item.place, item.raw, item.is_damage) for item in refusals(items)] == [
        ("line 1", GSM_LINE[:40], True),
        ("line 3", GSM_LINE[30:], True),
    ]


def test_a_line_without_its_end_is_refused_when_the_stream_breaks() -> None:
    """Its last number may be half a number."""
    modem = dialect()
    modem.feed(GSM_LINE, AT_NOON)
    [item] = modem.close()
    assert isinstance(item, Unreadable)
    assert item.raw == GSM_LINE
    assert cells(modem.feed(b"\r\n" + LTE_LINE + b"\r\n", AT_NOON))
    assert modem.close() == []


@pytest.mark.parametrize(
    "line",
    [
        b"460012345678901",
        b"89860012345678901234F",
        b'+CLIP: "+8613800138000",145',
        b"+QCCID: 89860012345678901234",
        b"torn ID: 89860012345678901234",
        b'+QENG: "servingcell","460012345678901"',
    ],
)
def test_no_identity_of_a_subscriber_is_kept(line: bytes) -> None:
    [item] = refusals(heard(line + b"\r\n"))
    assert b"3800138" not in item.raw
    assert b"12345678901" not in item.raw
    assert "12345678901" not in item.reason


def test_an_endless_line_is_one_refusal() -> None:
    items = heard(*[b"U" * 5000] * 20, b"\n", LTE_LINE + b"\n")
    [refusal] = refusals(items)
    assert refusal.reason == "a line of 100000 bytes"
    assert len(refusal.raw) == 512
    assert len(cells(items)) == 1


def test_a_doubled_stream_gives_every_cell_twice() -> None:
    assert len(cells(heard(SESSION, SESSION))) == 6


PIECES = st.sampled_from(
    [SESSION, LTE_LINE, GSM_LINE, SEARCH, SERVING, END, b"\r\n", b"\n", b"\r", b"RING\r\n"]
)
STREAMS = st.lists(PIECES | st.binary(max_size=12), max_size=12).map(b"".join)


@given(STREAMS, st.data())
def test_any_chunking_gives_the_same_items(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert heard(*chunks) == heard(stream)
    assert heard(*(bytes([byte]) for byte in stream)) == heard(stream)


@given(st.binary(max_size=400) | STREAMS)
@example(b"\x00" * 2000)
def test_any_bytes_are_read_or_refused_and_never_raise(stream: bytes) -> None:
    for item in heard(stream):
        if isinstance(item, Unreadable):
            assert item.reason
            assert item.place.startswith("line ")
            assert len(item.raw) <= 512


@given(st.data())
@settings(max_examples=60)
def test_damage_costs_only_the_lines_it_hits(data: st.DataObject) -> None:
    """Of many intact lines with one burst of garbage, all but the hit ones are read."""
    lines = [GSM_LINE.replace(b",23,", b",%d," % n) for n in range(1, 31)]
    stream = bytearray(b"\r\n".join(lines) + b"\r\n")
    at = data.draw(st.integers(0, len(stream) - 10))
    stream[at : at + 10] = data.draw(st.binary(min_size=10, max_size=10))
    whole = {cell.channel for cell in cells(heard(bytes(stream)))}
    assert len(whole & set(range(1, 31))) >= 28


# -- transcripts ----------------------------------------------------------------------------------


def times_s(items: list[Item]) -> list[float]:
    return [cell.stamp.at_us / 1e6 for cell in cells(items)]


def test_each_answered_command_of_a_transcript_is_one_second() -> None:
    items = list(read_transcript(SESSION * 2, "log.txt", "modem0"))
    assert times_s(items) == [0, 1, 1, 2, 3, 3]
    assert {cell.stamp.time_basis for cell in cells(items)} == {"synthetic"}
    assert {cell.stamp.received_us for cell in cells(items)} == {None}


def test_a_transcript_with_a_start_is_recorded_time() -> None:
    items = list(read_transcript(SESSION, "log.txt", "modem0", start_us=7_000_000))
    assert times_s(items) == [7, 8, 8]
    assert {cell.stamp.time_basis for cell in cells(items)} == {"recorded"}


@pytest.mark.parametrize(
    ("content", "times"),
    [
        (SERVING + SERVING + LTE_LINE + END, [0]),  # the echo repeated
        (SERVING + LTE_LINE + b"\r\n" + NEIGHBOURS + GSM_LINE + b"\r\n", [0, 1]),  # no OK
        (LTE_LINE + END + LTE_LINE + END, [0, 1]),  # no echo
        (LTE_LINE + b"\n" + SEARCH + b"\n" + LTE_LINE + b"\n", [0, 2]),  # neither
        (SERVING + b"ERROR\r\n" + SERVING + LTE_LINE + END, [1]),
        (LTE_LINE, [0]),  # no line feed at the end of the file
        (b"\xef\xbb\xbf" + LTE_LINE, [0]),
        (b"a heading\n\n" + SERVING + LTE_LINE + END, [0]),
    ],
)
def test_rounds_are_told_apart_whatever_a_log_leaves_out(
    content: bytes, times: list[float]
) -> None:
    assert times_s(list(read_transcript(content, "log.txt", "modem0"))) == times


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_transcript_has_no_items(content: bytes) -> None:
    assert list(read_transcript(content, "log.txt", "modem0")) == []


@given(STREAMS)
def test_rounds_lose_no_byte(stream: bytes) -> None:
    assert b"".join(line for one in rounds(stream) for line in one.lines) == stream


@given(STREAMS)
def test_a_transcript_holds_what_the_stream_held(stream: bytes) -> None:
    """Rounds give times; they change neither readings nor places."""
    recorded = list(read_transcript(stream + b"\n", "ttyUSB2", "modem0"))
    live = heard(stream.removeprefix(b"\xef\xbb\xbf") + b"\n")
    assert [(c.raw, c.stamp.place) for c in cells(recorded)] == [
        (c.raw, c.stamp.place) for c in cells(live)
    ]
    assert refusals(recorded) == refusals(live)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (SESSION, True),
        (LTE_LINE, True),
        (b"notes\r\n\r\n  AT+QSCAN=3,1\r\n", True),
        (b"\xef\xbb\xbf" + LTE_LINE, True),
        (b"", False),
        (b"AT+CENG=3,1\r\n", False),
        (b"see +QENG in the manual", False),
        (b"+QENGINE: 1\n", False),
        (LTE_LINE + b"\n\0", False),
        (b"\xd4\xc3\xb2\xa1", False),
    ],
)
def test_a_transcript_is_known_by_its_lines(head: bytes, expected: bool) -> None:
    assert looks_like_transcript(head) is expected
