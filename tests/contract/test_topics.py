"""Topics: built and taken apart again, and nothing else is let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.topics import Lane, TopicError, UpTopic, check_id, parse_state, parse_up, state, up


@pytest.mark.parametrize("lane", list(Lane))
def test_an_upward_topic_round_trips(lane: Lane) -> None:
    assert parse_up(up("demo", "van-1", lane)) == UpTopic("demo", "van-1", lane)


def test_a_state_topic_round_trips() -> None:
    assert parse_state(state("demo", "van-1")) == ("demo", "van-1")


@pytest.mark.parametrize(
    "bad", ["", "Van", "van.1", "van 1", "-van", "van/1", "a" * 41, "van+", "車"]
)
def test_ids_hold_nothing_that_a_broker_would_read_as_syntax(bad: str) -> None:
    with pytest.raises(TopicError):
        check_id(bad)


@given(st.text(max_size=60))
def test_any_text_is_either_a_topic_or_a_topic_error(text: str) -> None:
    for parse in (parse_up, parse_state):
        try:
            parse(text)
        except TopicError:
            continue
        assert text.startswith("v1/")
