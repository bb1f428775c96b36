"""The SIMCom dialect: SIM800/900 and SIM7000 (+CENG), SIM5xxx (+CCINFO), SIM7xxx/8xxx (+CPSI).

Each model knows some of the commands only; a round asks all, and later those that a cell came
from. AT+CNETSCAN (SIM800: every GSM carrier, about a minute) is a survey on request.
"""

from __future__ import annotations

from hardware.modems.cells import CellLine
from hardware.modems.interface import LongCommand
from hardware.modems.lines import LineDialect
from hardware.modems.simcom_ceng import parse_ceng
from hardware.modems.simcom_lines import parse_ccinfo, parse_cnetscan, parse_cpsi

_PARSERS = {
    b"+CENG:": parse_ceng,
    b"+CPSI:": parse_cpsi,
    b"+CCINFO:": parse_ccinfo,
    b"Operator:": parse_cnetscan,
}


class SimcomDialect(LineDialect):
    """See the module."""

    name = "simcom"
    setup = (b"AT+CENG=1,1\r", b"AT+CNETSCAN=1\r")
    round = (b"AT+CENG?\r", b"AT+CPSI?\r", b"AT+CCINFO\r")
    long = (LongCommand(b"AT+CNETSCAN\r", 150.0),)

    def is_cell_line(self, line: bytes) -> bool:
        """See LineDialect."""
        return line.startswith(tuple(_PARSERS))

    def parse(self, line: bytes) -> CellLine | None:
        """See LineDialect."""
        parser = next(parser for head, parser in _PARSERS.items() if line.startswith(head))
        return parser(line.decode("latin-1"))

    def starts_round(self, line: bytes) -> bool:
        """See LineDialect."""
        return line.replace(b" ", b"").startswith((b'+CENG:0,"', b"+CCINFO:[SCELL]", b"+CPSI:"))
