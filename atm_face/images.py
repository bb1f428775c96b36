"""Reads a still picture: JPEG, PNG or BMP to BGR pixels, or an ImageError that says why not.

The container is walked before anything is decoded, so that a cut or altered file, or one that
promises more pixels than a camera has, is named and never reaches the decoder. Formats that no
camera or identity-card reader writes (TIFF, OpenEXR, GIF) are refused: fewer decoders to attack.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from atm_face.opencv import require_opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MAX_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 40_000_000
"""More than any camera at a machine delivers; 120 MB once decoded."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_BMP_MAGIC = b"BM"
_MOVING_MAGIC = (b"GIF87a", b"GIF89a")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn; not DHT, JPG, DAC
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RSTn: markers without a length
_JPEG_SOS, _JPEG_EOI = 0xDA, b"\xff\xd9"


class ImageError(Exception):
    """A picture that cannot be read: ``file`` is its name, ``reason`` in plain words."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class _ContainerError(Exception):
    """Reason found while walking a container; gets the file's name where that is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A decoded picture. Its text form never shows a pixel."""

    file: str
    """Name without a folder, for messages."""
    pixels: Pixels = field(repr=False)
    """Height x width x 3, BGR, 0..255."""

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])


def load_image(path: Path) -> Image:
    """Read a picture from a file; raises ImageError with the file's name and the reason."""
    return decode_image(read_encoded(path), str(path))


def read_encoded(path: Path) -> bytes:
    """Bytes of a picture's file, one more than the limit at most; raises ImageError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(str(path), error.strerror or str(error)) from error


def decode_image(encoded: bytes, file: str) -> Image:
    """Decode a JPEG, PNG or BMP; any other bytes raise ImageError and nothing else.

    Grey, palette, 16-bit and transparent pictures become BGR of 8 bits (transparency is dropped);
    the turn that a camera notes in EXIF is applied.
    """
    require_opencv()
    import cv2
    import numpy as np

    try:
        check_container(encoded)
    except _ContainerError as error:
        raise ImageError(file, str(error)) from None
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(file, f"the decoder refused it: {error.err}") from error
    if pixels is None:
        raise ImageError(file, "the decoder found no picture in it")
    return Image(Path(file).name, np.ascontiguousarray(pixels, dtype=np.uint8))


def decode_depth(encoded: bytes, file: str) -> NDArray[np.uint16]:
    """Millimetres of each place from a grey PNG of 16 bits; any other bytes raise ImageError."""
    require_opencv()
    import cv2
    import numpy as np

    try:
        check_container(encoded)
        if not encoded.startswith(_PNG_MAGIC) or encoded[24:26] != b"\x10\x00":
            raise _ContainerError("a depth frame is a grey PNG of 16 bits")
        depth = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    except _ContainerError as error:
        raise ImageError(file, str(error)) from None
    except cv2.error as error:
        raise ImageError(file, f"the decoder refused it: {error.err}") from error
    if depth is None or depth.ndim != 2 or depth.dtype != np.uint16:
        raise ImageError(file, "the decoder found no depth in it")
    return np.asarray(depth, dtype=np.uint16)


def check_container(encoded: bytes) -> tuple[int, int]:
    """Return (width, height) that a whole, sound file announces; else raise _ContainerError."""
    if not encoded:
        raise _ContainerError("the file is empty")
    if len(encoded) > MAX_BYTES:
        raise _ContainerError(f"larger than {MAX_BYTES // (1024 * 1024)} MiB")
    if encoded.startswith(_PNG_MAGIC):
        width, height = _walk_png(encoded)
    elif encoded.startswith(_JPEG_MAGIC):
        width, height = _walk_jpeg(encoded)
    elif encoded.startswith(_BMP_MAGIC):
        width, height = _walk_bmp(encoded)
    elif encoded.startswith(_MOVING_MAGIC) or encoded[:4] + encoded[8:12] == b"RIFFWEBP":
        raise _ContainerError("GIF and WebP pictures may be animated: JPEG, PNG or BMP is needed")
    else:
        raise _ContainerError("not a JPEG, PNG or BMP picture")
    if width < 1 or height < 1:
        raise _ContainerError(f"announces {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise _ContainerError(f"announces {width} x {height} pixels, more than {MAX_PIXELS}")
    return width, height


def _walk_png(encoded: bytes) -> tuple[int, int]:
    """Check every chunk's length and CRC (ISO/IEC 15948 section 5.3); return the size in IHDR."""
    size: tuple[int, int] | None = None
    offset = len(_PNG_MAGIC)
    while True:
        if offset + 12 > len(encoded):
            raise _ContainerError(f"PNG ends inside a chunk at offset {offset}")
        length, kind = struct.unpack_from(">I4s", encoded, offset)
        end = offset + 12 + length
        if end > len(encoded):
            raise _ContainerError(f"PNG ends inside a chunk at offset {offset}")
        stored = int.from_bytes(encoded[end - 4 : end], "big")
        if zlib.crc32(encoded[offset + 4 : end - 4]) != stored:
            raise _ContainerError(f"PNG chunk at offset {offset} fails its CRC")
        if size is None:
            if kind != b"IHDR" or length != 13:
                raise _ContainerError("PNG does not begin with its header")
            size = struct.unpack_from(">II", encoded, offset + 8)
        if kind == b"acTL":  # APNG: one file, several pictures, and only the first would be seen
            raise _ContainerError("animated PNG: one still picture is needed")
        if kind == b"IEND":
            return size
        offset = end


def _walk_jpeg(encoded: bytes) -> tuple[int, int]:
    """Follow the segments to the first scan (ITU-T T.81 annex B); return the frame's size."""
    size: tuple[int, int] | None = None
    offset = 2
    while True:
        if offset + 4 > len(encoded):
            raise _ContainerError("JPEG ends before its picture")
        if encoded[offset] != 0xFF:
            raise _ContainerError(f"JPEG has no marker at offset {offset}")
        marker = encoded[offset + 1]
        if marker == 0xFF or marker in _JPEG_BARE:  # a fill byte, or a marker that stands alone
            offset += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(encoded[offset + 2 : offset + 4], "big")
        if length < 2:
            raise _ContainerError(f"JPEG segment at offset {offset} has no length")
        if marker in _JPEG_FRAMES:
            if length < 8 or offset + 9 > len(encoded):
                raise _ContainerError(f"JPEG frame header at offset {offset} is cut")
            height, width = struct.unpack_from(">HH", encoded, offset + 5)
            if encoded[offset + 9 : offset + 10] == b"\x04":  # number of components, T.81 B.2.2
                raise _ContainerError("CMYK JPEG, made for printing: RGB or grey is needed")
            size = width, height
        offset += 2 + length
        if marker == _JPEG_SOS:
            break
    if size is None:
        raise _ContainerError("JPEG has a scan but no frame header")
    if encoded.find(_JPEG_EOI, offset) < 0:
        raise _ContainerError("JPEG ends inside its picture (no end marker)")
    return size


def _walk_bmp(encoded: bytes) -> tuple[int, int]:
    """Read the size in the information header and check that an uncompressed raster is whole."""
    if len(encoded) < 34:
        raise _ContainerError("BMP ends inside its header")
    raster, header = struct.unpack_from("<II", encoded, 10)
    if header < 40:
        raise _ContainerError(f"BMP header of {header} bytes is not supported")
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", encoded, 18)
    height = abs(height)  # negative: rows from the top
    if compression == 0 and width > 0:
        row_bytes = (width * bits + 31) // 32 * 4
        if raster + row_bytes * height > len(encoded):
            raise _ContainerError("BMP ends inside its picture")
    return width, height
