"""Raw evidence on the device: the bytes whose hashes the signed messages name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from contract.files import replace_durably


class EvidenceStore:
    """A folder of blobs, each named by its SHA-256; written before the message that names it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, blob: bytes) -> str:
        """Write a blob durably unless it is there already; returns its name. Raises OSError."""
        name = hashlib.sha256(blob).hexdigest()
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            replace_durably(path, blob)
        return name

    def read(self, name: str) -> bytes:
        """Return a blob and check it against its name; raises OSError or ValueError."""
        blob = (self._folder / name).read_bytes()
        if hashlib.sha256(blob).hexdigest() != name:
            raise ValueError(f"{name} is damaged: its bytes have another hash")
        return blob
