"""The demo's own page client: it takes the stream apart as a browser does."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from qianshao.demo.story import Story
from qianshao.demo.witness import Witness, _frames, percentile

STREAM = b"""retry: 2000

id: 4
event: snapshot
data: {"alerts": [{"id": 1, "kind": "A", "fired_at": null}]}

: still here

id: 5
event: alert
data: {"change": "raised",
data:  "alert": {"id": 2, "kind": "B", "fired_at": "2026-01-02T03:04:05.000000Z"}}

"""


def test_frames_are_taken_apart() -> None:
    frames = list(_frames(cast(Any, io.BytesIO(STREAM))))
    assert [(name, event_id) for name, event_id, _ in frames] == [("snapshot", "4"), ("alert", "5")]
    assert frames[1][2]["alert"]["id"] == 2


def test_an_alert_counts_once_and_only_live_ones_are_timed() -> None:
    told: list[tuple[int, bool]] = []
    witness = Witness(1, "key", lambda alert, ms: told.append((alert["id"], ms is not None)))
    for name, _, data in 2 * list(_frames(cast(Any, io.BytesIO(STREAM)))):
        witness._take(name, data)
    assert told == [(1, False), (2, True)]
    assert set(witness.alerts) == {1, 2}
    assert len(witness.latencies_ms) == 1


def test_an_escalation_is_told_again_but_not_timed_again() -> None:
    told: list[tuple[str, bool]] = []
    witness = Witness(1, "key", lambda alert, ms: told.append((alert["kind"], ms is not None)))
    for kind in ("FAKE_BTS_SUSPECTED", "FAKE_BTS_SUSPECTED", "FAKE_BTS_CONFIRMED"):
        alert = {"id": 7, "kind": kind, "fired_at": "2026-01-02T03:04:05.000000Z"}
        witness._take("alert", {"change": "updated", "alert": alert})
    assert told == [("FAKE_BTS_SUSPECTED", True), ("FAKE_BTS_CONFIRMED", False)]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0, 9.0], 0.5, 3.0),
        ([7.0], 0.95, 7.0),
        ([float(n) for n in range(100)], 0.95, 94.0),
    ],
)
def test_percentiles(values: list[float], share: float, expected: float | None) -> None:
    assert percentile(values, share) == expected


def test_the_story_tells_what_matters_and_keeps_quiet_about_the_rest() -> None:
    out = io.StringIO()
    story = Story(out)
    story.hear("van", {"event": "link_up"})
    story.hear("van", {"event": "link_down", "detail": "connection refused"})
    story.hear("atm", {"event": "withdrawal_decision_enqueued", "visit": "3", "decision": "DENY",
                       "reason": "FACE_MISMATCH", "is_simulated": True})  # fmt: skip
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "no connection to the broker (connection refused)" in lines[0]
    assert "visit 3: DENY (FACE_MISMATCH)" in lines[1]
    assert "[simulated camera]" in lines[1]
