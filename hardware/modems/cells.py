"""One cell as an information line names it: fields, their ranges, and the error of a bad one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hardware.readings import CellReading, Rat, Stamp

_DECIMAL = re.compile(r"-?[0-9]{1,9}")
_HEXADECIMAL = re.compile(r"(?:0[xX])?[0-9A-Fa-f]{1,9}")
_SENTINELS = frozenset({-32768, -3276})  # int16's lowest, and the same in tenths
_AMERICAS = (302, *range(310, 317), 330, 334, 338, *range(342, 361, 2), 365, 366, 374, 376)
_THREE_DIGIT_MNC = {str(mcc) for mcc in (*_AMERICAS, 405, 467, 708, 722, 732, 750)}
"""Mobile country codes whose networks have three digits (annex to ITU-T E.212)."""


class LineError(ValueError):
    """A line that does not say what its kind of line says; the text is for a person."""


@dataclass(frozen=True, slots=True)
class Column:
    """A numeric field: where it goes, what it may be."""

    target: str
    lowest: int
    highest: int
    is_hex: bool = False
    unknown: frozenset[int] = frozenset()
    """Values by which firmwares say that they do not know."""


_255 = frozenset({255})
COLUMNS = {
    "lac": Column("lac_tac", 0, 0xFFFF, is_hex=True),
    "lac10": Column("lac_tac", 0, 0xFFFF),
    "tac": Column("lac_tac", 0, 0xFFFF, is_hex=True),
    "tac10": Column("lac_tac", 0, 0xFFFF),
    "nr_tac": Column("lac_tac", 0, 0xFFFFFF, is_hex=True),
    "ci": Column("cell_id", 0, 0xFFFF, is_hex=True),
    "ci10": Column("cell_id", 0, 0xFFFF),
    "utran_id": Column("cell_id", 0, 0xFFFFFFF, is_hex=True),
    "utran_id10": Column("cell_id", 0, 0xFFFFFFF),
    "eci": Column("cell_id", 0, 0xFFFFFFF, is_hex=True),
    "eci10": Column("cell_id", 0, 0xFFFFFFF),
    "nci": Column("cell_id", 0, 0xFFFFFFFFF, is_hex=True),
    "arfcn": Column("channel", 0, 1023),  # TS 45.005 section 2
    "uarfcn": Column("channel", 0, 16383),  # TS 25.331 section 10.3.6.60
    "earfcn": Column("channel", 0, 262143),  # TS 36.331, ARFCN-ValueEUTRA-r9
    "nr_arfcn": Column("channel", 0, 3279165),  # TS 38.101-1 section 5.4.2
    "bsic": Column("physical_id", 0, 63, unknown=_255),
    "psc": Column("physical_id", 0, 511),
    "pci": Column("physical_id", 0, 503),
    "nr_pci": Column("physical_id", 0, 1007),
    # dBm; an RXLEV index (0..63), as other makers print it, is refused rather than mistaken
    "rxlev": Column("level_dbm", -140, -1),
    "rscp": Column("level_dbm", -140, -1),
    "rsrp": Column("level_dbm", -170, -1),
    "level": Column("level_dbm", -170, 20),
    "rla": Column("rxlev_access_min", 0, 63, unknown=_255),
    "c1": Column("c1", -1000, 1000),
    "c2": Column("c2", -1000, 1000),
    "penalty_time": Column("penalty_time", 0, 31),
    "t3212": Column("t3212_decihours", 0, 255),
}


@dataclass(frozen=True, slots=True)
class CellLine:
    """What one information line says of one cell."""

    rat: Rat
    is_serving: bool
    plmns: tuple[str, ...] = ()
    values: dict[str, int] = field(default_factory=dict)
    """Fields of CellReading by name."""
    form: str = field(default="", compare=False)
    """Name of the line's form, by which variants of firmware are told apart."""
    level_dbm: float | None = None
    """Where the line gives tenths."""

    def reading(self, stamp: Stamp, raw: bytes) -> CellReading:
        """The same as a reading."""
        get = self.values.get
        level = self.level_dbm if self.level_dbm is not None else get("level_dbm")
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
            cro_db=get("cro_db"),
            penalty_time=get("penalty_time"),
            t3212_decihours=get("t3212_decihours"),
            rxlev_access_min=get("rxlev_access_min"),
        )


def number(name: str, word: str) -> int | None:
    """Read a field of COLUMNS; None for a value that says "unknown". LineError says why not."""
    column = COLUMNS[name]
    if not (_HEXADECIMAL if column.is_hex else _DECIMAL).fullmatch(word):
        raise LineError(f"{name} {word!r} is no number")
    value = int(word, 16 if column.is_hex else 10)
    if value in _SENTINELS or value in column.unknown:
        return None
    if not column.lowest <= value <= column.highest:
        raise LineError(f"{name} {word} is outside {column.lowest}..{column.highest}")
    return value


def values_of(words: dict[str, str]) -> dict[str, int]:
    """Read several fields of COLUMNS by name; those that say "unknown" are left out."""
    values = {COLUMNS[name].target: number(name, word) for name, word in words.items()}
    return {target: value for target, value in values.items() if value is not None}


def plmn_of(mcc: str, mnc: str, *, is_padding_loose: bool = False) -> str:
    """``MCC-MNC``; LineError where the two are no PLMN.

    With ``is_padding_loose`` a one-digit MNC is padded, and a zero that a firmware puts in front
    of a two-digit MNC (``001`` in a country of two-digit codes) is taken off.
    """
    padded = mnc.zfill(2) if is_padding_loose and mnc else mnc
    if is_padding_loose and len(mnc) == 3 and mnc[0] == "0" and mcc not in _THREE_DIGIT_MNC:
        padded = mnc[1:]
    if not re.fullmatch(r"[0-9]{3}-[0-9]{2,3}", f"{mcc}-{padded}", re.ASCII):
        raise LineError(f"MCC {mcc!r} with MNC {mnc!r} is no PLMN")
    return f"{mcc}-{padded}"


def arfcn_of_simcom(word: str) -> str:
    """SIM800 adds 1024 to the ARFCN of a neighbour in PCS 1900 (512..810, TS 45.005 section 2)."""
    if word.isdecimal() and 1024 + 512 <= int(word[:9]) <= 1024 + 810:
        return str(int(word) - 1024)
    return word


def level_of_rxlev(name: str, index: int) -> int | None:
    """DBm of an RXLEV index; None for 99, "unknown".

    TS 45.008 section 8.1.4: index n is -111 + n to -110 + n dBm, 0 anything below, 63 anything
    above. SIMCom firmwares print 64 for the strongest cells, which is at least as much as 63.
    """
    if index == 99:
        return None
    if not 0 <= index <= 64:
        raise LineError(f"{name} {index} is outside 0..63")
    return min(index, 63) - 110
