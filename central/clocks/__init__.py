"""The law's minutes, days and months, computed from events and a dated table."""

from central.clocks.calendar import (
    CHINA,
    add_months,
    add_working_days,
    day_of,
    end_of_years,
    is_working_day,
    local,
    micros,
    midnight,
)
from central.clocks.law import Law, LawError, LawRow, Subject, load_law
from central.clocks.legal import (
    ClockState,
    Event,
    Happening,
    LegalClock,
    Reminder,
    clocks,
    months_later,
    reminders,
    sanction_until,
)

__all__ = [
    "CHINA",
    "ClockState",
    "Event",
    "Happening",
    "Law",
    "LawError",
    "LawRow",
    "LegalClock",
    "Reminder",
    "Subject",
    "add_months",
    "add_working_days",
    "clocks",
    "day_of",
    "end_of_years",
    "is_working_day",
    "load_law",
    "local",
    "micros",
    "midnight",
    "months_later",
    "reminders",
    "sanction_until",
]
