"""SIMCom's +CPSI (SIM7xxx, SIM8xxx), +CCINFO (SIM5xxx) and AT+CNETSCAN (SIM800) lines."""

from __future__ import annotations

import re

from hardware.modems.cells import (
    CellLine,
    LineError,
    arfcn_of_simcom,
    level_of_rxlev,
    number,
    plmn_of,
    values_of,
)
from hardware.readings import Rat

# one firmware prints a blank where the comma behind the PLMN belongs
_PLACE = (
    r"(?P<mcc>[0-9]{3})-(?P<mnc>[0-9]{2,3})[ ,] ?0[xX](?P<lac>[0-9A-Fa-f]{1,6}),(?P<ci>[0-9]+),"
)
_REST = r"(?:,[^,]*)*"
_CPSI = {
    # ARFCN and band share a field; the last is C1-C2, either of which may be negative
    "GSM": re.compile(
        _PLACE + r"(?P<arfcn>[0-9]{1,4})(?: [A-Z]+ ?[0-9]+)?,(?P<rxlev>-[0-9]{2,3}),-?[0-9]+,"
        r"(?P<c1>-?[0-9]{1,3})-(?P<c2>-?[0-9]{1,3})"
    ),
    "WCDMA": re.compile(
        _PLACE + r"[^,]*,(?P<psc>[0-9]{1,3}),(?P<uarfcn>[0-9]{1,5}),[0-9]+,[0-9.]+,"
        r"(?P<rscp>-?[0-9]{1,3}),[0-9]+,[0-9]+,[0-9]+"
    ),
    "LTE": re.compile(
        _PLACE + r"(?P<pci>[0-9]{1,3}),[^,]*,(?P<earfcn>[0-9]{1,6}),[0-9]+,[0-9]+,-?[0-9]+,"
        r"(?P<rsrp>-?[0-9]{1,4}),-?[0-9]{1,4},-?[0-9]+" + _REST
    ),
    "NR5G_SA": re.compile(
        _PLACE + r"(?P<pci>[0-9]{1,4}),[^,]*,(?P<arfcn>[0-9]{1,7}),"
        r"(?P<rsrp>-[0-9]{1,4}),-[0-9]{1,3},-?[0-9]{1,3}" + _REST
    ),
    # an early firmware: PCI, ARFCN, RSRQ, RSRP, SNR in whole dB
    "NR5G": re.compile(
        r"(?P<pci>[0-9]{1,4}),(?P<arfcn>[0-9]{1,7}),-[0-9]{1,2},(?P<rsrp>-[0-9]{2,3}),-?[0-9.]+"
    ),
    "NR5G_NSA": re.compile(
        r"(?P<pci>[0-9]{1,4}),[^,]*,(?P<arfcn>[0-9]{1,7}),"
        r"(?P<rsrp>-[0-9]{1,4}),-[0-9]{1,3},-?[0-9]{1,3}" + _REST
    ),
}
_MODES = ("Online", "Offline", "Factory Test Mode", "Reset", "Low Power Mode")
_LTE_NAMES = frozenset({"LTE CAT-M1", "LTE NB-IOT", "LTE M1", "LTE NB1"})
"""As SIM7000 and SIM7080 call it."""


def parse_cpsi(line: str) -> CellLine | None:
    """Read +CPSI; None for a modem without service."""
    words = re.sub(r"\s*,\s*", ",", line.removeprefix("+CPSI:").strip())
    if words == "NOT IN EN-DC CONNECTED MODE" or words.split(",")[0].upper() == "NO SERVICE":
        return None
    system, _, rest = words.partition(",")
    if system in _LTE_NAMES:
        system = "LTE"
    if system not in {"NR5G_NSA", "NR5G"}:
        mode, _, rest = rest.partition(",")
        if mode not in _MODES:
            raise LineError(f"operation mode {mode[:30]!r} is unknown")
    pattern = _CPSI.get(system)
    if pattern is None:
        raise LineError(f"system mode {system[:30]!r} is unknown")
    match = pattern.fullmatch(rest)
    if match is None:
        raise LineError(f"no known form of a {system} line: torn, or another firmware's")
    return _CPSI_CELLS[system](match.groupdict())


def _cpsi_gsm(said: dict[str, str]) -> CellLine:
    names = {"lac": "lac", "ci10": "ci", "arfcn": "arfcn", "rxlev": "rxlev", "c1": "c1", "c2": "c2"}
    return _cpsi(Rat.GSM, said, names, "GSM")


def _cpsi_wcdma(said: dict[str, str]) -> CellLine:
    said["rscp"] = "-" + said["rscp"].lstrip("-")  # printed without its sign
    names = {"lac": "lac", "utran_id10": "ci", "psc": "psc", "uarfcn": "uarfcn", "rscp": "rscp"}
    return _cpsi(Rat.WCDMA, said, names, "WCDMA")


def _cpsi_lte(said: dict[str, str]) -> CellLine:
    names = {"tac": "lac", "eci10": "ci", "pci": "pci", "earfcn": "earfcn"}
    rsrp = int(said["rsrp"])
    if rsrp >= 0:  # an index, TS 36.133 section 9.1.4: n is -141 + n to -140 + n dBm
        if rsrp > 97:
            raise LineError(f"rsrp index {rsrp} is outside 0..97")
        return _cpsi(Rat.LTE, said, names, "LTE with indexes", float(rsrp - 141))
    return _cpsi(Rat.LTE, said, names, "LTE", _tenths(rsrp))


def _cpsi_nr(said: dict[str, str]) -> CellLine:
    names = {"nr_tac": "lac", "nci10": "ci", "nr_pci": "pci", "nr_arfcn": "arfcn"}
    names = {name: key for name, key in names.items() if key in said}
    form = "NR5G_SA" if "lac" in said else "NR5G_NSA"
    nci = names.pop("nci10", None)
    cell = _cpsi(Rat.NR, said, names, form, _tenths(int(said["rsrp"])))
    if nci is not None:
        cell.values["cell_id"] = _nci(said[nci])
    return cell


_CPSI_CELLS = {
    "GSM": _cpsi_gsm,
    "WCDMA": _cpsi_wcdma,
    "LTE": _cpsi_lte,
    "NR5G_SA": _cpsi_nr,
    "NR5G_NSA": _cpsi_nr,
    "NR5G": _cpsi_nr,
}


def _cpsi(
    rat: Rat,
    said: dict[str, str],
    names: dict[str, str],
    form: str,
    level_dbm: float | None = None,
) -> CellLine:
    values = values_of({name: said[key] for name, key in names.items()})
    plmns = (plmn_of(said["mcc"], said["mnc"]),) if "mcc" in said else ()
    # a camped modem names its cell; it never lists neighbours here
    return CellLine(rat, True, plmns, values, f"+CPSI {form}", level_dbm)


def _tenths(value: int) -> float:
    """RSRP in tenths of a dB, or whole by another firmware: no RSRP is between the two ranges."""
    if -1700 <= value <= -400:
        return value / 10
    if -170 <= value <= -30:
        return float(value)
    raise LineError(f"rsrp {value} is neither dBm nor tenths of it")


def _nci(word: str) -> int:
    if len(word) > 11 or int(word) > 0xFFFFFFFFF:
        raise LineError(f"NR cell identity {word[:20]} is outside 36 bits")
    return int(word)


# -- +CCINFO and CNETSCAN: names and values -------------------------------------------------------

_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9]*):(\"[^\"]*\"|[^,]*)")
_PLACE_WORD = re.compile(r"\+CCINFO: ?\[(SCELL|NCell[0-9]{1,2})\],(.*)")
_DBM = re.compile(r"(-[0-9]{1,3}) ?dbm", re.IGNORECASE)
_CCINFO_GSM = {
    "ARFCN": "arfcn",
    "LAC": "lac10",
    "ID": "ci10",
    "BSIC": "bsic",
    "C1": "c1",
    "C2": "c2",
}
_CCINFO_WCDMA = {"UARFCN": "uarfcn", "LAC": "lac10", "ID": "utran_id10", "PSC": "psc"}


def parse_ccinfo(line: str) -> CellLine | None:
    """Read +CCINFO: identities in decimal, RXLev in dBm, RSCP without its sign."""
    match = _PLACE_WORD.fullmatch(line)
    if match is None:
        raise LineError("neither [SCELL] nor [NCELLn]")
    said = _pairs(match.group(2))
    is_wcdma = "UARFCN" in said
    names = _CCINFO_WCDMA if is_wcdma else _CCINFO_GSM
    is_serving = match.group(1) == "SCELL"
    for key in ("RXLev", "TXPWR" if is_serving else "RXLev" if is_wcdma else "C2"):
        if key not in said:
            raise LineError(f"no {key} in it: torn, or another firmware's")
    level = _DBM.fullmatch(said["RXLev"])
    if level is None:
        raise LineError(f"RXLev {said['RXLev']!r} is no level in dBm")
    values = values_of({name: said[key] for key, name in names.items() if key in said})
    dbm = number("rxlev", level.group(1))
    if is_wcdma and "RSCP" in said:
        dbm = number("rscp", "-" + said["RSCP"].lstrip("-"))
    if dbm is not None:
        values["level_dbm"] = dbm
    plmns = _plmns(said)
    if "channel" not in values:
        raise LineError("no ARFCN in it")
    rat = Rat.WCDMA if is_wcdma else Rat.GSM
    return CellLine(rat, is_serving, plmns, values, f"+CCINFO {rat}")


def parse_cnetscan(line: str) -> CellLine | None:
    """Read a line of AT+CNETSCAN: CI, LAC and BSIC in hexadecimal, Rxlev an index."""
    said = _pairs(line)
    for key in ("MCC", "MNC", "Rxlev", "Cellid", "Arfcn"):
        if key not in said:
            raise LineError(f"no {key} in it: torn, or another firmware's")
    said["Arfcn"] = arfcn_of_simcom(said["Arfcn"])
    names = {"Arfcn": "arfcn", "Cellid": "ci", "Lac": "lac"}
    values = values_of({name: said[key] for key, name in names.items() if key in said})
    if "Bsic" in said:
        bsic = said["Bsic"]
        if not re.fullmatch(r"[0-9A-Fa-f]{1,2}", bsic) or int(bsic, 16) > 63:
            raise LineError(f"Bsic {bsic!r} is outside 0..3F")
        values["physical_id"] = int(bsic, 16)
    if not re.fullmatch(r"[0-9]{1,3}", said["Rxlev"]):
        raise LineError(f"Rxlev {said['Rxlev']!r} is no number")
    level = level_of_rxlev("Rxlev", int(said["Rxlev"]))
    if level is not None:
        values["level_dbm"] = level
    form = "CNETSCAN with LAC" if "Lac" in said else "CNETSCAN"
    return CellLine(Rat.GSM, False, _plmns(said), values, form)


def _pairs(text: str) -> dict[str, str]:
    """``NAME:value`` with commas between; LineError for anything else, and for a name twice."""
    said: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None or match.group(1) in said:
            raise LineError("no list of names with values")
        said[match.group(1)] = match.group(2).strip().strip('"')
        position = match.end()
        if position < len(text) and text[position] != ",":
            raise LineError("no list of names with values")
        position += 1
    return said


def _plmns(said: dict[str, str]) -> tuple[str, ...]:
    if "MCC" not in said and "MNC" not in said:
        return ()
    return (plmn_of(said.get("MCC", "-"), said.get("MNC", "-"), is_padding_loose=True),)
