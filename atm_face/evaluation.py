"""Error rates of 1:1 comparisons in the terms of ISO/IEC 19795-1, with intervals by person.

A rate that the comparisons cannot carry is None: by the rule of 3, an FMR of 1 in N needs at least
3 N comparisons of different people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

RULE_OF_THREE = 3
RATES = (1e-2, 1e-3, 1e-4)
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


def threshold_at(impostors: Floats, fmr: float) -> float:
    """Lowest threshold at which at most ``fmr`` of the impostors match."""
    import numpy as np

    return _ranked_threshold(np.sort(impostors)[::-1], fmr, None)


def equal_error_rate(genuine: Floats, impostors: Floats) -> float:
    """Mean of both error rates at the threshold where they differ least."""
    import numpy as np

    thresholds = np.unique(np.concatenate([genuine, impostors]))
    fnmr = np.searchsorted(np.sort(genuine), thresholds) / len(genuine)
    fmr = 1.0 - np.searchsorted(np.sort(impostors), thresholds) / len(impostors)
    at = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[at] + fmr[at]) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Comparisons as columns, impostors ranked once: one bootstrap draw is then a single pass."""

    people: int
    genuine: Floats
    owner: Places
    """Person of each genuine comparison."""
    impostors: Floats
    """Highest first."""
    left: Places
    right: Places

    @classmethod
    def of(cls, comparisons: Sequence[Comparison]) -> Scores:
        """Columns of a list; the same list of pairs numbers its people in the same way."""
        import numpy as np

        people = sorted({name for item in comparisons for name in (item.person_a, item.person_b)})
        index = {name: place for place, name in enumerate(people)}
        same = [item for item in comparisons if item.is_genuine]
        other = [item for item in comparisons if not item.is_genuine]
        scores = np.array([item.score for item in other])
        rank = np.argsort(-scores, kind="stable")
        return cls(
            people=len(people),
            genuine=np.array([item.score for item in same]),
            owner=np.array([index[item.person_a] for item in same], dtype=np.intp),
            impostors=scores[rank],
            left=np.array([index[item.person_a] for item in other], dtype=np.intp)[rank],
            right=np.array([index[item.person_b] for item in other], dtype=np.intp)[rank],
        )

    def can_state(self, fmr: float) -> bool:
        """Whether there are comparisons enough for this false match rate."""
        return len(self.genuine) > 0 and can_carry(fmr, len(self.impostors))

    def fnmr(self, fmr: float, counts: Floats | None = None) -> float | None:
        """Share of genuine comparisons missed; ``counts``: how often each person was drawn."""
        if counts is None:
            cut = _ranked_threshold(self.impostors, fmr, None)
            return float((self.genuine < cut).mean())
        own, pair = counts[self.owner], counts[self.left] * counts[self.right]
        if own.sum() <= 0 or pair.sum() <= 0:
            return None
        cut = _ranked_threshold(self.impostors, fmr, pair)
        return float((own * (self.genuine < cut)).sum() / own.sum())

    def threshold(self, fmr: float) -> float:
        """Lowest threshold at which at most ``fmr`` of the impostors match."""
        return _ranked_threshold(self.impostors, fmr, None)


def draws(people: int, replicates: int = REPLICATES) -> Iterator[Floats]:
    """How often each person is drawn, once for each replicate; the same for every caller."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    for _ in range(replicates):
        picks = generator.integers(0, people, people)
        yield np.bincount(picks, minlength=people).astype(float)


def operating_points(
    comparisons: Sequence[Comparison] | Scores, rates: Sequence[float] = RATES
) -> tuple[Point, ...]:
    """FNMR at each FMR; the interval draws people, not pairs, anew (threshold included)."""
    import numpy as np

    scores = comparisons if isinstance(comparisons, Scores) else Scores.of(comparisons)
    stated = [fmr for fmr in rates if scores.can_state(fmr)]
    drawn: dict[float, list[float]] = {fmr: [] for fmr in stated}
    for counts in draws(scores.people) if stated else ():
        for fmr in stated:
            if (share := scores.fnmr(fmr, counts)) is not None:
                drawn[fmr].append(share)
    points = []
    for fmr in rates:
        count = len(scores.impostors)
        if fmr not in drawn:
            points.append(Point(fmr, count, None, None, None))
            continue
        low, high = np.quantile(drawn[fmr], [0.025, 0.975]) if drawn[fmr] else (0.0, 1.0)
        interval = float(low), float(high)
        points.append(Point(fmr, count, scores.fnmr(fmr), scores.threshold(fmr), interval))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two ways to compare the same pairs, each at its own threshold for one false match rate."""

    fmr: float
    misses: tuple[int, int]
    """Ours, the other's."""
    found_again: int
    """Genuine pairs that only the other missed."""
    newly_missed: int
    """Genuine pairs that only ours missed."""
    difference: float
    """FNMR of ours less the other's: below 0 is better."""
    ci95: tuple[float, float]
    """Of the difference, by the same draws of people for both."""


def paired(ours: Scores, other: Scores, rates: Sequence[float] = RATES) -> tuple[Paired, ...]:
    """Compare two engines on the same genuine pairs and people; rates too small are left out."""
    import numpy as np

    if ours.people != other.people or not np.array_equal(ours.owner, other.owner):
        raise ValueError("the two did not compare the same pairs")
    stated = [fmr for fmr in rates if ours.can_state(fmr) and other.can_state(fmr)]
    drawn: dict[float, list[float]] = {fmr: [] for fmr in stated}
    for counts in draws(ours.people) if stated else ():
        for fmr in stated:
            shares = ours.fnmr(fmr, counts), other.fnmr(fmr, counts)
            if shares[0] is not None and shares[1] is not None:
                drawn[fmr].append(shares[0] - shares[1])
    found = []
    for fmr in stated:
        missed = ours.genuine < ours.threshold(fmr), other.genuine < other.threshold(fmr)
        low, high = np.quantile(drawn[fmr], [0.025, 0.975]) if drawn[fmr] else (-1.0, 1.0)
        found.append(
            Paired(
                fmr,
                (int(missed[0].sum()), int(missed[1].sum())),
                int((missed[1] & ~missed[0]).sum()),
                int((missed[0] & ~missed[1]).sum()),
                float(missed[0].mean() - missed[1].mean()),
                (float(low), float(high)),
            )
        )
    return tuple(found)


def _ranked_threshold(ranked: Floats, fmr: float, weights: Floats | None) -> float:
    """The threshold over impostors that are ranked already, highest first."""
    import numpy as np

    if weights is None:
        first = int(np.floor(fmr * len(ranked) + 1e-9))
    else:
        passed = np.cumsum(weights)
        first = int(np.searchsorted(passed, fmr * passed[-1] + 1e-9, side="right"))
    # Equal scores match together, so the first that may not match bounds the threshold.
    return float(np.nextafter(ranked[min(first, len(ranked) - 1)], np.inf))
