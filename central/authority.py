"""A small certificate authority: who may talk to the broker, under which name.

Keys of devices are born on the devices; the authority only sees their certificate signing
requests, and forces the name it has enrolled. Nothing else of a request reaches the certificate,
because brokers map any name in it (subject, e-mail, DNS name) to a user.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from contract.clock import Clock, SystemClock
from contract.files import replace_durably
from contract.topics import check_id
from mqtt_bridge.ports import TlsFiles

CENTRAL = "central"
"""Common name of the central's own certificate; no device may be enrolled under it."""

AUTHORITY_LIFE = dt.timedelta(days=3650)
SERVER_LIFE = dt.timedelta(days=397)
CLIENT_LIFE = dt.timedelta(days=30)
CRL_LIFE = dt.timedelta(days=365)
BACKDATE = dt.timedelta(minutes=5)
"""A device whose clock lags a little must not find its new certificate "not yet valid"."""

MAX_CSR_BYTES = 16 * 1024

_RequestKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


class AuthorityError(RuntimeError):
    """The authority's own files are missing, in the way or do not fit together."""


class RequestError(ValueError):
    """A certificate signing request that is not granted; the message says why."""


class Authority:
    """Issues certificates with a P-256 key kept in ``folder`` (files 0600, folder 0700)."""

    def __init__(
        self,
        folder: Path,
        certificate: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        clock: Clock,
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key
        self._clock = clock

    @classmethod
    def create(cls, folder: Path, *, clock: Clock | None = None) -> Authority:
        """Make a new authority in ``folder``; raises AuthorityError if one is already there."""
        clock = clock or SystemClock()
        if _certificate_path(folder).exists() or _key_path(folder).exists():
            raise AuthorityError(f"{folder} already holds an authority")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Qianshao authority")
        builder = _builder(name, name, key.public_key(), _now(clock), AUTHORITY_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_signs_certificates(), True)
        certificate = builder.sign(key, hashes.SHA256())
        replace_durably(_key_path(folder), _private_pem(key))
        replace_durably(_certificate_path(folder), _pem(certificate))
        return cls(folder, certificate, key, clock)

    @classmethod
    def load(cls, folder: Path, *, clock: Clock | None = None) -> Authority:
        """Open the authority in ``folder``; raises AuthorityError if it is not whole."""
        try:
            certificate = x509.load_pem_x509_certificate(_certificate_path(folder).read_bytes())
            key = serialization.load_pem_private_key(_key_path(folder).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise AuthorityError(f"no usable authority in {folder}: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{_key_path(folder)} is no elliptic-curve key")
        if certificate.public_key() != key.public_key():
            raise AuthorityError(f"key and certificate in {folder} do not belong together")
        return cls(folder, certificate, key, clock or SystemClock())

    @property
    def certificate_path(self) -> Path:
        """File of the authority's certificate: what every party trusts."""
        return _certificate_path(self._folder)

    def issue_server(
        self,
        folder: Path,
        *,
        names: Sequence[str] = ("localhost",),
        addresses: Sequence[str] = ("127.0.0.1",),
        life: dt.timedelta = SERVER_LIFE,
    ) -> TlsFiles:
        """Make key and certificate of a server known under these names and addresses.

        Files of an earlier certificate in ``folder`` are replaced; raises ValueError if an address
        is none or if there is neither a name nor an address.
        """
        hosts: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        hosts += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        if not hosts:
            raise ValueError("a server needs a name or an address")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(
            str(hosts[0].value), key.public_key(), ExtendedKeyUsageOID.SERVER_AUTH, life
        )
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), False)
        return self._deliver(folder, "server", key, self._sign(builder))

    def issue_client(
        self, folder: Path, common_name: str = CENTRAL, *, life: dt.timedelta = CLIENT_LIFE
    ) -> TlsFiles:
        """Make key and certificate of a client on this machine, such as the central itself."""
        check_id(common_name, "common name")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(common_name, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, life)
        return self._deliver(folder, common_name, key, self._sign(builder))

    def issue_from_csr(
        self, csr_pem: bytes, device_id: str, *, life: dt.timedelta = CLIENT_LIFE
    ) -> bytes:
        """Return a PEM certificate over the request's key, with ``device_id`` as its only name.

        Raises RequestError if the request is malformed, not signed by its own key, or has a key
        that is neither P-256 nor Ed25519; TopicError if ``device_id`` may not stand in a topic.
        """
        check_id(device_id, "device")
        if device_id == CENTRAL:
            raise RequestError(f"{CENTRAL!r} is the central's own name")
        key = _request_key(csr_pem)
        builder = self._leaf(device_id, key, ExtendedKeyUsageOID.CLIENT_AUTH, life)
        return _pem(self._sign(builder))

    @property
    def crl_path(self) -> Path:
        """File of the revocation list, once it was published."""
        return self._folder / "crl.pem"

    def publish_crl(self, revoked: Sequence[tuple[int, dt.datetime]]) -> Path:
        """Write the list of revoked certificates (serial number, since when); return its file.

        A broker refuses everybody once the list has run out, so it lives long and is renewed daily.
        """
        now = _now(self._clock)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(now + CRL_LIFE)
            .add_extension(x509.CRLNumber(int(now.timestamp())), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
        )
        for serial, since in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            builder = builder.add_revoked_certificate(entry.build())
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        replace_durably(self.crl_path, pem, mode=0o644)
        return self.crl_path

    def _leaf(
        self, common_name: str, public: _RequestKey, usage: ObjectIdentifier, life: dt.timedelta
    ) -> x509.CertificateBuilder:
        builder = _builder(
            _name(common_name), self._certificate.subject, public, _now(self._clock), life
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .add_extension(issuer, False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256())

    def _deliver(
        self,
        folder: Path,
        stem: str,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
    ) -> TlsFiles:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = TlsFiles(
            ca=self.certificate_path,
            certificate=folder / f"{stem}.pem",
            private_key=folder / f"{stem}.key",
        )
        replace_durably(files.private_key, _private_pem(key))
        replace_durably(files.certificate, _pem(certificate))
        return files


def split_hosts(hosts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (names, addresses) of a mixed list, as a certificate wants them apart."""
    names: list[str] = []
    addresses: list[str] = []
    for host in hosts:
        try:
            addresses.append(str(ipaddress.ip_address(host)))
        except ValueError:
            names.append(host)
    return names, addresses


def _certificate_path(folder: Path) -> Path:
    return folder / "ca.pem"


def _key_path(folder: Path) -> Path:
    return folder / "ca.key"


def _now(clock: Clock) -> dt.datetime:
    return dt.datetime.fromtimestamp(clock.wall() // 1_000_000, dt.UTC)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: _RequestKey,
    now: dt.datetime,
    life: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _request_key(csr_pem: bytes) -> _RequestKey:
    if len(csr_pem) > MAX_CSR_BYTES:
        raise RequestError(f"{len(csr_pem)} bytes, at most {MAX_CSR_BYTES} are taken")
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        is_own = request.is_signature_valid
        key = request.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise RequestError(f"no certificate signing request: {error}") from error
    if not is_own:
        raise RequestError("the request is not signed by the key it names")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise RequestError("the key is neither P-256 nor Ed25519")


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
