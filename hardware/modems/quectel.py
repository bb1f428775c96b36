"""The Quectel dialect: EC2x and EG25 (GSM, WCDMA, LTE), RM5xx (LTE, NR), live or from a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hardware.modems.cells import CellLine
from hardware.modems.interface import LongCommand
from hardware.modems.lines import LineDialect
from hardware.modems.quectel_gsm import is_gsm_line, parse_gsm
from hardware.modems.quectel_lines import is_cell_line, is_serving_header, parse
from hardware.modems.transcripts import BOM, Round, read_rounds
from hardware.modems.transcripts import rounds as rounds_of
from hardware.readings import Item

_TRANSCRIPT_LINE = re.compile(rb"^\s*(?:AT)?\+Q(?:ENG|SCAN)\b", re.MULTILINE)

SERVING = b'AT+QENG="servingcell"\r'
NEIGHBOURS = b'AT+QENG="neighbourcell"\r'
SCAN = LongCommand(b"AT+QSCAN=3,1\r", 360.0)
"""LTE and NR, with identities; the manual's limit is six minutes."""


class QuectelDialect(LineDialect):
    """Asks for the serving cell and its neighbours; +QSCAN is a survey on request."""

    name = "quectel"
    round = (SERVING, NEIGHBOURS)
    long = (SCAN,)

    def is_cell_line(self, line: bytes) -> bool:
        """See LineDialect."""
        return is_cell_line(line)

    def parse(self, line: bytes) -> CellLine | None:
        """See LineDialect."""
        return parse(line)

    def parse_all(self, line: bytes) -> Sequence[CellLine]:
        """See LineDialect."""
        return parse_gsm(line) if is_gsm_line(line) else super().parse_all(line)

    def starts_round(self, line: bytes) -> bool:
        """See LineDialect."""
        return is_serving_header(line) or (is_gsm_line(line) and b"0," in line[:9])


def looks_like_transcript(head: bytes) -> bool:
    """Whether a file that begins like this is a log of Quectel AT answers."""
    return b"\0" not in head and _TRANSCRIPT_LINE.search(head.removeprefix(BOM)) is not None


def rounds(content: bytes) -> Iterator[Round]:
    """Cut a recording into rounds; see :func:`hardware.modems.transcripts.rounds`."""
    return rounds_of(content, QuectelDialect(sensor="", file=""))


def read_transcript(
    content: bytes, file: str, sensor: str, start_us: int | None = None
) -> Iterator[Item]:
    """Read a recorded log of Quectel AT answers; see :func:`read_rounds`."""
    return read_rounds(content, QuectelDialect(sensor=sensor, file=file), start_us)
