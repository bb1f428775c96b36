"""Percentages that carry their two integers; exact inside, rounded only for the eye."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

NOTHING = "—"
"""What stands where a base is 0: no number is true there."""


def round_half_up(value: Fraction, decimals: int) -> Fraction:
    """Round away from zero at half, as people do on paper."""
    scale = 10**decimals
    whole = (abs(value) * scale + Fraction(1, 2)).__floor__()
    return Fraction(whole if value >= 0 else -whole, scale)


def truncate(value: Fraction, decimals: int) -> Fraction:
    """Cut digits off, towards zero."""
    scale = 10**decimals
    whole = (abs(value) * scale).__floor__()
    return Fraction(whole if value >= 0 else -whole, scale)


def decimal_text(value: Fraction, decimals: int, *, signed: bool = False) -> str:
    """Write a number with fixed decimals, rounded half up; minus as U+2212."""
    rounded = round_half_up(value, decimals)
    digits = f"{abs(rounded.numerator) * 10**decimals // rounded.denominator:0{decimals + 1}d}"
    text = digits if not decimals else f"{digits[:-decimals]}.{digits[-decimals:]}"
    sign = "−" if rounded < 0 else ("+" if signed and rounded > 0 else "")
    return sign + text


@dataclass(frozen=True, slots=True)
class Change:
    """A count against its base: 143 against 154 is −7.14 %."""

    now: int
    base: int

    def __post_init__(self) -> None:
        if self.now < 0 or self.base < 0:
            raise ValueError("counts are not negative")

    @property
    def percent(self) -> Fraction | None:
        """Exact change in percent; None where the base is 0."""
        return None if self.base == 0 else Fraction(100 * (self.now - self.base), self.base)

    def text(self, decimals: int = 2) -> str:
        """Write it with its sign, or a dash."""
        value = self.percent
        return NOTHING if value is None else f"{decimal_text(value, decimals, signed=True)} %"

    def as_json(self, decimals: int = 2) -> dict[str, Any]:
        """Both integers beside the text: nobody has to believe a percentage."""
        return {"now": self.now, "base": self.base, "percent": self.text(decimals)}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole: 900 of 962 is 93.6 %."""

    part: int
    whole: int

    def __post_init__(self) -> None:
        if self.part < 0 or self.whole < 0:
            raise ValueError("counts are not negative")

    @property
    def percent(self) -> Fraction | None:
        """Exact share in percent; None of nothing."""
        return None if self.whole == 0 else Fraction(100 * self.part, self.whole)

    def text(self, decimals: int = 2) -> str:
        """Write it, or a dash."""
        value = self.percent
        return NOTHING if value is None else f"{decimal_text(value, decimals)} %"

    def as_json(self, decimals: int = 2) -> dict[str, Any]:
        """Both integers beside the text."""
        return {"part": self.part, "whole": self.whole, "percent": self.text(decimals)}
