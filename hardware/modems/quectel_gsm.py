"""+QENG of Quectel's GSM modules (M26, M66, M95, MC60), which has numbers where others have words.

``0`` is the serving cell, ``1`` its neighbours, up to six in one line; ``2`` and ``4`` list levels
without a cell. A value that is not known is an ``x``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hardware.modems.cells import CellLine, LineError, plmn_of, values_of
from hardware.readings import Rat

_LINE = re.compile(rb"\+QENG: *[0-4],")
_SERVING = ["mcc", "mnc", "lac", "ci", "arfcn", "bsic", "rxlev", "c1", "c2", "txp", "rla"]
_SERVING_COUNT = 18
_NEIGHBOUR = ["number", "arfcn", "rxlev", "bsic", "c1", "c2", "mcc", "mnc", "lac", "ci"]


def is_gsm_line(line: bytes) -> bool:
    """Whether a +QENG line is of this form."""
    return _LINE.match(line) is not None


def parse_gsm(line: bytes) -> Sequence[CellLine]:
    """Read such a line: one cell for each that it names. LineError says why not."""
    words = [word.strip() for word in line.decode("latin-1").partition(":")[2].split(",")]
    head, *rest = words
    if len(rest) == 1 or head in {"2", "3", "4"}:
        return []  # the settings, or what names no cell
    if head == "0":
        if len(rest) != _SERVING_COUNT:
            raise LineError(f"{len(rest)} values where {_SERVING_COUNT} belong: torn")
        return [_cell(dict(zip(_SERVING, rest, strict=False)), is_serving=True)]
    count = len(_NEIGHBOUR)
    if len(rest) % count:
        raise LineError(f"{len(rest)} values of neighbours that have {count} each: torn")
    places = [rest[at : at + count] for at in range(0, len(rest), count)]
    said = [dict(zip(_NEIGHBOUR, place, strict=True)) for place in places]
    return [_cell(one, is_serving=False) for one in said if one["arfcn"] != "x"]


def _cell(said: dict[str, str], *, is_serving: bool) -> CellLine:
    known = {name: word for name, word in said.items() if word not in {"x", "-", ""}}
    mcc, mnc = known.pop("mcc", None), known.pop("mnc", None)
    plmns = (plmn_of(mcc or "-", mnc or "-"),) if mcc or mnc else ()
    for name in ("txp", "number"):
        known.pop(name, None)
    values = values_of(known)
    if not values:
        raise LineError("no value at all")
    place = "serving" if is_serving else "neighbour"
    return CellLine(Rat.GSM, is_serving, plmns, values, f"+QENG GSM module, {place}")
