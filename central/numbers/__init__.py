"""Numbers to block, in four steps: dedupe, review, evaluate, optimise."""

from central.numbers.dedupe import Merged, NumberStore, Row, normalise
from central.numbers.loop import (
    Evaluation,
    Pushed,
    PushState,
    evaluate,
    push_state,
)
from central.numbers.review import (
    HOTLINES,
    IMPERSONATED_NOT_FRAUD,
    Rejected,
    Review,
    review,
)

__all__ = [
    "HOTLINES",
    "IMPERSONATED_NOT_FRAUD",
    "Evaluation",
    "Merged",
    "NumberStore",
    "PushState",
    "Pushed",
    "Rejected",
    "Review",
    "Row",
    "evaluate",
    "normalise",
    "push_state",
    "review",
]
