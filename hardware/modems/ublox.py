"""The u-blox dialect: AT+CGED=5 (serving cell and neighbours) and AT+COPS=5 (every GSM carrier).

Names with values, the case of the names changing between firmwares. LAC, CI, BSIC and RxLev are
hexadecimal, the ARFCN decimal although the manual says otherwise. No line names its technology:
an uplink or downlink frequency (ULF, DLF) means WCDMA, whose level is not read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hardware.modems.cells import CellLine, LineError, level_of_rxlev, plmn_of, values_of
from hardware.modems.interface import LongCommand
from hardware.modems.lines import LineDialect
from hardware.readings import Item, Rat

_LINE = re.compile(rb"(?:\+CGED: *)?(?:RAT: *\"?[A-Z]+\"?, *)?MCC: *[0-9A-F]", re.IGNORECASE)
_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9_ ]*?): *([^,]*?) *(?:,|$) *")
_HEX = re.compile(r"(?:0x)?([0-9A-Fa-f]{1,8})")
_HEADER = re.compile(r'\+CGED: *RAT: *"?[A-Z]+"?,?', re.IGNORECASE)
_NO_CI = frozenset({0xFFFF, 0xFFFFFFF})


class UbloxDialect(LineDialect):
    """See the module."""

    name = "ublox"
    round = (b"AT+CGED=5\r",)
    long = (LongCommand(b"AT+COPS=5\r", 200.0),)

    def __init__(self, *, sensor: str, file: str) -> None:
        super().__init__(sensor=sensor, file=file)
        self._is_header = False  # the line before named the technology: the serving cell follows

    def close(self) -> list[Item]:
        """See LineDialect."""
        self._is_header = False
        return super().close()

    def is_cell_line(self, line: bytes) -> bool:
        """See LineDialect."""
        return _LINE.match(line) is not None or line.startswith(b"+CGED:")

    def parse(self, line: bytes) -> CellLine | None:
        """See LineDialect."""
        text = line.decode("latin-1")
        was_header, self._is_header = self._is_header, _HEADER.fullmatch(text) is not None
        if self._is_header:
            return None
        cell = parse(text)
        return replace(cell, is_serving=True) if was_header and cell is not None else cell

    def starts_round(self, line: bytes) -> bool:
        """See LineDialect."""
        return line.startswith(b"+CGED:")


def parse(line: str) -> CellLine | None:
    """Read a cell of AT+CGED=5 or AT+COPS=5; LineError says why not."""
    is_serving = line.startswith("+CGED:")
    said = _pairs(line.removeprefix("+CGED:").strip())
    for key in ("mcc", "mnc", "lac", "ci"):
        if key not in said:
            raise LineError(f"no {key.upper()} in it: torn, or another firmware's")
    is_wcdma = "dlf" in said or "ulf" in said
    names = {"lac": "lac", "utran_id" if is_wcdma else "ci": "ci"}
    if "dlf" in said or "arfcn" in said:
        names |= {"uarfcn": "dlf"} if is_wcdma else {"arfcn": "arfcn"}
    values = values_of({name: said[key].removeprefix("0x") for name, key in names.items()})
    if values.get("cell_id") in _NO_CI:
        del values["cell_id"]
    if not is_wcdma:
        _add_gsm(values, said)
    plmns: tuple[str, ...] = ()
    if said["mcc"].lower() not in {"fff", "000"}:
        plmns = (plmn_of(said["mcc"], said["mnc"], is_padding_loose=True),)
    form = f"{'+CGED' if is_serving else 'MCC'} {'WCDMA' if is_wcdma else 'GSM'}"
    return CellLine(Rat.WCDMA if is_wcdma else Rat.GSM, is_serving, plmns, values, form)


def _add_gsm(values: dict[str, int], said: dict[str, str]) -> None:
    for key in ("bsic", "arfcn", "rxlev"):
        if key not in said:
            raise LineError(f"no {key} in it: torn, or another firmware's")
    bsic = _hex("bsic", said["bsic"])
    if bsic > 63:
        raise LineError(f"bsic {said['bsic']} is outside 0..3f")
    values["physical_id"] = bsic
    level = level_of_rxlev("rxlev", _hex("rxlev", said["rxlev"]))
    if level is not None:
        values["level_dbm"] = level


def _hex(name: str, word: str) -> int:
    match = _HEX.fullmatch(word)
    if match is None:
        raise LineError(f"{name} {word[:20]!r} is no hexadecimal number")
    return int(match.group(1), 16)


def _pairs(text: str) -> dict[str, str]:
    said: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or match.group(1).casefold() in said:
            raise LineError("no list of names with values")
        said[match.group(1).casefold()] = match.group(2)
        position = match.end()
    return said
