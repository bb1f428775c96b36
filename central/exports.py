"""Rows as CSV and XLSX that no spreadsheet mistakes for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import xlsxwriter

Cell = str | int | float | None
Row = Sequence[Cell]

_BOM = "\ufeff"
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""OWASP's list of CSV injection, with the full-width forms that spreadsheets fold."""
_BLANKS = "".join(c for c in map(chr, range(0x3001)) if c.isspace()) + "\ufeff"
"""A program may pass over any of them in search of the formula behind."""
_CHUNK_ROWS = 500
_MAX_CELL = 32_767
"""Characters that XLSX takes in a cell."""


def harmless(cell: Cell) -> Cell:
    """Return a cell that stays text: what a formula could begin with gets an apostrophe."""
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\x00", "")
    begins = text.lstrip(_BLANKS)
    return f"'{text}" if begins.startswith(_DANGEROUS) or text.startswith(_DANGEROUS) else text


def csv_chunks(header: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield CSV text (RFC 4180, with the mark that Excel needs for UTF-8), some rows at a time."""
    out = io.StringIO()
    writer = csv.writer(out)
    out.write(_BOM)
    writer.writerow(header)
    for number, row in enumerate(rows, 1):
        writer.writerow([harmless(cell) for cell in row])
        if number % _CHUNK_ROWS == 0:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def xlsx(title: str, header: Sequence[str], rows: Iterable[Row]) -> bytes:
    """Return a workbook of one sheet; every text is a string cell, never a formula or a link."""
    out = io.BytesIO()
    options = {"in_memory": True, "constant_memory": True}
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet(title[:31])
        bold = book.add_format({"bold": True})
        for column, name in enumerate(header):
            sheet.write_string(0, column, name, bold)
        for line, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(line, column, str(harmless(cell))[:_MAX_CELL])
                elif cell is not None:
                    sheet.write_number(line, column, cell)
        sheet.freeze_panes(1, 0)
    return out.getvalue()
