"""Presentation-attack figures in the terms of ISO/IEC 30107-3: the worst species counts, no mean.

An attack species that was tried ten times and never passed has not been shown to be stopped: its
interval reaches to 31 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BONA_FIDE = "bona_fide"


@dataclass(frozen=True, slots=True)
class Presentation:
    """One presentation; ``is_live`` is the answer, None where nobody could tell."""

    species: str
    """``bona_fide``, or the kind of attack: matte paper, phone screen, …"""
    is_live: bool | None


@dataclass(frozen=True, slots=True)
class Share:
    """Errors among presentations, with the exact 95 % interval of Clopper and Pearson."""

    errors: int
    presentations: int
    rate: float
    ci95: tuple[float, float]
    unanswered: int
    """Presentations without an answer (APNRR, BPNRR), counted in neither."""


@dataclass(frozen=True, slots=True)
class PadRates:
    """What a list of presentations can say."""

    apcer: dict[str, Share]
    worst_species: str | None
    """By rate, then by the upper end of the interval."""
    bpcer: Share | None


def pad_rates(presentations: Sequence[Presentation]) -> PadRates:
    """APCER of each species and BPCER. A species without a single answer has no rate."""
    apcer = {}
    for species in sorted({one.species for one in presentations} - {BONA_FIDE}):
        share = _share([one.is_live for one in presentations if one.species == species], True)
        if share is not None:
            apcer[species] = share
    worst = max(apcer, key=lambda name: (apcer[name].rate, apcer[name].ci95[1]), default=None)
    genuine = [one.is_live for one in presentations if one.species == BONA_FIDE]
    return PadRates(apcer, worst, _share(genuine, False))


def _share(answers: Sequence[bool | None], error: bool) -> Share | None:
    told = [answer for answer in answers if answer is not None]
    if not told:
        return None
    errors = sum(answer is error for answer in told)
    interval = clopper_pearson(errors, len(told))
    return Share(errors, len(told), errors / len(told), interval, len(answers) - len(told))


def clopper_pearson(errors: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share: where the tails of the binomial fall to half of what is left."""
    half = (1 - confidence) / 2
    low = 0.0 if errors == 0 else _solve(lambda p: 1 - _at_most(errors - 1, trials, p), half)
    high = 1.0 if errors == trials else _solve(lambda p: -_at_most(errors, trials, p), -half)
    return low, high


def _at_most(errors: int, trials: int, share: float) -> float:
    """Probability of so many errors or fewer."""
    if share <= 0 or share >= 1:
        return 1.0 if share <= 0 or errors >= trials else 0.0
    logs = (
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * math.log(share)
        + (trials - k) * math.log1p(-share)
        for k in range(errors + 1)
    )
    return math.fsum(math.exp(value) for value in logs)


def _solve(rising: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return (low + high) / 2
