"""A card's limit of a day survives a restart, and a damaged file opens nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.accounts import CardRef
from contract.clock import UnixMicros
from edge_agent.atm.spent import UNKNOWN_FEN, SpentToday

CARD = CardRef(hmac=b"c" * 32, last4="0001")
OTHER = CardRef(hmac=b"o" * 32, last4="0002")
DAY_US = 24 * 3600 * 1_000_000
NOON = UnixMicros(1_764_043_200_000_000)


def test_what_was_drawn_is_known_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "spent.json"
    book = SpentToday(file)
    book.add(CARD, 200_000, NOON)
    book.add(CARD, 100_000, NOON)
    again = SpentToday(file)
    assert (again.of(CARD, NOON), again.of(OTHER, NOON)) == (300_000, 0)
    assert again.of(CARD, UnixMicros(NOON + DAY_US)) == 0
    assert CARD.hmac.hex() in file.read_text()


def test_the_day_ends_at_midnight_in_china(tmp_path: Path) -> None:
    book = SpentToday(tmp_path / "spent.json")
    before = UnixMicros((NOON // DAY_US) * DAY_US + 16 * 3600 * 1_000_000 - 1)  # 23:59:59 UTC+8
    book.add(CARD, 1, before)
    assert (book.of(CARD, before), book.of(CARD, UnixMicros(before + 1))) == (1, 0)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"day": 1}', '{"day": "x", "fen": {}}'])
def test_a_damaged_file_means_that_everybody_drew_all(tmp_path: Path, text: str) -> None:
    file = tmp_path / "spent.json"
    file.write_text(text)
    book = SpentToday(file)
    assert book.of(CARD, NOON) == UNKNOWN_FEN
    book.add(CARD, 1, NOON)
    assert book.of(OTHER, NOON) == UNKNOWN_FEN
    assert book.of(CARD, UnixMicros(NOON + DAY_US)) == 0
    book.add(CARD, 5, UnixMicros(NOON + DAY_US))
    assert SpentToday(file).of(CARD, UnixMicros(NOON + DAY_US)) == 5


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.dictionaries(st.sampled_from(["day", "fen", "x"]), inner, max_size=3),
        max_leaves=6,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(tmp_path: Path, value: object) -> None:
    file = tmp_path / "spent.json"
    file.write_text(json.dumps(value))
    assert SpentToday(file).of(CARD, NOON) in {0, UNKNOWN_FEN}
