"""Who the device is: an evidence key and a TLS key, both born here, and the files they live in.

The evidence key (Ed25519) signs messages for years; the TLS key (P-256) only opens connections and
changes with its short certificate. Neither ever leaves the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.accounts import MIN_KEY_BYTES
from contract.keyfiles import (
    KeyFileError,
    check_private,
    evidence_signer,
    load_or_create_key,
    read_file,
)
from contract.keys import (
    CENTRAL,
    FindKey,
    KnownKey,
    PublicKey,
    Signer,
    key_id,
    load_public_pem,
    public_pem,
)
from contract.topics import check_id
from edge_agent.config import TokenConfig
from mqtt_bridge.ports import TlsFiles

EVIDENCE_KEY_FILE = "evidence.key.pem"
TLS_KEY_FILE = "tls.key.pem"

IdentityError = KeyFileError
"""A key or certificate of the device that cannot be used; ``path`` is its file."""


class EvidenceSigner(Signer, Protocol):
    """The evidence key, in a file or in a token."""

    public: PublicKey


@dataclass(frozen=True, slots=True)
class Identity:
    """The two keys of a device."""

    device_id: str
    signer: EvidenceSigner
    evidence_public_pem: str
    tls_key_file: Path
    is_new: bool
    """The evidence key was born in this call: the central does not know it yet."""
    _tls_key: ec.EllipticCurvePrivateKey

    @classmethod
    def load_or_create(
        cls, folder: Path, device_id: str, token: TokenConfig | None = None
    ) -> Identity:
        """Read the keys in ``folder``, or make what is missing; raises IdentityError.

        With ``token`` the evidence key is the one in it, and ``folder`` holds the TLS key alone.

        A key file that others may read, or that does not hold the right kind of key, is refused,
        never replaced.
        """
        check_id(device_id, "device")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise IdentityError(folder, f"cannot be made: {error.strerror}") from error
        evidence_file, tls_file = folder / EVIDENCE_KEY_FILE, folder / TLS_KEY_FILE
        signer: EvidenceSigner
        if token is not None:
            from edge_agent.token_key import TokenSigner

            in_token = TokenSigner(token)
            signer, is_new = in_token, in_token.is_new
        else:
            is_new = not evidence_file.exists()
            signer = evidence_signer(evidence_file)
        tls = load_or_create_key(tls_file, lambda: ec.generate_private_key(ec.SECP256R1()))
        if not (
            isinstance(tls, ec.EllipticCurvePrivateKey) and isinstance(tls.curve, ec.SECP256R1)
        ):
            raise IdentityError(tls_file, "does not hold a P-256 key")
        return cls(device_id, signer, public_pem(signer.public), tls_file, is_new, tls)

    def csr(self) -> str:
        """Certificate signing request (PEM) for the TLS key; its common name is the device id."""
        return csr_of(self._tls_key, self.device_id)

    def tls_files(self, *, ca: Path, certificate: Path) -> TlsFiles:
        """Return the files of a mutual TLS connection, checked to belong to this device.

        A broker that refuses a foreign certificate only hangs up (TLS 1.3), so the mistake is
        named here. Raises IdentityError.
        """
        load_certificate(ca)
        own = load_certificate(certificate)
        if own.public_key() != self._tls_key.public_key():
            raise IdentityError(certificate, f"does not belong to the key in {self.tls_key_file}")
        names = [str(a.value) for a in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [self.device_id]:
            raise IdentityError(certificate, f"is for {', '.join(names)}, not {self.device_id}")
        return TlsFiles(ca=ca, certificate=certificate, private_key=self.tls_key_file)


def find_central(public_key_file: Path) -> FindKey:
    """Return the look-up that knows the central's key alone; raises IdentityError."""
    try:
        public = load_public_pem(read_file(public_key_file).decode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        # the library's own words speak of its internals and of an address on the network
        problem = "holds no usable public key; fetch the central's anew (PEM, Ed25519 or P-256)"
        raise IdentityError(public_key_file, problem) from error
    known, kid = KnownKey(CENTRAL, public), key_id(public)
    return lambda wanted: known if wanted == kid else None


def read_tenant_key(path: Path) -> bytes:
    """Read the secret under which card numbers are hashed; raises IdentityError."""
    check_private(path)
    key = read_file(path)
    if len(key) < MIN_KEY_BYTES:
        raise IdentityError(path, f"has {len(key)} bytes, at least {MIN_KEY_BYTES} are needed")
    return key


def csr_of(key: ec.EllipticCurvePrivateKey, device_id: str) -> str:
    """Certificate signing request (PEM) for a key; its common name is the device id."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = request.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")


def load_certificate(path: Path) -> x509.Certificate:
    """Read a certificate; raises IdentityError."""
    try:
        return x509.load_pem_x509_certificate(read_file(path))
    except ValueError as error:
        raise IdentityError(path, f"holds no usable certificate: {error}") from error
