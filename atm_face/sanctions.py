"""Sanction regimes by date: what each forbids and until when; rows with sources, no constant.

A term runs from 00:00 of its first day to 00:00 of the same calendar day N years later; on that
day the customer is free. 29 February goes to 1 March.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from atm_face.policy import PolicyError, SanctionRegime
from contract.account_list import Listed, ListedFor, Regime


class Ground(StrEnum):
    """Why somebody is under sanction."""

    CRIMINAL_PENALTY = "CRIMINAL_PENALTY"
    IDENTIFIED_BY_POLICE = "IDENTIFIED_BY_POLICE"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeRow:
    """One regime as it was published."""

    regime: SanctionRegime
    first_day: dt.date
    last_day: dt.date | None
    years: dict[Ground, int]
    most_years: int
    """Longest continuous time where somebody is listed again."""
    source: str


_FIVE = {Ground.CRIMINAL_PENALTY: 5, Ground.IDENTIFIED_BY_POLICE: 5}

REGIMES: tuple[RegimeRow, ...] = (
    RegimeRow(
        regime=SanctionRegime.PBOC_2016_261,
        first_day=dt.date(2017, 1, 1),
        last_day=dt.date(2019, 3, 31),
        years=_FIVE,
        most_years=5,
        source="银发〔2016〕261号: all business outside the counter, 5 years",
    ),
    RegimeRow(
        regime=SanctionRegime.PBOC_2019_85,
        first_day=dt.date(2019, 4, 1),
        last_day=dt.date(2024, 11, 30),
        years=_FIVE,
        most_years=5,
        source="银发〔2019〕85号: all business outside the counter, 5 years",
    ),
    RegimeRow(
        regime=SanctionRegime.JOINT_2024,
        first_day=dt.date(2024, 12, 1),
        last_day=None,
        years={Ground.CRIMINAL_PENALTY: 3, Ground.IDENTIFIED_BY_POLICE: 2},
        most_years=5,
        source="联合惩戒办法 2024-12-01: outgoing money outside the counter, 3 or 2 years",
    ),
)


def regime_on(day: dt.date) -> RegimeRow:
    """Return the regime in force on a day; raises PolicyError before the first."""
    for row in REGIMES:
        if row.first_day <= day and (row.last_day is None or day <= row.last_day):
            return row
    raise PolicyError("sanction.from", f"no regime was in force on {day}")


def row_of(regime: SanctionRegime) -> RegimeRow:
    """Return the row of a regime."""
    return next(row for row in REGIMES if row.regime is regime)


def until(regime: SanctionRegime, ground: Ground, start: dt.date) -> dt.date:
    """Return the day on which a term is over."""
    return _years_later(start, row_of(regime).years[ground])


def until_again(regime: SanctionRegime, ground: Ground, first: dt.date, again: dt.date) -> dt.date:
    """Return the end where somebody is listed again within a term: capped from the first day."""
    cap = _years_later(first, row_of(regime).most_years)
    return min(until(regime, ground, again), cap)


def _years_later(start: dt.date, years: int) -> dt.date:
    try:
        return start.replace(year=start.year + years)
    except ValueError:
        return dt.date(start.year + years, 3, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What the list means for a visit today."""

    has_stop: bool = False
    has_freeze: bool = False
    sanction: SanctionRegime | None = None
    is_watched: bool = False
    """Told to the central and to nobody at the machine."""
    is_dormant: bool = False
    needs_step_up: bool = False
    is_warned: bool = False


_REGIMES = {
    Regime.PBOC_2016_261: SanctionRegime.PBOC_2016_261,
    Regime.PBOC_2019_85: SanctionRegime.PBOC_2019_85,
    Regime.JOINT_2024: SanctionRegime.JOINT_2024,
}


def holds_of(listed: Listed | None, today: dt.date) -> Holds:
    """Read an entry of the list on a day: what is over holds nothing.

    A sanction of a regime that this side does not know counts as the strictest.
    """
    if listed is None or (listed.until is not None and today >= listed.until):
        return Holds()
    what = listed.listed_for
    regime = _REGIMES.get(listed.regime, SanctionRegime.PBOC_2019_85)
    return Holds(
        has_stop=ListedFor.STOP in what,
        has_freeze=ListedFor.FREEZE in what,
        sanction=regime if ListedFor.SANCTION in what else None,
        is_watched=ListedFor.WATCH in what,
        is_dormant=ListedFor.DORMANT in what,
        needs_step_up=ListedFor.STEP_UP in what,
        is_warned=ListedFor.WARNED in what,
    )


def merged(several: Iterable[Holds]) -> Holds:
    """Holds of one account that is known under several keys: whatever one says counts."""
    every = list(several)
    found = [one.sanction for one in every if one.sanction is not None]
    strict = [regime for regime in found if regime is not SanctionRegime.JOINT_2024]
    return Holds(
        has_stop=any(one.has_stop for one in every),
        has_freeze=any(one.has_freeze for one in every),
        sanction=next(iter([*strict, *found]), None),
        is_watched=any(one.is_watched for one in every),
        is_dormant=any(one.is_dormant for one in every),
        needs_step_up=any(one.needs_step_up for one in every),
        is_warned=any(one.is_warned for one in every),
    )


def is_listed_payee(listed: Listed | None, today: dt.date) -> bool:
    """Whether nobody may send money to this account today: it is stopped, frozen or listed."""
    if listed is None or (listed.until is not None and today >= listed.until):
        return False
    return bool(listed.listed_for & (ListedFor.LISTED_PAYEE | ListedFor.STOP | ListedFor.FREEZE))
