"""Quectel information lines: +QENG of EC2x, EG25 and RM5xx, +QSCAN of RM5xx.

Field orders are those of Quectel's QuecCell and AT manuals as confirmed by recordings. Where the
manuals leave the meaning to the firmware, what cannot be told apart is refused, not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hardware.readings import CellReading, Rat, Stamp

STATES = frozenset({"SEARCH", "LIMSRV", "NOCONN", "CONNECT"})

_FIELD = re.compile(r'[ \t]*+(?:"([^"]*)"[ \t]*+|([^",]*+))(?:,|$)')  # possessive: linear time
_DECIMAL = re.compile(r"-?[0-9]{1,9}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{1,9}")
_ABSENT = frozenset({"-", ""})
_SENTINELS = frozenset({-32768, -3276})  # int16's lowest, and the same in tenths


class LineError(ValueError):
    """A line that does not say what its kind of line says; the text is for a person."""


@dataclass(frozen=True, slots=True)
class _Column:
    target: str
    lowest: int
    highest: int
    is_hex: bool = False
    unknown: frozenset[int] = frozenset()


_255 = frozenset({255})
_COLUMNS = {
    "lac": _Column("lac_tac", 0, 0xFFFF, is_hex=True),
    "tac": _Column("lac_tac", 0, 0xFFFF, is_hex=True),
    "nr_tac": _Column("lac_tac", 0, 0xFFFFFF, is_hex=True),
    "ci": _Column("cell_id", 0, 0xFFFF, is_hex=True),
    "utran_id": _Column("cell_id", 0, 0xFFFFFFF, is_hex=True),
    "eci": _Column("cell_id", 0, 0xFFFFFFF, is_hex=True),
    "nci": _Column("cell_id", 0, 0xFFFFFFFFF, is_hex=True),
    "arfcn": _Column("channel", 0, 1023),  # TS 45.005 section 2
    "uarfcn": _Column("channel", 0, 16383),  # TS 25.331 section 10.3.6.60
    "earfcn": _Column("channel", 0, 262143),  # TS 36.331, ARFCN-ValueEUTRA-r9
    "nr_arfcn": _Column("channel", 0, 3279165),  # TS 38.101-1 section 5.4.2
    "bsic": _Column("physical_id", 0, 63, unknown=_255),
    "psc": _Column("physical_id", 0, 511),
    "pci": _Column("physical_id", 0, 503),
    "nr_pci": _Column("physical_id", 0, 1007),
    # dBm; an RXLEV index (0..63), as other makers print it, is refused rather than mistaken
    "rxlev": _Column("level_dbm", -140, -1),
    "rscp": _Column("level_dbm", -140, -1),
    "rsrp": _Column("level_dbm", -170, -1),
    "rla": _Column("rxlev_access_min", 0, 63, unknown=_255),
    "c1": _Column("c1", -1000, 1000),
    "c2": _Column("c2", -1000, 1000),
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """Columns after the words that name the kind of line; ``.`` is a column not used here."""

    rat: Rat
    columns: tuple[str, ...]
    counts: frozenset[int]
    """How many columns the firmwares print; any other number is a torn line."""
    is_serving: bool = False


def _shape(rat: Rat, columns: str, *counts: int, is_serving: bool = False) -> _Shape:
    return _Shape(rat, tuple(columns.split()), frozenset(counts), is_serving)


_LTE = ". mcc mnc eci pci earfcn . . . tac rsrp"
_SHAPES = {
    ("servingcell", "GSM"): _shape(
        Rat.GSM, "mcc mnc lac ci bsic arfcn . rxlev . rla . c1 c2", 24, is_serving=True
    ),
    ("servingcell", "WCDMA"): _shape(
        Rat.WCDMA, "mcc mnc lac utran_id uarfcn psc . rscp", 14, is_serving=True
    ),
    ("servingcell", "LTE"): _shape(Rat.LTE, _LTE, 15, 16, 17, is_serving=True),
    ("servingcell", "NR5G-SA"): _shape(
        Rat.NR, ". mcc mnc nci nr_pci nr_tac nr_arfcn . . rsrp", 13, 14, 15, is_serving=True
    ),
    # EN-DC: a state line of its own, then one line for each of the two cells
    ("LTE",): _shape(Rat.LTE, _LTE, 15, 16, 17, is_serving=True),
    ("NR5G-NSA",): _shape(Rat.NR, "mcc mnc nr_pci rsrp . . nr_arfcn", 8, 9, 10, is_serving=True),
    # of neighbours RSRQ comes before RSRP, of the serving cell after it
    ("neighbourcell intra", "LTE"): _shape(Rat.LTE, "earfcn pci . rsrp", 11),
    ("neighbourcell inter", "LTE"): _shape(Rat.LTE, "earfcn pci . rsrp", 9, 10),
    ("neighbourcell", "GSM"): _shape(Rat.GSM, "mcc mnc lac ci bsic arfcn rxlev c1 c2", 11),
    ("QSCAN", "LTE"): _shape(Rat.LTE, "mcc mnc earfcn pci rsrp . . . eci tac", 8, 12, 14),
    ("QSCAN", "NR5G"): _shape(
        Rat.NR, "mcc mnc nr_arfcn nr_pci rsrp . . . nci nr_tac", 8, 12, 15, 17
    ),
}
# While camped on LTE the neighbours of other technologies have columns of their own.
_GSM_FROM_LTE = _shape(Rat.GSM, "arfcn . . . . . bsic rxlev", 9)
_WCDMA_FROM_LTE = _shape(Rat.WCDMA, "uarfcn . . . psc rscp", 8)


@dataclass(frozen=True, slots=True)
class CellLine:
    """What one information line says of one cell."""

    rat: Rat
    is_serving: bool
    plmns: tuple[str, ...] = ()
    values: dict[str, int] = field(default_factory=dict)
    """Fields of CellReading by name."""

    def reading(self, stamp: Stamp, raw: bytes) -> CellReading:
        """The same as a reading."""
        get = self.values.get
        level = get("level_dbm")
        return CellReading(
            stamp=stamp,
            raw=raw,
            rat=self.rat,
            is_serving=self.is_serving,
            plmns=self.plmns,
            channel=get("channel"),
            lac_tac=get("lac_tac"),
            cell_id=get("cell_id"),
            physical_id=get("physical_id"),
            level_dbm=None if level is None else float(level),
            c1=get("c1"),
            c2=get("c2"),
            rxlev_access_min=get("rxlev_access_min"),
        )


def is_cell_line(line: bytes) -> bool:
    """Whether this is a +QENG or +QSCAN line, whole or torn at its end."""
    return line.startswith((b"+QENG:", b"+QSCAN:"))


def is_serving_header(line: bytes) -> bool:
    """Whether an answer to ``AT+QENG="servingcell"`` begins with this line."""
    return re.match(rb'\+QENG: *"servingcell"', line) is not None


def parse(line: bytes) -> CellLine | None:
    """Read a +QENG or +QSCAN line; None for a state without a cell. LineError says why not."""
    name, _, rest = line.decode("latin-1").partition(":")
    words = _split(rest)
    if name == "+QSCAN":
        words.insert(0, "QSCAN")
    elif words[0] == "servingcell":
        if len(words) < 2 or words[1] not in STATES:
            raise LineError("no known state of the serving cell")
        if len(words) == 2:
            return None  # searching, or the first line of an EN-DC answer
        del words[1]
    shape, columns = _find_shape(words)
    if len(columns) not in shape.counts:
        wanted = " or ".join(str(count) for count in sorted(shape.counts))
        raise LineError(f"{len(columns)} values where {wanted} belong: torn or an unknown form")
    return _read(shape, columns)


def _split(text: str) -> list[str]:
    words: list[str] = []
    position = 0
    while position <= len(text):
        match = _FIELD.match(text, position)
        if match is None:
            raise LineError("a quotation mark is missing")
        words.append((match.group(1) if match.group(2) is None else match.group(2)).strip())
        if not match.group().endswith(","):
            break
        position = match.end()
    return words


def _find_shape(words: list[str]) -> tuple[_Shape, list[str]]:
    if words[:2] == ["neighbourcell", "GSM"] and len(words) == 2 + 9:
        return _GSM_FROM_LTE, words[2:]
    # seen from WCDMA the fourth of the 8 columns is a level, which is negative
    if words[:2] == ["neighbourcell", "WCDMA"] and len(words) == 2 + 8 and words[5].isdecimal():
        return _WCDMA_FROM_LTE, words[2:]
    for length in (2, 1):
        shape = _SHAPES.get(tuple(words[:length]))
        if shape is not None:
            return shape, words[length:]
    raise LineError("an unknown kind of line: " + ", ".join(words[:2])[:60])


def _read(shape: _Shape, words: list[str]) -> CellLine:
    values: dict[str, int] = {}
    plmn: dict[str, str] = {}
    for name, word in zip(shape.columns, words, strict=False):
        if name == "." or word in _ABSENT:
            continue
        if name in {"mcc", "mnc"}:
            plmn[name] = word
            continue
        column = _COLUMNS[name]
        value = _number(name, column, word)
        if value is not None:
            values[column.target] = value
    if not values:
        raise LineError("no value at all")
    return CellLine(shape.rat, shape.is_serving, _plmns(plmn), values)


def _plmns(plmn: dict[str, str]) -> tuple[str, ...]:
    if not plmn:
        return ()
    mcc, mnc = plmn.get("mcc", "-"), plmn.get("mnc", "-")
    if not re.fullmatch(r"[0-9]{3}-[0-9]{2,3}", f"{mcc}-{mnc}"):
        raise LineError(f"MCC {mcc!r} with MNC {mnc!r} is no PLMN")
    return (f"{mcc}-{mnc}",)


def _number(name: str, column: _Column, word: str) -> int | None:
    if not (_HEXADECIMAL if column.is_hex else _DECIMAL).fullmatch(word):
        raise LineError(f"{name} {word!r} is no number")
    value = int(word, 16 if column.is_hex else 10)
    if value in _SENTINELS or value in column.unknown:
        return None
    if not column.lowest <= value <= column.highest:
        raise LineError(f"{name} {word} is outside {column.lowest}..{column.highest}")
    return value
