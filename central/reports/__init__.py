"""Daily and monthly reports from what the store holds: figures with their bases, and versions."""

from central.reports.build import SCHEMA, build, figure_text, report_period
from central.reports.desk import ReportDesk, figures_digest
from central.reports.indicators import INDICATORS, STATED, Counter, Indicator, Unit

__all__ = [
    "INDICATORS",
    "SCHEMA",
    "STATED",
    "Counter",
    "Indicator",
    "ReportDesk",
    "Unit",
    "build",
    "figure_text",
    "figures_digest",
    "report_period",
]
