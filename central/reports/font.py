"""The font of the PDF reports: WenQuanYi Micro Hei, which covers what Chinese pages hold.

It comes in a wheel whose own purpose is a label printer; only the one file is opened, and only if
its SHA-256 is the pinned one. The font's name table says Apache License 2.0. reportlab embeds
TrueType outlines alone, so the Noto fonts (CFF, or variable ones that would print their thinnest
weight) do not serve.
"""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

FONT = "WenQuanYi Micro Hei"
CARRIER = "paperang-p2-fonts-cjk"
FILE = "paperang_p2_fonts_cjk/fonts/wqy-microhei.ttc"
SHA256 = "2420e8078af796b19a3f6ef13de527a1a91c1e7171eea115926c614ced1009b3"


class FontError(RuntimeError):
    """The report's font is not installed, or is another file than the pinned one."""


def font_file() -> Path:
    """Return where the font lies, checked; raises FontError."""
    try:
        path = Path(str(distribution(CARRIER).locate_file(FILE)))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except PackageNotFoundError:
        raise FontError(f"{CARRIER} is not installed: reports cannot be made as PDF") from None
    except OSError as error:
        raise FontError(f"{FILE}: {error.strerror}") from error
    if found != SHA256:
        raise FontError(f"{FILE} has SHA-256 {found}; expected {SHA256}")
    return path


@functools.cache
def ready() -> None:
    """Let reportlab know the font, once in a process; raises FontError."""
    try:
        pdfmetrics.registerFont(TTFont(FONT, str(font_file()), subfontIndex=0))
    except TTFError as error:
        raise FontError(f"{FILE} is no font: {error}") from error
