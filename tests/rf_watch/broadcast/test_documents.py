"""The generated rules are those of the code, and every rule is fired by a test of this folder."""

from __future__ import annotations

from pathlib import Path

from rf_watch.broadcast.documents import rules_document
from rf_watch.broadcast.rules import BROADCAST_RULES

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_is_fresh() -> None:
    text = (ROOT / "docs" / "rules-broadcast.md").read_text("utf-8")
    assert text == rules_document(), "run make schemas"


def test_every_rule_is_named_in_the_guide() -> None:
    guide = (ROOT / "docs" / "detection-broadcast.md").read_text("utf-8")
    assert [rule.id for rule in BROADCAST_RULES if rule.id not in guide] == []
