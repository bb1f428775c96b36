"""The one table of permissions: what it covers, and that the docs say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.access import Action, access_table, device_may, owner_of

DOCS = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.mark.parametrize(
    ("action", "topic", "is_permitted"),
    [
        (Action.PUBLISH, "v1/demo/up/van-1/evt", True),
        (Action.PUBLISH, "v1/demo/state/van-1", True),
        (Action.PUBLISH, "v1/demo/up/van-2/evt", False),
        (Action.PUBLISH, "v1/other/up/van-1/evt", False),
        (Action.PUBLISH, "v1/demo/down/van-1/ord", False),
        (Action.PUBLISH, "v1/demo/state/van-1/more", False),
        (Action.PUBLISH, "$SYS/broker", False),
        (Action.SUBSCRIBE, "v1/demo/down/van-1/#", True),
        (Action.SUBSCRIBE, "v1/demo/down/van-1/rcpt", True),
        (Action.SUBSCRIBE, "v1/demo/down/+/rcpt", False),
        (Action.SUBSCRIBE, "v1/demo/down/#", False),
        (Action.SUBSCRIBE, "#", False),
        (Action.SUBSCRIBE, "v1/demo/up/van-1/#", False),
        (Action.SUBSCRIBE, "", False),
    ],
)
def test_what_a_device_may(action: Action, topic: str, is_permitted: bool) -> None:
    assert device_may(action, topic, tenant="demo", device="van-1") is is_permitted


@pytest.mark.parametrize(
    ("topic", "owner"),
    [
        ("v1/demo/up/van-1/evt", "van-1"),
        ("v1/demo/state/van-1", "van-1"),
        ("v1/demo/down/+/rcpt", None),
        ("v1/demo", None),
        ("#", None),
    ],
)
def test_whose_topic_it_is(topic: str, owner: str | None) -> None:
    assert owner_of(topic) == owner


def test_the_docs_hold_the_table_as_the_code_has_it() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert access_table() in text, "docs/security.md is stale: paste contract.access.access_table()"
