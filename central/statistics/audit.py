"""Audit of percentages that somebody typed: is there an integer base, was it rounded or cut?

A change is printed beside its present count; its base is not. Each base is an integer, so a
printed percentage allows few of them, and sometimes none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from central.statistics.percent import Change, Share, decimal_text, round_half_up, truncate

MAX_DECIMALS = 6
MAX_COUNT = 10**15
_SHOWN = 20
_NUMBER = re.compile(r"([+\-−]?)(\d{1,12})(?:\.(\d{1,6}))?\s*%?")


class Verdict(StrEnum):
    """What an audit finds."""

    ROUNDED = "rounded"
    """It follows from integers, rounded as it should be."""
    TRUNCATED = "truncated"
    """It follows from integers only if digits were cut off."""
    NO_INTEGER_BASE = "no_integer_base"
    """No count before gives it, rounded or cut."""
    DIFFERS = "differs"
    """Both integers are known and give something else."""
    NO_BASE = "no_base"
    """The base is 0: no percentage is true."""


class PercentError(ValueError):
    """A text that is no percentage."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A percentage as it stands in a text."""

    value: Fraction
    decimals: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of one percentage."""

    verdict: Verdict
    exact: str
    """What the integers give, with four decimals; empty where there are none."""
    bases: tuple[int, ...] = ()
    """Integer bases that fit, at most twenty."""
    explanation: str = ""


def read_percent(text: str) -> Printed:
    """Read "+31.37%", "−7.14 %" or "76"; raises PercentError."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise PercentError(f"{text[:40]!r} is no percentage")
    sign, whole, decimals = found[1], found[2], found[3] or ""
    value = Fraction(int(whole + decimals), 10 ** len(decimals))
    return Printed(-value if sign in {"-", "−"} else value, len(decimals))


def audit_change(now: int, text: str) -> Audit:
    """Search the integer bases from which ``now`` changed by the printed percentage."""
    if not 0 <= now <= MAX_COUNT:
        raise PercentError(f"a count lies between 0 and {MAX_COUNT}")
    printed = read_percent(text)
    rounded = tuple(itertools.islice(_bases(now, printed, is_cut=False), _SHOWN))
    if rounded:
        return Audit(Verdict.ROUNDED, _exact(Change(now, rounded[0]).percent), rounded)
    cut = tuple(itertools.islice(_bases(now, printed, is_cut=True), _SHOWN))
    if cut:
        exact = _exact(Change(now, cut[0]).percent)
        return Audit(
            Verdict.TRUNCATED, exact, cut, f"cut from {exact} % (base {cut[0]}), not rounded"
        )
    return Audit(
        Verdict.NO_INTEGER_BASE, "", (), f"no integer base gives {now} a change of {text.strip()}"
    )


def _bases(now: int, printed: Printed, *, is_cut: bool) -> Iterator[int]:
    """Integer bases that print so. The change falls as the base grows, so they lie together."""
    if now == 0:  # each base has lost everything
        yield from itertools.count(1) if printed.value == -100 else ()
        return
    step = Fraction(1, 10**printed.decimals)
    width = step if is_cut else step / 2
    reduce = truncate if is_cut else round_half_up
    low, high = (_base_at(now, printed.value + way * width) for way in (1, -1))
    if low is None:  # nothing falls by more than all of it
        return
    base = max(1, low.__floor__())
    last = MAX_COUNT**2 if high is None else high.__ceil__()
    while base <= last:
        value = Change(now, base).percent
        assert value is not None
        if reduce(value, printed.decimals) == printed.value:
            yield base
        base += 1


def _base_at(now: int, percent: Fraction) -> Fraction | None:
    """Real base at which ``now`` is changed by ``percent``; None: beyond every base."""
    return None if percent <= -100 else now / (1 + percent / 100)


def _exact(value: Fraction | None) -> str:
    return "" if value is None else decimal_text(value, 4, signed=True)


def audit_known(value: Fraction | None, text: str) -> Audit:
    """Compare a printed percentage with what its integers give."""
    printed = read_percent(text)
    if value is None:
        return Audit(Verdict.NO_BASE, "", (), "the base is 0")
    exact = decimal_text(value, 4, signed=True)
    if round_half_up(value, printed.decimals) == printed.value:
        return Audit(Verdict.ROUNDED, exact)
    if truncate(value, printed.decimals) == printed.value:
        return Audit(Verdict.TRUNCATED, exact, (), f"cut from {exact} %, not rounded")
    return Audit(Verdict.DIFFERS, exact, (), f"the integers give {exact} %")


def audit_share(part: int, whole: int, text: str) -> Audit:
    """Audit a share whose two integers are printed beside it."""
    return audit_known(Share(part, whole).percent, text)
