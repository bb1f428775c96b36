"""A report as PDF, Chinese included.

The glyphs that a report uses are embedded (:mod:`central.reports.font`): it looks the same on a
machine without any Chinese font, and its text can be searched and copied.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from central.reports import table
from central.reports.font import FONT, ready

if TYPE_CHECKING:
    from central.web.words import Words

_INK, _QUIET, _LINE = (
    colors.HexColor("#131a24"),
    colors.HexColor("#4a5666"),
    colors.HexColor("#c3cad4"),
)
_BAR = colors.HexColor("#0b57c2")
_WIDTHS_MM = (44, 32, 32, 19, 29, 18)
_MARGIN = 18 * mm - 6
"""Within it the page's frame has a padding of 6 points: text, table and charts begin at 18 mm."""
_CHART_W, _CHART_H = 174 * mm, 30 * mm


def report_pdf(
    report: Mapping[str, Any], words: Words, *, offset_minutes: int, version: int = 0
) -> bytes:
    """Return the document; the same report gives the same bytes. Raises FontError."""
    ready()
    out = io.BytesIO()
    heading = table.title(report, words)
    document = SimpleDocTemplate(
        out, pagesize=A4, title=heading, author="Qianshao", invariant=1,
        leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=16 * mm, bottomMargin=18 * mm,
    )  # fmt: skip
    note = words.text(
        "The system suspects and explains; a person verifies and notifies. "
        "Only the provincial radio regulator certifies an illegal station."
    )

    def foot(canvas: Any, page: Any) -> None:
        canvas.saveState()
        canvas.setFont(FONT, 7.5)
        canvas.setFillColor(_QUIET)
        canvas.drawString(18 * mm, 10 * mm, note)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, str(page.page))
        canvas.restoreState()

    story = [
        _text(heading, 15, 20),
        _text(table.subtitle(report, words, offset_minutes, version), 9, 13, _QUIET),
        Spacer(0, 4 * mm),
        _figures(report, words),
        *_charts(report, words),
    ]
    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return out.getvalue()


def _text(
    text: str, size: float, leading: float, colour: Any = _INK, *, at_right: bool = False
) -> Paragraph:
    """Return a paragraph; Chinese breaks between characters, English between words."""
    style = ParagraphStyle(
        f"s{size}",
        fontName=FONT,
        fontSize=size,
        leading=leading,
        textColor=colour,
        wordWrap=None if text.isascii() else "CJK",
        alignment=TA_RIGHT if at_right else TA_LEFT,
    )
    return Paragraph(escape(text), style)


def _figures(report: Mapping[str, Any], words: Words) -> Table:
    """Six columns: how many days each side covers stands below its base."""
    names = table.header(words)
    kept = (0, 1, 3, 4, 6, 7)
    days = words.text("{n} d")
    cells = [[_text(names[n], 8, 10, _QUIET, at_right=n > 0) for n in kept]]
    joined = []
    for number, row in enumerate(table.rows(report, words), 1):
        line = []
        if row[2:] == [None] * len(row[2:]):  # lengths of clocks and what was stated: one cell
            joined.append(("SPAN", (1, number), (-1, number)))
        for column in kept:
            text = "" if row[column] is None else str(row[column])
            if column in {1, 3, 6} and row[column + (1 if column == 1 else 2)] is not None:
                text += f" ({days.replace('{n}', str(row[column + (1 if column == 1 else 2)]))})"
            is_joined = bool(joined) and joined[-1][1] == (1, number)
            line.append(_text(text, 9, 11, at_right=column > 0 and not is_joined))
        cells.append(line)
    style = [
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, _INK),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        *joined,
    ]
    return Table(cells, colWidths=[w * mm for w in _WIDTHS_MM], style=style, repeatRows=1)


def _charts(report: Mapping[str, Any], words: Words) -> list[Flowable]:
    days = report["series"]["days"]
    found: list[Flowable] = []
    for name, values in report["series"].items():
        if name == "days" or not any(values):
            continue
        top = words.text("most in a day: {n}").replace("{n}", f"{max(values):,}")
        text = f"{words.word('indicator', name)} ({top})"
        title = _text(text, 10, 16)
        found.append(KeepTogether([Spacer(0, 4 * mm), title, _bars(days, values)]))
    return found


def _bars(days: list[str], values: list[int]) -> Drawing:
    drawing = Drawing(_CHART_W, _CHART_H + 12)
    top, width = max(values), _CHART_W / max(1, len(days))
    for number, value in enumerate(values):
        height = _CHART_H * value / top
        drawing.add(
            Rect(
                number * width + width * 0.15,
                12,
                width * 0.7,
                height,
                fillColor=_BAR,
                strokeColor=None,
            )
        )
    drawing.add(Line(0, 12, _CHART_W, 12, strokeColor=_INK, strokeWidth=0.5))
    texts = ((0, days[0], "start"), (_CHART_W, days[-1], "end"))
    for x, text, anchor in texts:
        drawing.add(
            String(x, 2, text, fontName=FONT, fontSize=7.5, fillColor=_QUIET, textAnchor=anchor)
        )
    return drawing
