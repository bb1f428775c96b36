"""Which machines may compare visits: what an order can say, and what people compare."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from contract.clock import UnixMicros
from contract.codec import decode, encode, from_map, to_map
from contract.messages import MAX_LINKED, LinkedVisit, VisitLinkReport
from contract.orders import MAX_COMPARING, ComparingMachine, CrossAtmLink
from contract.visit_links import fingerprint
from tests.orders import NOW

UNTIL = UnixMicros(NOW + 1)


def a_machine(number: int) -> ComparingMachine:
    own = X25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
    return ComparingMachine(device=f"atm-{number}", key=own.public_key().public_bytes_raw())


def test_a_fingerprint_is_the_beginning_of_the_keys_hash() -> None:
    key = bytes(range(32))
    assert fingerprint(key).replace(" ", "") == hashlib.sha256(key).hexdigest()[:16]
    assert fingerprint(key) == "630d cd29 66c4 3366"


def test_machines_are_in_the_bytes_and_an_order_without_them_has_those_of_before() -> None:
    """A draft that one officer signed before the update must still have the same bytes."""
    old = CrossAtmLink(case="C-1", until=UNTIL)
    assert set(to_map(old)) == {0, 1, 2}
    new = CrossAtmLink(case="C-1", until=UNTIL, machines=(a_machine(1), a_machine(2)))
    read = from_map(CrossAtmLink, decode(encode(to_map(new)), "body"))
    assert read == new
    assert read.key_of("atm-2") == a_machine(2).key
    assert (read.key_of("atm-3"), old.key_of("atm-2")) == (None, None)


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ([a_machine(n) for n in range(MAX_COMPARING + 1)], "at most 50"),
        ([a_machine(1), ComparingMachine(device="atm-1", key=a_machine(2).key)], "named twice"),
        ([a_machine(1), ComparingMachine(device="atm-2", key=a_machine(1).key)], "one key"),
    ],
)
def test_an_order_names_each_machine_and_key_once(machines: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CrossAtmLink(case="C-1", until=UNTIL, machines=tuple(machines))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_a_key_with_which_nothing_is_shared_is_none(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|is none"):
        ComparingMachine(device="atm-1", key=key)


def test_a_report_is_bounded() -> None:
    visit = LinkedVisit(visit=1, captured_at=UNTIL, similarity=0.5)
    fields: dict[str, Any] = {
        "parcel": b"p" * 32, "order_id": b"o" * 16, "sender": "atm-1", "is_opened": True,
        "at": UNTIL,
    }  # fmt: skip
    longest = VisitLinkReport(visits=(visit,) * MAX_LINKED, **fields)
    assert len(encode(to_map(longest))) < 60_000  # a message has at most 64 KiB
    for changes in (
        {"visits": (visit,) * (MAX_LINKED + 1)},
        {"parcel": b"p"},
        {"order_id": b""},
        {"linked": -1},
    ):
        with pytest.raises(ValueError, match=r"32 bytes|not negative"):
            VisitLinkReport(**(fields | changes))
