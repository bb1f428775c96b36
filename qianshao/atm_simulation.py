"""``qianshao atm simulate``: every fault, the power cut at every moment, every promise checked."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from structlog.testing import capture_logs

from atm_face.withdrawal import (
    CHECKS,
    Check,
    Event,
    Guard,
    Outcome,
    Row,
    State,
    Step,
    Withdrawal,
)
from atm_face.withdrawal_table import TABLE
from edge_agent.atm.withdrawals import CAPTURE_CODES, Withdrawals
from hardware.atm.interface import CardResult, Movement
from hardware.simulators.bank import ReplyFault
from qianshao.atm_scenarios import GOOD, Scenario, all_scenarios
from qianshao.atm_world import AMOUNT_FEN, AtmWorld, find_secrets

_OF_FACTORS = {20, 21, 22, 23, 25}
"""One row answers all of them: only the factor that is missing tells which it was."""
_BELIEVED = {ReplyFault.NONE, ReplyFault.STALE, ReplyFault.WRONG_AMOUNT}
"""A decline with these is the host's: it names our request and is authentic."""

_SAMPLE_SEED = 20261125


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that did not hold, and how to see it again."""

    invariant: str
    detail: str
    trace: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: a scenario and when the power goes or the disk is full."""

    scenario: Scenario
    cuts: tuple[int, ...] = ()
    full_at: int | None = None

    def __str__(self) -> str:
        full = "" if self.full_at is None else f", disk full at {self.full_at}"
        return f"{self.scenario}; power cut at {list(self.cuts)}{full}"


@dataclass(slots=True)
class Report:
    """What the enumeration came to."""

    runs: int = 0
    violations: list[Violation] = field(default_factory=list)
    states: set[State] = field(default_factory=set)
    rows: set[Row] = field(default_factory=set)
    faults: set[int] = field(default_factory=set)
    seconds: float = 0.0


class Simulation:
    """Plays plans one after the other; the table and its guards may be broken on purpose."""

    def __init__(
        self,
        folder: Path,
        *,
        rows: Sequence[Row] = TABLE,
        checks: Mapping[Guard, Check] = CHECKS,
        make_driver: Callable[..., Withdrawals] = Withdrawals,
    ) -> None:
        self._folder = folder
        self._rows, self._checks, self._make_driver = rows, checks, make_driver
        self.report = Report()

    def play(self, plan: Plan) -> list[str]:
        """Play one run, check it, and return the moments it went through."""
        folder = self._folder / str(self.report.runs)
        folder.mkdir()
        world = AtmWorld(
            plan.scenario,
            folder,
            cuts=plan.cuts,
            full_at=plan.full_at,
            rows=self._rows,
            checks=self._checks,
            make_driver=self._make_driver,
        )
        try:
            with capture_logs() as logs:
                world.play()
                problems = [*world.problems, *check(world, plan, repr(logs).encode())]
        finally:
            world.close()
            shutil.rmtree(folder)
        self._count(world, plan, problems)
        return world.moments

    def _count(self, world: AtmWorld, plan: Plan, problems: list[tuple[str, str]]) -> None:
        report = self.report
        report.runs += 1
        report.violations += [
            Violation(invariant=name, detail=detail, trace=str(plan)) for name, detail in problems
        ]
        report.states |= {step.before.state for step in world.steps}
        report.states |= {step.after.state for step in world.steps}
        report.rows |= {step.row for step in world.steps}
        report.faults |= _faults_met(world, plan)


def _faults_met(world: AtmWorld, plan: Plan) -> set[int]:
    """Return the numbers of the fault table that this run really met."""
    met: set[int] = set()
    for step in world.steps:
        met |= set(step.row.faults) - _OF_FACTORS
    factors = plan.scenario.factors
    causes = {20: factors.host, 21: factors.face, 22: factors.policy, 25: factors.clock}
    met |= {number for number, is_good in causes.items() if not is_good}
    if plan.full_at is not None or not factors.journal:
        met.add(23)
    if any(advice.is_repeat for advice in world.bank.advices):
        met.add(18)
    if {"25", "94"} & set(world.bank.codes):
        met.add(19)
    return met


def check(world: AtmWorld, plan: Plan, logs: bytes) -> Iterator[tuple[str, str]]:
    """Compare the books, the notes and the journal; yields (invariant, what is wrong)."""
    withdrawals, journal = world.end()
    for found in (*world.secrets_on_disk(), *(f"log: {n}" for n in find_secrets(logs))):
        yield "W8", f"{found} in the clear"
    for withdrawal in withdrawals:
        if withdrawal.state is not State.ENDED and journal.problem() is None:
            yield "W4", f"{withdrawal.id} did not end"
        if withdrawal.outcome is None:
            yield "W4", f"{withdrawal.id} has no outcome"
    if journal.waiting():
        yield "W5", "an advice was never settled"
    first = next((one for one in withdrawals if one.id == "first"), None)
    if first is not None:
        yield from _check_first(world, plan, first)


def _check_first(world: AtmWorld, plan: Plan, first: Withdrawal) -> Iterator[tuple[str, str]]:
    _, journal = world.end()
    scenario, bank, cash = plan.scenario, world.bank, world.dispenser
    steps = [step for step in world.steps if step.after.id == "first"]
    out, posted = cash.customer_fen, bank.posted_fen.get(first.stan, 0)
    entry = next((one for one in journal.suspense() if one.withdrawal == "first"), None)
    least, most = (entry.least_fen, entry.most_fen) if entry else (0, 0)
    if scenario.movement is not Movement.CASH:
        yield from _check_transfer(scenario, first, world)
    elif not least <= out - posted <= most:
        yield "MONEY", f"out {out} - posted {posted} is not in [{least}, {most}]"
    if (entry is not None) is not (first.outcome is Outcome.SUSPENSE):
        yield "W4", f"outcome {first.outcome}, suspense {entry}"
    if out and first.outcome is Outcome.REVERSED:
        yield "W6", "cash that was taken is reversed"
    if entry is not None and most == 0 and journal.problem() is None:
        yield "W6", "an unknown end, and the machine stays in service"
    if first.stan in bank.asked_fen and scenario.factors != GOOD:
        yield "W2" if _lacks_factor(scenario) else "W7", "the host was asked"
    if any(name == "dispense" for name, _ in cash.calls) and not _is_approved(scenario):
        yield "W3", "dispensed without an approval"
    if out > AMOUNT_FEN:
        yield "W3", f"{out} is more than was approved"
    if cash.stacker_fen and journal.problem() is None:
        yield "W6", "notes lie on the stacker of a machine in service"
    yield from _check_terms(scenario, first, steps, world)
    is_undisturbed = plan == Plan(Scenario())
    if is_undisturbed and (first.outcome, out) != (Outcome.COMPLETED, AMOUNT_FEN):
        yield "SERVICE", "a good customer got no cash"


def _check_transfer(
    scenario: Scenario, first: Withdrawal, world: AtmWorld
) -> Iterator[tuple[str, str]]:
    """The books hold the transfer if and only if the journal says that it waits."""
    bank, is_ordering = world.bank, scenario.movement is Movement.TRANSFER
    agreed = Outcome.TRANSFER_WAITS if is_ordering else Outcome.REVOKED
    if first.outcome not in {agreed, Outcome.REVERSED, Outcome.DECLINED, Outcome.NOT_SENT}:
        yield "W4", f"{scenario.movement.value} ended as {first.outcome}"
    if first.outcome is agreed and not _is_approved(scenario):
        yield "W3", f"{first.outcome} without an approval"
    stan = first.stan if is_ordering else "000001"
    is_posted = bank.posted_fen.get(stan, 0) > 0
    is_taken_back = first.outcome in {Outcome.REVOKED, Outcome.REVERSED}
    if is_posted is not (first.outcome is agreed if is_ordering else not is_taken_back):
        yield "MONEY", f"{first.outcome}, and the books hold {bank.posted_fen.get(stan, 0)}"
    if world.dispenser.calls:
        yield "W3", "the dispenser was used for a transfer"


def _check_terms(
    scenario: Scenario, first: Withdrawal, steps: list[Step], world: AtmWorld
) -> Iterator[tuple[str, str]]:
    """What the bank set must be kept."""
    terms = scenario.terms
    if first.outcome is Outcome.PARTIALLY_REVERSED and not terms.allows_partial:
        yield "TERMS", "a part was paid out without the bank's leave"
    is_retracted = any(name == "retract" for name, _ in world.dispenser.calls)
    if first.outcome is Outcome.REVERSED and is_retracted and not terms.reverses_counted_retract:
        yield "TERMS", "a retract was reversed without the bank's leave"
    if terms.reverses_counted_retract and first.outcome is Outcome.SUSPENSE:
        counted = [s for s in steps if s.happened.event is Event.RETRACTED]
        if any(step.happened.count_fen == step.before.dispensed_fen for step in counted):
            yield "TERMS", "a counted retract was not reversed"
    is_wanted = (
        scenario.bank.code in CAPTURE_CODES
        and terms.captures_cards
        and scenario.bank.reply in _BELIEVED
    )
    if world.slot.place is CardResult.RETAINED and not world.slot.was_left and not is_wanted:
        yield "TERMS", "a card was kept without a reason"


def _lacks_factor(scenario: Scenario) -> bool:
    factors = scenario.factors
    return not (factors.card and factors.pin and factors.face)


def _is_approved(scenario: Scenario) -> bool:
    return scenario.bank.code == "00" and scenario.bank.reply is ReplyFault.NONE


# -- which runs ------------------------------------------------------------------------------------


def plans_of(moments: Sequence[str], scenario: Scenario, chance: random.Random) -> list[Plan]:
    """Return the runs with a cut at each moment, a full disk at each write, and two cuts.

    Two cuts: every pair for the scenario without a fault, one second cut drawn for all others.
    """
    numbers = range(len(moments))
    plans = [Plan(scenario, (number,)) for number in numbers]
    plans += [Plan(scenario, full_at=n) for n, name in enumerate(moments) if name == "before"]
    for number in numbers:
        later = range(number + 1, number + 12)
        seconds = later if scenario == Scenario() else chance.sample(later, 1)
        plans += [Plan(scenario, (number, second)) for second in seconds]
    return plans


def simulate(simulation: Simulation) -> Report:
    """Play every scenario with every plan; fills the report."""
    began = time.perf_counter()
    chance = random.Random(_SAMPLE_SEED)  # noqa: S311 - which runs; no secret
    for scenario in all_scenarios():
        moments = simulation.play(Plan(scenario))
        for plan in plans_of(moments, scenario, chance):
            simulation.play(plan)
    simulation.report.seconds = time.perf_counter() - began
    return simulation.report


def simulate_sample(simulation: Simulation, runs: int) -> Report:
    """Play a fixed random sample: a fifth of the runs without a cut, spread over the scenarios."""
    began = time.perf_counter()
    chance = random.Random(_SAMPLE_SEED)  # noqa: S311 - which runs; no secret
    scenarios = all_scenarios()
    for scenario in [scenarios[0], *chance.sample(scenarios[1:], max(runs // 5, 1) - 1)]:
        moments = simulation.play(Plan(scenario))
        for plan in chance.sample(plans_of(moments, scenario, chance), 4):
            simulation.play(plan)
    simulation.report.seconds = time.perf_counter() - began
    return simulation.report


def memory_folder() -> Path | None:
    """Return a folder in memory, where the machine has one: the power cuts here are simulated."""
    folder = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    return folder if os.access(folder, os.W_OK) else None


def run_simulation(*, sample: int | None = None, folder: Path | None = None) -> Report:
    """Enumerate in a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="qianshao-atm-", dir=folder or memory_folder()) as name:
        simulation = Simulation(Path(name))
        return simulate(simulation) if sample is None else simulate_sample(simulation, sample)
