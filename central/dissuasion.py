"""Dissuasion in three steps: a message, a call of 96110, a visit; the next only if one failed.

Pure: what is to be done follows from the level and from what was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """Ways to reach somebody, in their order."""

    SMS = "SMS"
    CALL_96110 = "CALL_96110"
    FACE_TO_FACE = "FACE_TO_FACE"


class Outcome(StrEnum):
    """What became of a step."""

    OK = "OK"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    """Reached, and would not listen: the step failed, and refusals are counted."""


class Risk(StrEnum):
    """How far one may go: low the first step, medium two, high all three."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


MAX_REFUSALS = 3
"""The third refusal is a case for a commander."""

_STEPS = {Risk.LOW: 1, Risk.MEDIUM: 2, Risk.HIGH: 3}
_LINK_OR_NUMBER = re.compile(r"://|www\.|\b[\w-]+\.(?:com|cn|net|org|top|xyz)\b|\d{5,}", re.I)


@dataclass(frozen=True, slots=True)
class Tried:
    """A step and its recorded outcome."""

    step: Step
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done now."""

    step: Step | None
    is_done: bool
    is_escalated: bool


def next_step(risk: Risk, tried: Sequence[Tried], former_refusals: int = 0) -> Next:
    """Return the next step; raises ValueError where the record skipped one or went on after OK."""
    allowed = list(Step)[: _STEPS[risk]]
    for number, one in enumerate(tried):
        is_in_order = number < len(allowed) and one.step is allowed[number]
        if not is_in_order or any(t.outcome is Outcome.OK for t in tried[:number]):
            raise ValueError(f"{one.step.value} is not the step that was due")
    if tried and tried[-1].outcome is Outcome.OK:
        return Next(None, is_done=True, is_escalated=False)
    refusals = former_refusals + sum(t.outcome is Outcome.REFUSED for t in tried)
    is_escalated = refusals >= MAX_REFUSALS
    if len(tried) >= len(allowed):
        return Next(None, is_done=False, is_escalated=is_escalated)
    return Next(allowed[len(tried)], is_done=False, is_escalated=is_escalated)


def check_message(text: str) -> str:
    """Return a message that may be sent; ValueError: it holds a link or a number to call back.

    The warning port 12381 sends neither: whoever finds one in such a message knows it is false.
    """
    if _LINK_OR_NUMBER.search(text.replace("12381", "").replace("96110", "")):
        raise ValueError("a warning carries no link and no number to call back")
    return text
