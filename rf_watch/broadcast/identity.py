"""Who a station says it is: PI, name and texts, and what in them points to a person."""

from __future__ import annotations

import re

PHONE = re.compile(
    r"(?<!\d)(?:\+?86[- ]?)?"
    r"(?:1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}[- ]?\d{7,8}|[48]00[- ]?\d{3}[- ]?\d{4})(?!\d)"
)
"""Mainland mobile, landline with area code, 400 and 800 numbers."""

ADDRESS = re.compile(
    r"(?:[\u4e00-\u9fff]{1,12}(?:大道|大街|路|街|巷|弄|胡同|村|镇|乡))\d{1,5}(?:[-之]\d{1,4})?[号弄]"
    r"(?:[\u4e00-\u9fff\dA-Z]{0,8}?(?:楼|室|层|栋|单元|铺|店))*"
    r"|(?:No\.? ?)?\d{1,5},? (?:[A-Z][A-Za-z']+ ){1,3}(?:Road|Rd|Street|St|Avenue|Lu|Jie|Dajie)\b"
)
"""A street with a house number, in Chinese or in letters; a street alone is traffic news."""

WEB_ADDRESS = re.compile(
    r"(?<![\w.@-])(?:https?://)?(?:[a-z0-9-]{1,63}\.){1,4}(?:com|cn|net|org|top|vip|cc|xyz)"
    r"(?![\w-])(?:/[\w./?=&%-]{0,80})?",
    re.IGNORECASE | re.ASCII,
)

_SCROLL_MAX = 12
_PS_CHARS = 8


def phone_numbers(*texts: str) -> list[str]:
    """Telephone numbers in the texts, digits only, each once."""
    found: list[str] = []
    for text in texts:
        for match in PHONE.finditer(text):
            digits = re.sub(r"\D", "", match.group())
            digits = digits.removeprefix("86") if len(digits) > 11 else digits
            if digits not in found:
                found.append(digits)
    return found


def addresses(*texts: str) -> list[str]:
    """Street and web addresses in the texts as they stand there, each once."""
    found = (match.group() for text in texts for match in ADDRESS.finditer(text))
    web = (match.group() for text in texts for match in WEB_ADDRESS.finditer(text))
    return list(dict.fromkeys((*found, *web)))


class Scroll:
    """A station name used as a ticker: names in the order they came, joined."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def add(self, ps: str) -> str:
        """Take a complete name; return what the last ones say together."""
        self._names = [*self._names, ps][-_SCROLL_MAX:]
        return self.text

    @property
    def text(self) -> str:
        """The last names joined; names that scroll by single characters overlap."""
        joined = ""
        for name in self._names:
            overlap = next((n for n in range(_PS_CHARS - 1, 3, -1) if joined.endswith(name[:n])), 0)
            joined += name[overlap:]
        return joined

    @property
    def is_dynamic(self) -> bool:
        """The name changes: a ticker, which EN 50067 forbids."""
        return len(set(self._names)) > 2


def correlation(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Pearson correlation of two feature vectors; 0 where they cannot be compared."""
    if len(a) != len(b) or len(a) < 2:
        return 0.0
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    cross = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    size = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return float(cross / size**0.5) if size > 0 else 0.0
