"""The form of an order, the files of signatures, and what bytes say of themselves: any input."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.clocks import local
from central.orders.content import content_of, read_own_content
from central.orders.entry import FIELDS, EntryError, fill, read_entry, read_paste
from central.orders.kinds import OrderKind
from central.orders.signing import (
    SigningError,
    read_signatures,
    read_signing_file,
    signatures_file,
    signing_file,
)
from contract.cosign import Signature
from qianshao.order_sign import read_content
from tests.central.test_order_desk import Office
from tests.orders import NOW

GOOD = {
    "kind": "stop_payment",
    "number": "6217000000000000012",
    "name": "张三",
    "amount": "46000",
    "transfer_at": "20260102100000",
    "case": "C-1",
    "area": "140500",
}


@pytest.mark.parametrize(
    ("typed", "fen"),
    [("46,000.00", 4_600_000), ("￥４６０００", 4_600_000), ("0.01", 1), ("1 234.5元", 123_450)],
)
def test_amounts_as_people_write_them(typed: str, fen: int) -> None:
    assert read_entry({**GOOD, "amount": typed}, NOW).amount_fen == fen


@pytest.mark.parametrize(
    "typed",
    [
        "2026-01-02 10:00:00",
        "2026/1/2 10:00",
        "2026-01-02T10:00",
        "2026年1月2日 10:00",
        "２０２６-01-02 10:00",
    ],
)
def test_times_as_people_write_them(typed: str) -> None:
    at = read_entry({**GOOD, "transfer_at": typed}, NOW).transfer_at
    assert f"{local(at):%Y-%m-%d %H:%M:%S}" == "2026-01-02 10:00:00"


def test_what_was_typed_wins_over_what_was_pasted() -> None:
    filled = fill({"name": "李四", "paste": "户名: 张三\n案件编号：C-9\nunknown: x\n账号"})
    assert (filled["name"], filled["case"], filled["number"]) == ("李四", "C-9", "")


def test_all_mistakes_are_told_at_once_and_nothing_typed_is_repeated() -> None:
    with pytest.raises(EntryError) as error:
        read_entry({**GOOD, "number": "62170000", "amount": "x", "area": ""}, NOW)
    assert error.value.mistakes == {"number": "NUMBER", "amount": "AMOUNT", "area": "AREA"}
    assert "62170000" not in str(error.value)


texts = st.text(max_size=60) | st.sampled_from(["person", "freeze", "watch", *GOOD.values()])


@given(st.dictionaries(st.sampled_from(FIELDS), texts))
def test_any_form_is_taken_or_refused(typed: dict[str, str]) -> None:
    with contextlib.suppress(EntryError):
        entry = read_entry({**GOOD, **typed}, NOW)
        assert 0 <= entry.amount_fen <= 10**13
        assert 1 <= entry.tier <= 9
    assert set(read_paste(typed.get("paste", ""))) <= set(FIELDS)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=10,
)  # fmt: skip
names = st.sampled_from(["order_id", "protected", "value", "content", "x"])
hexes = st.binary(max_size=70).map(bytes.hex) | anything


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda schema, rows, tenant: json.dumps(
            {"schema": schema, "signatures": rows, "orders": rows, "tenant": tenant}
        ).encode(),
        st.sampled_from(["qianshao-signatures/1", "qianshao-to-sign/1", "x"]),
        st.lists(st.dictionaries(names, hexes) | anything, max_size=3) | anything,
        anything,
    )
)
def test_any_file_of_signatures_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(SigningError):
        assert all(len(name) == 16 for name in read_signatures(raw))
    with contextlib.suppress(SigningError):
        assert read_signing_file(raw)[0] is not None


@given(
    st.dictionaries(
        st.binary(min_size=16, max_size=16), st.binary(max_size=90), min_size=1, max_size=3
    )
)
def test_the_files_read_back(contents: dict[bytes, bytes]) -> None:
    assert read_signing_file(signing_file(contents, "demo")) == ("demo", contents)
    parts = {name: Signature(content, bytes(64)) for name, content in contents.items()}
    assert read_signatures(signatures_file(parts)) == parts


@given(st.binary(max_size=120))
def test_any_bytes_say_what_they_are_or_nothing(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_own_content(raw)
    with contextlib.suppress(ValueError):
        read_content(b"\x00" * 16, raw)


@pytest.mark.parametrize(
    ("kind", "changes", "shown"),
    [
        (OrderKind.STOP_PAYMENT, {}, ("**** 0012", "2026-01-04 11:00:00 +08:00", "whole account")),
        (OrderKind.FREEZE, {"limit_fen": 2_800_000}, ("28000.00 yuan",)),
        (OrderKind.WATCH, {"until": NOW + 10**9}, ("watch", "C-1")),
        (OrderKind.CROSS_ATM_LINK, {"until": NOW + 10**9}, ("cross_atm_link", "C-1")),
    ],
)  # fmt: skip
def test_the_signing_command_reads_the_bytes_themselves(
    kind: OrderKind, changes: dict[str, Any], shown: tuple[str, ...]
) -> None:
    application = Office().draft(kind, **changes).application
    content = content_of(application, "central")
    text = " ".join(value for _, value in read_content(application.order_id, content))
    for part in shown:
        assert part in text
    with pytest.raises(ValueError, match="another order"):
        read_content(b"\x01" * 16, content)
