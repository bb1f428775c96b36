"""Work of a long evaluation that was stopped: what each picture offered, sealed; erased after."""

from __future__ import annotations

import json
import secrets
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine, Template
    from qianshao.face_pictures import Looked

_NONCE_BYTES = 12
_DIGEST_BYTES = 32
_LENGTH = struct.Struct(">I")


class WorkFileError(Exception):
    """A folder that cannot be used to resume."""


class WorkFile:
    """Sealed templates by the SHA-256 of their picture. A torn last record is done again.

    The key lies beside the work in a folder for its owner alone: this guards a copied or backed-up
    file, not an open account on the machine. Both are erased when the evaluation is through.
    """

    def __init__(self, folder: Path, engine: FaceEngine, key: bytes) -> None:
        self._folder = folder
        self._path = folder / "templates.sealed"
        self._cipher = AESGCM(key)
        self._engine = engine.name
        self._model = engine.model_sha256
        self.known: dict[bytes, Looked] = {}

    @classmethod
    def open(cls, folder: Path, engine: FaceEngine) -> WorkFile:
        """Begin or go on; raises WorkFileError for a folder of something else."""
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            others = {path.name for path in folder.iterdir()} - {"key", "templates.sealed"}
            if others:
                raise WorkFileError(f"{folder} holds other files: name a folder of its own")
            key_file = folder / "key"
            if not key_file.exists():
                key_file.touch(mode=0o600)
                key_file.write_bytes(secrets.token_bytes(32))
            key = key_file.read_bytes()
            if len(key) != 32:
                raise WorkFileError(f"{key_file} is no key; erase the folder and begin anew")
            work = cls(folder, engine, key)
            work._load()
        except OSError as error:
            raise WorkFileError(f"{folder}: {error.strerror}") from error
        return work

    def add(self, digest: bytes, seen: Looked) -> None:
        """Keep what one picture offered."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        vectors = [None if one is None else one.vector for one in (seen.template, seen.glance)]
        plain = json.dumps([seen.finding, seen.prompt, *vectors]).encode()
        sealed = self._cipher.encrypt(nonce, plain, self._bound_to(digest))
        record = digest + nonce + sealed
        with self._path.open("ab") as file:
            file.write(_LENGTH.pack(len(record)) + record)
        self._path.chmod(0o600)

    def erase(self) -> None:
        """Key first: what is left is then noise."""
        (self._folder / "key").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _bound_to(self, digest: bytes) -> bytes:
        return b"|".join((self._engine.encode(), self._model, digest))

    def _load(self) -> None:
        from qianshao.face_pictures import Looked

        raw = self._path.read_bytes() if self._path.exists() else b""
        offset = 0
        while offset + _LENGTH.size <= len(raw):
            (length,) = _LENGTH.unpack_from(raw, offset)
            record = raw[offset + _LENGTH.size : offset + _LENGTH.size + length]
            if len(record) < length or length < _DIGEST_BYTES + _NONCE_BYTES + 16:
                break
            offset += _LENGTH.size + length
            digest, rest = record[:_DIGEST_BYTES], record[_DIGEST_BYTES:]
            nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            try:
                plain = self._cipher.decrypt(nonce, sealed, self._bound_to(digest))
            except InvalidTag as error:
                raise WorkFileError(f"{self._path} is of another engine or damaged") from error
            finding, prompt, *vectors = json.loads(plain)
            template, glance = (self._template(vector) for vector in vectors)
            self.known[digest] = Looked(finding, prompt, template, glance)
        if offset < len(raw):  # killed while it wrote
            with self._path.open("r+b") as file:
                file.truncate(offset)

    def _template(self, vector: list[float] | None) -> Template | None:
        from atm_face.engines.interface import Template

        if vector is None:
            return None
        return Template(engine=self._engine, model_sha256=self._model, vector=tuple(vector))
