"""Passwords (argon2id) and one-time codes (TOTP, RFC 6238); secrets at rest are sealed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contract.files import create_durably
from contract.keyfiles import KeyFileError, check_private, read_file

MIN_LENGTH = 12
"""NIST SP 800-63B-4 section 3.1.1: length is what counts, no rules of composition."""
MAX_LENGTH = 256
STEP_S = 30
DIGITS = 6
WINDOW_STEPS = 1
"""A code of the step before or after is taken: clocks differ (RFC 6238 section 5.2)."""

_SECRET_BYTES = 20
_KEY_BYTES = 32
_NONCE_BYTES = 12
_HASHER = PasswordHasher()  # RFC 9106 section 4, the low-memory choice
_NOBODY = _HASHER.hash(secrets.token_hex(16))
_COMMON = frozenset({"password1234", "123456789012", "qwertyuiop12", "administrator"})


class RefusedError(ValueError):
    """Something that is not let through; ``problem`` is a word of the catalogues."""

    def __init__(self, problem: str, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.problem = problem
        self.number = number


class WeakPasswordError(RefusedError):
    """A password that is not taken; the message says why."""


def check_strength(password: str, name: str) -> str:
    """Return the password if it may be used; raises WeakPasswordError."""
    if len(password) < MIN_LENGTH:
        raise WeakPasswordError(
            "short", f"a password has at least {MIN_LENGTH} characters", MIN_LENGTH
        )
    if len(password) > MAX_LENGTH:
        raise WeakPasswordError(
            "long", f"a password has at most {MAX_LENGTH} characters", MAX_LENGTH
        )
    if len(set(password)) < 5 or password.lower() in _COMMON or name.lower() in password.lower():
        raise WeakPasswordError("weak", "this password is too easy to guess")
    return password


def hash_password(password: str) -> str:
    """Return the argon2id hash with its parameters and salt."""
    return _HASHER.hash(password)


def verify_password(hashed: str | None, password: str) -> bool:
    """Compare; without a hash the same work is done, so that time tells no names."""
    try:
        return _HASHER.verify(hashed or _NOBODY, password[: MAX_LENGTH + 1]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


# -- one-time codes ------------------------------------------------------------------------------


def new_secret() -> bytes:
    """Return a fresh secret of the length that RFC 4226 section 4 recommends."""
    return secrets.token_bytes(_SECRET_BYTES)


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """Return the code of a time step (RFC 4226 section 5.3)."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, code: str, unix_s: int, after: int = 0) -> int | None:
    """Return the time step whose code this is, later than ``after``; None if there is none.

    A step that was used once never counts again (RFC 6238 section 5.2).
    """
    cleaned = code.replace(" ", "")
    now = unix_s // STEP_S
    found = None
    for step in range(now - WINDOW_STEPS, now + WINDOW_STEPS + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), cleaned.encode()) and step > after:
            found = step
    return found


def key_uri(secret: bytes, name: str, issuer: str) -> str:
    """Return the ``otpauth`` address that an authenticator reads."""
    text = base64.b32encode(secret).decode("ascii").rstrip("=")
    label = quote(f"{issuer}:{name}", safe="")
    return f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer, safe='')}"


def spell(secret: bytes) -> str:
    """Spell a secret as people type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode("ascii")
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


# -- at rest --------------------------------------------------------------------------------------


class Vault:
    """Seals second factors with a key that lies beside the store and not in it."""

    def __init__(self, path: Path) -> None:
        """Read the key, or make it; raises KeyFileError."""
        if not path.exists():
            try:
                create_durably(path, secrets.token_bytes(_KEY_BYTES))
            except FileExistsError:
                pass
            except OSError as error:
                raise KeyFileError(path, f"cannot be written: {error.strerror}") from error
        check_private(path)
        key = read_file(path)
        if len(key) != _KEY_BYTES:
            raise KeyFileError(path, f"does not hold a key of {_KEY_BYTES} bytes")
        self._path = path
        self._cipher = AESGCM(key)

    def seal(self, secret: bytes, owner: str) -> str:
        """Seal a secret for its owner: it opens under no other name."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, owner.encode())
        return base64.b64encode(sealed).decode("ascii")

    def open(self, sealed: str, owner: str) -> bytes:
        """Open a sealed secret; raises KeyFileError if this key did not seal it."""
        raw = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode())
        except InvalidTag as error:
            raise KeyFileError(self._path, f"is not the key of {owner}'s second factor") from error
