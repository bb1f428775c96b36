"""What machines and central agree on for linking visits: the port's paths, limits, fingerprints.

The central carries parcels and cannot read them: they are sealed from one machine to another
machine's key, and that key stands in the order that two officers signed.
"""

from __future__ import annotations

import hashlib
from typing import Final

LINKS_PATH: Final = "/links"
"""``PUT /links/ORDER/DEVICE`` hands a parcel over; ``GET /links`` names those that wait, and
``GET`` and ``DELETE /links/DIGEST`` fetch one and say that it was compared."""

MAX_PARCEL_BYTES: Final = 2 * 1024 * 1024
MAX_WAITING: Final = 100
"""Parcels of one order that may wait from one machine to another, and names in one answer."""

BOX_BYTES: Final = 32
"""Length of a machine's X25519 public key."""


def fingerprint(public: bytes) -> str:
    """Return what people compare of a machine's key: 64 bits of SHA-256, in groups of four."""
    digits = hashlib.sha256(public).hexdigest()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))
