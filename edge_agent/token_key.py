"""The evidence key inside a token (TPM, smart card, HSM) behind PKCS #11: it never leaves.

ES256, because tokens rarely know Ed25519. Needs the extra ``qianshao[pkcs11]``. The TLS key stays a
file: Python's ssl module takes no key that it cannot read.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contract.keyfiles import KeyFileError, check_private, read_file
from contract.keys import Algorithm, PublicKey, key_id
from edge_agent.config import TokenConfig

SIGNATURE_BYTES = 64

log = structlog.get_logger("identity")


class TokenLostError(OSError):
    """The token does not sign now: what waits for a signature waits, as for a disk."""


class TokenSigner:
    """A :class:`contract.keys.Signer` over a P-256 key in a token. Any thread may sign."""

    algorithm = Algorithm.ES256

    def __init__(self, config: TokenConfig) -> None:
        """Find the key, or have the token make it; raises KeyFileError."""
        self._config = config
        self._lock = threading.Lock()
        self._key: Any = None
        self.is_new = False
        try:
            import pkcs11
        except ModuleNotFoundError as error:
            raise KeyFileError(
                config.library, "a key in a token needs the extra qianshao[pkcs11]"
            ) from error
        self._pkcs11 = pkcs11
        try:
            self.public: PublicKey = self._open()
        except (pkcs11.PKCS11Error, RuntimeError, OSError, ValueError) as error:
            raise KeyFileError(config.library, self._words(error)) from error
        self.kid = key_id(self.public)

    def sign(self, data: bytes) -> bytes:
        """Return r || s (RFC 9053 section 2.1); raises TokenLostError.

        A token that was pulled out and put back is opened again once; it must hold the same key.
        """
        digest = hashlib.sha256(data).digest()
        with self._lock:
            try:
                return self._sign(digest)
            except (self._pkcs11.PKCS11Error, RuntimeError) as error:
                log.warning("token_lost", problem=self._words(error))
            try:
                if key_id(self._open(may_make=False)) != self.kid:
                    raise TokenLostError("the token holds another key now")
                return self._sign(digest)
            except (self._pkcs11.PKCS11Error, RuntimeError) as error:
                raise TokenLostError(f"the token does not sign: {self._words(error)}") from error

    def _sign(self, digest: bytes) -> bytes:
        signature = bytes(self._key.sign(digest, mechanism=self._pkcs11.Mechanism.ECDSA))
        if len(signature) != SIGNATURE_BYTES:
            raise RuntimeError(f"a signature of {len(signature)} bytes")
        return signature

    def _open(self, *, may_make: bool = True) -> PublicKey:
        check_private(self._config.pin_file)
        pin = read_file(self._config.pin_file).decode("utf-8").strip()
        token = self._pkcs11.lib(str(self._config.library)).get_token(
            token_label=self._config.token
        )
        try:
            session = token.open(rw=may_make, user_pin=pin)
        except self._pkcs11.UserAlreadyLoggedIn:  # by this process, through a session it still has
            session = token.open(rw=may_make)
        kind = self._pkcs11.ObjectClass
        try:
            self._key = self._found(session, kind.PRIVATE_KEY)
            public = self._found(session, kind.PUBLIC_KEY)
        except self._pkcs11.NoSuchKey:
            if not may_make:
                raise
            public, self._key = self._make(session)
            self.is_new = True
        return _p256(public)

    def _found(self, session: Any, kind: Any) -> Any:
        key_type = self._pkcs11.KeyType.EC
        return session.get_key(object_class=kind, key_type=key_type, label=self._config.key)

    def _make(self, session: Any) -> tuple[Any, Any]:
        """Let the token make a key that it will not give away."""
        from pkcs11.util.ec import encode_named_curve_parameters

        attribute = self._pkcs11.Attribute
        parameters = session.create_domain_parameters(
            self._pkcs11.KeyType.EC,
            {attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
            local=True,
        )
        public, private = parameters.generate_keypair(
            store=True,
            label=self._config.key,
            private_template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
        )
        return public, private

    def _words(self, error: Exception) -> str:
        """An error of a token is often a type without a word."""
        return f"token {self._config.token!r}: {type(error).__name__} {error}".strip()


def _p256(public: Any) -> PublicKey:
    from pkcs11.util.ec import encode_ec_public_key

    key = load_der_public_key(encode_ec_public_key(public))
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise ValueError("the key in the token is not on P-256")
    return key
