"""Logs: whoever writes a secret into an event, it does not come out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianshao.logs import HIDDEN, hide_secrets

PAN = "6222021234567894"


def through(**event: Any) -> dict[str, Any]:
    return dict(hide_secrets(None, "info", event))


@pytest.mark.parametrize(
    "name", ["pin", "pan", "token", "private_key", "tenant_key", "card_pan", "pin_block", "Token"]
)
def test_a_value_is_hidden_by_its_name(name: str) -> None:
    assert through(**{name: "1234"}) == {name: HIDDEN}


@pytest.mark.parametrize(
    "text",
    [
        f"card {PAN} was refused",
        f"card {PAN[:4]} {PAN[4:8]} {PAN[8:12]} {PAN[12:]}",
        f"card {'-'.join((PAN[:4], PAN[4:8], PAN[8:12], PAN[12:]))}",
        f"Traceback: ValueError('{PAN}')",
    ],
)
def test_a_card_number_is_hidden_wherever_it_stands(text: str) -> None:
    said = json.dumps(through(event=text, inner={"list": [text, (text,)]}, number=int(PAN)))
    assert PAN[:12] not in said.replace(" ", "").replace("-", "")
    assert PAN[-4:] in said


def test_keys_and_tokens_in_texts_are_hidden() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----"
    said = json.dumps(through(event=f"x {pem} y", why="Authorization: Bearer abc.def", raw=b"1234"))
    assert "MC4CAQ" not in said
    assert "abc.def" not in said
    assert through(raw=b"1234") == {"raw": "4 bytes"}
    assert "a9f" not in str(through(detail="token=a9f"))


def test_what_is_no_secret_stays() -> None:
    event = {
        "event": "order_applied",
        "seq": 123,
        "age_s": 1.5,
        "is_known": True,
        "wall": 1_767_322_800_000_001,
        "sha": "6222021234567894ab",
        "pinned": "yes",
        "japan": "x",
        "nothing": None,
    }
    assert through(**event) == event


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.text() | st.integers() | st.binary(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
        ),
        max_size=4,
    )
)
def test_no_event_stops_the_log(event: dict[str, Any]) -> None:
    hide_secrets(None, "info", event)
