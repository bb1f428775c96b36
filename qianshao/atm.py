"""``qianshao atm simulate``: the withdrawal under every fault."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from contract.clock import SystemClock
from contract.settings import ConfigError
from edge_agent.atm.closure import Closure
from edge_agent.config import load_config
from qianshao.atm_simulation import Report, run_simulation

SAMPLE_RUNS = 300


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``atm simulate``."""
    parser.add_argument(
        "--faults",
        choices=["sample", "all"],
        default="sample",
        help=f"all: every fault and power cut; sample: {SAMPLE_RUNS} of the runs (default)",
    )
    parser.add_argument(
        "--folder", type=Path, help="put the journals here, and delete them (default: in memory)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main_simulate(args: argparse.Namespace) -> int:
    """Run the enumeration; exit 1 if any promise was broken."""
    sample = SAMPLE_RUNS if args.faults == "sample" else None
    report = run_simulation(sample=sample, folder=args.folder)
    print(json.dumps(to_json(report), ensure_ascii=False) if args.json else to_text(report))
    return 1 if report.violations else 0


def add_open_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the options of ``atm open``."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the ATM's own")
    parser.add_argument("--by", required=True, metavar="NAME", help="who looked at the machine")


def main_open(args: argparse.Namespace) -> int:
    """Put a closed machine back into service: 0 done, 1 it was open, 2 configuration."""
    try:
        state_dir = load_config(args.config).state_dir
        why = Closure(state_dir).open(args.by, SystemClock())
    except (ConfigError, OSError) as error:
        print(f"qianshao atm open: {error}", file=sys.stderr)
        return 2
    print("it was open" if why is None else f"opened by {args.by}; it was closed for: {why}")
    return 1 if why is None else 0


def to_json(report: Report) -> dict[str, object]:
    """Return the fields others rely on."""
    return {
        "schema": "qianshao/atm-simulate/1",
        "runs": report.runs,
        "violations": [
            {"invariant": one.invariant, "detail": one.detail, "trace": one.trace}
            for one in report.violations
        ],
        "states_covered": sorted(state.value for state in report.states),
        "faults_covered": sorted(report.faults),
        "seconds": round(report.seconds, 3),
    }


def to_text(report: Report) -> str:
    """Return the result for a person."""
    lines = [
        f"{report.runs} runs in {report.seconds:.1f} s, {len(report.violations)} violations; "
        f"{len(report.states)} states, {len(report.faults)} of 25 faults met"
    ]
    lines += [f"  {one.invariant}: {one.detail} — {one.trace}" for one in report.violations]
    return "\n".join(lines)
