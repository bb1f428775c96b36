"""What a rule of the cell detector is: its family, what it may do by itself, its row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """Kinds of evidence; reasons of two families count as independent.

    Each cell reason of the scenario format has a family of its own.
    """

    AUTHENTICATION = "authentication"
    SPECTRUM_PLAN = "spectrum_plan"
    IDENTITY = "identity"
    LOCATION_AREA = "location_area"
    AREA_PLAN = "area_plan"
    RESELECTION = "reselection"
    NEIGHBOURS = "neighbours"
    TIMERS = "timers"
    CONSTANTS = "constants"
    PHYSICAL_IDENTITY = "physical_identity"
    REJECTS = "rejects"
    STEERING = "steering"
    SECURITY = "security"
    MESSAGES = "messages"
    SURROUNDINGS = "surroundings"
    LEVEL = "level"
    MOBILITY = "mobility"


class Strength(StrEnum):
    """What a rule may do by itself."""

    HARD_CRITICAL = "hard, critical"
    HARD_HIGH = "hard, high"
    STANDS_ALONE = "stands alone"
    SOFT = "soft: counts only beside another family"
    SUPPORTING = "supporting: adds weight, never one of the two reasons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table."""

    id: str
    observed: str
    family: Family
    strength: Strength
    weight: float
    """Natural logarithm of the likelihood ratio, fake against genuine; at most so much where a
    finding carries a weight of its own."""
    weight_basis: str
    """Base rate among genuine cells and how the weight follows from it."""
    source: str
    false_positives: str
