"""Pictures from outside: read, or refused by name; never another exception."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atm_face.images import (
    MAX_BYTES,
    Image,
    ImageError,
    check_container,
    decode_image,
    load_image,
)
from hardware.simulators import portraits

GRADIENT = np.linspace(0, 255, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)


def encoded(extension: str, pixels: np.ndarray = GRADIENT) -> bytes:
    is_done, raw = cv2.imencode(extension, pixels)
    assert is_done
    return raw.tobytes()


SOUND = {extension: encoded(extension) for extension in (".png", ".jpg", ".bmp")}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of_size(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


MAY_MOVE = "GIF and WebP pictures may be animated: JPEG, PNG or BMP is needed"


@pytest.mark.parametrize("extension", sorted(SOUND))
def test_whole_pictures_are_read(extension: str) -> None:
    image = decode_image(SOUND[extension], f"camera{extension}")
    assert (image.width, image.height) == (32, 24)
    assert np.abs(image.pixels.astype(int) - GRADIENT).mean() < 4
    assert check_container(SOUND[extension]) == (32, 24)


@pytest.mark.parametrize(
    "pixels",
    [
        GRADIENT[:, :, 0],
        np.dstack([GRADIENT, np.full((24, 32), 7, np.uint8)]),
        GRADIENT.astype(np.uint16) * 257,
        GRADIENT[:1, :1],
    ],
    ids=["grey", "transparent", "16 bit", "one pixel"],
)
def test_other_depths_and_channels_become_bgr_of_8_bits(pixels: np.ndarray) -> None:
    image = decode_image(encoded(".png", pixels), "odd.png")
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (*pixels.shape[:2], 3)


@pytest.mark.parametrize("extension", sorted(SOUND))
def test_a_cut_picture_is_refused_at_every_length(extension: str) -> None:
    whole = SOUND[extension]
    for length in range(len(whole)):
        with pytest.raises(ImageError):
            decode_image(whole[:length], "cut")


def test_any_changed_byte_of_a_png_is_noticed() -> None:
    whole = SOUND[".png"]
    for offset in range(8, len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x10
        with pytest.raises(ImageError):
            decode_image(bytes(damaged), "damaged.png")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + bytes(40), MAY_MOVE),
        (b"RIFF\x28\0\0\0WEBPVP8X" + bytes(30), MAY_MOVE),
        (b"II*\0" + bytes(40), "not a JPEG, PNG or BMP picture"),
        (bytes(MAX_BYTES + 1), "larger than 32 MiB"),
        (png_of_size(100_000, 100_000), "announces 100000 x 100000 pixels, more than 40000000"),
        (png_of_size(0, 5), "announces 0 x 5 pixels"),
        (SOUND[".jpg"][:-2], "JPEG ends inside its picture (no end marker)"),
        (SOUND[".png"][:-4], "PNG ends inside a chunk at offset"),
        (b"\xff\xd8\xff\xd9", "JPEG ends before its picture"),
        (b"BM" + bytes(10), "BMP ends inside its header"),
    ],
)
def test_a_refusal_names_the_file_and_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(raw, "visit.png")
    assert caught.value.file == "visit.png"
    assert caught.value.reason.startswith(reason)


def test_a_picture_that_announces_too_much_never_reaches_the_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(cv2, "imdecode")
    with pytest.raises(ImageError, match="more than"):
        decode_image(png_of_size(60_000, 60_000), "bomb.png")


def test_the_turn_that_a_camera_notes_is_applied() -> None:
    """EXIF orientation 6: the camera was held upright, the picture lies on its side."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\x00\x00" + tiff
    note = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    image = decode_image(SOUND[".jpg"][:2] + note + SOUND[".jpg"][2:], "phone.jpg")
    assert (image.width, image.height) == (24, 32)


def test_a_sound_container_without_a_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="decoder"):
        decode_image(png_of_size(32, 24), "hollow.png")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent\.png: No such file"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="directory"):
        load_image(tmp_path)


def test_a_file_is_read_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(SOUND[".png"])
    assert load_image(path).file == "a.png"


def test_the_text_form_of_a_picture_shows_no_pixel() -> None:
    assert repr(Image("a.png", GRADIENT)) == "Image(file='a.png')"


def read_or_refuse(raw: bytes) -> Image | None:
    """Any exception but an ImageError ends the test."""
    try:
        return decode_image(raw, "outside.png")
    except ImageError:
        return None


SOME_BYTES = st.one_of(
    st.binary(max_size=400),
    st.builds(bytes.__add__, st.sampled_from([raw[:12] for raw in SOUND.values()]), st.binary()),
)


@given(SOME_BYTES)
@example(b"\xff\xd8\xff\xff\xff\xff")
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_an_image_error(raw: bytes) -> None:
    read_or_refuse(raw)


@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_damaged_pictures_raise_nothing_but_an_image_error(
    extension: str, changes: list[tuple[int, int]]
) -> None:
    raw = bytearray(SOUND[extension])
    for offset, value in changes:
        raw[offset % len(raw)] = value
    image = read_or_refuse(bytes(raw))
    if image is not None:
        assert image.width * image.height == int(np.prod(check_container(bytes(raw))))


def test_every_offset_of_a_jpeg_header_may_be_zeroed() -> None:
    whole = SOUND[".jpg"]
    for offset, value in itertools.product(range(min(len(whole), 400)), (0x00, 0xFF)):
        raw = bytearray(whole)
        raw[offset] = value
        read_or_refuse(bytes(raw))


def test_an_animated_png_is_refused() -> None:
    raw = portraits.nobody()
    body = b"acTL" + struct.pack(">II", 2, 0)
    chunk = struct.pack(">I", 8) + body + struct.pack(">I", zlib.crc32(body))
    with pytest.raises(ImageError, match="animated PNG"):
        decode_image(raw[:33] + chunk + raw[33:], "moving.png")


def test_a_picture_for_printing_is_refused() -> None:
    raw = portraits.portrait_jpeg()
    frame = raw.index(b"\xff\xc0")
    with pytest.raises(ImageError, match="CMYK"):
        decode_image(raw[: frame + 9] + b"\x04" + raw[frame + 10 :], "print.jpg")
