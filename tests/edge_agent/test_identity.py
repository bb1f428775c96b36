"""Identity: keys are born once, kept private, told apart, and never replaced by accident."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from contract.keys import KeySigner, key_id, load_public_pem, public_pem, verifies
from contract.topics import TopicError
from edge_agent.identity import Identity, IdentityError, find_central, read_tenant_key

CA_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(name: str, public: CertificatePublicKeyTypes) -> bytes:
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")]))
        .public_key(public)
        .serial_number(7)
        .not_valid_before(day)
        .not_valid_after(day + dt.timedelta(days=30))
        .sign(CA_KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def private_pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def write_private(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


def test_keys_are_born_once_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "keys"
    born = Identity.load_or_create(folder, "van-01")
    again = Identity.load_or_create(folder, "van-01")
    assert (born.is_new, again.is_new) == (True, False)
    assert born.signer.kid == again.signer.kid
    assert born.evidence_public_pem == again.evidence_public_pem
    public = load_public_pem(born.evidence_public_pem)
    assert verifies(public, again.signer.algorithm, b"data", again.signer.sign(b"data"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["evidence.key.pem", "tls.key.pem"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_signing_request_names_the_device_and_carries_the_tls_key(tmp_path: Path) -> None:
    identity = Identity.load_or_create(tmp_path, "van-01")
    request = x509.load_pem_x509_csr(identity.csr().encode())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=van-01"
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)
    assert key_id(public) != identity.signer.kid


@pytest.mark.parametrize("name", ["evidence.key.pem", "tls.key.pem"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    Identity.load_or_create(tmp_path, "van-01")
    (tmp_path / name).chmod(mode)
    with pytest.raises(IdentityError) as caught:
        Identity.load_or_create(tmp_path, "van-01")
    assert caught.value.path == tmp_path / name
    assert f"has mode {mode:04o}" in str(caught.value)


@pytest.mark.parametrize("name", ["evidence.key.pem", "tls.key.pem"])
@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff" * 100])
def test_a_bad_key_file_is_an_error_and_stays_as_it_is(
    tmp_path: Path, name: str, content: bytes
) -> None:
    write_private(tmp_path / name, content)
    with pytest.raises(IdentityError, match="holds no usable private key") as caught:
        Identity.load_or_create(tmp_path, "van-01")
    assert caught.value.path == tmp_path / name
    assert (tmp_path / name).read_bytes() == content


def test_an_encrypted_key_is_a_clear_error(tmp_path: Path) -> None:
    pem = CA_KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    write_private(tmp_path / "tls.key.pem", pem)
    with pytest.raises(IdentityError, match="holds no usable private key"):
        Identity.load_or_create(tmp_path, "van-01")


def test_a_key_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "evidence.key.pem", private_pem(CA_KEY))
    with pytest.raises(IdentityError, match="does not hold an Ed25519 key"):
        Identity.load_or_create(tmp_path, "van-01")
    (tmp_path / "evidence.key.pem").unlink()
    write_private(tmp_path / "tls.key.pem", private_pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(IdentityError, match="does not hold a P-256 key"):
        Identity.load_or_create(tmp_path, "van-01")


def test_two_that_start_at_once_get_the_same_keys(tmp_path: Path) -> None:
    kids: list[bytes] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        kids.append(Identity.load_or_create(tmp_path, "van-01").signer.kid)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 8
    assert len(set(kids)) == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_device_id_that_no_topic_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TopicError):
        Identity.load_or_create(tmp_path, "Van 1")


def test_a_disk_that_takes_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)  # also root's files end here, unlike at a mode
    with pytest.raises(IdentityError, match="cannot be written: No space left"):
        Identity.load_or_create(tmp_path, "van-01")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(IdentityError, match="cannot be made"):
        Identity.load_or_create(tmp_path / "state", "van-01")
    (tmp_path / "evidence.key.pem").mkdir(mode=0o700)
    with pytest.raises(IdentityError, match="cannot be read"):
        Identity.load_or_create(tmp_path, "van-01")


def test_tls_files_are_checked_to_belong_together(tmp_path: Path) -> None:
    identity = Identity.load_or_create(tmp_path / "keys", "van-01")
    request = x509.load_pem_x509_csr(identity.csr().encode())
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    ca.write_bytes(certificate("test ca", CA_KEY.public_key()))
    own.write_bytes(certificate("van-01", request.public_key()))
    files = identity.tls_files(ca=ca, certificate=own)
    assert (files.ca, files.certificate) == (ca, own)
    assert files.private_key == tmp_path / "keys" / "tls.key.pem"
    own.write_bytes(certificate("van-02", request.public_key()))
    with pytest.raises(IdentityError, match=r"own\.pem: is for van-02, not van-01"):
        identity.tls_files(ca=ca, certificate=own)
    own.write_bytes(certificate("van-01", CA_KEY.public_key()))
    with pytest.raises(IdentityError, match="does not belong to the key"):
        identity.tls_files(ca=ca, certificate=own)
    own.write_bytes(b"rubbish")
    with pytest.raises(IdentityError, match="holds no usable certificate"):
        identity.tls_files(ca=ca, certificate=own)
    with pytest.raises(IdentityError, match="cannot be read"):
        identity.tls_files(ca=tmp_path / "none.pem", certificate=own)


def test_only_the_centrals_key_is_found(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "central.pub.pem"
    file.write_text(public_pem(key.public_key()))
    find = find_central(file)
    known = find(KeySigner(key).kid)
    assert known is not None
    assert known.owner == "central"
    assert find(bytes(32)) is None
    rubbish = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    for content in (b"", b"\xff", rubbish, private_pem(key)):
        file.write_bytes(content)
        with pytest.raises(IdentityError, match="holds no usable public key"):
            find_central(file)


def test_the_tenant_key_must_be_private_and_long_enough(tmp_path: Path) -> None:
    file = tmp_path / "card.key"
    write_private(file, bytes(range(32)))
    assert read_tenant_key(file) == bytes(range(32))
    write_private(file, bytes(31))
    with pytest.raises(IdentityError, match="has 31 bytes, at least 32"):
        read_tenant_key(file)
    file.chmod(0o644)
    with pytest.raises(IdentityError, match="has mode 0644"):
        read_tenant_key(file)
    with pytest.raises(IdentityError, match="cannot be read"):
        read_tenant_key(tmp_path / "none")
