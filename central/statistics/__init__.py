"""Figures that add up: counts, periods, percentages with their bases, and an audit of others'."""

from central.statistics.audit import (
    Audit,
    PercentError,
    Verdict,
    audit_change,
    audit_known,
    audit_share,
)
from central.statistics.figures import Claim, Figures, Revision, check, flagged
from central.statistics.percent import NOTHING, Change, Share
from central.statistics.periods import Comparison, Period, Span, compare, counter, period_of
from central.statistics.text_audit import Finding, Form, audit_text

__all__ = [
    "NOTHING",
    "Audit",
    "Change",
    "Claim",
    "Comparison",
    "Figures",
    "Finding",
    "Form",
    "PercentError",
    "Period",
    "Revision",
    "Share",
    "Span",
    "Verdict",
    "audit_change",
    "audit_known",
    "audit_share",
    "audit_text",
    "check",
    "compare",
    "counter",
    "flagged",
    "period_of",
]
