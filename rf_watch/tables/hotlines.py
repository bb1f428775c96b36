"""Public numbers that fake base stations put on their messages."""

from __future__ import annotations

import unicodedata

HOTLINES: dict[str, str] = {
    "110": "police emergency",
    "96110": "anti-fraud dissuasion line",
    "12381": "fraud-warning SMS port of the ministries",
    "12321": "spam report centre",
    "10086": "China Mobile service",
    "10010": "China Unicom service",
    "10000": "China Telecom service",
    "10099": "China Broadnet service",
    "95533": "China Construction Bank",
    "95588": "Industrial and Commercial Bank of China",
    "95599": "Agricultural Bank of China",
    "95566": "Bank of China",
    "10086999": "China Mobile spam reports",
}
"""Number to whose it is. 12321, 10010, 10000, 10099 and the four 955xx are recalled."""


def normalised(sender: str) -> str:
    """Return a sender as in the table: NFKC, no blanks or hyphens, no country code."""
    text = "".join(
        c for c in unicodedata.normalize("NFKC", sender) if c not in " -\t\u2010\u2011\u2012\u2013"
    )
    for prefix in ("+86", "0086"):
        if text.startswith(prefix):
            return text[len(prefix) :]
    return text


def hotline(sender: str) -> str | None:
    """Return whose number a message pretends to come from, None if it is no public one."""
    return HOTLINES.get(normalised(sender))
