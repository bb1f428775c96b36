"""Numbers from many feeds to a block that a person approved, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.numbers import (
    HOTLINES,
    IMPERSONATED_NOT_FRAUD,
    Merged,
    NumberStore,
    Pushed,
    PushState,
    Row,
    evaluate,
    normalise,
    push_state,
    review,
)
from central.numbers.dedupe import NumberError
from contract.clock import UnixMicros

ROWS = [
    "10010",
    "+86 10010",
    "17100005678",
    "１７１００００５６７８",
    "17100009999",
    "0086 17100009999",
]


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[NumberStore]:
    store = NumberStore(tmp_path / "numbers.sqlite3")
    yield store
    store.close()


def test_six_rows_are_three_numbers_and_a_hotline_is_never_blocked(numbers: NumberStore) -> None:
    assert numbers.add(Row(text, "feed", line) for line, text in enumerate(ROWS, 1)) == []
    assert len(numbers) == 3
    found = list(numbers)
    assert found[0] == Merged("10010", (("feed", 1), ("feed", 2)))
    done = review(merged.number for merged in found)
    assert done.candidates == ("17100005678", "17100009999")
    assert [(r.number, r.reason) for r in done.rejected] == [("10010", IMPERSONATED_NOT_FRAUD)]
    assert done.approve(["17100009999"], "wang") == ("17100009999",)
    for bad in (["10010"], ["1"]):
        with pytest.raises(ValueError, match="may not be blocked"):
            done.approve(bad, "wang")
    with pytest.raises(ValueError, match="named reviewer"):
        done.approve(["17100009999"], "")


def test_a_spoofed_sender_is_rejected_like_a_hotline() -> None:
    assert review(["13800000000"], spoofed={"13800000000"}).candidates == ()


def test_bad_rows_are_refused_by_line_and_the_rest_is_taken(numbers: NumberStore) -> None:
    refused = numbers.add([Row("171 0000 5678", "a", 1), Row("abc", "a", 2), Row("", "a", 3)])
    assert [row.line for row, _ in refused] == [2, 3]
    assert len(numbers) == 1


def test_the_same_file_twice_adds_nothing(numbers: NumberStore) -> None:
    rows = [Row(str(17_100_000_000 + n % 500), "a", n) for n in range(2000)]
    numbers.add(rows)
    numbers.add(rows)
    assert len(numbers) == 500
    assert sum(len(merged.sources) for merged in numbers) == 2000


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_an_error_and_normalising_twice_changes_nothing(text: str) -> None:
    try:
        number = normalise(text)
    except NumberError:
        return
    assert number.removeprefix("+").isdigit()
    if not number.startswith(("+86", "0086")):
        assert normalise(number) == number


@given(st.sampled_from(sorted(HOTLINES)), st.sampled_from(["", "+86", "0086 ", "+86-"]))
def test_no_spelling_of_a_hotline_gets_past(number: str, prefix: str) -> None:
    assert review([normalise(prefix + number)]).candidates == ()


def test_what_still_calls_goes_back_to_its_carrier() -> None:
    pushed = [
        Pushed(
            number=str(n),
            carrier="A" if n % 2 else "B",
            rule="R1",
            pushed_at=UnixMicros(10),
            done_at=UnixMicros(20 if n < 200 else 2000),
        )
        for n in range(250)
    ]
    seen = {str(n): UnixMicros(99) for n in range(5)} | {"7": UnixMicros(15)}
    found = evaluate(pushed, seen, late_after_us=1000)
    assert found["all"].missed_rate == Fraction(2, 100)
    assert found["all"].missed == ("0", "1", "2", "3", "4")
    assert found["all"].late == 50
    assert (found["carrier A"].pushed, len(found["carrier A"].missed)) == (125, 2)


def test_an_answer_is_due_then_overdue() -> None:
    sent = UnixMicros(0)
    assert push_state(sent, None, UnixMicros(5), 5) is PushState.DUE
    assert push_state(sent, None, UnixMicros(6), 5) is PushState.OVERDUE
    assert push_state(sent, UnixMicros(6), UnixMicros(7), 5) is PushState.ANSWERED
