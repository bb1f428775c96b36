"""Error rates of 1:1 comparisons in the terms of ISO/IEC 19795-1, with intervals by person.

A rate that the comparisons cannot carry is None: by the rule of 3, an FMR of 1 in N needs at least
3 N comparisons of different people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RULE_OF_THREE = 3
REPLICATES = 200
SEED = 19795


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of two pictures; a face not found scores -1, so it never matches."""

    person_a: str
    person_b: str
    score: float

    @property
    def is_genuine(self) -> bool:
        """Whether both pictures show one person."""
        return self.person_a == self.person_b


@dataclass(frozen=True, slots=True)
class Point:
    """False non-matches where at most ``fmr`` of the impostors match."""

    fmr: float
    impostor_comparisons: int
    fnmr: float | None
    threshold: float | None
    ci95: tuple[float, float] | None


def can_carry(fmr: float, impostors: int) -> bool:
    """Whether so many comparisons of different people can state this false match rate."""
    return impostors * fmr >= RULE_OF_THREE - 1e-9


def threshold_at(impostors: Floats, fmr: float, weights: Floats | None = None) -> float:
    """Lowest threshold at which at most ``fmr`` of the (weighted) impostors match."""
    import numpy as np

    order = np.argsort(impostors)[::-1]
    ranked = impostors[order]
    passed = np.cumsum(np.ones(len(ranked)) if weights is None else weights[order])
    # Equal scores match together, so the first that may not match bounds the threshold.
    first = int(np.searchsorted(passed, fmr * passed[-1] + 1e-9, side="right"))
    return float(np.nextafter(ranked[min(first, len(ranked) - 1)], np.inf))


def equal_error_rate(genuine: Floats, impostors: Floats) -> float:
    """Mean of both error rates at the threshold where they differ least."""
    import numpy as np

    thresholds = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), thresholds) / len(genuine)
    fmr = 1.0 - np.searchsorted(np.sort(impostors), thresholds) / len(impostors)
    at = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[at] + fmr[at]) / 2)


def operating_points(
    comparisons: Sequence[Comparison], rates: Sequence[float] = (1e-2, 1e-3, 1e-4)
) -> tuple[Point, ...]:
    """FNMR at each FMR; the interval draws people, not pairs, anew (threshold included)."""
    import numpy as np

    people = sorted({name for item in comparisons for name in (item.person_a, item.person_b)})
    index = {name: place for place, name in enumerate(people)}
    same = [item for item in comparisons if item.is_genuine]
    other = [item for item in comparisons if not item.is_genuine]
    genuine = np.array([item.score for item in same])
    impostors = np.array([item.score for item in other])
    owner = np.array([index[item.person_a] for item in same], dtype=int)
    left = np.array([index[item.person_a] for item in other], dtype=int)
    right = np.array([index[item.person_b] for item in other], dtype=int)
    points = []
    for fmr in rates:
        if not same or not can_carry(fmr, len(other)):
            points.append(Point(fmr, len(other), None, None, None))
            continue
        threshold = threshold_at(impostors, fmr)
        generator = np.random.default_rng(SEED)
        drawn = []
        for _ in range(REPLICATES):
            picks = generator.integers(0, len(people), len(people))
            counts = np.bincount(picks, minlength=len(people)).astype(float)
            own, pair = counts[owner], counts[left] * counts[right]
            if own.sum() > 0 and pair.sum() > 0:
                cut = threshold_at(impostors, fmr, pair)
                drawn.append(float((own * (genuine < cut)).sum() / own.sum()))
        low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (0.0, 1.0)
        fnmr = float((genuine < threshold).mean())
        points.append(Point(fmr, len(other), fnmr, threshold, (float(low), float(high))))
    return tuple(points)
