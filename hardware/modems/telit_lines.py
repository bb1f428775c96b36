"""Telit's lines: #MONI in its table and its one-line form, #CSURV in words, #CSURVC in numbers.

Orders are those of the LE910 V2 manual (80446ST10707A, pages 287-289) and of the GM862's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hardware.modems.cells import CellLine, LineError, plmn_of, values_of
from hardware.readings import Rat

_TABLE = re.compile(
    r"#MONI: *(?P<place>S|N[0-9]{1,2}) +(?P<bsic>[0-7]{2}) +(?P<lac>[0-9A-F]{1,4}) +"
    r"(?P<ci>[0-9A-F]{1,4}) +(?P<arfcn>[0-9]{1,4}) +(?P<rxlev>-[0-9]{2,3}) ?dbm +"
    r"(?P<c1>-?[0-9]{1,3}) +(?P<c2>-?[0-9]{1,3})(?P<rest>(?: +\S.*)?)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"#MONI: *Cell +BSIC\b.*", re.IGNORECASE)
_WORD = re.compile(r"([A-Za-z][A-Za-z0-9]*): ?(\S+)")
_SURVEY_NUMBERS = re.compile(rb"[0-9]{1,6},")
_SURVEY_WORDS = re.compile(rb"[UE]?ARFCN: ?[0-9]", re.IGNORECASE)
_STATUS = re.compile(r"CELL_(?:SUITABLE|LOW_PRIORITY|FORBIDDEN|BARRED|LOW_LEVEL|OTHER)|[0-5]")
_LETTER = re.compile(r"[A-Fa-f]")
_MAX_GSM = 1023


def parse_moni(line: str) -> CellLine | None:
    """Read #MONI; None for the heading of its table."""
    if _HEADING.fullmatch(line):
        return None
    match = _TABLE.fullmatch(line)
    if match is None:
        return _moni_words(line)
    said = match.groupdict()
    is_serving = said["place"].upper() == "S"
    if is_serving and len(said["rest"].split()) < 2:
        raise LineError("torn: TA and RxQual of the serving cell are missing")
    if not is_serving and said["rest"]:
        raise LineError("a neighbour with more columns than C2: another firmware's form")
    names = ("lac", "ci", "arfcn", "rxlev", "c1", "c2")
    values = values_of({name: said[name] for name in names})
    values["physical_id"] = int(said["bsic"], 8)  # NCC and BCC, an octal digit each
    return CellLine(Rat.GSM, is_serving, (), values, "#MONI table")


_MONI_WORDS = {
    "ARFCN": (Rat.GSM, {"arfcn": "ARFCN", "lac": "LAC", "ci": "Id", "rxlev": "PWR"}),
    "UARFCN": (Rat.WCDMA, {"uarfcn": "UARFCN", "lac": "LAC", "utran_id": "Id", "psc": "PSC"}),
    "EARFCN": (Rat.LTE, {"earfcn": "EARFCN", "tac": "TAC", "eci": "Id", "pci": "pci"}),
}


def _moni_words(line: str) -> CellLine:
    said = dict(_WORD.findall(line.partition(":")[2]))
    if "EARFCN" in said and "TAC" not in said and "Id" in said:
        _check_power(line)
        return _moni_neighbour(said)
    key = next((key for key in _MONI_WORDS if key in said), None)
    if key is None:
        raise LineError("neither a row of the table nor a line of names with values: torn?")
    _check_power(line)
    rat, names = _MONI_WORDS[key]
    if rat is not Rat.GSM:
        names = names | ({"rscp": "RSCP"} if rat is Rat.WCDMA else {"rsrp": "RSRP"})
    for name in names.values():
        if name not in said and name not in {"PSC", "pci"}:
            raise LineError(f"no {name} in it: torn, or another firmware's")
    words = {
        name: re.sub("dbm$", "", said[key], flags=re.I)
        for name, key in names.items()
        if key in said
    }
    values = values_of(words)
    if rat is Rat.GSM and "BSIC" in said:
        values["physical_id"] = _bsic(said["BSIC"], is_octal=True)
    plmns = (
        (plmn_of(said["Cc"], said.get("Nc", "-"), is_padding_loose=True),) if "Cc" in said else ()
    )
    return CellLine(rat, True, plmns, values, f"#MONI words {rat}")


def _check_power(line: str) -> None:
    """Every such line has the power with its unit, near its end: without it the line is torn."""
    if not re.search(r"PWR: ?-[0-9]+ ?dbm", line, re.IGNORECASE):
        raise LineError("no PWR in dBm in it: torn, or another firmware's")


def _moni_neighbour(said: dict[str, str]) -> CellLine:
    """A row of AT#MONI=1 without an area: its Id is the physical identity, in hexadecimal."""
    if "RSRP" not in said:
        raise LineError("no RSRP in it: torn, or another firmware's")
    identity = said["Id"]
    if not re.fullmatch("[0-9A-Fa-f]{1,8}", identity) or int(identity, 16) > 503:
        raise LineError(f"Id {identity[:20]!r} is no physical identity, and there is no TAC")
    values = values_of({"earfcn": said["EARFCN"], "rsrp": said["RSRP"]})
    values["physical_id"] = int(identity, 16)
    return CellLine(Rat.LTE, False, (), values, "#MONI words LTE, physical identity")


def is_survey_line(line: bytes) -> bool:
    """Whether a line is a carrier of #CSURV or #CSURVC."""
    return bool(_SURVEY_NUMBERS.match(line) or _SURVEY_WORDS.match(line))


class SurveyReader:
    """Carriers of a survey, in the number format that AT#CSURVF chose.

    Where the stream does not show the setting, identities are decimal until a letter in one of
    them says otherwise; from then on they are hexadecimal until the next survey begins.
    """

    def __init__(self) -> None:
        self._is_set: bool | None = None
        self._is_hex = False

    def note(self, line: bytes) -> None:
        """Take notice of AT#CSURVF=n and of the beginning of a survey."""
        if line.startswith(b"AT#CSURVF="):
            self._is_set = line[10:].strip() in {b"1", b"2"}
        self._is_hex = bool(self._is_set)

    def parse(self, line: str) -> CellLine:
        """Read one carrier; LineError says why not."""
        if _SURVEY_WORDS.match(line.encode("latin-1")):
            return self._words(line)
        words = [word.strip() for word in line.split(",")]
        if len(words) == 2:
            return _carrier(words)
        if len(words) == 10 and _STATUS.fullmatch(words[7]) and words[8].startswith("-"):
            return self._wcdma(words)
        if len(words) == 11 and words[1].startswith("-") and words[8].startswith("-"):
            return self._lte(words)
        if len(words) < 10:
            raise LineError(f"{len(words)} values where 2, or 10 and more belong: torn")
        if not _STATUS.fullmatch(words[8]):
            raise LineError(f"cell status {words[8][:30]!r} is unknown")
        return self._gsm(words[:8], _tail(words[9:]), "#CSURVC")

    def _words(self, line: str) -> CellLine:
        said = {key.casefold(): word for key, word in reversed(_WORD.findall(line))}
        if "bsic" not in said and "arfcn" in said and "rxlev" in said:
            return _carrier([said["arfcn"], said["rxlev"]])
        if "earfcn" in said:
            return self._lte_words(said)
        names = ("arfcn", "bsic", "rxlev", "ber", "mcc", "mnc", "lac", "cellid", "cellstatus")
        for name in names:
            if name not in said:
                raise LineError(f"no {name} in it: torn, or another firmware's")
        if not _STATUS.fullmatch(said["cellstatus"]):
            raise LineError(f"cell status {said['cellstatus'][:30]!r} is unknown")
        tail = [said[key] for key in _TAIL if key in said]
        return self._gsm([said[n] for n in names[:8]], tail if len(tail) == 6 else [], "#CSURV")

    def _lte_words(self, said: dict[str, str]) -> CellLine:
        names = ("mcc", "mnc", "cellid", "tac", "cellidentity", "cellstatus", "rsrp")
        for name in (*names, "rsrq"):
            if name not in said:
                raise LineError(f"no {name} in it: torn, or another firmware's")
        values = [said[name] for name in names]
        return self._lte([said["earfcn"], "", *values, "", ""])

    def _gsm(self, words: Sequence[str], tail: Sequence[str], command: str) -> CellLine:
        arfcn, bsic, rxlev, _, mcc, mnc, lac, ci = words
        values = values_of({"arfcn": arfcn, "rxlev": rxlev})
        plmns: tuple[str, ...] = ()
        if _is_known(mcc):  # CELL_OTHER prints FFF and FF, and identities that mean nothing
            plmns = (plmn_of(mcc, mnc, is_padding_loose=True),)
            is_hex = self._note_hex(lac, ci)
            values |= values_of({"lac": lac, "ci": ci} if is_hex else {"lac10": lac, "ci10": ci})
            values["physical_id"] = _bsic(bsic, is_octal=is_hex)
        form = f"{command} {'hex' if self._is_hex else 'decimal'}"
        if tail:
            _, access_min, offset, penalty, t3212, _ = tail
            values |= values_of({"rla": access_min, "penalty_time": penalty, "t3212": t3212})
            values["cro_db"] = 2 * _small("croffset", offset, 63)  # printed as coded, 2 dB steps
            form += " with reselection"
        return CellLine(Rat.GSM, False, plmns, values, form)

    def _wcdma(self, words: Sequence[str]) -> CellLine:
        uarfcn, _, mcc, mnc, psc, ci, lac, _, rscp, _ = words
        said = {"uarfcn": uarfcn, "psc": psc, "rscp": rscp}
        plmns: tuple[str, ...] = ()
        if _is_known(mcc):
            plmns = (plmn_of(mcc, mnc, is_padding_loose=True),)
            is_hex = self._note_hex(lac, ci)
            said |= {"lac": lac, "utran_id": ci} if is_hex else {"lac10": lac, "utran_id10": ci}
        return CellLine(Rat.WCDMA, False, plmns, values_of(said), "#CSURVC WCDMA")

    def _lte(self, words: Sequence[str]) -> CellLine:
        """EARFCN, level, MCC, MNC, cell, TAC, physical identity, status, RSRP, RSRQ, bandwidth."""
        earfcn, _, mcc, mnc, cell, tac, pci, status, rsrp, _, _ = words
        if not _STATUS.fullmatch(status):
            raise LineError(f"cell status {status[:30]!r} is unknown")
        said = {"earfcn": earfcn, "rsrp": rsrp}
        plmns: tuple[str, ...] = ()
        if _is_known(mcc):
            plmns = (plmn_of(mcc, mnc, is_padding_loose=True),)
            is_hex = self._note_hex(cell, tac, pci)
            said |= {"tac": tac, "eci": cell} if is_hex else {"tac10": tac, "eci10": cell}
        values = values_of(said)
        if plmns:
            values["physical_id"] = _physical(pci, is_hex=self._is_hex)
        return CellLine(Rat.LTE, False, plmns, values, "#CSURVC LTE")

    def _note_hex(self, *words: str) -> bool:
        if self._is_set is None and any(_LETTER.search(word) for word in words):
            self._is_hex = True
        return self._is_hex


_TAIL = ("mstxpwr", "rxaccmin", "croffset", "penaltyt", "t3212", "crh")


def _tail(words: Sequence[str]) -> Sequence[str]:
    """Return the six reselection values behind the two channel lists, where they are printed.

    The lists have a count each, then the channels in one column with blanks between; the packet
    channel's description is one 0, or a 1 and twelve values.
    """
    rest = list(words)
    rest = rest[2:] if _small("numArfcn", rest[0], 64) else rest[1:]
    if rest and len(rest) != 6:
        rest = rest[2:] if _small("numChannels", rest[0], 64) else rest[1:]
    if rest and len(rest) != 6:
        rest = rest[13:] if _small("pbcch", rest[0], 1) else rest[1:]
    if rest and len(rest) != 6:
        raise LineError(f"{len(rest)} values left over behind the channel lists: torn?")
    return rest


def _carrier(words: Sequence[str]) -> CellLine:
    """A carrier that bears no BCCH, or none that could be read."""
    channel = _small("arfcn", words[0], 16383)
    rat = Rat.GSM if channel <= _MAX_GSM else Rat.WCDMA
    values = values_of({"uarfcn": words[0], "rxlev": words[1]})
    return CellLine(rat, False, (), values, "#CSURVC carrier")


def _is_known(mcc: str) -> bool:
    return mcc.upper() not in {"FFF", "000", ""}


def _bsic(word: str, *, is_octal: bool) -> int:
    if is_octal and not re.fullmatch(r"[0-7]{1,2}", word):
        raise LineError(f"bsic {word[:20]!r} is no pair of octal digits")
    return int(word, 8) if is_octal else _small("bsic", word, 63)


def _physical(word: str, *, is_hex: bool) -> int:
    if is_hex and not re.fullmatch("[0-9A-Fa-f]{1,4}", word):
        raise LineError(f"physical identity {word[:20]!r} is no hexadecimal number")
    value = int(word, 16) if is_hex else _small("physical identity", word, 503)
    if value > 503:
        raise LineError(f"physical identity {word} is outside 0..503")
    return value


def _small(name: str, word: str, highest: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", word, re.ASCII) or int(word) > highest:
        raise LineError(f"{name} {word[:20]!r} is outside 0..{highest}")
    return int(word)
