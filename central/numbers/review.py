"""Review: what may be blocked. Public hotlines and spoofed senders never are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

IMPERSONATED_NOT_FRAUD = "IMPERSONATED_NOT_FRAUD"
"""A number that criminals pretend to be: blocking it would hit those whom it serves."""

HOTLINES = frozenset(
    {
        "110", "119", "120", "122", "12315", "12345",
        "96110", "12381", "12321", "10086", "10010", "10000", "10099", "10086999",
        "95533", "95588", "95599", "95566", "95555", "95559", "95580",
    }
)  # fmt: skip
"""Public numbers. Each deployment adds its own; none is ever taken off by a feed."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A number that may not be blocked, and why."""

    number: str
    reason: str


@dataclass(frozen=True, slots=True)
class Review:
    """What a reviewer is asked about, and what was never up for a decision."""

    candidates: tuple[str, ...]
    rejected: tuple[Rejected, ...]

    def approve(self, numbers: Collection[str], by: str) -> tuple[str, ...]:
        """Return what may be blocked: what a named reviewer approved, of the candidates alone.

        Raises ValueError for a number that is protected or was never put forward.
        """
        if not by:
            raise ValueError("nothing is blocked without a named reviewer")
        strange = sorted(set(numbers) - set(self.candidates))
        if strange:
            raise ValueError(f"{strange[0]} may not be blocked")
        return tuple(n for n in self.candidates if n in set(numbers))


def review(
    numbers: Iterable[str], spoofed: Collection[str] = (), protected: Collection[str] = HOTLINES
) -> Review:
    """Part distinct numbers: ``spoofed`` were heard as senders that a fake cell pretended."""
    candidates, rejected = [], []
    for number in numbers:
        if number in protected or number in spoofed:
            rejected.append(Rejected(number, IMPERSONATED_NOT_FRAUD))
        else:
            candidates.append(number)
    return Review(tuple(candidates), tuple(rejected))
