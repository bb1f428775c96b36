"""The device's template key: a file of mode 0600, or sealed by a key that lives in a token.

In a token (TPM 2, smart card, HSM behind PKCS #11) an AES key is made that the token does not give
away; the template key lies beside as a file that only this token opens. A stolen disk then opens no
template. Needs the extra ``qianshao[pkcs11]``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.files import create_durably
from contract.keyfiles import KeyFileError, check_private, read_file

KEY_BYTES = 32
_IV_BYTES = 16
_MAGIC = b"qianshao-template-key-1\n"


class DeviceKeyError(Exception):
    """A template key that cannot be had: file, token or seal, in plain words."""


def require_key_beside(store: Path, key: Path) -> None:
    """Refuse to make a new key for templates that were sealed under another; DeviceKeyError."""
    if store.exists() and not key.exists():
        raise DeviceKeyError(
            f"{key}: no such key, but {store.name} exists: a new one opens nothing"
        )


def file_key(path: Path) -> bytes:
    """Read the key's file, or make one; raises DeviceKeyError."""
    try:
        if not path.exists():
            create_durably(path, secrets.token_bytes(KEY_BYTES))
        check_private(path)
        key = read_file(path)
    except (OSError, KeyFileError) as error:
        raise DeviceKeyError(f"{path}: {error}") from error
    if len(key) != KEY_BYTES:
        raise DeviceKeyError(f"{path}: has {len(key)} bytes, a template key has {KEY_BYTES}")
    return key


@dataclass(frozen=True, slots=True)
class TokenSlot:
    """Where the sealing key lives."""

    library: Path
    token: str
    pin: str = field(repr=False)
    label: str = "qianshao-templates"


def token_key(path: Path, slot: TokenSlot) -> bytes:
    """Open the sealed key with the token, or make and seal one; raises DeviceKeyError.

    The text of every error names the token and never the PIN.
    """
    try:
        import pkcs11
    except ModuleNotFoundError as error:
        raise DeviceKeyError("a key in a token needs the extra qianshao[pkcs11]") from error
    mechanism = pkcs11.Mechanism.AES_CBC_PAD  # a TPM behind tpm2-pkcs11 has no AES-GCM
    try:
        sealer = _sealer(pkcs11, slot, may_make=not path.exists())
        if not path.exists():
            key, iv = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(_IV_BYTES)
            plain = key + hashlib.sha256(_MAGIC + key).digest()
            sealed = sealer.encrypt(
                plain, mechanism=pkcs11.Mechanism.AES_CBC_PAD, mechanism_param=iv
            )
            create_durably(path, _MAGIC + iv + bytes(sealed))
            return key
        raw = read_file(path)
        if not raw.startswith(_MAGIC):
            raise DeviceKeyError(f"{path}: is no sealed template key")
        iv, sealed = raw[len(_MAGIC) :][:_IV_BYTES], raw[len(_MAGIC) + _IV_BYTES :]
        plain = bytes(sealer.decrypt(sealed, mechanism=mechanism, mechanism_param=iv))
    except (pkcs11.PKCS11Error, RuntimeError, OSError, KeyFileError) as error:
        words = f"{type(error).__name__} {error}".strip()
        raise DeviceKeyError(f"{path}: token {slot.token!r}: {words}") from error
    key, check = plain[:KEY_BYTES], plain[KEY_BYTES:]
    if not hmac.compare_digest(check, hashlib.sha256(_MAGIC + key).digest()):
        raise DeviceKeyError(f"{path}: is of another token, or damaged")
    return key


def _sealer(pkcs11: Any, slot: TokenSlot, *, may_make: bool) -> Any:
    """The token's own AES key; made only where no sealed key is there yet to lose."""
    token = pkcs11.lib(str(slot.library)).get_token(token_label=slot.token)
    try:
        session = token.open(rw=may_make, user_pin=slot.pin)
    except pkcs11.UserAlreadyLoggedIn:  # by this process, through a session it still has
        session = token.open(rw=may_make)
    kinds, kind = pkcs11.ObjectClass, pkcs11.KeyType.AES
    try:
        return session.get_key(object_class=kinds.SECRET_KEY, key_type=kind, label=slot.label)
    except pkcs11.NoSuchKey:
        if not may_make:
            raise
    attribute = pkcs11.Attribute
    return session.generate_key(
        kind,
        256,
        label=slot.label,
        store=True,
        template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
    )
