"""What a deployment knows of its networks, from the files that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from contract.files import replace_durably
from contract.keys import FindKey
from rf_watch import CellContext
from rf_watch.baseline import Baseline, BaselineError, merge, parse_baseline
from rf_watch.context import Classifier, unclassified
from rf_watch.plan import BadRow, CellPlan, VehicleRegister, parse_plan, parse_register
from rf_watch.signed_baseline import is_signed, open_baseline
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
    needs_signed: bool = False
    """Whether a baseline without the central's signature is refused."""
    sms_model: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTrust:
    """Whose signature counts, and which versions were taken before."""

    tenant: str
    find_central: FindKey
    memory: Path
    """File with the newest version taken of each region."""

    def take(self, path: Path, raw: bytes) -> Baseline:
        """Open a signed baseline that is not older than one taken before; raises KnownError."""
        try:
            found = open_baseline(raw, tenant=self.tenant, find_key=self.find_central)
        except BaselineError as error:
            raise KnownError("baseline", path, str(error)) from None
        taken = self._taken()
        version, digest = taken.get(found.region, (0, found.sha256))
        if found.version < version or (found.version == version and found.sha256 != digest):
            problem = f"version {found.version} of {found.region}, but version {version} was taken"
            raise KnownError("baseline", path, f"{problem} before: an older or another one")
        if found.version != version:
            taken[found.region] = (found.version, found.sha256)
            replace_durably(self.memory, json.dumps(taken, sort_keys=True).encode())
        return found

    def _taken(self) -> dict[str, tuple[int, str]]:
        try:
            rows = json.loads(self.memory.read_bytes())
            return {str(r): (int(version), str(sha)) for r, (version, sha) in rows.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            # without the memory an old baseline could be put back: a person has to look
            raise KnownError("baseline", self.memory, f"cannot be read: {error}") from None


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


def load_known(files: KnownFiles, trust: BaselineTrust | None = None) -> Known:
    """Read every file; bad rows of a table are left out, an unusable file raises KnownError.

    Without ``trust`` (a replay at a desk) there is nobody whose signature could be checked.
    """
    bad: list[str] = []
    context = CellContext(
        gsm=ChinaGsm(switched_off=tuple(SwitchedOff(plmn=plmn) for plmn in files.gsm_off)),
        plan=_table("plan", files.plan, parse_plan, CellPlan(), bad),
        register=_table("register", files.register, parse_register, VehicleRegister(), bad),
        baseline=_baselines(files, trust),
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


def _baselines(files: KnownFiles, trust: BaselineTrust | None) -> Baseline:
    return merge([_baseline(path, files.needs_signed, trust) for path in files.baselines])


def _baseline(path: Path, needs_signed: bool, trust: BaselineTrust | None) -> Baseline:
    raw = _bytes("baseline", path)
    if is_signed(raw):
        if trust is None:
            raise KnownError("baseline", path, "is signed for agents: name the JSON file here")
        return trust.take(path, raw)
    if needs_signed:
        raise KnownError("baseline", path, "has no signature of the central")
    try:
        return parse_baseline(_text("baseline", path))
    except BaselineError as error:
        raise KnownError("baseline", path, str(error)) from None


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
