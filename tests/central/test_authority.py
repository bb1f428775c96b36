from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.authority import (
    BACKDATE,
    CENTRAL,
    CLIENT_LIFE,
    Authority,
    AuthorityError,
    RequestError,
)
from contract.clock import UnixMicros, VirtualClock
from contract.topics import TopicError

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
AnyKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    clock = VirtualClock(UnixMicros(int(NOON.timestamp() * 1e6)))
    return Authority.create(tmp_path / "ca", clock=clock)


def request_of(key: AnyKey, common_name: str = "whatever") -> bytes:
    """A request that asks for far more than its name."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(CENTRAL)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def certificate_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def common_name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_a_device_gets_the_enrolled_name_and_nothing_it_asked_for(
    authority: Authority, key: AnyKey
) -> None:
    pem = authority.issue_from_csr(request_of(key, CENTRAL), "van-1")
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(certificate_of(authority.certificate_path))
    assert common_name(certificate) == "CN=van-1"
    assert certificate.public_key() == key.public_key()
    assert usages(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_client_certificate_is_short_and_a_little_backdated(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = x509.load_pem_x509_certificate(authority.issue_from_csr(request_of(key), "van-1"))
    assert certificate.not_valid_before_utc == NOON - BACKDATE
    assert certificate.not_valid_after_utc == NOON + CLIENT_LIFE


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
)
def test_other_kinds_of_keys_are_refused(authority: Authority, key: AnyKey) -> None:
    with pytest.raises(RequestError, match="neither P-256 nor Ed25519"):
        authority.issue_from_csr(request_of(key), "van-1")


def test_a_request_over_a_stranger_s_key_is_refused(authority: Authority) -> None:
    ours = x509.load_pem_x509_csr(request_of(ec.generate_private_key(ec.SECP256R1())))
    der = bytearray(ours.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(RequestError, match="not signed by the key"):
        authority.issue_from_csr(forged, "van-1")


@pytest.mark.parametrize(
    ("device", "error"), [("central", RequestError), ("van/1", TopicError), ("", TopicError)]
)
def test_names_that_are_taken_or_break_topics_are_refused(
    authority: Authority, device: str, error: type[Exception]
) -> None:
    request = request_of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(error):
        authority.issue_from_csr(request, device)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damage_to_a_request_is_a_request_error(
    authority: Authority, data: st.DataObject
) -> None:
    """But for one: a signature that ends in a 0 bit may call that bit unused in its BIT STRING."""
    request = x509.load_pem_x509_csr(REQUEST)
    good = request.public_bytes(serialization.Encoding.DER)
    damaged = bytearray(good)
    place = data.draw(st.integers(0, len(good) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    unused_bits = len(good) - len(request.signature) - 1
    if place == unused_bits:
        return
    with pytest.raises(RequestError):
        authority.issue_from_csr(_pem(bytes(damaged)), "van-1")


@given(noise=st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_request_error(authority: Authority, noise: bytes) -> None:
    for candidate in (noise, _pem(noise)):
        with pytest.raises(RequestError):
            authority.issue_from_csr(candidate, "van-1")


def test_an_enormous_request_is_not_even_parsed(authority: Authority) -> None:
    with pytest.raises(RequestError, match="at most"):
        authority.issue_from_csr(bytes(1_000_000), "van-1")


def test_a_server_is_known_under_its_names_and_addresses(
    authority: Authority, tmp_path: Path
) -> None:
    files = authority.issue_server(
        tmp_path / "server", names=["broker.example"], addresses=["127.0.0.1", "2001:db8::1"]
    )
    certificate = certificate_of(files.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    assert usages(certificate) == [ExtendedKeyUsageOID.SERVER_AUTH]
    with pytest.raises(ValueError, match="a name or an address"):
        authority.issue_server(tmp_path / "server", names=[], addresses=[])


def test_private_keys_are_for_their_owner_s_eyes_only(authority: Authority, tmp_path: Path) -> None:
    server = authority.issue_server(tmp_path / "server")
    central = authority.issue_client(tmp_path / "central")
    assert common_name(certificate_of(central.certificate)) == "CN=central"
    for path in (tmp_path / "ca" / "ca.key", server.private_key, central.private_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert not list(tmp_path.rglob("*.new"))


def test_an_authority_is_loaded_again_and_never_overwritten(tmp_path: Path) -> None:
    first = Authority.create(tmp_path)
    again = Authority.load(tmp_path)
    files = again.issue_server(tmp_path / "server")
    certificate_of(files.certificate).verify_directly_issued_by(
        certificate_of(first.certificate_path)
    )
    with pytest.raises(AuthorityError, match="already holds"):
        Authority.create(tmp_path)


def test_an_authority_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthorityError, match="no usable authority"):
        Authority.load(tmp_path)
    Authority.create(tmp_path / "ours")
    Authority.create(tmp_path / "theirs")
    (tmp_path / "theirs" / "ca.key").replace(tmp_path / "ours" / "ca.key")
    with pytest.raises(AuthorityError, match="do not belong together"):
        Authority.load(tmp_path / "ours")
    (tmp_path / "ours" / "ca.key").write_text("nothing")
    with pytest.raises(AuthorityError, match="no usable authority"):
        Authority.load(tmp_path / "ours")


def test_two_authorities_do_not_vouch_for_each_other(tmp_path: Path) -> None:
    ours, theirs = Authority.create(tmp_path / "a"), Authority.create(tmp_path / "b")
    files = theirs.issue_server(tmp_path / "server")
    with pytest.raises(InvalidSignature):
        certificate_of(files.certificate).verify_directly_issued_by(
            certificate_of(ours.certificate_path)
        )


def _pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"


REQUEST = request_of(ec.generate_private_key(ec.SECP256R1()))
