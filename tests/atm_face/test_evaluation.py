"""Error rates against counts made by hand."""

from __future__ import annotations

import numpy as np

from atm_face.evaluation import (
    Comparison,
    can_carry,
    equal_error_rate,
    operating_points,
    threshold_at,
)


def test_the_threshold_lets_no_more_impostors_pass_than_asked() -> None:
    impostors = np.arange(1000) / 1000
    for fmr, passing in ((0.01, 10), (0.001, 1)):
        assert (impostors >= threshold_at(impostors, fmr)).sum() == passing
    tied = np.array([0.5] * 10 + [0.1] * 90)
    assert (tied >= threshold_at(tied, 0.05)).sum() == 0


def test_too_few_comparisons_state_nothing() -> None:
    assert can_carry(1e-2, 300)
    assert not can_carry(1e-2, 299)
    items = [Comparison(f"p{n}", f"p{n}", 0.9) for n in range(30)]
    items += [Comparison(f"p{a}", f"p{b}", 0.1) for a in range(30) for b in range(a)]
    first, second, _ = operating_points(items)
    assert first.impostor_comparisons == 435
    assert first.fnmr == 0.0
    assert (second.fnmr, second.threshold, second.ci95) == (None, None, None)


def test_misses_are_counted_and_lie_in_their_interval() -> None:
    items = [Comparison(f"p{n}", f"p{n}", 0.0 if n < 3 else 0.9) for n in range(30)]
    items += [Comparison(f"p{a}", f"p{b}", 0.1) for a in range(30) for b in range(a)]
    point = operating_points(items)[0]
    assert point.fnmr == 0.1
    assert point.ci95 is not None
    assert point.ci95[0] <= 0.1 <= point.ci95[1]
    assert operating_points(items)[0] == point


def test_equal_error_rate_of_a_known_overlap() -> None:
    genuine = np.array([0.2] + [0.9] * 9)
    impostors = np.array([0.95] + [0.1] * 9)
    assert abs(equal_error_rate(genuine, impostors) - 0.1) < 1e-9
