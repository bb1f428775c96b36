"""+CENG, SIMCom's engineering mode, whose columns differ from firmware to firmware.

The form is told by the number of columns and by what cannot be confused: an ARFCN has four digits
where an MCC has three, and only the LTE form has negative levels.
"""

from __future__ import annotations

import re

from hardware.modems.cells import (
    CellLine,
    LineError,
    arfcn_of_simcom,
    level_of_rxlev,
    plmn_of,
    values_of,
)
from hardware.readings import Rat

_LINE = re.compile(r'\+CENG: ?([0-9]{1,2}), ?"([^"]*)("?)')
_SETTINGS = re.compile(r"\+CENG: ?(?:[0-9],[0-9](?:,[0-9]{1,2},[A-Z0-9 -]{2,20})?|\([0-9,() -]+\))")
_AREA = re.compile(r"[0-9A-Fa-f]{4}")
_INDEX = re.compile(r"[0-9]{1,3}")
_NOT_FOUND = 127
"""Printed as BSIC by SIM900 for a carrier that it could not synchronise to."""


def parse_ceng(line: str) -> CellLine | None:
    """Read a line of +CENG; None for the settings and for an empty place in the table."""
    if _SETTINGS.fullmatch(line):
        return None
    match = _LINE.fullmatch(line)
    if match is None:
        raise LineError("neither the settings nor one quoted cell")
    words = [word.strip() for word in match.group(2).split(",")]
    is_serving, is_whole = match.group(1) == "0", bool(match.group(3))
    if len(words) == 6 and re.fullmatch(r"[0-9]{0,3}", words[0]):
        return _mode_3(words, is_serving=is_serving, is_whole=is_whole)
    if not is_whole:
        raise LineError("a quotation mark is missing")
    if len(words) in {6, 11} and words[2].startswith("-"):
        return _lte(words, is_serving=is_serving)
    if len(words) in {11, 21} and is_serving:
        return _serving(words)
    if len(words) in {4, 6, 7} and not is_serving:
        return _neighbour(words)
    raise LineError(f"{len(words)} values where 6, 7, 11 or 21 belong: torn or an unknown form")


def _serving(words: list[str]) -> CellLine | None:
    """Mode 4 of SIM800 adds dBm, C1, C2 and what belongs to a call."""
    arfcn, rxl, _, mcc, mnc, bsic, ci, rla, _, lac, _ = words[:11]
    form = f"serving of {len(words)}"
    if _AREA.fullmatch(words[7]) and not _AREA.fullmatch(lac):
        lac, rla = words[7:9]  # SIM900 of 2010 prints the LAC before RLA and TXP
        form += ", LAC first"
    said = {"arfcn": arfcn, "bsic": bsic, "ci": ci, "rla": rla, "lac": lac}
    if len(words) == 21:
        said |= {"c1": words[12], "c2": words[13]}
    return _gsm(said, mcc, mnc, rxl, form, is_serving=True)


def _neighbour(words: list[str]) -> CellLine | None:
    if len(words) == 7:
        arfcn, rxl, bsic, ci, mcc, mnc, lac = words
        said = {"arfcn": arfcn, "bsic": bsic, "ci": ci, "lac": lac}
    elif len(words) == 4:  # SIM900 of 2010: the network is not named
        arfcn, rxl, bsic, _ = words
        said, mcc, mnc = {"arfcn": arfcn, "bsic": bsic}, "", ""
    else:
        arfcn, rxl, bsic, mcc, mnc, lac = words
        said = {"arfcn": arfcn, "bsic": bsic, "lac": lac}
    said["arfcn"] = arfcn_of_simcom(arfcn)
    form = f"neighbour of {len(words)}"
    return _gsm(said, mcc, mnc, rxl, form, is_serving=False)


def _mode_3(words: list[str], *, is_serving: bool, is_whole: bool) -> CellLine | None:
    """MCC, MNC, LAC, CI, BSIC, RXLEV. Without the closing mark the last number may be half one."""
    mcc, mnc, lac, ci, bsic, rxl = words
    said = {"lac": lac, "ci": ci, "bsic": bsic}
    return _gsm(said, mcc, mnc, rxl if is_whole else "", "mode 3 of 6", is_serving=is_serving)


def _gsm(
    said: dict[str, str], mcc: str, mnc: str, rxl: str, form: str, *, is_serving: bool
) -> CellLine | None:
    """A carrier whose cell was not read has an empty or zero MCC, and LAC and CI mean nothing."""
    is_known = mcc not in {"", "000"}
    if not is_known:
        for name in ("lac", "ci"):
            said.pop(name, None)
        if said.get("bsic") == str(_NOT_FOUND):
            del said["bsic"]
        if rxl in {"", "0", "00"}:
            return None  # an empty place
    values = values_of({name: word for name, word in said.items() if word != ""})
    if values.get("cell_id") == 0xFFFF:
        del values["cell_id"]
    if rxl:
        if not _INDEX.fullmatch(rxl):
            raise LineError(f"rxl {rxl!r} is no number")
        level = level_of_rxlev("rxl", int(rxl))
        if level is not None:
            values["level_dbm"] = level
    plmns = (plmn_of(mcc, mnc),) if is_known else ()
    return CellLine(Rat.GSM, is_serving, plmns, values, f"+CENG {form}")


def _lte(words: list[str], *, is_serving: bool) -> CellLine:
    """SIM7000/7080: identities in decimal, the MCC behind them."""
    said = dict(zip(("earfcn", "pci", "rsrp"), words, strict=False))
    plmns: tuple[str, ...] = ()
    if len(words) == 11:
        said |= {"tac10": words[6], "eci10": words[7]}
        plmns = (plmn_of(words[8], words[9]),)
    values = values_of(said)
    return CellLine(Rat.LTE, is_serving, plmns, values, f"+CENG LTE of {len(words)}")
