"""The device's side of enrolment and renewal: ask the central for a certificate over HTTPS.

With a token, the first thing fetched is the authority's certificate, which must have the hash that
the token names; only then is the token's secret sent, over a connection that this authority
vouches for. A renewal trusts the authority on disk.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from contract.enrolment import MAX_REQUEST_BYTES, Answer, EnrolmentError, Request, Token
from contract.files import replace_durably
from contract.keyfiles import KeyFileError, load_or_create_key
from contract.tenant_keys import KeyBundleError, box_key
from edge_agent.atm.key_ring import BOX_FILE, take_sealed
from edge_agent.config import AgentConfig
from edge_agent.identity import TLS_KEY_FILE, Identity, IdentityError, csr_of, load_certificate

NEXT_KEY_FILE = "tls.next.key.pem"
"""The key of the certificate to come; it takes the other's place when that certificate is here."""

TIMEOUT_S = 20.0


class CentralUnreachableError(EnrolmentError):
    """The central did not answer; asking again later may help."""


def enrol(config: AgentConfig, token: Token, *, url: str | None = None) -> Identity:
    """Make the device's keys, enrol them with a token, write what the configuration names.

    Raises EnrolmentError, IdentityError or OSError; nothing is half enrolled: the same call with
    the same token may be repeated.
    """
    if config.broker.tls is None:
        raise EnrolmentError("[broker] names no ca and certificate: there is nothing to enrol for")
    if token.device != config.device:
        raise EnrolmentError(f"the token is for {token.device}, this is {config.device}")
    where = url or config.central.url
    if where is None:
        raise EnrolmentError("no address of the central: set url under [central]")
    identity = Identity.load_or_create(config.state_dir, config.device, config.evidence_token)
    authority = _fetch_authority(where, token)
    request = _request(identity, identity.csr(), token, _box(config))
    answer = _ask(where, request, authority.decode("ascii"))
    if answer.tenant != config.tenant:
        raise EnrolmentError(f"the central serves {answer.tenant!r}, this is {config.tenant!r}")
    for path in (config.broker.tls.ca, config.broker.tls.certificate, config.central.public_key):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_durably(config.broker.tls.ca, authority, mode=0o644)
    replace_durably(config.central.public_key, answer.central_key_pem.encode(), mode=0o644)
    replace_durably(config.broker.tls.certificate, answer.certificate_pem.encode(), mode=0o644)
    identity.tls_files(ca=config.broker.tls.ca, certificate=config.broker.tls.certificate)
    _take_keys(config, answer)
    return identity


def rotate(config: AgentConfig, identity: Identity) -> x509.Certificate:
    """Get a certificate over a fresh TLS key; the former pair serves until this one is whole.

    Raises EnrolmentError, IdentityError or OSError, and then the former pair goes on.
    """
    if config.broker.tls is None or config.central.url is None:
        raise EnrolmentError("no url under [central]: there is nobody to ask for a certificate")
    tls = config.broker.tls
    complete_rotation(config.state_dir, tls.certificate)
    next_key_file = config.state_dir / NEXT_KEY_FILE
    key = load_or_create_key(next_key_file, lambda: ec.generate_private_key(ec.SECP256R1()))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError(next_key_file, "does not hold a P-256 key")
    authority = tls.ca.read_text(encoding="ascii")
    request = _request(identity, csr_of(key, config.device), None, _box(config))
    answer = _ask(config.central.url, request, authority)
    certificate = x509.load_pem_x509_certificate(answer.certificate_pem.encode())
    if certificate.public_key() != key.public_key():
        raise EnrolmentError("the central answered with a certificate over another key")
    replace_durably(tls.certificate, answer.certificate_pem.encode(), mode=0o644)
    complete_rotation(config.state_dir, tls.certificate)
    return certificate


def complete_rotation(state_dir: Path, certificate: Path) -> bool:
    """Put the next key in its place if its certificate has arrived; True if it had.

    To be called at the start too: power may fail between the certificate and its key. Raises
    IdentityError.
    """
    next_key_file = state_dir / NEXT_KEY_FILE
    if not next_key_file.exists() or not certificate.exists():
        return False
    key = load_or_create_key(next_key_file, lambda: ec.generate_private_key(ec.SECP256R1()))
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError(next_key_file, "does not hold a P-256 key")
    if load_certificate(certificate).public_key() != key.public_key():
        return False
    try:
        next_key_file.replace(state_dir / TLS_KEY_FILE)
    except OSError as error:
        raise KeyFileError(next_key_file, f"cannot be moved: {error.strerror}") from error
    return True


def _request(identity: Identity, csr: str, token: Token | None, box: bytes | None = None) -> bytes:
    return Request.signed(
        identity.device_id, csr, identity.signer, identity.signer.public, token, box
    ).to_json()


def _box(config: AgentConfig) -> bytes | None:
    """Public half of the key to which an ATM gets the tenant's keys; None at other stations."""
    if config.atm is None:
        return None
    return box_key(config.state_dir / BOX_FILE).public_key().public_bytes_raw()


def _take_keys(config: AgentConfig, answer: Answer) -> None:
    """Keep the tenant's keys that came with a certificate."""
    if config.atm is None or answer.sealed_keys is None:
        return
    try:
        take_sealed(
            answer.sealed_keys,
            config.atm.tenant_key_file,
            config.state_dir,
            config.tenant,
            config.device,
        )
    except KeyBundleError as error:
        raise EnrolmentError(f"the tenant's keys cannot be used: {error}") from error


def _fetch_authority(url: str, token: Token) -> bytes:
    """Get the authority's certificate from whoever answers; only the right one is taken."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE  # nothing secret is sent, and the hash decides
    raw = _call(url, "GET", "/authority.pem", None, blind)
    try:
        certificate = x509.load_pem_x509_certificate(raw)
    except ValueError as error:
        raise EnrolmentError(f"{url} is no central: it has no authority's certificate") from error
    if not token.fits(certificate.public_bytes(Encoding.DER)):
        raise EnrolmentError(
            f"{url} is not the central that made the token: its authority has another certificate"
        )
    return certificate.public_bytes(Encoding.PEM)


def _ask(url: str, request: bytes, authority_pem: str) -> Answer:
    try:
        context = ssl.create_default_context(cadata=authority_pem)
    except ssl.SSLError as error:
        raise EnrolmentError(f"the authority's certificate cannot be used: {error}") from error
    return Answer.from_json(_call(url, "POST", "/certificate", request, context))


def _call(url: str, method: str, path: str, body: bytes | None, context: ssl.SSLContext) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise EnrolmentError(f"{url!r} is no https:// address")
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port or 443, timeout=TIMEOUT_S, context=context
    )
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        raw = response.read(MAX_REQUEST_BYTES + 1)
        status = response.status
    except ssl.SSLCertVerificationError as error:
        raise EnrolmentError(f"{url} is not trusted: {error.verify_message}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CentralUnreachableError(f"{url} does not answer: {error}") from error
    finally:
        connection.close()
    if status == 200:
        return raw
    if status >= 500:
        raise CentralUnreachableError(f"{url}: {_problem_in(raw) or f'HTTP status {status}'}")
    raise EnrolmentError(f"{url} refuses: {_problem_in(raw) or f'HTTP status {status}'}")


def _problem_in(raw: bytes) -> str:
    try:
        values = json.loads(raw)
    except ValueError:
        return ""
    problem = values.get("problem") if isinstance(values, dict) else None
    return problem[:300] if isinstance(problem, str) else ""
