"""An authenticator in software: what a security key and a browser make together, to be altered."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.clock import UnixMicros
from contract.cosign import Signature, officer_header, signing_input
from contract.keys import PrivateKey, public_pem
from contract.orders import Officer
from contract.webauthn import Assertion, challenge_of, digest_of, pack
from tests.orders import HOUR_US, NOW, TENANT

RP_ID = "central.example"
ORIGIN = "https://central.example"
PRESENT, VERIFIED, CREDENTIAL = 0x01, 0x04, 0x40


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@dataclass
class Authenticator:
    """One officer's authenticator, honest unless told otherwise."""

    officer: str
    key: PrivateKey
    credential_id: bytes = b"credential of one"
    rp_id: str = RP_ID
    client: dict[str, Any] = field(default_factory=lambda: {"origin": ORIGIN, "crossOrigin": False})
    flags: int = PRESENT | VERIFIED

    @property
    def entry(self) -> Officer:
        return Officer(
            officer=self.officer,
            public_pem=public_pem(self.key.public_key()),
            valid_from=UnixMicros(NOW - 1000 * HOUR_US),
            valid_until=UnixMicros(NOW + 1000 * HOUR_US),
            credential_id=self.credential_id,
        )

    def client_data(self, type_: str, challenge: bytes, **changes: Any) -> bytes:
        said = {"type": type_, "challenge": base64url(challenge), **self.client, **changes}
        return json.dumps(said, separators=(",", ":")).encode()

    def data(self, *, flags: int = 0, count: int = 7) -> bytes:
        head = hashlib.sha256(self.rp_id.encode()).digest()
        return head + bytes([self.flags | flags]) + count.to_bytes(4, "big")

    def press(self, data: bytes, client_data: bytes) -> bytes:
        signed = data + hashlib.sha256(client_data).digest()
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(signed)
        return self.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    def assertion(self, contents: Sequence[bytes], tenant: str = TENANT) -> Assertion:
        header = officer_header(self.entry)
        digests = tuple(
            digest_of(signing_input(content, tenant=tenant, signer_header=header))
            for content in contents
        )
        client_data = self.client_data("webauthn.get", challenge_of(digests))
        data = self.data()
        return Assertion(
            authenticator_data=data,
            client_data=client_data,
            signature=self.press(data, client_data),
            digests=digests,
        )

    def sign(self, *contents: bytes, tenant: str = TENANT) -> Signature:
        """The signature of each of these contents: they are signed together."""
        header = officer_header(self.entry)
        return Signature(header, pack(self.assertion(contents, tenant)))

    # -- a new credential ---------------------------------------------------------------------

    def cose_key(self) -> dict[int, Any]:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}
        numbers = self.key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        return {1: 2, 3: -7, -1: 1, -2: x, -3: y}

    def new_data(self, cose_key: dict[int, Any] | None = None) -> bytes:
        length = len(self.credential_id).to_bytes(2, "big")
        key = cbor2.dumps(self.cose_key() if cose_key is None else cose_key, canonical=True)
        return self.data(flags=CREDENTIAL) + bytes(16) + length + self.credential_id + key

    def attestation(self, data: bytes | None = None, **changes: Any) -> bytes:
        table = {"fmt": "none", "attStmt": {}, "authData": data or self.new_data(), **changes}
        return cbor2.dumps(table, canonical=True)
