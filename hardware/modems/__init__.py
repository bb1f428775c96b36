"""Cellular modems: AT dialects without I/O, and the poller that drives one over a port.

A further modem is one file with a :class:`LineDialect` and its lines in the table of families.
"""

from hardware.modems.families import DIALECTS, DialectFactory, family_of, read_log
from hardware.modems.interface import Arrival, LongCommand, ModemDialect
from hardware.modems.lines import LineDialect
from hardware.modems.poller import ModemPoller, PollerCounters
from hardware.modems.quectel import QuectelDialect, looks_like_transcript, read_transcript
from hardware.modems.simcom import SimcomDialect
from hardware.modems.telit import TelitDialect
from hardware.modems.ublox import UbloxDialect

__all__ = [
    "DIALECTS",
    "Arrival",
    "DialectFactory",
    "LineDialect",
    "LongCommand",
    "ModemDialect",
    "ModemPoller",
    "PollerCounters",
    "QuectelDialect",
    "SimcomDialect",
    "TelitDialect",
    "UbloxDialect",
    "family_of",
    "looks_like_transcript",
    "read_log",
    "read_transcript",
]
