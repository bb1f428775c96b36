"""Audit of a text or a table that somebody typed: each percentage, sum and average put to the test.

Pure. What stands beside a percentage decides how it is checked: two integers are compared with it,
one integer has its base searched, none leaves it unchecked, and that is said too.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from central.statistics.audit import (
    MAX_COUNT,
    Audit,
    PercentError,
    Verdict,
    audit_change,
    audit_known,
)
from central.statistics.percent import Change, Share

MAX_CHARS = 200_000
MAX_FINDINGS = 2000
TOLERANCE = Fraction(5, 1000)
"""What "about" means for an average."""

_INT = r"\d{1,3}(?:[,，]\d{3})+|\d{1,15}"
_PERCENT = re.compile(r"(?:(?<!\d)([+\-−])\s*)?(?<![\d.,])(\d{1,12}(?:\.\d{1,6})?)\s*[%％]")
_PAIR = re.compile(rf"(?<![\d.,/])({_INT})\s*/\s*({_INT})(?![\d.,/%％])")
_NUMBER = re.compile(rf"(?<![\d.,/])({_INT})(?![\d.,]*[%％]|\.\d|[,，]\d)")
_OF = re.compile(rf"\s*(?:of|/)\s+({_INT})\b")
_BASE = re.compile(rf"(?:base|基数|上月|上年同期|去年同期|from|against|[与比])\s*[:：]?\s*({_INT})")
_UP = re.compile(r"上升|增长|增加|提高|同比增|环比增|\bup\b|rose|more|increase", re.IGNORECASE)
_DOWN = re.compile(r"下降|减少|降低|同比降|环比降|\bdown\b|fell|less|fewer|decrease", re.IGNORECASE)
_SUM = re.compile(rf"((?:{_INT})?(?:\s*\+\s*(?:{_INT}))+)\s*=\s*({_INT})")
_AVERAGE = re.compile(
    r"~?([\d,]+(?:\.\d+)?)\s*([MKmk万亿]?)\+?\s*(?:yuan|元)?\s*(?:->|→|,|，)\s*~?([\d,]+)\s*"
    r"(?:yuan|元)?\s*(?:each|a head|per head|每)"
)
_CLAUSE = re.compile(r"[。；;！？!?\n]")
_SCALE = {"": 1, "K": 10**3, "k": 10**3, "M": 10**6, "m": 10**6, "万": 10**4, "亿": 10**8}
_NOW = ("now", "value", "count", "current", "本期", "数值")
_BASES = ("base", "previous", "before", "last", "基数", "上期")
_PRINTED = ("percent", "change", "printed", "pct", "百分比", "增幅")


class Form(StrEnum):
    """What was put to the test."""

    CHANGE = "change"
    SHARE = "share"
    SUM = "sum"
    AVERAGE = "average"
    BARE = "bare"
    """A percentage without an integer beside it: nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of the text and what became of it."""

    place: str
    quote: str
    form: Form
    audit: Audit | None

    @property
    def is_flagged(self) -> bool:
        """Whether it does not hold as printed, or cannot be checked."""
        return self.audit is None or self.audit.verdict is not Verdict.ROUNDED


def audit_text(text: str) -> list[Finding]:
    """Audit a text, or a table with a header; at most MAX_FINDINGS."""
    text = text.lstrip("\ufeff")[:MAX_CHARS]
    rows = _table(text)
    found = _of_table(rows) if rows is not None else _of_text(text)
    return [finding for finding, _ in zip(found, range(MAX_FINDINGS), strict=False)]


def _whole(text: str) -> int:
    return int(text.replace(",", "").replace("，", ""))


# -- plain text ------------------------------------------------------------------------------------


def _of_text(text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        yield from _of_line(line, f"{number}", None)


def _of_line(line: str, place: str, heads: int | None) -> Iterator[Finding]:
    begin = 0
    for end in [*(m.start() for m in _CLAUSE.finditer(line)), len(line)]:
        yield from _of_clause(line[begin:end], place)
        begin = end + 1
    yield from _sums(line, place)
    if heads:
        yield from _averages(line, place, heads)


def _of_clause(clause: str, place: str) -> Iterator[Finding]:
    begin = 0
    for found in _PERCENT.finditer(clause):
        yield _percent(clause, begin, found, place)
        begin = found.end()


def _percent(clause: str, begin: int, found: re.Match[str], place: str) -> Finding:
    before, after = clause[begin : found.start()], clause[found.end() :]
    until = _PERCENT.search(after)
    after = after[: until.start()] if until else after
    quote = clause[begin : found.end()].strip(" ,，")[-80:] + after[:20]
    sign, digits = found[1] or "", found[2]
    is_down, is_up = bool(_DOWN.search(before)), bool(_UP.search(before))
    is_change = bool(sign) or is_down or is_up
    printed = f"{'-' if sign in {'-', '−'} or (not sign and is_down) else ''}{digits}%"
    pair = _pair_before(before) or _PAIR.match(after.lstrip(" (（,，:：=")[:40])
    numbers = [_whole(m[1]) for m in _NUMBER.finditer(before)]
    whole = _OF.match(after)
    base = _BASE.search(after[:40])
    if is_change and not pair and base is None:
        base = _base_before(before)
        if base is not None:  # "143, last month 154, down 7.14 %": 154 is no figure of now
            numbers = [
                _whole(m[1]) for m in _NUMBER.finditer(before) if m.start(1) != base.start(1)
            ]
    if pair:
        return _of_pair(place, quote, _whole(pair[1]), _whole(pair[2]), printed, is_change)
    if whole and numbers and not is_change:
        return _known(place, quote, Form.SHARE, numbers[-1], _whole(whole[1]), printed)
    if is_change and numbers and base:
        return _known(place, quote, Form.CHANGE, numbers[-1], _whole(base[1]), printed)
    if is_change and numbers:
        return Finding(place, quote, Form.CHANGE, _searched(numbers[-1], printed))
    return Finding(place, quote, Form.BARE, None)


def _base_before(text: str) -> re.Match[str] | None:
    """Return the last number that the text itself calls the base."""
    found = list(_BASE.finditer(text))
    return found[-1] if found else None


def _pair_before(text: str) -> re.Match[str] | None:
    """Return two integers with a stroke between them that stand right before a percentage."""
    pairs = list(_PAIR.finditer(text))
    is_near = pairs and re.fullmatch(r"[^A-Za-z0-9]{0,16}", text[pairs[-1].end() :])
    return pairs[-1] if is_near else None


def _searched(now: int, printed: str) -> Audit | None:
    try:
        return audit_change(now, printed)
    except PercentError:
        return None


def _of_pair(
    place: str, quote: str, one: int, other: int, printed: str, is_change: bool
) -> Finding:
    """Two integers: a change of one against the other, or a share; a share has the part first."""
    if is_change:
        return _known(place, quote, Form.CHANGE, one, other, printed)
    part, whole = min(one, other), max(one, other)
    share = _known(place, quote, Form.SHARE, part, whole, printed)
    change = _known(place, quote, Form.CHANGE, one, other, printed)
    return change if share.is_flagged and not change.is_flagged else share


def _known(place: str, quote: str, form: Form, one: int, other: int, printed: str) -> Finding:
    if max(one, other) > MAX_COUNT:
        return Finding(place, quote, form, None)
    value = Change(one, other).percent if form is Form.CHANGE else Share(one, other).percent
    return Finding(place, quote, form, audit_known(value, printed))


def _sums(line: str, place: str) -> Iterator[Finding]:
    former: int | None = None
    for found in _SUM.finditer(line):
        parts = [_whole(part) for part in re.findall(_INT, found[1])]
        if found[1].lstrip().startswith("+") and former is not None:
            parts.insert(0, former)  # "1+2=3; +4=7" goes on from the former sum
        former, claimed = sum(parts), _whole(found[2])
        yield Finding(place, found[0].strip(), Form.SUM, _compared(former, claimed))


def _compared(made: int, claimed: int) -> Audit:
    if made == claimed:
        return Audit(Verdict.ROUNDED, f"{made:,}")
    return Audit(Verdict.DIFFERS, f"{made:,}", (), f"the parts give {made:,}")


def _averages(line: str, place: str, heads: int) -> Iterator[Finding]:
    for found in _AVERAGE.finditer(line):
        try:
            total = Fraction(found[1].replace(",", "")) * _SCALE[found[2]]
            claimed = _whole(found[3])
        except ValueError:
            continue
        made = total / heads
        text = f"{float(made):,.2f}"
        is_right = abs(made - claimed) <= claimed * TOLERANCE
        audit = (
            Audit(Verdict.ROUNDED, text)
            if is_right
            else Audit(Verdict.DIFFERS, text, (), f"{found[1]}{found[2]} / {heads:,} is {text}")
        )
        yield Finding(place, found[0], Form.AVERAGE, audit)


# -- tables ----------------------------------------------------------------------------------------


def _table(text: str) -> list[list[str]] | None:
    """Return rows if the text is a table whose header names a column that is known."""
    first, _, rest = text.partition("\n")
    names = [cell.strip().lower() for cell in re.split(r"[,\t]", first)]
    if not rest or len(names) < 2 or not (set(names) & {*_NOW, *_PRINTED}):
        return None
    delimiter = "\t" if "\t" in first else ","
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        return None


def _column(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _of_table(rows: Sequence[Sequence[str]]) -> Iterator[Finding]:
    names = [cell.strip().lower() for cell in rows[0]]
    now, base, printed = (_column(names, w) for w in (_NOW, _BASES, _PRINTED))
    for number, row in enumerate(rows[1:], 2):
        place = f"{number}"
        cells = [cell.strip() for cell in row]
        if printed is not None and now is not None:
            yield from _of_cells(cells, place, now, base, printed)
        elif now is not None and now < len(cells):
            yield from _of_row(cells, place, now)


def _of_cells(
    cells: Sequence[str], place: str, now: int, base: int | None, printed: int
) -> Iterator[Finding]:
    """A row with a column of its own for the percentage."""
    if max(now, printed) >= len(cells) or not cells[printed]:
        return
    quote = ", ".join(cells)[:100]
    count = _count(cells[now])
    before = _count(cells[base]) if base is not None and base < len(cells) else None
    try:
        if count is None:
            yield Finding(place, quote, Form.BARE, None)
        elif before is None:
            yield Finding(place, quote, Form.CHANGE, audit_change(count, cells[printed]))
        else:
            value = Change(count, before).percent
            yield Finding(place, quote, Form.CHANGE, audit_known(value, cells[printed]))
    except PercentError:
        yield Finding(place, quote, Form.BARE, None)


def _count(text: str) -> int | None:
    plain = text.replace(",", "").replace("，", "")
    is_count = plain.isascii() and plain.isdigit() and len(plain) <= 15
    return int(plain) if is_count else None


def _of_row(cells: Sequence[str], place: str, now: int) -> Iterator[Finding]:
    """A row whose value and remarks together make the claim."""
    value = cells[now]
    heads = _count(value.rstrip("+").lstrip("~"))
    for cell in cells[now + 1 :]:
        if heads is not None and _PERCENT.fullmatch(cell):
            yield Finding(place, f"{value}, {cell}", Form.CHANGE, _searched(heads, cell))
            continue
        text = f"{value} {cell}" if _PERCENT.search(cell) else cell
        yield from _of_line(text, place, heads)
        totals = [_whole(m[2]) for m in _SUM.finditer(cell)]
        if totals and heads is not None and heads not in totals:
            made = max(totals)
            audit = Audit(Verdict.DIFFERS, f"{made:,}", (), f"the parts give {made:,}")
            yield Finding(place, f"{value}: {cell}"[:100], Form.SUM, audit)
