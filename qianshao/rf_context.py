"""Options of the ``rf`` commands that tell the cell detector what a deployment knows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from rf_watch import CellContext
from rf_watch.baseline import Baseline, BaselineError, merge, parse_baseline
from rf_watch.context import Classifier, unclassified
from rf_watch.plan import BadRow, CellPlan, VehicleRegister, parse_plan, parse_register
from rf_watch.sms_class import ModelError, parse_model
from rf_watch.tables.china_gsm import ChinaGsm, SwitchedOff

_MAX_BYTES = 64 * 1024 * 1024

Table = TypeVar("Table")


@dataclass(frozen=True, slots=True)
class Known:
    """What was loaded, and how many rows of it could not be used."""

    context: CellContext
    bad_rows: int


class _UnusableError(Exception):
    """A file that cannot be used at all; the text names it."""


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


def load(args: argparse.Namespace, err: TextIO) -> Known | None:
    """Read what the options name; bad rows are told and left out, a bad file gives None."""
    bad: list[BadRow] = []
    try:
        plan = _table("--plan", args.plan, parse_plan, CellPlan(), bad, err)
        register = _table("--register", args.register, parse_register, VehicleRegister(), bad, err)
        baseline = _baseline(args.baseline)
        classify = _classifier(args.sms_model)
    except _UnusableError as problem:
        err.write(f"{problem}\n")
        return None
    off = tuple(SwitchedOff(plmn=plmn) for plmn in args.gsm_off)
    context = CellContext(
        gsm=ChinaGsm(switched_off=off),
        plan=plan,
        register=register,
        baseline=baseline,
        classify=classify,
    )
    return Known(context, len(bad))


def _table(
    option: str,
    path: Path | None,
    parse: Callable[[str], tuple[Table, list[BadRow]]],
    nothing: Table,
    bad: list[BadRow],
    err: TextIO,
) -> Table:
    if path is None:
        return nothing
    table, rows = parse(_text(option, path))
    for row in rows:
        err.write(f"{path.name}: line {row.line}: {row.reason}\n")
    bad += rows
    if rows and rows[0].line == 1:
        raise _UnusableError(f"{option}: {path}: no usable header")
    return table


def _baseline(paths: Sequence[Path]) -> Baseline:
    found = []
    for path in paths:
        try:
            found.append(parse_baseline(_text("--baseline", path)))
        except BaselineError as error:
            raise _UnusableError(f"--baseline: {path}: {error}") from None
    return merge(found)


def _classifier(path: Path | None) -> Classifier:
    if path is None:
        return unclassified
    try:
        return parse_model(_bytes("--sms-model", path)).classify
    except ModelError as error:
        raise _UnusableError(f"--sms-model: {path}: {error}") from None


def _text(option: str, path: Path) -> str:
    try:
        return _bytes(option, path).decode()
    except UnicodeDecodeError as error:
        raise _UnusableError(f"{option}: {path}: offset {error.start}: no UTF-8") from None


def _bytes(option: str, path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _UnusableError(f"{option}: {path}: above {_MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise _UnusableError(f"{option}: {path}: {error.strerror}") from None
