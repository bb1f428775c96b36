"""XFS4IoT messages: the published schema and the facts of the current set are the judges."""

from __future__ import annotations

import contextlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hardware.atm.biometric import import_payload, match_payload, read_payload
from hardware.atm.money import Money
from hardware.atm.token import seal_dispense
from hardware.atm.xfs4iot import (
    COMMANDS,
    Dialect,
    Kind,
    Payload,
    XfsError,
    XfsMessage,
    command,
    decode_message,
    dispense_amount,
    dispense_payload,
    encode_message,
    pin_block_payload,
    pin_entry_payload,
    retract_payload,
    versions_payload,
)

TOKEN = seal_dispense("254611E63B2531576314E86527338D61", Money(300_000, "CNY"), bytes(32))


def payload_of(name: str, dialect: Dialect) -> Payload:
    """The payload this product sends with a command."""
    special: dict[str, Payload] = {
        "Common.SetTransactionState": {"state": "active", "transactionID": "w1"},
        "CardReader.ReadRawData": {"track2": True, "chip": True},
        "CardReader.Move": {"from": "transport", "to": "exit"},
        "Keyboard.PinEntry": pin_entry_payload(),
        "PinPad.GetPinBlock": pin_block_payload("6217000000000000012", "PinKey01", dialect),
        "Camera.TakePicture": {"camera": "person"},
        "Common.SetVersions": versions_payload(["CashDispenser", "PinPad"], dialect),
        "Biometric.Import": import_payload(b"template", dialect),
        "Biometric.Read": read_payload(dialect),
        "Biometric.Match": match_payload("id1", 80),
        "Biometric.Clear": {"clearData": "scannedData"},
        "Biometric.SetDataPersistence": {"persistenceMode": "clear"},
        "CashDispenser.Dispense": dispense_payload(Money(300_000, "CNY"), TOKEN, dialect),
        "CashDispenser.Present": {"position": "outDefault"},
        "CashDispenser.GetPresentStatus": {"nonce": "254611E63B2531576314E86527338D61"},
        "CashManagement.Retract": retract_payload(dialect),
    }
    return special.get(name, {})


def sent(name: str, dialect: Dialect) -> dict[str, Any]:
    text = encode_message(command(name, payload_of(name, dialect), 7, dialect), dialect)
    document: dict[str, Any] = json.loads(text)
    return document


@cache
def schema_of_2021(folder: Path) -> dict[str, Any]:
    text = (folder / "atm/xfs4iot/JsonSchema-2021-1.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def judge(folder: Path, document: dict[str, Any]) -> list[str]:
    """Problems the published schema has with a message: its own rule only, the whole is slow."""
    schema = schema_of_2021(folder)
    header = document["header"]
    rules = [
        rule
        for rule in schema["allOf"]
        if _is_about(rule["if"]["properties"]["header"]["properties"], header)
    ]
    assert rules, f"the schema knows no {header['name']} {header['type']}"
    small = {**schema, "allOf": rules}
    return [error.message for error in Draft202012Validator(small).iter_errors(document)]


def _is_about(rule: dict[str, Any], header: dict[str, Any]) -> bool:
    return "name" in rule and all(
        header.get(key) in (want.get("enum") or [want.get("const")]) for key, want in rule.items()
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_what_we_send_is_valid_in_the_published_schema(field_data: Path, name: str) -> None:
    assert judge(field_data, sent(name, Dialect.D2021_1)) == []


def test_the_judge_refuses_what_is_wrong(field_data: Path) -> None:
    good = sent("CardReader.ReadRawData", Dialect.D2021_1)
    good["payload"]["timeout"] = "x"
    assert judge(field_data, good) == ["'x' is not of type 'integer'"]
    moved = sent("CardReader.Move", Dialect.D2021_1)
    moved["payload"]["from"] = "transport$"
    assert judge(field_data, moved) != []


@pytest.mark.parametrize("name", COMMANDS)
def test_what_we_send_uses_only_fields_of_the_current_set(field_data: Path, name: str) -> None:
    path = field_data / "atm/xfs4iot/xfs4iot_message_facts.json"
    facts = json.loads(path.read_text(encoding="utf-8"))["messages"][f"{name}|command"]
    document = sent(name, Dialect.CURRENT)
    assert document["header"]["version"] == facts["version"]
    assert document["header"]["timeout"] == 60_000
    fields = {one["name"]: one for one in facts["fields"]}
    for key, value in document.get("payload", {}).items():
        fact = fields[key]
        if "pattern" in fact and isinstance(value, str):
            assert re.fullmatch(fact["pattern"], value)
        enum = facts["enums"].get(fact["type"].rstrip("?"))
        assert enum is None or value in enum
        wanted = {"string": str, "bool?": bool, "int?": int}.get(fact["type"])
        assert wanted is None or type(value) is wanted


def test_recorded_messages_come_out_again(field_data: Path) -> None:
    path = field_data / "atm/xfs4iot/kal_wire_messages.json"
    recorded = json.loads(path.read_text(encoding="utf-8"))
    texts = [text for text in _texts(recorded) if '"header"' in text]
    assert len(texts) >= 8
    for text in texts:
        message = decode_message(text)
        again = json.loads(encode_message(message, Dialect.CURRENT))
        assert again["header"].items() >= json.loads(text)["header"].items()
        assert again.get("payload", {}) == (json.loads(text).get("payload") or {})


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    found = [text for part in parts for text in _texts(part)]
    if isinstance(value, dict) and "header" in value:
        found.append(json.dumps(value))
    return found


def test_the_composed_withdrawal_decodes(field_data: Path) -> None:
    path = field_data / "atm/xfs4iot/composed_withdrawal_transcript.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    messages = [decode_message(json.dumps(line["json"])) for line in lines]
    assert len(messages) == 26
    (dispense,) = [
        m for m in messages if m.name == "CashDispenser.Dispense" and m.kind is Kind.COMMAND
    ]
    assert dispense_amount(dispense) == {"CNY": 3000}


def completion(dialect: Dialect, code: str) -> XfsMessage:
    return XfsMessage(
        name="CashDispenser.Dispense",
        kind=Kind.COMPLETION,
        request_id=3,
        version="1.0" if dialect is Dialect.D2021_1 else "3.0",
        payload={"errorCode": "notDispensable"},
        completion_code=code,
        error_description="no notes",
    )


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("code", ["commandErrorCode", "authorisationRequired"])
def test_both_dialects_hold_the_same_message(dialect: Dialect, code: str) -> None:
    message = completion(dialect, code)
    assert decode_message(encode_message(message, dialect)) == message
    asked = command("Common.Status", {}, 9, dialect)
    assert decode_message(encode_message(asked, dialect)) == asked


def test_the_dialects_differ_on_the_wire() -> None:
    old = json.loads(
        encode_message(completion(Dialect.D2021_1, "authorisationRequired"), Dialect.D2021_1)
    )
    assert old["payload"]["completionCode"] == "authorizationRequired"
    new = json.loads(encode_message(completion(Dialect.CURRENT, "success"), Dialect.CURRENT))
    assert new["header"]["completionCode"] == "success"
    accepted = XfsMessage(name="A.B", kind=Kind.ACKNOWLEDGE, request_id=1, version="1.0")
    assert json.loads(encode_message(accepted, Dialect.D2021_1))["payload"]["status"] == "ok"
    assert "payload" not in json.loads(encode_message(accepted, Dialect.CURRENT))
    for dialect in Dialect:
        assert decode_message(encode_message(accepted, dialect)).status is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"header":{}}',
        '{"header":{"name":"A.B","type":"command"}}',
        '{"header":{"name":"A.B","type":"command","requestId":true}}',
        '{"header":{"name":"A.B","type":"command","requestId":0}}',
        '{"header":{"name":"AB","type":"command","requestId":1}}',
        '{"header":{"name":"A.B","type":"order","requestId":1}}',
        '{"header":{"name":"A.B","type":"completion","requestId":1,"completionCode":7}}',
        '{"header":{"name":"A.B","type":"command","requestId":1},"payload":[]}',
        '{"header":{"name":"A.B","type":"command","requestId":1},"extra":1}',
        '{"header":{"name":"Common.Status","type":"command","requestId":1,"name":"A.B"}}',
        '{"header":{"name":"A.B","type":"command","requestId":1},"payload":{"a":NaN}}',
        '{"header":{"name":"A.B","type":"command","requestId":1,"timeout":"1"}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(XfsError):
        decode_message(text)
    with pytest.raises(XfsError):
        decode_message(text.encode())


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"denomination": {}},
        {"denomination": {"denomination": {"values": {"unit1": 30}}}},
        {"denomination": {"denomination": {"currencies": {"CNY": 1}, "values": {"unit1": 30}}}},
        {"denomination": {"denomination": {"currencies": {"CNY": "3000"}}}},
        {"denomination": {"denomination": {"app": {"currencies": {"CNY": 1}}}}},
    ],
)
def test_a_dispense_without_a_plain_amount_is_refused(what: Payload) -> None:
    with pytest.raises(XfsError):
        dispense_amount(command("CashDispenser.Dispense", what, 1, Dialect.CURRENT))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["header", "payload", "name", "type"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON.map(json.dumps) | st.text(max_size=80))
def test_any_text_is_a_message_or_an_xfs_error(text: str) -> None:
    with contextlib.suppress(XfsError):
        assert decode_message(text).name
