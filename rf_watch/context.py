"""What a deployment knows beforehand: plans, registers, baselines, tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rf_watch.baseline import Baseline
from rf_watch.plan import CellPlan, VehicleRegister
from rf_watch.tables.china_gsm import ChinaGsm

UNCLASSIFIED = "unclassified"

Classifier = Callable[[str], str]
"""Text of a short message to its class."""


def unclassified(_: str) -> str:
    """Class of every text where no model was trained."""
    return UNCLASSIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class CellContext:
    """Everything that the cell detector is told; empty parts object to nothing."""

    gsm: ChinaGsm = field(default_factory=ChinaGsm)
    plan: CellPlan = field(default_factory=CellPlan)
    register: VehicleRegister = field(default_factory=VehicleRegister)
    baseline: Baseline = field(default_factory=Baseline)
    classify: Classifier = unclassified
