"""Raw evidence on the device: the bytes whose hashes the signed messages name."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from contract.clock import UnixMicros
from contract.files import replace_durably

_NAME_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLimits:
    """How long raw evidence stays once the central has the messages that name it."""

    max_bytes: int = 4 * 1024**3
    """Of all blobs; the oldest go first."""
    max_age_s: float | None = 180 * 86_400.0
    """None: as long as there is room."""


@dataclass(frozen=True, slots=True)
class _Blob:
    path: Path
    kept_us: int
    size_bytes: int


class EvidenceStore:
    """A folder of blobs, each named by its SHA-256; written before the message that names it."""

    def __init__(self, folder: Path, limits: EvidenceLimits | None = None) -> None:
        self._folder = folder
        self._limits = limits or EvidenceLimits()
        self._lock = threading.Lock()  # a blob that is named again is not pruned meanwhile

    def keep(self, blob: bytes) -> str:
        """Write a blob durably unless it is there already; returns its name. Raises OSError."""
        name = hashlib.sha256(blob).hexdigest()
        path = self._folder / name
        with self._lock:
            if path.exists():
                os.utime(path)  # a new message names it
            else:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                replace_durably(path, blob)
        return name

    def read(self, name: str) -> bytes:
        """Return a blob and check it against its name; raises OSError or ValueError."""
        blob = (self._folder / name).read_bytes()
        if hashlib.sha256(blob).hexdigest() != name:
            raise ValueError(f"{name} is damaged: its bytes have another hash")
        return blob

    def prune(self, *, now: UnixMicros | None, before: UnixMicros) -> int:
        """Delete what is too old or too much, oldest first; returns how many blobs went.

        ``before`` is when the oldest message was made that the central has no receipt for: nothing
        kept since then is touched. ``now`` None: the clock is not to be trusted, only size counts.
        Raises OSError.
        """
        with self._lock:
            blobs = sorted(self._blobs(), key=lambda blob: blob.kept_us)
            total_bytes, gone = sum(blob.size_bytes for blob in blobs), 0
            for blob in blobs:
                is_over = total_bytes > self._limits.max_bytes
                if blob.kept_us >= before or not (is_over or self._is_old(blob, now)):
                    break
                blob.path.unlink()
                total_bytes -= blob.size_bytes
                gone += 1
        return gone

    def _is_old(self, blob: _Blob, now: UnixMicros | None) -> bool:
        if now is None or self._limits.max_age_s is None:
            return False
        return now - blob.kept_us > self._limits.max_age_s * 1e6

    def _blobs(self) -> list[_Blob]:
        if not self._folder.exists():
            return []
        found = []
        for entry in os.scandir(self._folder):
            if len(entry.name) == _NAME_CHARS and entry.is_file(follow_symlinks=False):
                about = entry.stat(follow_symlinks=False)
                found.append(_Blob(Path(entry.path), about.st_mtime_ns // 1000, about.st_size))
        return found
