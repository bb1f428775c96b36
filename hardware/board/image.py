"""The board's application as one file: made from sources, read back, its digest.

An image is ``QSI1``, the number of files (2 bytes, little-endian), then for each file the length of
its name (1), the name, the size (4) and the content. Boards check the SHA-256 before they unpack.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

MAGIC = b"QSI1"
MAX_SIZE = 512 * 1024


class ImageError(Exception):
    """Bytes that are no image; the message says where they stop being one."""


@dataclass(frozen=True, slots=True)
class Image:
    """Files of an image by name, in their order."""

    files: dict[str, bytes]

    def pack(self) -> bytes:
        """The image's bytes."""
        parts = [MAGIC, struct.pack("<H", len(self.files))]
        for name, content in self.files.items():
            raw = name.encode("ascii")
            parts += [bytes([len(raw)]), raw, struct.pack("<I", len(content)), content]
        return b"".join(parts)


def digest(image: bytes) -> bytes:
    """SHA-256, which the board is told before the first byte."""
    return hashlib.sha256(image).digest()


def unpack(image: bytes) -> Image:
    """Read an image; ImageError with the offset where it is torn."""
    if image[:4] != MAGIC:
        raise ImageError("offset 0: no image")
    files: dict[str, bytes] = {}
    at = 4
    (count,) = struct.unpack("<H", _take(image, at, 2))
    at += 2
    for _ in range(count):
        length = _take(image, at, 1)[0]
        name = _take(image, at + 1, length)
        at += 1 + length
        (size,) = struct.unpack("<I", _take(image, at, 4))
        if not name.isascii() or name.decode("ascii") in files:
            raise ImageError(f"offset {at}: name {name!r}")
        files[name.decode("ascii")] = _take(image, at + 4, size)
        at += 4 + size
    if at != len(image):
        raise ImageError(f"offset {at}: {len(image) - at} bytes too many")
    return Image(files)


def _take(image: bytes, at: int, length: int) -> bytes:
    data = image[at : at + length]
    if len(data) != length:
        raise ImageError(f"offset {at}: the image ends")
    return data
