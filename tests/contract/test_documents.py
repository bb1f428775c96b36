"""The generated documents in docs/contract are those of today's records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.documents import asyncapi, documents
from contract.topics import Channel, Lane, down, state, up

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "contract"


@pytest.mark.parametrize("name", sorted(documents()))
def test_committed_document_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == documents()[name], "run: make schemas"


def test_every_reference_in_the_asyncapi_document_resolves() -> None:
    document = asyncapi()

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [r for value in node.values() for r in references(value)]
        if isinstance(node, list):
            return [r for value in node for r in references(value)]
        return []

    found = references(document)
    assert found
    for reference in found:
        node: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(node, dict)
            node = node[step]
    assert json.loads(json.dumps(document)) == document


def test_addresses_are_those_the_topics_module_builds() -> None:
    built = {
        up("{tenant}", "{device}", Lane.EVIDENCE),
        up("{tenant}", "{device}", Lane.DECISIONS),
        up("{tenant}", "{device}", Lane.HEALTH),
        state("{tenant}", "{device}"),
        *(down("{tenant}", "{device}", channel) for channel in Channel),
    }
    assert {channel["address"] for channel in asyncapi()["channels"].values()} == built
