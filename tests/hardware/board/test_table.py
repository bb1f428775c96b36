"""The one table, and the files made from it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.board import messages
from hardware.board.generate import documents
from hardware.board.messages import COMMAND_TYPES, EVENTS, MESSAGE_TYPES
from hardware.board.table import MAX_PAYLOAD, MESSAGES, PROTOCOL, Lane

ALL = [*MESSAGE_TYPES.values(), *COMMAND_TYPES.values()]


def test_the_generated_files_are_current() -> None:
    stale = [p.name for p, text in documents().items() if p.read_text(encoding="utf-8") != text]
    assert stale == [], "run make schemas"


def test_a_stale_file_is_noticed(tmp_path: Path) -> None:
    book = tmp_path / "docs" / "firmware.md"
    book.parent.mkdir()
    book.write_text(
        "# x\n<!-- messages -->\nSTALE\n<!-- end of messages -->\nrest\n", encoding="utf-8"
    )
    wanted = documents(tmp_path)[book]
    assert "STALE" not in wanted
    assert wanted.startswith("# x\n")
    assert wanted.endswith("<!-- end of messages -->\nrest\n")


def test_types_fit_the_table() -> None:
    assert PROTOCOL == 1
    for row in MESSAGES:
        kind = getattr(messages, row.name)
        assert row.type == kind.TYPE
        assert (row.type >= 0x40) == (row.lane is Lane.COMMAND)
        assert struct.calcsize(row.layout) <= MAX_PAYLOAD
        assert (kind in EVENTS) == (row.lane is Lane.EVENT)


@pytest.mark.parametrize("kind", ALL, ids=lambda k: k.__name__)
@given(data=st.data())
def test_any_payload_is_read_and_written_back_or_refused(
    kind: type[messages.Message] | type[messages.Command], data: st.DataObject
) -> None:
    size = kind.LAYOUT.size
    payload = data.draw(st.binary(min_size=size, max_size=size + (9 if kind.HAS_TAIL else 0)))
    assert kind.unpack(payload).pack() == payload
    wrong = data.draw(st.binary(max_size=size + 9))
    try:
        assert kind.unpack(wrong).pack() == wrong
    except struct.error:
        assert len(wrong) != size
