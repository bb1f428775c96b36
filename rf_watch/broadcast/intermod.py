"""Intermodulation arithmetic: which pair or triple of carriers makes a product where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A carrier that may take part."""

    mhz: float
    level_db: float


@dataclass(frozen=True, slots=True)
class Product:
    """A product that falls on the frequency asked for."""

    mhz: float
    formula: str
    """``2*106.9-92.4`` or ``97.1+98.5-100.7``."""
    parents: tuple[float, ...]
    drive_db: float
    """2 P1 + P2, or P1 + P2 + P3 + 6 dB: what a receiver's IP3 turns into the product's level."""


def third_order(mhz: float, carriers: Sequence[Source], tolerance_khz: float) -> list[Product]:
    """Products 2a-b and a+b-c within the tolerance, the strongest first.

    A product of three equal carriers is 6 dB above one of two.
    """
    tolerance = tolerance_khz / 1000
    found: list[Product] = []
    ordered = sorted(carriers, key=lambda c: c.mhz)
    for a in ordered:
        if abs(a.mhz - mhz) <= tolerance:
            continue
        wanted = 2 * a.mhz - mhz
        for b in ordered:
            if b is not a and abs(b.mhz - wanted) <= tolerance and abs(b.mhz - mhz) > tolerance:
                drive = 2 * a.level_db + b.level_db
                found.append(
                    Product(mhz, f"2*{a.mhz:g}-{b.mhz:g}", (a.mhz, b.mhz), round(drive, 1))
                )
    found += _triples(mhz, ordered, tolerance)
    return sorted(found, key=lambda p: -p.drive_db)


def _triples(mhz: float, ordered: Sequence[Source], tolerance: float) -> list[Product]:
    found: list[Product] = []
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            wanted = a.mhz + b.mhz - mhz
            for c in ordered:
                if abs(c.mhz - wanted) > tolerance or c is a or c is b:
                    continue
                if any(abs(x.mhz - mhz) <= tolerance for x in (a, b, c)):
                    continue
                drive = a.level_db + b.level_db + c.level_db + 6
                formula = f"{a.mhz:g}+{b.mhz:g}-{c.mhz:g}"
                found.append(Product(mhz, formula, (a.mhz, b.mhz, c.mhz), round(drive, 1)))
    return found
