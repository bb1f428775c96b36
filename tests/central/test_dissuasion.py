"""Message, call, visit: in this order, and no further than the level allows."""

from __future__ import annotations

import pytest

from central.dissuasion import Next, Outcome, Risk, Step, Tried, check_message, next_step

FAILED = {step: Tried(step, Outcome.FAILED) for step in Step}


def test_each_step_follows_only_a_failed_one() -> None:
    tried: list[Tried] = []
    for step in Step:
        assert next_step(Risk.HIGH, tried) == Next(step, is_done=False, is_escalated=False)
        tried.append(FAILED[step])
    assert next_step(Risk.HIGH, tried).step is None
    done = [FAILED[Step.SMS], Tried(Step.CALL_96110, Outcome.OK)]
    assert next_step(Risk.HIGH, done) == Next(None, is_done=True, is_escalated=False)


@pytest.mark.parametrize(("risk", "steps"), [(Risk.LOW, 1), (Risk.MEDIUM, 2), (Risk.HIGH, 3)])
def test_the_level_sets_how_far_one_goes(risk: Risk, steps: int) -> None:
    tried = [FAILED[step] for step in list(Step)[:steps]]
    assert next_step(risk, tried) == Next(None, is_done=False, is_escalated=False)


def test_a_skipped_step_and_one_after_success_are_refused() -> None:
    for tried in (
        [FAILED[Step.CALL_96110]],
        [Tried(Step.SMS, Outcome.OK), FAILED[Step.CALL_96110]],
        [FAILED[Step.SMS], FAILED[Step.CALL_96110], FAILED[Step.FACE_TO_FACE]],
    ):
        risk = Risk.MEDIUM if len(tried) == 3 else Risk.HIGH
        with pytest.raises(ValueError, match="not the step that was due"):
            next_step(risk, tried)


def test_the_third_refusal_escalates() -> None:
    refused = [Tried(Step.SMS, Outcome.REFUSED)]
    assert not next_step(Risk.HIGH, refused, former_refusals=1).is_escalated
    assert next_step(Risk.HIGH, refused, former_refusals=2).is_escalated


@pytest.mark.parametrize(
    "text", ["点 http://a.cn/x", "见 www.a.b", "请回拨13800000000", "a-b.top 查询"]
)
def test_a_message_with_a_link_or_a_number_is_never_sent(text: str) -> None:
    with pytest.raises(ValueError, match="no link"):
        check_message(text)


def test_a_plain_warning_may_be_sent() -> None:
    assert "96110" in check_message("您可能正在遭遇诈骗，请接听 96110 来电。")
