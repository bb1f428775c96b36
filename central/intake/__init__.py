"""Intake from 110: an alarm by webhook, by a signed message or by a form opens a case at once."""

from central.intake.alarm import Alarm, Problem, Reading, SuspectAccount, Victim, read_alarm
from central.intake.desk import IntakeDesk, Outcome, Result

__all__ = [
    "Alarm",
    "IntakeDesk",
    "Outcome",
    "Problem",
    "Reading",
    "Result",
    "SuspectAccount",
    "Victim",
    "read_alarm",
]
