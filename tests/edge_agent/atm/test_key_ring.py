"""The tenant's keys at a machine: one in use, all known, newer ones only, none in a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.accounts import card_ref
from contract.keyfiles import KeyFileError
from contract.tenant_keys import KeyBundle, KeyBundleError, box_key, seal_bundle
from edge_agent.atm.key_ring import BOX_FILE, KeyRing, read_ring, ring_file, take_sealed

PAN = "6216261000000000018"
OLD, NEW = b"o" * 32, b"n" * 32
BOTH = KeyBundle(bundle=2, primary=1, keys={1: OLD, 2: NEW})
SWITCHED = KeyBundle(bundle=3, primary=2, keys={1: OLD, 2: NEW})
ALONE = KeyBundle(bundle=4, primary=2, keys={2: NEW})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "card.key"
    path.write_bytes(OLD)
    path.chmod(0o600)
    return path


def test_a_card_is_named_under_one_key_and_known_under_all(file: Path) -> None:
    ring = KeyRing(file)
    assert ring.ref(PAN) == card_ref(PAN, OLD)
    assert ring.refs(ring.ref(PAN)) == (card_ref(PAN, OLD),)
    assert ring.take(BOTH)
    assert ring.ref(PAN) == card_ref(PAN, OLD)
    assert ring.refs(ring.ref(PAN)) == (card_ref(PAN, OLD), card_ref(PAN, NEW))
    assert ring.take(SWITCHED)
    assert ring.ref(PAN) == card_ref(PAN, NEW)
    assert set(ring.refs(ring.ref(PAN))) == {card_ref(PAN, OLD), card_ref(PAN, NEW)}
    assert not ring.take(BOTH)  # an older order that comes late
    assert ring.take(ALONE)
    assert ring.refs(ring.ref(PAN)) == (card_ref(PAN, NEW),)
    assert KeyRing(file).bundle == 4  # over a restart
    assert ring_file(file).stat().st_mode & 0o777 == 0o600


def test_only_the_latest_cards_are_remembered_and_by_no_number(file: Path) -> None:
    ring = KeyRing(file)
    ring.take(BOTH)
    for number in range(200):
        ring.ref(f"62162610000000{number:05}")
    assert len(ring._known) == 64
    assert "62162610000000" not in repr(vars(ring))


def test_keys_come_with_a_certificate_and_make_the_file_where_it_is_missing(
    tmp_path: Path,
) -> None:
    own = box_key(tmp_path / BOX_FILE)
    sealed = seal_bundle(BOTH, own.public_key().public_bytes_raw(), "demo", "atm-1")
    file = tmp_path / "keys" / "card.key"
    take_sealed(sealed, file, tmp_path, "demo", "atm-1")
    assert read_ring(file) == BOTH
    assert file.read_bytes() == OLD
    with pytest.raises(KeyBundleError):
        take_sealed(sealed, file, tmp_path, "demo", "atm-2")
    older = KeyBundle(bundle=1, primary=1, keys={1: OLD})
    sealed = seal_bundle(older, own.public_key().public_bytes_raw(), "demo", "atm-1")
    take_sealed(sealed, file, tmp_path, "demo", "atm-1")
    assert read_ring(file) == BOTH


def test_a_ring_that_is_damaged_or_that_others_may_read_is_refused(file: Path) -> None:
    ring_file(file).write_bytes(b"torn")
    ring_file(file).chmod(0o600)
    with pytest.raises(KeyFileError, match="no bundle"):
        KeyRing(file)
    ring_file(file).chmod(0o644)
    with pytest.raises(KeyFileError):
        KeyRing(file)
