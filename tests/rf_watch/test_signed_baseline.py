"""A baseline under the central's signature: whole, from the central, of this tenant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.keys import CENTRAL, KeySigner, KnownKey
from rf_watch.baseline import BaselineError
from rf_watch.signed_baseline import is_signed, open_baseline, seal_baseline
from tests.rf_watch.kit import learned
from tests.samples import ED25519, P256

SIGNER = KeySigner(ED25519)
SEALED = seal_baseline(learned(), tenant="demo", signer=SIGNER)
KEYS = {
    SIGNER.kid: KnownKey(CENTRAL, ED25519.public_key()),
    KeySigner(P256).kid: KnownKey("van-1", P256.public_key()),
}


def test_what_was_sealed_is_opened() -> None:
    found = open_baseline(SEALED, tenant="demo", find_key=KEYS.get)
    assert found.sha256 == learned().sha256
    assert is_signed(SEALED)
    assert not is_signed(learned().to_json().encode())


def test_another_tenants_file_is_refused() -> None:
    with pytest.raises(BaselineError, match="signature"):
        open_baseline(SEALED, tenant="other", find_key=KEYS.get)


def test_a_devices_signature_is_not_the_centrals() -> None:
    sealed = seal_baseline(learned(), tenant="demo", signer=KeySigner(P256))
    with pytest.raises(BaselineError, match="of van-1, not of the central"):
        open_baseline(sealed, tenant="demo", find_key=KEYS.get)


@given(st.integers(0, 8 * len(SEALED) - 1))
def test_no_flipped_bit_is_taken(bit: int) -> None:
    altered = bytearray(SEALED)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BaselineError):
        open_baseline(bytes(altered), tenant="demo", find_key=KEYS.get)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(BaselineError):
        open_baseline(b"\xd2" + raw, tenant="demo", find_key=KEYS.get)
