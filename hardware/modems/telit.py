"""The Telit dialect: #MONI (serving cell and neighbours), #CSURV and #CSURVC (every carrier).

#CSURVC tells more of a GSM cell than any other AT command (barred or not, reselection offset,
penalty time, T3212) and needs no SIM; it keeps the modem busy for up to two minutes.
"""

from __future__ import annotations

from hardware.modems.cells import CellLine
from hardware.modems.interface import LongCommand
from hardware.modems.lines import LineDialect
from hardware.modems.telit_lines import SurveyReader, is_survey_line, parse_moni


class TelitDialect(LineDialect):
    """See the module."""

    name = "telit"
    # decimal identities, and the system information of every cell that is found
    setup = (b"AT#CSURVF=0\r", b"AT#CSURVEXT=2\r", b"AT#MONI=7\r")
    round = (b"AT#MONI\r",)
    long = (LongCommand(b"AT#CSURVC\r", 150.0),)

    def __init__(self, *, sensor: str, file: str) -> None:
        super().__init__(sensor=sensor, file=file)
        self._survey = SurveyReader()

    def is_cell_line(self, line: bytes) -> bool:
        """See LineDialect."""
        upper = line.upper()
        if upper.startswith((b"AT#CSURVF=", b"NETWORK SURVEY")):
            self._survey.note(upper)
        return upper.startswith((b"#MONI:", b"NETWORK SURVEY")) or is_survey_line(line)

    def parse(self, line: bytes) -> CellLine | None:
        """See LineDialect."""
        text = line.decode("latin-1")
        if text.upper().startswith("#MONI:"):
            return parse_moni(text)
        if text.upper().startswith("NETWORK SURVEY"):
            return None
        return self._survey.parse(text)

    def starts_round(self, line: bytes) -> bool:
        """See LineDialect."""
        return line.upper().startswith((b"#MONI: CELL BSIC", b"NETWORK SURVEY STARTED"))
