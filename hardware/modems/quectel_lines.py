"""Quectel information lines: +QENG of EC2x, EG25 and RM5xx, +QSCAN of RM5xx.

Field orders are those of Quectel's QuecCell and AT manuals as confirmed by recordings. Where the
manuals leave the meaning to the firmware, what cannot be told apart is refused, not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hardware.modems.cells import CellLine, LineError, plmn_of, values_of
from hardware.readings import Rat

STATES = frozenset({"SEARCH", "LIMSRV", "NOCONN", "CONNECT"})

_FIELD = re.compile(r'[ \t]*+(?:"([^"]*)"[ \t]*+|([^",]*+))(?:,|$)')  # possessive: linear time
_ABSENT = frozenset({"-", ""})


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
    form = f"{name} {' '.join(words[: len(words) - len(columns)])} of {len(columns)}"
    return _read(shape, columns, form)


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


def _read(shape: _Shape, words: list[str], form: str) -> CellLine:
    said = {
        name: word
        for name, word in zip(shape.columns, words, strict=False)
        if name != "." and word not in _ABSENT
    }
    mcc, mnc = said.pop("mcc", None), said.pop("mnc", None)
    plmns = (plmn_of(mcc or "-", mnc or "-"),) if mcc or mnc else ()
    values = values_of(said)
    if not values:
        raise LineError("no value at all")
    return CellLine(shape.rat, shape.is_serving, plmns, values, form)
