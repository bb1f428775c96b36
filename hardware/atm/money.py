"""Amounts of the ATM's world: text with a currency outside, integer minor units inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# ISO 4217: digits behind the point. Only what is listed is money; an unknown code is an error,
# because 1,000 of a currency without minor units is not 10.00 of one with two.
EXPONENTS: Final = {
    "CNY": 2,
    "HKD": 2,
    "MOP": 2,
    "TWD": 2,
    "USD": 2,
    "EUR": 2,
    "GBP": 2,
    "AUD": 2,
    "CAD": 2,
    "CHF": 2,
    "SGD": 2,
    "THB": 2,
    "JPY": 0,
    "KRW": 0,
    "VND": 0,
    "BHD": 3,
    "KWD": 3,
    "JOD": 3,
}
NUMERIC_CODES: Final = {"CNY": "156", "HKD": "344", "USD": "840", "EUR": "978", "JPY": "392"}
"""ISO 4217 numbers, for field 49 of ISO 8583."""

MAX_MINOR: Final = 10**12 - 1
"""Twelve digits, as field 4 of ISO 8583 carries."""

_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,4}))?([A-Z]{3})", re.ASCII)


class AmountError(ValueError):
    """Text that is no amount; ``place`` is the offset of the part at fault."""

    def __init__(self, problem: str, place: int = 0) -> None:
        super().__init__(f"{problem} (offset {place})")
        self.place = place


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in integer minor units (fen for CNY)."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in EXPONENTS:
            raise AmountError("unknown currency")
        if not 0 <= self.minor <= MAX_MINOR:
            raise AmountError("amount out of range")

    def __str__(self) -> str:
        exponent = EXPONENTS[self.currency]
        if exponent == 0:
            return f"{self.minor}{self.currency}"
        whole, fraction = divmod(self.minor, 10**exponent)
        return f"{whole}.{fraction:0{exponent}}{self.currency}"

    @property
    def major(self) -> float:
        """The number an XFS4IoT denomination carries (currencies are in major units there)."""
        unit: int = 10 ** EXPONENTS[self.currency]
        return self.minor // unit if self.minor % unit == 0 else self.minor / unit


def parse_money(text: str) -> Money:
    """Read ``50.00EUR``, ``50.5EUR`` (50 euros 50) or ``50EUR``; raises AmountError.

    The digits behind the point are a decimal fraction: ``.5`` is fifty hundredths, never five.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError("not a number followed by a currency")
    whole, fraction, currency = match[1], match[2] or "", match[3]
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise AmountError("unknown currency", match.start(3))
    if len(fraction) > exponent:
        raise AmountError(f"{currency} has {exponent} digits behind the point", match.start(2))
    return Money(int(whole) * 10**exponent + int(fraction.ljust(exponent, "0") or "0"), currency)
