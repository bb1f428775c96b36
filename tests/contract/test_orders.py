"""Orders: two different officers or nothing, no bit may change, and the list of types is closed."""

from __future__ import annotations

import dataclasses
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycose.keys import OKPKey
from pycose.messages import CoseMessage, SignMessage

from contract import UnixMicros
from contract.codec import DecodeError, encode, from_map, to_map
from contract.cosign import (
    MAX_ORDER_BYTES,
    OrderError,
    assemble,
    claimed_id,
    open_order,
    order_content,
    sign_content,
    sign_order,
)
from contract.keys import KeySigner
from contract.orders import (
    RULES,
    SETTINGS,
    AccountRelease,
    Configuration,
    Officers,
    ended_by,
    term_of,
)
from contract.topics import Channel
from contract.words import DeviceKind, OrderRefusal, OrderType, Signatory
from tests.orders import (
    CARD,
    CENTRAL_KEY,
    FIND,
    HOUR_US,
    NOW,
    OFFICERS,
    TENANT,
    a_body,
    an_order,
    officers,
    signed,
)
from tests.samples import P256

LI, WANG, ZHAO = OFFICERS["li"], OFFICERS["wang"], OFFICERS["zhao"]


def refusal_of(raw: bytes, tenant: str = TENANT) -> OrderError:
    with pytest.raises(OrderError) as refused:
        open_order(raw, tenant=tenant, find_key=FIND)
    return refused.value


@pytest.mark.parametrize("type_", list(OrderType))
def test_what_is_signed_comes_back(type_: OrderType) -> None:
    raw = signed(type_)
    if RULES[type_].signatory is Signatory.ROOT:
        assert refusal_of(raw).refusal is OrderRefusal.UNKNOWN_SIGNER  # the central is not the root
        return
    opened = open_order(raw, tenant=TENANT, find_key=FIND)
    assert (opened.order, opened.body, opened.raw) == (an_order(type_), a_body(type_), raw)
    assert len(opened.signers) == RULES[type_].signatures
    assert raw == signed(type_)
    assert claimed_id(raw) == opened.order.order_id


def test_no_single_bit_of_an_order_can_be_changed() -> None:
    raw = signed()
    for position in range(len(raw) * 8):
        touched = bytearray(raw)
        touched[position // 8] ^= 1 << position % 8
        refusal_of(bytes(touched))


def test_signatures_in_another_order_are_the_same_bytes() -> None:
    assert signed(by=[LI, WANG]) == signed(by=[WANG, LI])


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (signed(by=[]), OrderRefusal.NOT_SIGNED),
        (signed(by=[LI]), OrderRefusal.NOT_SIGNED_BY_TWO),
        (signed(by=[LI, LI]), OrderRefusal.NOT_SIGNED_BY_TWO),
        (signed(by=[LI, P256]), OrderRefusal.UNKNOWN_SIGNER),
        (signed(by=[LI, CENTRAL_KEY]), OrderRefusal.UNKNOWN_SIGNER),
        (signed(by=[CENTRAL_KEY]), OrderRefusal.UNKNOWN_SIGNER),
        (signed(tenant="other"), OrderRefusal.BAD_SIGNATURE),
        (signed(OrderType.REPORT_HEALTH, by=[LI, WANG]), OrderRefusal.UNKNOWN_SIGNER),
        (b"", OrderRefusal.MALFORMED),
        (b"\x00" * (MAX_ORDER_BYTES + 1), OrderRefusal.MALFORMED),
        (b"\x81" * 5_000 + b"\x00", OrderRefusal.MALFORMED),
        (signed() + b"\x00", OrderRefusal.MALFORMED),
    ],
)
def test_what_is_not_signed_as_its_type_demands_is_refused(
    raw: bytes, refusal: OrderRefusal
) -> None:
    assert refusal_of(raw).refusal is refusal


def test_a_refused_order_still_says_which_it_claims_to_be() -> None:
    error = refusal_of(signed(by=[]))
    assert (error.order_id, error.type) == (
        an_order(OrderType.STOP_PAYMENT).order_id,
        "stop_payment",
    )


def test_one_bad_signature_beside_two_good_ones_spoils_the_order() -> None:
    content = order_content(an_order(OrderType.FREEZE), a_body(OrderType.FREEZE))
    good = [sign_content(content, tenant=TENANT, signer=KeySigner(k)) for k in (LI, WANG)]
    bad = sign_content(content, tenant="other", signer=KeySigner(ZHAO))
    assert open_order(assemble(content, good), tenant=TENANT, find_key=FIND)
    assert refusal_of(assemble(content, [*good, bad])).refusal is OrderRefusal.BAD_SIGNATURE


def test_a_signed_order_of_an_unknown_type_or_with_a_foreign_body_is_refused() -> None:
    def raw_of(values: dict[int, Any]) -> bytes:
        content = encode(values)
        parts = [sign_content(content, tenant=TENANT, signer=KeySigner(k)) for k in (LI, WANG)]
        return assemble(content, parts)

    head = to_map(an_order(OrderType.STOP_PAYMENT))
    body = to_map(a_body(OrderType.STOP_PAYMENT))
    assert refusal_of(raw_of({**head, 2: "dispense", 11: body})).refusal is (
        OrderRefusal.UNKNOWN_TYPE
    )
    for broken in ({**head, 2: ["x"], 11: body}, {**head, 11: 5}, head, {}, {**head, 1: b"short"}):
        assert refusal_of(raw_of(broken)).refusal is OrderRefusal.MALFORMED
    with pytest.raises(ValueError, match="has no"):
        order_content(an_order(OrderType.STOP_PAYMENT), a_body(OrderType.REPORT_HEALTH))


def test_a_foreign_library_reads_and_verifies_the_order() -> None:
    message = CoseMessage.decode(signed())
    assert isinstance(message, SignMessage)
    for part, key in zip(
        message.signers, sorted([LI, WANG], key=lambda k: KeySigner(k).kid), strict=True
    ):
        part.external_aad = b"qianshao/order/1\0demo"
        part.key = OKPKey(crv="ED25519", x=key.public_key().public_bytes_raw())
        assert part.verify_signature()


def test_a_key_inside_a_chip_may_sign_too() -> None:
    def find(kid: bytes) -> Any:
        from contract.cosign import OrderKey

        if kid == KeySigner(P256).kid:
            return OrderKey("chen", frozenset({Signatory.OFFICER}), P256.public_key())
        return FIND(kid)

    opened = open_order(signed(by=[LI, P256]), tenant=TENANT, find_key=find)
    assert opened.signers == ("chen", "li")


def test_the_list_of_types_is_closed_and_holds_nothing_that_pays_or_relaxes() -> None:
    """Nothing over MQTT may dispense cash, drop a factor or lower the liveness floor.

    A further type or setting has to be entered here too: by somebody who has thought about it.
    """
    assert {t.value for t in OrderType} == {
        "stop_payment",
        "release_stop",
        "extend_stop",
        "freeze",
        "release_freeze",
        "extend_freeze",
        "cross_atm_link",
        "end_cross_atm_link",
        "report_health",
        "restart_part",
        "officers",
        "configuration",
        "send_van",
        "call_van_off",
        "tenant_keys",
        "show_notice",
        "end_notice",
    }
    assert set(RULES) == set(OrderType)
    assert set(SETTINGS) == {"health.period_s"}
    forbidden = (
        "dispens",
        "cash",
        "pin",
        "face",
        "liveness",
        "pad",
        "threshold",
        "factor",
        "match",
    )
    fields = {name for rule in RULES.values() for name in rule.body.__dataclass_fields__}
    for name in {*fields, *SETTINGS, *(t.value for t in OrderType)}:
        assert not any(word in name for word in forbidden), name


def test_what_touches_money_needs_two_officers_and_the_rest_its_own_signer() -> None:
    by_two = {t for t, rule in RULES.items() if rule.signatures == 2}
    assert by_two == {t for t, rule in RULES.items() if rule.signatory is Signatory.OFFICER}
    assert by_two == {t for t, rule in RULES.items() if rule.channel is Channel.ORDERS}
    assert {t for t in OrderType if t.txcode} < by_two
    assert OrderType.STOP_PAYMENT.txcode == "100101"


def test_an_order_is_for_its_targets_and_kinds_alone() -> None:
    stop = an_order(OrderType.STOP_PAYMENT)
    assert stop.is_for("atm-1", DeviceKind.ATM)
    assert not stop.is_for("van-1", DeviceKind.VAN)
    one = an_order(OrderType.REPORT_HEALTH, targets=("van-1",))
    assert one.is_for("van-1", DeviceKind.VAN)
    assert not one.is_for("van-2", DeviceKind.VAN)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"order_id": b""},
        {"counter": 0},
        {"expires": NOW},
        {"expires": UnixMicros(NOW + 401 * 24 * HOUR_US)},
        {"targets": ("a", "a")},
        {"targets": ("A",)},
        {"issuer": "not an id"},
    ],
)
def test_a_head_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        an_order(OrderType.STOP_PAYMENT, **changes)


def test_bundles_refuse_what_would_undo_them() -> None:
    entry = officers("li").officers[0]
    with pytest.raises(ValueError, match="signing twice"):
        Officers(bundle=1, officers=(entry, dataclasses.replace(entry, officer="wang")))
    attempts: list[tuple[str, Any]] = [
        ("liveness.floor", 0),
        ("health.period_s", 0.0),
        ("health.period_s", "7"),
        ("health.period_s", True),
    ]
    for name, value in attempts:
        with pytest.raises(ValueError, match=r"cannot be set|is not within"):
            Configuration(bundle=1, settings={name: value})
    with pytest.raises(ValueError, match="begin at 1"):
        Configuration(bundle=0, settings={})
    with pytest.raises(DecodeError):
        from_map(Officers, {0: 1, 1: [{0: "li", 1: "no key", 2: 1, 3: 2}]})


def test_an_order_says_what_it_holds_and_what_it_ends() -> None:
    assert term_of(a_body(OrderType.STOP_PAYMENT)) == NOW + 48 * HOUR_US
    assert term_of(a_body(OrderType.REPORT_HEALTH)) is None
    assert ended_by(a_body(OrderType.RELEASE_STOP)) == (b"\x01" * 16,)
    assert ended_by(a_body(OrderType.END_CROSS_ATM_LINK)) == (b"\x01" * 16,)
    assert ended_by(a_body(OrderType.FREEZE)) == ()
    with pytest.raises(ValueError, match="names the orders"):
        AccountRelease(account=CARD, releases=())


def test_an_order_too_long_to_deliver_cannot_be_made() -> None:
    many = tuple(f"atm-{n:036}" for n in range(1500))
    with pytest.raises(ValueError, match="at most"):
        sign_order(
            an_order(OrderType.STOP_PAYMENT, targets=many),
            a_body(OrderType.STOP_PAYMENT),
            tenant=TENANT,
            signers=[KeySigner(LI), KeySigner(WANG)],
        )


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_raise_nothing_else(raw: bytes) -> None:
    refusal_of(raw)
    claimed_id(raw)


@given(st.sampled_from(list(OrderType)), st.binary(min_size=1, max_size=40), st.integers(0, 700))
def test_spliced_orders_are_refused_and_raise_nothing_else(
    type_: OrderType, piece: bytes, at: int
) -> None:
    raw = signed(type_)
    spliced = raw[:at] + piece + raw[at + len(piece) :]
    if spliced != raw:
        refusal_of(spliced)


_CBOR = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=8)
    | st.binary(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-24, 23), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.lists(_CBOR, max_size=5), st.sampled_from([98, 18, 0]))
def test_well_formed_cbor_of_any_shape_raises_nothing_else(parts: list[Any], tag: int) -> None:
    refusal_of(cbor2.dumps(cbor2.CBORTag(tag, parts), canonical=True))


@given(st.dictionaries(st.integers(0, 12), _CBOR, max_size=8), st.sampled_from(list(OrderType)))
def test_a_truly_signed_content_of_any_shape_raises_nothing_else(
    changes: dict[int, Any], type_: OrderType
) -> None:
    values = {**to_map(an_order(type_)), 11: to_map(a_body(type_)), **changes}
    try:
        content = encode(values)
    except (ValueError, OverflowError):
        return
    parts = [sign_content(content, tenant=TENANT, signer=KeySigner(k)) for k in (LI, WANG)]
    try:
        opened = open_order(assemble(content, parts), tenant=TENANT, find_key=FIND)
    except OrderError:
        return
    assert len(opened.signers) == 2
    assert RULES[opened.order.type].signatory is Signatory.OFFICER
