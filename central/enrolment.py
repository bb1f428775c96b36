"""How devices come in, are renewed and are put out: one desk for the command and for the network.

A device proves its evidence key with each request, and its TLS key by the signing request itself.
Its name comes from the invitation or from the store, never from what it asks for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from central.authority import CLIENT_LIFE, Authority, RequestError
from central.store.identities import Invitation, IssuedCertificate
from central.store.sql import SqlStore
from contract.clock import Clock
from contract.enrolment import Answer, EnrolmentError, Request, Token, hash_secret
from contract.keys import key_id, public_pem
from contract.words import DeviceKind

TOKEN_LIFE = dt.timedelta(hours=24)
"""Long enough to drive to the machine, short enough to be forgotten in a pocket."""

log = structlog.get_logger("enrolment")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentDesk:
    """Invites, enrols, renews and revokes devices of one tenant."""

    store: SqlStore
    authority: Authority
    tenant: str
    central_key_pem: str
    clock: Clock
    certificate_life: dt.timedelta = CLIENT_LIFE
    seal_keys: Callable[[str, bytes], bytes] | None = None
    """The tenant's keys for an ATM, sealed to its box key; None: this desk hands out none."""

    @property
    def authority_pem(self) -> bytes:
        """The certificate that every party trusts."""
        return self.authority.certificate_path.read_bytes()

    @property
    def pin(self) -> bytes:
        """What tokens name the authority by."""
        certificate = x509.load_pem_x509_certificate(self.authority_pem)
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()

    def invite(
        self, device: str, kind: DeviceKind, name: str, life: dt.timedelta = TOKEN_LIFE
    ) -> Token:
        """Make a token for one device; an earlier one that was not used is void.

        Raises ValueError for a name that no device may bear.
        """
        token = Token.new(device, self.pin)
        now = int(self.clock.wall())
        self.store.invite(
            Invitation(
                hashed=token.hashed,
                device=device,
                tenant=self.tenant,
                kind=kind,
                name=name,
                made_at=now,
                expires_at=now + int(life.total_seconds() * 1e6),
            )
        )
        return token

    def answer(self, raw: bytes) -> Answer:
        """Grant a request, or raise EnrolmentError with the reason."""
        request = Request.from_json(raw)
        if not request.is_proved:
            raise EnrolmentError("the request is not signed by the evidence key that it names")
        try:
            if request.secret is not None:
                # The invitation is used up only by a request that can be granted.
                certificate = self.authority.issue_from_csr(
                    request.csr_pem.encode(), request.device, life=self.certificate_life
                )
                self._enrol(request, request.secret)
            else:
                self._check_known(request)
                certificate = self.authority.issue_from_csr(
                    request.csr_pem.encode(), request.device, life=self.certificate_life
                )
        except (RequestError, ValueError) as error:  # an InvitationError is one
            log.warning("enrolment_refused", device=request.device, problem=str(error))
            raise EnrolmentError(str(error)) from error
        self._remember(request.device, certificate)
        what = "device_renewed" if request.secret is None else "device_enrolled"
        log.info(what, device=request.device, kid=key_id(request.public).hex()[:16])
        return Answer(
            tenant=self.tenant,
            certificate_pem=certificate.decode("ascii"),
            authority_pem=self.authority_pem.decode("ascii"),
            central_key_pem=self.central_key_pem,
            sealed_keys=self._sealed_keys(request),
        )

    def _sealed_keys(self, request: Request) -> bytes | None:
        """Only an ATM is told under which keys accounts are known."""
        if request.box is None or self.seal_keys is None:
            return None
        device = self.store.device(request.device)
        if device is None or device.kind is not DeviceKind.ATM:
            return None
        return self.seal_keys(request.device, request.box)

    def revoke(self, device: str) -> bool:
        """Put a device out; False if it is not known. A running central acts within a second."""
        return self.store.revoke(device, int(self.clock.wall()))

    def publish_crl(self) -> Path:
        """Write the list of revoked certificates and return its file."""
        revoked = self.store.revoked_certificates(int(self.clock.wall()))
        return self.authority.publish_crl(
            [
                (int(c.serial, 16), dt.datetime.fromtimestamp((c.revoked_at or 0) // 10**6, dt.UTC))
                for c in revoked
            ]
        )

    def _enrol(self, request: Request, secret: bytes) -> None:
        self.store.redeem(
            hash_secret(secret),
            request.device,
            public_pem(request.public),
            int(self.clock.wall()),
        )

    def _check_known(self, request: Request) -> None:
        known = self.store.find_key(key_id(request.public))
        if known is None or known.owner != request.device:
            raise RequestError("this evidence key is not enrolled for the device, or was revoked")

    def _remember(self, device: str, certificate_pem: bytes) -> None:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        self.store.add_certificate(
            IssuedCertificate(
                serial=f"{certificate.serial_number:x}",
                device=device,
                not_before=_micros(certificate.not_valid_before_utc),
                not_after=_micros(certificate.not_valid_after_utc),
                issued_at=int(self.clock.wall()),
            )
        )


def _micros(at: dt.datetime) -> int:
    return int(at.timestamp()) * 1_000_000
