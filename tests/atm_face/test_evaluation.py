"""Error rates against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from atm_face.evaluation import (
    Comparison,
    Scores,
    can_carry,
    draws,
    equal_error_rate,
    operating_points,
    paired,
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


def by_hand(people: int, missed: set[int], cut: float = 0.1) -> list[Comparison]:
    items = [Comparison(f"p{n}", f"p{n}", 0.0 if n in missed else 0.9) for n in range(people)]
    return items + [Comparison(f"p{a}", f"p{b}", cut) for a in range(people) for b in range(a)]


def test_two_engines_are_compared_pair_by_pair() -> None:
    ours, other = Scores.of(by_hand(30, {1, 2})), Scores.of(by_hand(30, {2, 3, 4, 5}))
    (found,) = paired(ours, other, (1e-2,))
    assert (found.misses, found.found_again, found.newly_missed) == ((2, 4), 3, 1)
    assert found.difference == pytest.approx(-2 / 30)
    assert found.ci95[0] <= found.difference <= found.ci95[1]
    assert paired(ours, other, (1e-4,)) == ()
    with pytest.raises(ValueError, match="the same pairs"):
        paired(ours, Scores.of(by_hand(29, set())), (1e-2,))


def test_one_pass_over_ranked_impostors_gives_the_weighted_threshold() -> None:
    generator = np.random.default_rng(5)
    items = [
        Comparison(f"p{a:02}", f"p{b:02}", float(generator.normal()))
        for a in range(40)
        for b in range(a)
    ]
    items += [Comparison(f"p{n:02}", f"p{n:02}", float(generator.normal(1))) for n in range(40)]
    scores = Scores.of(items)
    counts = next(draws(40))
    copies = [  # every comparison as often as its people were drawn
        item.score
        for item in items
        for _ in range(int(counts[int(item.person_a[1:])] * counts[int(item.person_b[1:])]))
        if not item.is_genuine
    ]
    cut = threshold_at(np.array(copies), 1e-2)
    own = [(item.score < cut, counts[int(item.person_a[1:])]) for item in items if item.is_genuine]
    expected = sum(weight for missed, weight in own if missed) / sum(weight for _, weight in own)
    assert scores.fnmr(1e-2, counts) == pytest.approx(expected)
