"""The fault enumeration: nothing is broken, and whatever is broken on purpose is found."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atm_face.withdrawal import Guard, Happened, Row, State, Step, Withdrawal
from atm_face.withdrawal_table import TABLE
from edge_agent.atm.journal import Journal
from edge_agent.atm.withdrawals import Withdrawals
from qianshao.__main__ import main
from qianshao.atm_scenarios import GOOD, Scenario, all_scenarios
from qianshao.atm_simulation import Plan, Simulation, memory_folder, simulate, simulate_sample
from qianshao.atm_world import PAN, SECRETS, find_secrets


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory: hundreds of journals, and a simulated power cut needs no disk."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        yield Path(name)


def test_a_sample_of_all_faults_breaks_no_promise(folder: Path) -> None:
    report = simulate_sample(Simulation(folder), 300)
    assert report.violations == []
    assert report.runs == 300
    assert report.states == set(State)
    assert len(report.faults) > 18


def test_every_scenario_without_a_power_cut(folder: Path) -> None:
    simulation = Simulation(folder)
    for scenario in all_scenarios():
        simulation.play(Plan(scenario))
    assert simulation.report.violations == []
    assert simulation.report.faults >= set(range(1, 26)) - {2, 15}  # those need a power cut


def test_the_eight_combinations_of_the_factors(folder: Path) -> None:
    simulation = Simulation(folder)
    scenarios = [one for one in all_scenarios() if one == Scenario(factors=one.factors)]
    assert len(scenarios) == 8 + 6
    for scenario in scenarios:
        moments = simulation.play(Plan(scenario))
        assert ("dispense" in moments) is (scenario.factors == GOOD)
    assert simulation.report.violations == []


def test_secrets_are_found_in_any_form() -> None:
    block = SECRETS.pin_block
    assert find_secrets(b"x" + block.hex().encode() + b"y") == ["PIN block"]
    assert find_secrets(PAN.encode()) == ["card number"]
    assert find_secrets(b"nothing") == []


def test_the_command_prints_the_contracts_fields(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qianshao.atm.SAMPLE_RUNS", 20)
    assert main(["atm", "simulate", "--json", "--folder", str(folder)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["violations"] == []
    assert printed["runs"] == 20
    assert {"schema", "states_covered", "faults_covered", "seconds"} <= set(printed)
    assert list(folder.iterdir()) == []


# -- broken on purpose -----------------------------------------------------------------------------


def without(row: Row, guard: Guard) -> list[Row]:
    weaker = replace(row, guards=tuple(one for one in row.guards if one is not guard))
    return [weaker if one is row else one for one in TABLE]


def first_violation(simulation: Simulation) -> str | None:
    for scenario in all_scenarios():
        simulation.play(Plan(scenario))
        if simulation.report.violations:
            return simulation.report.violations[0].invariant
    return None


def mutants() -> Iterator[tuple[Row, Guard]]:
    for row in TABLE:
        for guard in row.guards:
            yield row, guard


@pytest.mark.parametrize(
    "guard",
    [Guard.FACE_GOOD, Guard.PIN_GOOD, Guard.QUEUE_WITHIN_LIMITS, Guard.SAME_AMOUNT],
)
def test_a_missing_guard_is_found(folder: Path, guard: Guard) -> None:
    row = next(one for one in TABLE if guard in one.guards)
    assert first_violation(Simulation(folder, rows=without(row, guard))) is not None


class ActsFirst(Withdrawals):
    """Does first, and writes it down afterwards."""

    def _run(self, withdrawal: Withdrawal, first: Happened) -> Withdrawal:
        happened: Happened | None = first
        while happened is not None:
            made = self._step(withdrawal, happened)
            happened = self._carry_out(made)
            self._journal.write(made, self._clock.wall())
            withdrawal = made.after
        return withdrawal


def test_acting_before_writing_is_found(folder: Path) -> None:
    simulation = Simulation(folder, make_driver=ActsFirst)
    simulation.play(Plan(Scenario()))
    assert {one.invariant for one in simulation.report.violations} >= {"W1"}


def test_a_secret_in_the_journal_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Journal.write

    def talkative(self: Journal, step: Step, at_us: int) -> None:
        write(self, step, at_us)
        self.note(step.after.id, step.happened.event, SECRETS.track2, at_us)

    monkeypatch.setattr(Journal, "write", talkative)
    simulation = Simulation(folder)
    simulation.play(Plan(Scenario()))
    assert {one.invariant for one in simulation.report.violations} == {"W8"}


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_missing_guard_is_found(folder: Path) -> None:
    survivors = []
    for number, (row, guard) in enumerate(mutants()):
        place = folder / str(number)
        place.mkdir()
        if first_violation(Simulation(place, rows=without(row, guard))) is None:
            survivors.append((row.state, row.event, row.to, guard))
    assert survivors == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_all_faults_break_no_promise(folder: Path) -> None:
    report = simulate(Simulation(folder))
    assert report.violations == []
    assert report.faults == set(range(1, 26))
    assert report.states == set(State)
    assert report.runs > 5000
