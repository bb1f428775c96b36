"""Options of the ``rf`` commands that tell the cell detector what a deployment knows."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge_agent.rf.known import KnownError, KnownFiles, check_plmn, load_known
from rf_watch import CellContext


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded, and how many rows of it could not be used."""

    context: CellContext
    bad_rows: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--plan", type=Path, metavar="FILE", help="the operators' cell plan (CSV)")
    parser.add_argument(
        "--register", type=Path, metavar="FILE", help="registered drive-test cars (CSV)"
    )
    parser.add_argument(
        "--gsm-off",
        action="append",
        default=[],
        metavar="PLMN",
        help="a network whose GSM is declared switched off here, e.g. 460-01; may be repeated",
    )
    parser.add_argument(
        "--baseline",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="what genuine cells look like here, from rf learn; may be repeated",
    )
    parser.add_argument(
        "--sms-model",
        type=Path,
        metavar="FILE",
        help="classes of short messages, from rf learn-sms; without it all are unclassified",
    )


def load(args: argparse.Namespace, err: TextIO) -> Loaded | None:
    """Read what the options name; bad rows are told and left out, a bad file gives None."""
    try:
        gsm_off = tuple(check_plmn(plmn) for plmn in args.gsm_off)
    except ValueError as error:
        err.write(f"--gsm-off: {error}\n")
        return None
    files = KnownFiles(
        plan=args.plan,
        register=args.register,
        gsm_off=gsm_off,
        baselines=tuple(args.baseline),
        sms_model=args.sms_model,
    )
    try:
        known = load_known(files)
    except KnownError as error:
        err.write(f"--{error.key.replace('_', '-')}: {error.path}: {error.problem}\n")
        return None
    for row in known.bad_rows:
        err.write(row + "\n")
    return Loaded(known.context, len(known.bad_rows))
