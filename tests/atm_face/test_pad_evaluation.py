"""Presentation-attack figures: against published intervals, and the worst species counts."""

from __future__ import annotations

import pytest

from atm_face.pad_evaluation import BONA_FIDE, Presentation, clopper_pearson, pad_rates


@pytest.mark.parametrize(
    ("errors", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 13, 0.0019, 0.3603), (5, 10, 0.1871, 0.8129), (10, 10, 0.6915, 1)],
)
def test_exact_intervals(errors: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson(errors, trials) == pytest.approx((low, high), abs=2e-4)


def test_the_worst_species_is_named_and_no_mean_is_made() -> None:
    tried = [Presentation("matte paper", False)] * 20
    tried += [Presentation("vinyl", True)] * 3 + [Presentation("vinyl", False)]
    tried += [Presentation("vinyl", None)]
    tried += [Presentation(BONA_FIDE, True)] * 9 + [Presentation(BONA_FIDE, False)]
    rates = pad_rates(tried)
    assert rates.worst_species == "vinyl"
    assert rates.apcer["vinyl"].rate == 0.75
    assert rates.apcer["vinyl"].unanswered == 1
    assert rates.apcer["matte paper"].ci95[1] > 0.16
    assert rates.bpcer is not None
    assert rates.bpcer.rate == 0.1


def test_of_equal_rates_the_one_tried_less_is_the_worse() -> None:
    tried = [Presentation("phone", False)] * 30 + [Presentation("mask", False)] * 2
    assert pad_rates(tried).worst_species == "mask"


def test_nothing_answered_says_nothing() -> None:
    rates = pad_rates([Presentation("phone", None)])
    assert (rates.apcer, rates.worst_species, rates.bpcer) == ({}, None, None)
