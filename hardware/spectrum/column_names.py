"""What the columns of a spectrum log mean, by their names and units, whatever program wrote them.

A header may name frequency, level, time, position, bearing, PI, PS or RadioText, in English or
Chinese, the unit in brackets, behind the name, or alone (``mhz``). A wide table has frequencies for
names. Two bare columns of numbers are a spectrum if the first ascends through a radio's range.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import math
import re
import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LINES_LOOKED_AT = 60
"""Analysers write settings above their table; so many lines of them."""
WIDE_MIN, BARE_ROWS_MIN = 3, 6
BARE_STEP_MAX_MHZ = 0.5
"""A column that counts 1, 2, 3 is no frequency."""
LOW_MHZ, HIGH_MHZ = 0.1, 7000.0
LEVEL_LOW, LEVEL_HIGH = -250.0, 60.0

_DBF_DBM, _DBUV_DBM = -120.0, -107.0
"""0 dBf is 1 fW; 0 dB(uV) at 50 ohm is -107 dBm."""


class Column(StrEnum):
    """What a column holds."""

    TIME = "time"
    DATE = "date"
    FREQUENCY = "frequency"
    LEVEL = "level"
    LAT = "lat"
    LON = "lon"
    BEARING = "bearing"
    SIGMA = "sigma"
    PI = "pi"
    PS = "ps"
    RADIOTEXT = "radiotext"


_NAMES: dict[str, Column] = {
    name: column
    for column, names in {
        Column.FREQUENCY: "frequency|freq|f|center frequency|centre frequency|carrier frequency|"
        "频率|频点|中心频率",
        Column.LEVEL: "level|power|amplitude|ampl|magnitude|mag|signal|rssi|strength|"
        "signal strength|signal level|power level|peak level|power spectral density|psd|"
        "power density|电平|信号强度|幅度|功率电平",
        Column.TIME: "time|timestamp|time stamp|datetime|date time|date and time|utc|t|utc time|"
        "time utc|unix time|unix|epoch|时间|时刻",
        Column.DATE: "date|utc date|date utc|日期",
        Column.LAT: "lat|latitude|纬度",
        Column.LON: "lon|lng|long|longitude|经度",
        Column.BEARING: "bearing|true bearing|doa|示向度|来波方位|方位角",
        Column.SIGMA: "sigma|bearing sigma|bearing error",
        Column.PI: "pi|pi code|rds pi",
        Column.PS: "ps|rds ps|ps name",
        Column.RADIOTEXT: "rt|radiotext|radio text|rds rt",
    }.items()
    for name in names.split("|")
}
_HZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9, "兆赫": 1e6, "千赫": 1e3, "赫兹": 1.0}
_LEVELS: dict[str, float | None] = {
    "dbm": 0.0,
    "dbf": _DBF_DBM,
    "dbuv": _DBUV_DBM,
    "dbμv": _DBUV_DBM,
    "db": None,
    "dbfs": None,
    "db/hz": None,
    "dbm/hz": None,
    "dbuv/m": None,
    "dbμv/m": None,
}
"""What is added to make dBm of it; None: against a reference that nobody said."""
_ANGLES = frozenset({"deg", "degrees", "°", "度"})
_TIMES = frozenset({"utc", "s", "ms", "local", "gmt", "z"})
_BRACKET = re.compile(r"[\[(（【](.*?)[\])）】]")
_NAME_AND_UNIT = re.compile(r"[^\[\]()]+[\[(][^\])]*[\])]")
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text's lines are to be read."""

    columns: dict[Column, int]
    header_line: int
    """Number of the header, counted from 1; 0 without one."""
    delimiter: str
    """Of the rows; a blank stands for any white space."""
    hz: float | None
    """What a frequency is multiplied with; None: its size tells."""
    to_dbm: float | None
    """What a level needs to be dBm; None: relative levels."""
    is_utc: bool
    """The header says that times are UTC."""
    wide_hz: tuple[float, ...] = ()
    """Frequencies of a wide table, in the order of its columns."""
    wide_first: int = 0
    """First column of them."""


def split(line: str, delimiter: str) -> list[str]:
    """Cells of a line, without blanks and quotes around them."""
    if delimiter == " ":
        return line.split()
    cells = next(csv.reader([line], delimiter=delimiter), []) if '"' in line else None
    return [cell.strip().strip("\"'") for cell in cells or line.split(delimiter)]


def number(cell: str) -> float:
    """A number with a point or a decimal comma; NaN for what is none (``-:.0``, ``--``)."""
    text = cell.replace(",", ".") if _COMMA_NUMBER.fullmatch(cell) else cell
    try:
        return float(text)
    except ValueError:
        return float("nan")


def frequency_hz(cell: str, scale: float) -> float:
    """A frequency in Hz; a unit in the cell itself (``91.8 MHz``) wins. NaN for what is none."""
    text = cell.strip().lower()
    for unit, factor in sorted(_HZ.items(), key=lambda pair: -len(pair[0])):
        if text.endswith(unit):
            return number(text.removesuffix(unit).strip()) * factor
    return number(text) * scale


def hz_by_size(values: Sequence[float]) -> float:
    """What makes Hz of frequencies whose unit nobody wrote: by the size of most of them."""
    middle = statistics.median(values)
    return 1.0 if middle >= 3e6 else 1e3 if middle >= 1e4 else 1e6


def find_layout(lines: Sequence[str]) -> Layout | None:
    """Return how the lines of a text's beginning are to be read; None if they are no such log."""
    looked = lines[:LINES_LOOKED_AT]
    for at, line in enumerate(looked):
        for delimiter in _delimiters(line):
            cells = _header_cells(line.lstrip("#!%").strip(), delimiter)
            layout = _named(cells, at + 1) or _wide(cells, at + 1)
            if layout is not None and (rows := _row_delimiter(layout, looked[at + 1 :], delimiter)):
                return _with_delimiter(layout, rows)
    return _bare(looked)


def _delimiters(line: str) -> list[str]:
    return [d for d in ("\t", ";", ",", "|") if d in line] or [" "]


def _header_cells(line: str, delimiter: str) -> list[str]:
    """Names may have blanks in them; with a unit in brackets behind each they can be told apart."""
    if delimiter == " " and (told := _NAME_AND_UNIT.findall(line)):
        return [cell.strip() for cell in told]
    return split(line, delimiter)


def _cell_name(cell: str) -> tuple[str, str]:
    """Name and unit of a header's cell, in small letters."""
    text = unicodedata.normalize("NFKC", cell).lower().replace("µ", "μ").strip()
    unit = ""
    if (found := _BRACKET.search(text)) is not None:
        unit, text = found[1].strip(), _BRACKET.sub(" ", text)
    name = " ".join(re.split(r"[\s_\-:]+", text.strip())).strip()
    if not unit:
        head, _, last = name.rpartition(" ")
        known = _HZ.keys() | _LEVELS.keys() | _ANGLES | _TIMES
        if head and last in known and name not in _NAMES:
            name, unit = head, last
    return name, unit


def _named(cells: Sequence[str], line: int) -> Layout | None:
    columns: dict[Column, int] = {}
    hz: float | None = None
    to_dbm: float | None = None
    is_utc = False
    for index, cell in enumerate(cells):
        name, unit = _cell_name(cell)
        column = _NAMES.get(name)
        if column is None and name in _HZ:
            column, unit = Column.FREQUENCY, name
        if column is None and name in _LEVELS:
            column, unit = Column.LEVEL, name
        if column is None or column in columns:
            continue
        if column is Column.FREQUENCY:
            hz = _HZ.get(unit)
        elif column is Column.LEVEL:
            to_dbm = _LEVELS.get(unit)
        elif column is Column.TIME:
            is_utc = "utc" in name or unit in {"utc", "gmt", "z"}
        columns[column] = index
    told = {Column.LEVEL, Column.PI, Column.PS, Column.BEARING} & columns.keys()
    if Column.FREQUENCY not in columns or not told or len(cells) < 2:
        return None
    return Layout(columns, line, "", hz, to_dbm, is_utc)


def _wide(cells: Sequence[str], line: int) -> Layout | None:
    """Frequencies as names of columns, names of other things before them."""
    first = next((i for i, cell in enumerate(cells) if _is_frequency(cell)), None)
    if first is None:
        return None
    end = len(cells)
    while end > first and not cells[end - 1]:
        end -= 1
    values = [_wide_value(cell) for cell in cells[first:end]]
    is_ascending = all(a < b for a, b in itertools.pairwise(values))
    if len(values) < WIDE_MIN or not is_ascending:
        return None
    columns: dict[Column, int] = {}
    hz: float | None = None
    to_dbm: float | None = None
    is_utc = False
    for index, cell in enumerate(cells[:first]):
        name, unit = _cell_name(cell)
        column = _NAMES.get(name)
        if column is Column.FREQUENCY or name in _HZ:
            hz = _HZ.get(unit or name)
        elif column is not None:
            columns.setdefault(column, index)
            is_utc = is_utc or "utc" in name or unit in {"utc", "gmt"}
    if hz is None:
        found = _WIDE_CELL.fullmatch(cells[first].strip())
        hz = _HZ.get((found[2] or "").lower()) if found is not None else None
    if hz is None:
        hz = hz_by_size(values)
    at = tuple(value * hz for value in values)
    if not LOW_MHZ <= at[0] / 1e6 < at[-1] / 1e6 <= HIGH_MHZ:
        return None
    if first == 0 and len(values) < 8:  # three numbers in a line may be anything
        return None
    return Layout(columns, line, "", hz, to_dbm, is_utc, at, first)


_WIDE_CELL = re.compile(r"(\d+(?:\.\d*)?(?:[eE]\+?\d+)?)\s*[\[(]?([kKmMgG]?[hH][zZ])?[\])]?")


def _is_frequency(cell: str) -> bool:
    return _WIDE_CELL.fullmatch(cell.strip()) is not None and _wide_value(cell) > 0


def _wide_value(cell: str) -> float:
    found = _WIDE_CELL.fullmatch(cell.strip())
    return float(found[1]) if found is not None else math.nan


def _row_delimiter(layout: Layout, rows: Sequence[str], header: str) -> str | None:
    """The delimiter with which the rows have what the header promises."""
    full = [row for row in rows if row.strip() and row.lstrip()[0] not in "#!%"][:12]
    for delimiter in dict.fromkeys((header, "\t", ";", ",", "|", " ")):
        fitting = sum(_fits(layout, split(row, delimiter)) for row in full)
        if fitting and fitting * 2 >= len(full):
            return delimiter
    return None


def _fits(layout: Layout, cells: Sequence[str]) -> bool:
    if layout.wide_hz:
        told = cells[layout.wide_first : layout.wide_first + len(layout.wide_hz)]
        fine = sum(LEVEL_LOW <= number(cell) <= LEVEL_HIGH for cell in told)
        return len(told) >= WIDE_MIN and fine * 2 >= len(told)
    index = layout.columns[Column.FREQUENCY]
    return index < len(cells) and frequency_hz(cells[index], 1.0) > 0


def _with_delimiter(layout: Layout, delimiter: str) -> Layout:
    return Layout(
        layout.columns,
        layout.header_line,
        delimiter,
        layout.hz,
        layout.to_dbm,
        layout.is_utc,
        layout.wide_hz,
        layout.wide_first,
    )


def _bare(lines: Sequence[str]) -> Layout | None:
    """Two to four columns of numbers: a frequency that ascends in small steps, and a level."""
    rows = [line.strip() for line in lines if line.strip()]
    for delimiter in ("\t", ";", ",", " "):
        cells = [split(row, delimiter) for row in rows if row[0].isdigit()]
        pairs = [(number(c[0]), number(c[1])) for c in cells if 2 <= len(c) <= 4]
        good = [(f, level) for f, level in pairs if f > 0 and LEVEL_LOW <= level <= LEVEL_HIGH]
        if len(good) < BARE_ROWS_MIN or len(good) * 2 < len(rows) or len(pairs) < len(cells):
            continue
        hz = hz_by_size([f for f, _ in good])
        at = [f * hz / 1e6 for f, _ in good]
        steps = [b - a for a, b in itertools.pairwise(at)]
        step = statistics.median(steps)
        is_swept = min(steps) > 0 and max(steps) <= 20 * step and step <= BARE_STEP_MAX_MHZ
        if is_swept and at[0] >= 1.0 and at[-1] <= HIGH_MHZ:
            columns = {Column.FREQUENCY: 0, Column.LEVEL: 1}
            return Layout(columns, 0, delimiter, hz, None, False)
    return None


def decode(content: bytes) -> str:
    """Text of a log: UTF-8 or UTF-16 by its mark, else UTF-8 as far as it goes."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(mark):
            return content.decode(name, "replace")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def looks_named(head: bytes) -> bool:
    """Whether the beginning of a file is such a log."""
    if b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    lines = decode(head).splitlines()
    return find_layout(lines) is not None or _is_cut_wide(lines)


def _is_cut_wide(lines: Sequence[str]) -> bool:
    """The header of a wide table may be longer than what is looked at."""
    if len(lines) != 1 or len(lines[0]) < 1000:
        return False
    for delimiter in ("\t", ";", ","):
        cells = split(lines[0], delimiter)[:-1]
        row = delimiter.join(["-90"] * len(cells))
        if find_layout([delimiter.join(cells), row]) is not None:
            return True
    return False
