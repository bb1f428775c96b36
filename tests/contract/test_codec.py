"""Records on the wire: round trips, strictness, and the JSON view that the schema describes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import cbor2
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import UnixMicros
from contract.accounts import CardRef, card_ref
from contract.codec import (
    DecodeError,
    Key,
    check_time,
    decode,
    encode,
    from_map,
    plan,
    rfc3339,
    to_json,
    to_map,
)
from contract.documents import schemas
from contract.messages import (
    FaceEvidence,
    Health,
    MachineAlarm,
    PartHealth,
    Receipt,
    SeqRange,
    State,
    WithdrawalDecision,
)
from contract.words import (
    Decision,
    DecisionReason,
    DeviceKind,
    MachineAlarmKind,
    Pad,
    PartState,
    PinVerdict,
    Presence,
)
from tests.samples import a_detection

SAMPLES: dict[str, Any] = {
    "detection": a_detection(),
    "machine_alarm": MachineAlarm(
        alarm=MachineAlarmKind.SECOND_CLIENT,
        detail="2 clients",
        is_closed=True,
        at=UnixMicros(1_764_043_200_000_000),
        count=3,
    ),
    "withdrawal_decision": WithdrawalDecision(
        visit="7",
        business="withdraw",
        amount_fen=200_000,
        card=CardRef(hmac=b"\x01" * 32, last4="0018"),
        pin=PinVerdict.OK,
        face=FaceEvidence(
            engine="sface",
            model_sha256=b"\x02" * 32,
            similarity=None,
            threshold=0.414,
            pad=Pad.CHALLENGE,
            is_simulated=True,
        ),
        decision=Decision.REFER_TO_COUNTER,
        reason=DecisionReason.LIVENESS_UNAVAILABLE,
        policy_version="1",
        started_at=UnixMicros(1),
        decided_at=UnixMicros(2),
    ),
    "health": Health(
        uptime_s=5,
        version="0.1.0",
        parts=(
            PartHealth(name="uplink", state=PartState.OK, counters={"published": 4, "age_s": 0.5}),
        ),
    ),
    "state": State(
        presence=Presence.ONLINE, session=b"\x03" * 8, kind=DeviceKind.VAN, version="0.1.0"
    ),
    "receipt": Receipt(
        device="van-1", up_to=9, head=b"\x04" * 32, ranges=(SeqRange(first=12, last=14),)
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_record_survives_the_wire(name: str) -> None:
    record = SAMPLES[name]
    assert from_map(type(record), decode(encode(to_map(record)))) == record


@pytest.mark.parametrize("name", SAMPLES)
def test_the_json_view_is_what_the_schema_says(name: str) -> None:
    document = schemas()
    jsonschema.Draft202012Validator.check_schema(document)
    schema = {**document["$defs"][name], "$defs": document["$defs"]}
    jsonschema.validate(to_json(SAMPLES[name]), schema)
    broken = {**to_json(SAMPLES[name])}
    broken.pop(next(iter(broken)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=40),
    st.sampled_from([Presence.ONLINE, PartState.OK, SeqRange(first=1, last=1)]),
    st.lists(st.integers() | st.text(max_size=2), max_size=2).map(tuple),
    st.dictionaries(st.text(max_size=2) | st.integers(), st.floats() | st.integers(), max_size=2),
)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_what_can_be_packed_can_be_read(name: str, data: st.DataObject) -> None:
    """A message that its sender numbers and no reader takes would be a hole in a chain."""
    field = data.draw(st.sampled_from(dataclasses.fields(SAMPLES[name])))
    value: Any = data.draw(JUNK)
    try:
        packed = encode(to_map(dataclasses.replace(SAMPLES[name], **{field.name: value})))
    except (ValueError, TypeError, AttributeError, ArithmeticError, cbor2.CBORError):
        return  # refused where it is made
    assert isinstance(from_map(type(SAMPLES[name]), decode(packed)), type(SAMPLES[name]))


@pytest.mark.parametrize(("wall", "mono"), [(2**58, 0), (-(2**60), 0), (0, 2**63)])
def test_a_moment_that_no_reader_takes_is_named(wall: int, mono: int) -> None:
    check_time(1_700_000_000_000_000, 5)
    with pytest.raises(ValueError, match="cannot be written"):
        check_time(wall, mono)


def test_unknown_fields_are_passed_over_and_missing_ones_named() -> None:
    values = to_map(SAMPLES["receipt"])
    assert from_map(Receipt, {**values, 20: "new"}) == SAMPLES["receipt"]
    del values[1]
    with pytest.raises(DecodeError, match=r"receipt\.up_to: missing"):
        from_map(Receipt, values, "receipt")


@pytest.mark.parametrize(
    ("key", "wrong", "place"),
    [
        (1, "9", r"up_to: expected int, found str"),
        (1, True, r"up_to: expected int, found bool"),
        (1, 2**64, r"up_to: outside 64 bits"),
        (2, "x", r"head: expected bytes"),
        (3, [[1, 2]], r"ranges\[0\]: expected a map"),
    ],
)
def test_a_wrong_type_is_named_with_its_place(key: int, wrong: Any, place: str) -> None:
    with pytest.raises(DecodeError, match=place):
        from_map(Receipt, {**to_map(SAMPLES["receipt"]), key: wrong})


@pytest.mark.parametrize("moment", [-62_135_596_800_000_001, 253_402_300_800_000_000])
def test_a_time_that_no_calendar_holds_is_refused(moment: int) -> None:
    decision = SAMPLES["withdrawal_decision"]
    with pytest.raises(DecodeError, match="decided_at: a time outside the years 1 to 9999"):
        from_map(WithdrawalDecision, {**to_map(decision), 10: moment})
    for edge in (moment + 1, moment - 1):
        if -62_135_596_800_000_000 <= edge <= 253_402_300_799_999_999:
            read = from_map(WithdrawalDecision, {**to_map(decision), 10: edge})
            assert to_json(read)["decided_at"].endswith("Z")


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("long integer form", bytes.fromhex("1801")),
        ("duplicate key", bytes.fromhex("a201000101")),
        ("keys out of order", bytes.fromhex("a202000100")),
        ("trailing byte", bytes.fromhex("0000")),
        ("float64 that fits float16", bytes.fromhex("fb3ff0000000000000")),
        ("indefinite array", bytes.fromhex("9f00ff")),
        ("a tag that holds itself as a key", bytes.fromhex("a1d81cd2d81d0040")),
    ],
)
def test_only_the_deterministic_form_is_taken(what: str, raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw, what)


@given(st.binary(max_size=200))
def test_decode_raises_nothing_but_decode_error(raw: bytes) -> None:
    try:
        value = decode(raw)
    except DecodeError:
        return
    assert cbor2.dumps(value, canonical=True) == raw


def test_keys_stay_where_the_order_is_canonical() -> None:
    @dataclass(frozen=True)
    class TooFar:
        value: Annotated[int, Key(24)]

    @dataclass(frozen=True)
    class Twice:
        one: Annotated[int, Key(0)]
        two: Annotated[int, Key(0)]

    for record in (TooFar, Twice):
        with pytest.raises(TypeError):
            plan(record)


def test_times_are_utc_with_microseconds() -> None:
    assert rfc3339(UnixMicros(1_700_000_000_000_001)) == "2023-11-14T22:13:20.000001Z"


def test_a_card_is_never_in_its_reference() -> None:
    pan = "6210123456789012346"
    reference = card_ref(pan, b"k" * 32)
    assert reference.last4 == "2346"
    assert pan.encode() not in encode(to_map(reference))
    assert reference.hmac != card_ref(pan, b"l" * 32).hmac
    with pytest.raises(ValueError, match="12 to 19 digits") as refused:
        card_ref("62101234567890123a", b"k" * 32)
    assert "6210" not in str(refused.value)
    with pytest.raises(ValueError, match="tenant key"):
        card_ref(pan, b"short")


def test_an_encoding_that_failed_leaves_nothing_behind() -> None:
    ring: list[object] = [1]
    ring.append(ring)
    shared = [1, 2]
    for _ in range(3):
        with pytest.raises((cbor2.CBORError, RecursionError)):
            encode([shared, {"x": ring}])
        assert encode([shared, shared]) == cbor2.dumps([shared, shared], canonical=True)
