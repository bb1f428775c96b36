"""The list of accounts: what it finds, what it refuses, and how long ten million take."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.account_list import (
    KEY_BYTES,
    AccountList,
    Listed,
    ListedFor,
    ListError,
    ListManifest,
    Regime,
    apply_delta,
    build_delta,
    build_list,
    open_manifest,
    seal_manifest,
)
from contract.clock import UnixMicros
from contract.keys import CENTRAL, KeySigner, KnownKey

SIGNER = KeySigner(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEYS = {SIGNER.kid: KnownKey(CENTRAL, SIGNER.public)}
STOPPED = Listed(ListedFor.STOP)
SANCTIONED = Listed(ListedFor.SANCTION, Regime.JOINT_2024, dt.date(2027, 11, 30))


def account(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


def manifest(version: int, count: int, digest: bytes) -> ListManifest:
    return ListManifest(version=version, count=count, sha256=digest, made_at=UnixMicros(1))


def made(path: Path, version: int, entries: dict[bytes, Listed]) -> AccountList:
    digest = build_list(path, version, entries.items())
    return AccountList(path, manifest(version, len(entries), digest))


def test_what_is_listed_is_found_and_nothing_else(tmp_path: Path) -> None:
    entries = {account(n): STOPPED if n % 2 else SANCTIONED for n in range(2000)}
    found = made(tmp_path / "list", 1, entries)
    assert all(found.find(key) == listed for key, listed in entries.items())
    assert all(found.find(account(n)) is None for n in range(2000, 4000))
    assert found.find(bytes(32)) is None
    assert found.find(b"\xff" * 32) is None
    found.close()
    empty = made(tmp_path / "empty", 1, {})
    assert empty.find(account(1)) is None
    empty.close()


def test_a_list_that_is_not_its_manifests_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    digest = build_list(path, 1, [(account(1), STOPPED)])
    for wrong in (manifest(1, 1, bytes(32)), manifest(2, 1, digest), manifest(1, 2, digest)):
        with pytest.raises(ListError):
            AccountList(path, wrong)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ListError):
        AccountList(path, manifest(1, 1, digest))
    path.write_bytes(b"")
    with pytest.raises(ListError, match="cut"):
        AccountList(path, manifest(1, 1, hashlib.sha256(b"").digest()))


def test_only_the_central_signs_a_manifest() -> None:
    good = manifest(3, 7, bytes(32))
    raw = seal_manifest(good, "bank", SIGNER)
    assert open_manifest(raw, tenant="bank", find_key=KEYS.get) == good
    atm = {SIGNER.kid: KnownKey("atm-1", SIGNER.public)}
    nobody: dict[bytes, KnownKey] = {}
    attempts = (
        ("bank", atm.get, raw),
        ("other", KEYS.get, raw),
        ("bank", nobody.get, raw),
        ("bank", KEYS.get, raw[:-1]),
        ("bank", KEYS.get, b""),
    )
    for tenant, find, text in attempts:
        with pytest.raises(ListError):
            open_manifest(text, tenant=tenant, find_key=find)


def test_a_delta_leads_to_the_next_list_while_the_old_one_is_read(tmp_path: Path) -> None:
    path, wanted = tmp_path / "list", tmp_path / "wanted"
    old_entries = {account(n): STOPPED for n in range(1000)}
    old = made(path, 1, old_entries)
    changes: dict[bytes, Listed | None] = {account(n): None for n in range(10)}
    changes |= {account(n): SANCTIONED for n in range(995, 1005)}
    new_entries = {k: v for k, v in (old_entries | changes).items() if v is not None}
    digest = build_list(wanted, 2, new_entries.items())
    build_delta(tmp_path / "delta", 1, 2, changes.items())
    new = apply_delta(old, tmp_path / "delta", path, manifest(2, len(new_entries), digest))
    assert path.read_bytes() == wanted.read_bytes()
    assert new.find(account(3)) is None
    assert new.find(account(1003)) == SANCTIONED
    assert old.find(account(3)) == STOPPED
    old.close()
    new.close()


def test_a_wrong_delta_changes_nothing(tmp_path: Path) -> None:
    path, delta = tmp_path / "list", tmp_path / "delta"
    old = made(path, 1, {account(n): STOPPED for n in range(100)})
    before = path.read_bytes()
    build_delta(delta, 1, 2, [(account(5), None)])
    good = delta.read_bytes()
    attempts = [
        (good, manifest(2, 99, bytes(32))),
        (good, manifest(3, 99, bytes(32))),
        (good[:-1], manifest(2, 99, bytes(32))),
        (good[:20], manifest(2, 99, bytes(32))),
        (b"X" + good[1:], manifest(2, 99, bytes(32))),
        (good + good[-16:], manifest(2, 99, bytes(32))),
    ]
    for raw, wrong in attempts:
        delta.write_bytes(raw)
        with pytest.raises(ListError):
            apply_delta(old, delta, path, wrong)
        assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["delta", "list"]
    old.close()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 40), st.sampled_from([STOPPED, SANCTIONED]), max_size=30),
    st.dictionaries(st.integers(0, 40), st.sampled_from([None, STOPPED, SANCTIONED]), max_size=15),
)
def test_any_delta_equals_the_list_built_anew(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[int, Listed],
    changes: dict[int, Listed | None],
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    old = made(folder / "list", 1, {account(n): v for n, v in first.items()})
    after = {account(n): v for n, v in (first | changes).items() if v is not None}
    digest = build_list(folder / "wanted", 2, after.items())
    build_delta(folder / "delta", 1, 2, [(account(n), v) for n, v in changes.items()])
    new = apply_delta(old, folder / "delta", folder / "list", manifest(2, len(after), digest))
    assert all(new.find(account(n)) == after.get(account(n)) for n in range(41))
    old.close()
    new.close()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_million_accounts_are_looked_up_within_a_millisecond(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    count = 10_000_000
    noise = numpy.random.default_rng(1).integers(0, 256, (count, KEY_BYTES), dtype=numpy.uint8)
    keys = numpy.sort(noise.view(f"S{KEY_BYTES}").ravel())
    records = numpy.zeros((count, 16), dtype=numpy.uint8)
    records[:, :KEY_BYTES] = keys.view(numpy.uint8).reshape(count, KEY_BYTES)
    records[:, KEY_BYTES] = int(ListedFor.STOP)
    path = tmp_path / "list"
    raw = b"QSLIST\0\1" + (1).to_bytes(8, "big") + count.to_bytes(8, "big") + bytes(8)
    path.write_bytes(raw + records.tobytes())
    digest = hashlib.sha256(path.read_bytes()).digest()
    found = AccountList(path, manifest(1, count, digest))
    wanted = [bytes(records[n, :KEY_BYTES]) for n in range(0, count, 9973)]
    times = []
    for key in wanted:
        began = time.perf_counter()
        listed = found.find(key + bytes(20))
        times.append(time.perf_counter() - began)
        assert listed == STOPPED
    times.sort()
    p50, p99 = (times[len(times) * part // 100] for part in (50, 99))
    print(f"p50 {p50 * 1e6:.1f} us, p99 {p99 * 1e6:.1f} us")
    assert p99 < 0.001
    found.close()
