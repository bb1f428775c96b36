"""Topics: built and taken apart again, and nothing else is let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import topics
from contract.topics import Lane, TopicError, UpTopic, check_id, parse_state, parse_up, state, up


@pytest.mark.parametrize("lane", list(Lane))
def test_an_upward_topic_round_trips(lane: Lane) -> None:
    assert parse_up(up("demo", "van-1", lane)) == UpTopic("demo", "van-1", lane)
    replayed = up("demo", "van-1", lane, is_replay=True)
    assert parse_up(replayed) == UpTopic("demo", "van-1", lane, is_replay=True)
    with pytest.raises(TopicError):
        parse_up(replayed + "x")


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


@pytest.mark.parametrize("channel", list(topics.Channel))
def test_a_downward_topic_is_taken_apart_again(channel: topics.Channel) -> None:
    parsed = topics.parse_down(topics.down("demo", "atm-1", channel))
    assert parsed == topics.DownTopic("demo", "atm-1", channel)


@pytest.mark.parametrize(
    "topic",
    ["v1/demo/down/atm-1", "v1/demo/up/atm-1/ord", "v1/demo/down/atm-1/x", "v1/d/down/A/ord"],
)
def test_what_is_no_downward_topic_is_refused(topic: str) -> None:
    with pytest.raises(topics.TopicError):
        topics.parse_down(topic)
