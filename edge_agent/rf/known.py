"""What a deployment knows of its networks, from the files that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rf_watch import CellContext
from rf_watch.baseline import Baseline, BaselineError, merge, parse_baseline
from rf_watch.context import Classifier, unclassified
from rf_watch.plan import BadRow, CellPlan, VehicleRegister, parse_plan, parse_register
from rf_watch.sms_class import ModelError, parse_model
from rf_watch.tables.china_gsm import ChinaGsm, SwitchedOff

MAX_BYTES = 64 * 1024 * 1024
_PLMN = re.compile(r"\d{3}-\d{2,3}")

Table = TypeVar("Table")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFiles:
    """Where the knowledge lies; nothing named: nothing known."""

    plan: Path | None = None
    register: Path | None = None
    gsm_off: tuple[str, ...] = ()
    """PLMNs whose GSM is declared switched off here."""
    baselines: tuple[Path, ...] = ()
    sms_model: Path | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was loaded, and the rows that could not be used, each as ``FILE: line N: reason``."""

    context: CellContext
    bad_rows: tuple[str, ...]


class KnownError(ValueError):
    """A file that cannot be used at all: its key, its path and why."""

    def __init__(self, key: str, path: Path, problem: str) -> None:
        super().__init__(f"{key}: {path}: {problem}")
        self.key = key
        self.path = path
        self.problem = problem


def check_plmn(text: str) -> str:
    """Return a PLMN of the form MCC-MNC; raises ValueError."""
    if not _PLMN.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form MCC-MNC")
    return text


def load_known(files: KnownFiles) -> Known:
    """Read every file; bad rows of a table are left out, an unusable file raises KnownError."""
    bad: list[str] = []
    context = CellContext(
        gsm=ChinaGsm(switched_off=tuple(SwitchedOff(plmn=plmn) for plmn in files.gsm_off)),
        plan=_table("plan", files.plan, parse_plan, CellPlan(), bad),
        register=_table("register", files.register, parse_register, VehicleRegister(), bad),
        baseline=_baseline(files.baselines),
        classify=_classifier(files.sms_model),
    )
    return Known(context, tuple(bad))


def _table(
    key: str,
    path: Path | None,
    parse: Callable[[str], tuple[Table, list[BadRow]]],
    nothing: Table,
    bad: list[str],
) -> Table:
    if path is None:
        return nothing
    table, rows = parse(_text(key, path))
    if rows and rows[0].line == 1:
        raise KnownError(key, path, f"line 1: {rows[0].reason}")
    bad += [f"{path.name}: line {row.line}: {row.reason}" for row in rows]
    return table


def _baseline(paths: Sequence[Path]) -> Baseline:
    found = []
    for path in paths:
        try:
            found.append(parse_baseline(_text("baseline", path)))
        except BaselineError as error:
            raise KnownError("baseline", path, str(error)) from None
    return merge(found)


def _classifier(path: Path | None) -> Classifier:
    if path is None:
        return unclassified
    try:
        return parse_model(_bytes("sms_model", path)).classify
    except ModelError as error:
        raise KnownError("sms_model", path, str(error)) from None


def _text(key: str, path: Path) -> str:
    try:
        return _bytes(key, path).decode()
    except UnicodeDecodeError as error:
        raise KnownError(key, path, f"offset {error.start}: no UTF-8") from None


def _bytes(key: str, path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise KnownError(key, path, f"above {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise KnownError(key, path, error.strerror or type(error).__name__) from None
