"""The generated rules are those of the code, and every rule is fired by a test of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from central.web.words import Language, read_catalogue
from rf_watch.broadcast import rivals
from rf_watch.broadcast.documents import rules_document
from rf_watch.broadcast.rules import BROADCAST_RULES, BroadcastFamily, Subkind

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_is_fresh() -> None:
    text = (ROOT / "docs" / "rules-broadcast.md").read_text("utf-8")
    assert text == rules_document(), "run make schemas"


def test_every_rule_is_named_in_the_guide() -> None:
    guide = (ROOT / "docs" / "detection-broadcast.md").read_text("utf-8")
    assert [rule.id for rule in BROADCAST_RULES if rule.id not in guide] == []


@pytest.mark.parametrize("language", list(Language), ids=lambda language: language.value)
def test_the_officers_page_has_words_for_every_rule_family_kind_and_rival(
    language: Language,
) -> None:
    words = read_catalogue(language)
    explanations = [*rivals.BLOCKING, rivals.SPLATTER, rivals.RELAY, rivals.LIST_ERROR]
    asked = [f"rule.{rule.id}" for rule in BROADCAST_RULES]
    asked += [f"family.{family.value}" for family in BroadcastFamily]
    asked += [f"subkind.{kind.value}" for kind in Subkind]
    asked += [f"rival.{explanation}" for explanation in explanations]
    assert [name for name in asked if not words.texts.get(name)] == []
