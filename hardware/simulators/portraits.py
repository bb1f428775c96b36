"""Portraits for a machine without recorded faces: one public-domain picture and copies of it.

The picture is NASA's portrait of the astronaut Eileen Collins, which scikit-image carries and which
is in the public domain; nobody else's face is shipped. So there is one genuine person here and no
impostor: an impostor is a made-up template. Needs ``qianshao[atm,demo]``.

Every function returns an encoded picture, the same bytes for the same call.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_HEAD = (221.0, 112.0)
"""Middle of the head in the portrait of 512 x 512."""
_HEAD_HALF = (62.0, 80.0)
_HEAD_DEPTH = 50.0
_NOSE = (221.0, 124.0)
_NOSE_SPREAD = (9.0, 16.0)
_NOSE_HEIGHT = 24.0
_COVER = (180, 85, 262, 180)
_MASK = ((221, 112), (262, 128), (258, 158), (238, 186), (206, 186), (184, 158), (180, 128))
_EYE_PLACES = ((205, 105), (246, 105))
_NEARER_TOP = 0.2
"""Faces stand above the middle of a picture."""
_PASSES = 30  # the fixed point of the inverse warp has settled long before


def portrait() -> bytes:
    """The portrait as it is, PNG, 512 x 512."""
    return _png(_pixels())


def portrait_jpeg(quality: int = 90) -> bytes:
    """The portrait as JPEG."""
    import cv2

    return _encoded(".jpg", _pixels(), (cv2.IMWRITE_JPEG_QUALITY, quality))


def with_brightness(factor: float) -> bytes:
    """Under more or less light: every value times ``factor``."""
    import numpy as np

    return _png(np.clip(_pixels() * factor, 0, 255).astype(np.uint8))


def rotated(degrees: float) -> bytes:
    """With the head leaning; positive: anticlockwise."""
    import cv2

    pixels = _pixels()
    matrix = cv2.getRotationMatrix2D(_HEAD, degrees, 1.0)
    return _png(_uint8(cv2.warpAffine(pixels, matrix, pixels.shape[1::-1])))


def cropped() -> bytes:
    """Head and shoulders only, 260 x 240."""
    return _png(_pixels()[20:260, 90:350])


def scaled(factor: float) -> bytes:
    """The whole picture larger or smaller."""
    import cv2

    return _png(
        _uint8(cv2.resize(_pixels(), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    )


def noisy(sigma: float = 15.0, seed: int = 1) -> bytes:
    """With sensor noise of this standard deviation."""
    import numpy as np

    pixels = _pixels()
    noise = np.random.default_rng(seed).normal(0.0, sigma, pixels.shape)
    return _png(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def blurred(sigma: float) -> bytes:
    """Out of focus by ``sigma`` pixels (the face is 100 pixels wide)."""
    import cv2

    return _png(_uint8(cv2.GaussianBlur(_pixels(), (0, 0), sigma)))


def mirrored() -> bytes:
    """Left and right exchanged."""
    return _png(_pixels()[:, ::-1])


def covered() -> bytes:
    """With the whole face behind a dark cloth."""
    pixels = _pixels().copy()
    left, top, right, bottom = _COVER
    pixels[top:bottom, left:right] = 10
    return _png(pixels)


def masked(colour: tuple[int, int, int] = (215, 190, 150)) -> bytes:
    """With a cloth of this colour (BGR) from the nose to below the chin, shaded like the face."""
    import cv2
    import numpy as np

    pixels = _pixels().astype(np.float32)
    cloth = np.zeros(pixels.shape[:2], np.float32)
    cv2.fillPoly(cloth, [np.array(_MASK, np.int32)], 1.0)
    cloth = np.asarray(cv2.GaussianBlur(cloth, (0, 0), 1.0), np.float32)[..., None]
    light = np.asarray(cv2.GaussianBlur(pixels.mean(axis=2), (0, 0), 25), np.float32)
    shade = np.clip(light / light[_MASK[0][1], _MASK[0][0]], 0.6, 1.3)[..., None]
    mixed = pixels * (1 - cloth) + np.array(colour, np.float32) * shade * cloth
    return _png(np.clip(mixed, 0, 255).astype(np.uint8))


def in_dark_glasses() -> bytes:
    """Behind dark glasses."""
    import cv2

    pixels = _pixels().copy()
    for eye in _EYE_PLACES:
        cv2.ellipse(pixels, eye, (18, 14), 0, 0, 360, (25, 22, 24), -1)
    cv2.line(pixels, _EYE_PLACES[0], _EYE_PLACES[1], (25, 22, 24), 3)
    return _png(pixels)


def nearer(picture: bytes, factor: float = 1.4) -> bytes:
    """The same scene from nearer: the upper middle of a picture, as large as the whole was."""
    import cv2
    import numpy as np

    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None or factor < 1.0:
        raise ValueError("a picture and a factor of at least 1 are needed")
    height, width = pixels.shape[:2]
    across, down = round(width / factor), round(height / factor)
    left, top = (width - across) // 2, round((height - down) * _NEARER_TOP)
    part = pixels[top : top + down, left : left + across]
    return _png(_uint8(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)))


def two_people() -> bytes:
    """Two equal faces side by side (the same person and her mirror image)."""
    import numpy as np

    half = _pixels()[20:260, 90:350]
    return _png(np.hstack([half, half[:, ::-1]]))


def nobody() -> bytes:
    """A grey wall."""
    import numpy as np

    return _png(np.full((240, 320, 3), 128, dtype=np.uint8))


def turned(degrees: float) -> bytes:
    """With the head turned; positive: to the person's own left.

    Every pixel moves by its assumed depth (half an ellipsoid with a nose on it) times the sine of
    the angle. So the nose really moves between the eyes, which no tilted print can do.
    """
    import cv2
    import numpy as np

    pixels = _pixels()
    height, width = pixels.shape[:2]
    across, down = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    source = across.copy()
    for _ in range(_PASSES):
        shift = _depth(source, down) * math.sin(math.radians(degrees))
        source = np.asarray(0.5 * source + 0.5 * (across - shift), dtype=np.float32)
    warped = cv2.remap(pixels, source, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _png(_uint8(warped))


def tilted_print(degrees: float, distance_px: float = 250.0) -> bytes:
    """A flat print of the portrait, tilted about its upright axis, seen from this distance.

    The attack that a challenge must withstand: somebody turns a photograph instead of a head.
    """
    import cv2
    import numpy as np

    pixels = _pixels()
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = [(-80.0, -100.0), (80.0, -100.0), (80.0, 140.0), (-80.0, 140.0)]
    before, after = [], []
    for x, y in corners:
        nearness = distance_px / (distance_px + x * sine)
        before.append((_HEAD[0] + x, _HEAD[1] + y))
        after.append((_HEAD[0] + x * cosine * nearness, _HEAD[1] + y * nearness))
    matrix = cv2.getPerspectiveTransform(
        np.array(before, dtype=np.float32), np.array(after, dtype=np.float32)
    )
    return _png(_uint8(cv2.warpPerspective(pixels, matrix, pixels.shape[1::-1])))


@functools.cache
def _pixels() -> Pixels:
    """The portrait as BGR; never written to."""
    import cv2
    from skimage.data import astronaut

    picture = astronaut()  # type: ignore[no-untyped-call]
    pixels = _uint8(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    pixels.setflags(write=False)
    return pixels


def _depth(across: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """Assumed depth of the head at these places, pixels in front of the wall."""
    import numpy as np

    x, y = (across - _HEAD[0]) / _HEAD_HALF[0], (down - _HEAD[1]) / _HEAD_HALF[1]
    head = _HEAD_DEPTH * np.sqrt(np.clip(1.0 - x**2 - y**2, 0.0, 1.0))
    x, y = (across - _NOSE[0]) / _NOSE_SPREAD[0], (down - _NOSE[1]) / _NOSE_SPREAD[1]
    depth: NDArray[np.float32] = head + _NOSE_HEIGHT * np.exp(-(x**2) - y**2)
    return depth


def depth_of_head(distance_mm: float = 500.0) -> bytes:
    """Depth frame of a head in front of a wall, PNG of 16 bits; 1 unit of depth is 1.5 mm."""
    import numpy as np

    height, width = _pixels().shape[:2]
    across, down = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return _depth_png(distance_mm + 80.0 - 1.5 * _depth(across, down))


def depth_of_print(distance_mm: float = 500.0, tilt: float = 0.1, bend_mm: float = 0.0) -> bytes:
    """Depth frame of a sheet: slanted by ``tilt`` mm a pixel, bent about its upright axis."""
    import numpy as np

    height, width = _pixels().shape[:2]
    across, _ = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    off = (across - _HEAD[0]) / _HEAD_HALF[0]
    return _depth_png(distance_mm + tilt * (across - _HEAD[0]) + bend_mm * off**2)


def dark_screen() -> bytes:
    """What an infrared camera sees of a lit screen: nearly nothing."""
    import numpy as np

    return _png(np.full((512, 512, 3), 6, dtype=np.uint8))


def infrared() -> bytes:
    """The portrait in infrared: grey, and with the other lens a little to the side."""
    import cv2
    import numpy as np

    grey = cv2.cvtColor(np.roll(_pixels(), 6, axis=1), cv2.COLOR_BGR2GRAY)
    return _png(_uint8(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)))


def _depth_png(distance_mm: object) -> bytes:
    import cv2
    import numpy as np

    _, encoded = cv2.imencode(".png", np.asarray(distance_mm).round().astype(np.uint16))
    return encoded.tobytes()


def _uint8(pixels: object) -> Pixels:
    import numpy as np

    return np.asarray(pixels, dtype=np.uint8)


def _png(pixels: Pixels) -> bytes:
    return _encoded(".png", pixels, ())


def _encoded(extension: str, pixels: Pixels, options: tuple[int, ...]) -> bytes:
    import cv2
    import numpy as np

    is_done, encoded = cv2.imencode(extension, np.ascontiguousarray(pixels), options)
    if not is_done:
        raise RuntimeError(f"OpenCV cannot write {extension} here")
    return encoded.tobytes()
