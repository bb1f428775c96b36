"""Sanction terms by regime and date."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from atm_face.policy import Business, PolicyError, SanctionRegime
from atm_face.sanctions import (
    REGIMES,
    Ground,
    Holds,
    holds_of,
    is_listed_payee,
    regime_on,
    until,
    until_again,
)
from contract.account_list import Listed, ListedFor, Regime

DAY = dt.date
JOINT, OF_2019 = SanctionRegime.JOINT_2024, SanctionRegime.PBOC_2019_85
PENALTY, POLICE = Ground.CRIMINAL_PENALTY, Ground.IDENTIFIED_BY_POLICE


@pytest.mark.parametrize(
    ("day", "regime"),
    [
        (DAY(2017, 1, 1), SanctionRegime.PBOC_2016_261),
        (DAY(2019, 3, 31), SanctionRegime.PBOC_2016_261),
        (DAY(2019, 4, 1), SanctionRegime.PBOC_2019_85),
        (DAY(2024, 11, 30), SanctionRegime.PBOC_2019_85),
        (DAY(2024, 12, 1), SanctionRegime.JOINT_2024),
        (DAY(2030, 1, 1), SanctionRegime.JOINT_2024),
    ],
)
def test_the_regime_in_force_on_a_day(day: dt.date, regime: SanctionRegime) -> None:
    assert regime_on(day).regime is regime


def test_before_the_first_regime_there_is_none() -> None:
    with pytest.raises(PolicyError, match="no regime"):
        regime_on(DAY(2016, 12, 31))


def test_regimes_follow_each_other_without_a_gap() -> None:
    assert {row.regime for row in REGIMES} == set(SanctionRegime)
    for row, following in itertools.pairwise(REGIMES):
        assert row.last_day is not None
        assert following.first_day == row.last_day + dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("regime", "ground", "start", "end"),
    [
        (JOINT, PENALTY, DAY(2025, 3, 5), DAY(2028, 3, 5)),
        (
            SanctionRegime.JOINT_2024,
            Ground.IDENTIFIED_BY_POLICE,
            DAY(2024, 12, 9),
            DAY(2026, 12, 9),
        ),
        (
            SanctionRegime.PBOC_2019_85,
            Ground.IDENTIFIED_BY_POLICE,
            DAY(2020, 1, 1),
            DAY(2025, 1, 1),
        ),
        (JOINT, PENALTY, DAY(2028, 2, 29), DAY(2031, 3, 1)),
        (SanctionRegime.PBOC_2016_261, PENALTY, DAY(2017, 5, 1), DAY(2022, 5, 1)),
    ],
)
def test_terms(regime: SanctionRegime, ground: Ground, start: dt.date, end: dt.date) -> None:
    assert until(regime, ground, start) == end


def test_a_second_listing_ends_five_years_after_the_first_at_the_latest() -> None:
    assert until_again(JOINT, PENALTY, DAY(2025, 1, 1), DAY(2026, 1, 1)) == DAY(2029, 1, 1)
    assert until_again(JOINT, PENALTY, DAY(2025, 1, 1), DAY(2027, 6, 1)) == DAY(2030, 1, 1)


def test_what_the_list_means_today() -> None:
    end = DAY(2026, 12, 9)
    listed = Listed(ListedFor.SANCTION | ListedFor.WATCH, Regime.JOINT_2024, end)
    before = holds_of(listed, end - dt.timedelta(days=1))
    assert before == Holds(sanction=SanctionRegime.JOINT_2024, is_watched=True)
    assert holds_of(listed, end) == Holds()
    assert holds_of(None, end) == Holds()
    both = holds_of(Listed(ListedFor.STOP | ListedFor.FREEZE), end)
    assert (both.has_stop, both.has_freeze, both.sanction) == (True, True, None)
    assert holds_of(Listed(ListedFor.LISTED_PAYEE), end) == Holds()


def test_an_unknown_regime_is_the_strictest() -> None:
    regime = holds_of(Listed(ListedFor.SANCTION, Regime.NONE), DAY(2026, 1, 1)).sanction
    assert regime is not None
    assert all(regime.forbids(b) for b in Business if b is not Business.REVOKE)
    assert not regime.forbids(Business.REVOKE)  # it brings money back


def test_dormant_step_up_and_a_warning_are_read_and_end_with_their_day() -> None:
    end = DAY(2026, 12, 9)
    listed = Listed(ListedFor.DORMANT | ListedFor.STEP_UP | ListedFor.WARNED, Regime.NONE, end)
    wanted = Holds(is_dormant=True, needs_step_up=True, is_warned=True)
    assert holds_of(listed, end - dt.timedelta(days=1)) == wanted
    assert holds_of(listed, end) == Holds()


def test_who_may_not_be_paid() -> None:
    end = DAY(2026, 12, 9)
    assert is_listed_payee(Listed(ListedFor.LISTED_PAYEE), end)
    assert is_listed_payee(Listed(ListedFor.FREEZE), end)
    assert not is_listed_payee(Listed(ListedFor.WATCH | ListedFor.DORMANT), end)
    assert not is_listed_payee(Listed(ListedFor.LISTED_PAYEE, Regime.NONE, end), end)
    assert not is_listed_payee(None, end)
