"""Secrets in files: born once, whole after a power cut, readable by their owner alone."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.files import create_durably
from contract.keys import KeySigner, PrivateKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(Exception):
    """A key or certificate that cannot be used; ``path`` is its file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def load_or_create_key(path: Path, generate: Callable[[], PrivateKey]) -> object:
    """Read a private key (PKCS #8 PEM), or make it and write it with mode 0600.

    A file that others may read or that holds no key is refused, never replaced; raises
    KeyFileError.
    """
    if not path.exists():
        pem = generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            # Another process that was faster has made the owner's key: then that one is read.
            with contextlib.suppress(FileExistsError):
                create_durably(path, pem)
        except OSError as error:
            raise KeyFileError(path, f"cannot be written: {error.strerror}") from error
    check_private(path)
    try:
        return serialization.load_pem_private_key(read_file(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(path, f"holds no usable private key: {error}") from error


def evidence_signer(path: Path) -> KeySigner:
    """Return the signer whose Ed25519 key lives in ``path``, making it where it is missing."""
    key = load_or_create_key(path, ed25519.Ed25519PrivateKey.generate)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyFileError(path, "does not hold an Ed25519 key")
    return KeySigner(key)


def check_private(path: Path) -> None:
    """Refuse a secret that others may read, as ssh does; Windows keeps no such bits."""
    if os.name == "nt":
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(path, f"has mode {mode:04o}, others may use it: chmod 600 is needed")


def read_file(path: Path) -> bytes:
    """Read a small file; raises KeyFileError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from error
