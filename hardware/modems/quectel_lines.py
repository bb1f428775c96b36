"""Quectel information lines: +QENG of EC2x, EG25, BG9x and RM5xx, +QSCAN of RM5xx.

Field orders are those of Quectel's QuecCell and AT manuals as confirmed by recordings. Where the
manuals leave the meaning to the firmware, what cannot be told apart is refused, not guessed. Newer
firmwares add columns at the end: those are not used. One column less is a torn line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hardware.modems.cells import CellLine, LineError, number, plmn_of, values_of
from hardware.readings import Rat

STATES = frozenset({"SEARCH", "LIMSRV", "NOCONN", "CONNECT", "CONECT"})
"""CONECT: as an RM5xx firmware spells it."""

_ADDED_MOST = 8
_ADDED = re.compile(r"-?[0-9.]*|-|[A-Za-z0-9_. -]{1,24}")  # what a newer firmware may add
_FIELD = re.compile(r'[ \t]*+(?:"([^"]*)"[ \t]*+|([^",]*+))(?:,|$)')  # possessive: linear time
_ABSENT = frozenset({"-", ""})


@dataclass(frozen=True, slots=True)
class _Shape:
    """Columns after the words that name the kind of line; ``.`` is a column not used here."""

    rat: Rat
    columns: tuple[str, ...]
    counts: frozenset[int]
    """How many columns the firmwares print; less, or a number between, is a torn line."""
    is_serving: bool = False


def _shape(rat: Rat, columns: str, *counts: int, is_serving: bool = False) -> _Shape:
    return _Shape(rat, tuple(columns.split()), frozenset(counts), is_serving)


_LTE = ". mcc mnc eci pci earfcn . . . tac rsrp"
_LTE_COUNTS = (15, 16, 17, 18)
_LTE_NAMES = frozenset(
    {"CAT-M", "CAT-M1", "CAT-NB", "CAT-NB1", "CAT-NB2", "EMTC", "NBIOT", "NB-IOT"}
)
"""As the firmwares of the low-power modules call LTE."""
_NR = ". mcc mnc nci nr_pci nr_tac nr_arfcn . . rsrp"
_SHAPES = {
    ("servingcell", "GSM"): _shape(
        Rat.GSM, "mcc mnc lac ci bsic arfcn . rxlev . rla . c1 c2", 24, is_serving=True
    ),
    ("servingcell", "WCDMA"): _shape(
        Rat.WCDMA, "mcc mnc lac utran_id uarfcn psc . rscp", 14, is_serving=True
    ),
    ("servingcell", "LTE"): _shape(Rat.LTE, _LTE, *_LTE_COUNTS, is_serving=True),
    ("servingcell", "NR5G-SA"): _shape(Rat.NR, _NR, 13, 14, 15, is_serving=True),
    # EN-DC: a state line of its own, then one line for each of the two cells
    ("LTE",): _shape(Rat.LTE, _LTE, *_LTE_COUNTS, is_serving=True),
    ("NR5G-SA",): _shape(Rat.NR, _NR, 13, 14, 15, is_serving=True),
    ("NR5G-NSA",): _shape(Rat.NR, "mcc mnc nr_pci rsrp . . nr_arfcn", 8, 9, 10, is_serving=True),
    # of neighbours RSRQ comes before RSRP, of the serving cell and beside GSM or WCDMA after it
    ("neighbourcell intra", "LTE"): _shape(Rat.LTE, "earfcn pci quality level", 11),
    ("neighbourcell inter", "LTE"): _shape(Rat.LTE, "earfcn pci quality level", 9, 10),
    ("neighbourcell inter2", "LTE"): _shape(Rat.LTE, "earfcn pci quality level", 13, 14, 15),
    ("neighbourcell", "LTE"): _shape(Rat.LTE, "earfcn pci quality level", 4, 5),
    ("neighbourcell", "GSM"): _shape(Rat.GSM, "mcc mnc lac ci bsic arfcn rxlev c1 c2", 11),
    ("QSCAN", "LTE"): _shape(Rat.LTE, "mcc mnc earfcn pci rsrp . . . eci tac", 8, 12, 14),
    ("QSCAN", "NR5G"): _shape(
        Rat.NR, "mcc mnc nr_arfcn nr_pci rsrp . . . nci nr_tac", 8, 12, 15, 17
    ),
}
# While camped on LTE the neighbours of other technologies have columns of their own.
_GSM_FROM_LTE = _shape(Rat.GSM, "arfcn . . . . . bsic rxlev", 9)
_WCDMA_FROM_LTE = _shape(Rat.WCDMA, "uarfcn . . . psc rscp", 8)
_WCDMA_FROM_WCDMA = _shape(Rat.WCDMA, "uarfcn . psc rscp", 8)


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
    _check_count(shape, columns)
    form = f"{name} {' '.join(words[: len(words) - len(columns)])} of {len(columns)}"
    return _read(shape, columns, form)


def _check_count(shape: _Shape, columns: list[str]) -> None:
    most = max(shape.counts)
    added = columns[most:]
    if len(columns) in shape.counts:
        return
    if 0 < len(added) <= _ADDED_MOST and all(_ADDED.fullmatch(word) for word in added):
        return
    wanted = " or ".join(str(count) for count in sorted(shape.counts))
    raise LineError(f"{len(columns)} values where {wanted} belong: torn or an unknown form")


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
    # UARFCN, Srxqual, PSC, RSCP seen from WCDMA: the fourth is a level, which is negative
    if words[:2] == ["neighbourcell", "WCDMA"] and len(words) == 2 + 8:
        is_level = words[5].startswith("-") and len(words[5]) > 1
        return _WCDMA_FROM_WCDMA if is_level else _WCDMA_FROM_LTE, words[2:]
    for length in (2, 1):
        key = (*words[: length - 1], _rat_word(words[length - 1])) if len(words) >= length else ()
        shape = _SHAPES.get(key)
        if shape is not None:
            return shape, words[length:]
    raise LineError("an unknown kind of line: " + ", ".join(words[:2])[:60])


def _rat_word(word: str) -> str:
    return "LTE" if word.upper() in _LTE_NAMES else word


def _read(shape: _Shape, words: list[str], form: str) -> CellLine:
    said = {
        name: word
        for name, word in zip(shape.columns, words, strict=False)
        if name != "." and word not in _ABSENT
    }
    mcc, mnc = said.pop("mcc", None), said.pop("mnc", None)
    plmns = (plmn_of(mcc or "-", mnc or "-"),) if mcc or mnc else ()
    _name_levels(said)
    values = values_of(said)
    if not values:
        raise LineError("no value at all")
    return CellLine(shape.rat, shape.is_serving, plmns, values, form)


def _name_levels(said: dict[str, str]) -> None:
    """Tell RSRP from RSRQ, whichever comes first: -44 dBm or less, and more than -44 dB.

    TS 36.133, 9.1.4 and 9.1.7: RSRP reaches from -156 to -44 dBm, RSRQ from -34 to 2.5 dB.
    """
    pair = [word for name in ("quality", "level") if (word := said.pop(name, None)) is not None]
    levels = [word for word in pair if re.fullmatch("-[0-9]{2,3}", word) and int(word) <= -44]
    if len(levels) == 1:
        said["rsrp"] = levels[0]
    elif pair and any(number("level", word) is not None for word in pair):
        raise LineError(f"of {' and '.join(pair)} one is RSRP and one RSRQ: which is not told")
