"""Pictures of a labelled pair list: read it, look at each picture once, score any two of them."""

from __future__ import annotations

import csv
import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine, Template
    from atm_face.evaluation import Comparison
    from atm_face.images import Image
    from qianshao.face_work import WorkFile

MISSED = -1.0
"""Score of a comparison without a usable face: never a match."""


class PairsError(Exception):
    """A pair list that cannot be used, with the line."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the pair list."""

    a: str
    b: str
    group: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What one picture offers."""

    finding: str
    """``face``, ``no_face``, ``several_faces``, ``poor_quality`` or ``unreadable``."""
    prompt: str | None = None
    """What a machine would ask for instead of comparing this picture."""
    template: Template | None = None
    """Of the most prominent face, also where a machine would ask for a better picture."""
    glance: Template | None = None
    """The cheaper template, where the engine has one."""


@dataclass(slots=True)
class Encoded:
    """What every picture offered, and the time it took."""

    looked: dict[str, Looked] = field(default_factory=dict)
    spent_ms: list[float] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    is_gated: bool = False
    """Whether a picture that a machine would not compare counts as one without a face."""

    def template(self, name: str) -> Template | None:
        """The template that counts for a picture."""
        seen = self.looked[name]
        return None if self.is_gated and seen.finding != "face" else seen.template

    def count(self, *findings: str) -> int:
        """Pictures with one of these findings."""
        return sum(one.finding in findings for one in self.looked.values())

    @property
    def not_enrolled(self) -> int:
        """Pictures without a template that counts."""
        return sum(self.template(name) is None for name in self.looked)


def read_pairs(path: Path) -> list[Pair]:
    """Read a pair list; raises PairsError with the line. The person is the first path segment."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairsError(f"{path}: {error}") from error
    pairs = []
    for line, row in enumerate(rows, start=2):
        a, b, same = row.get("a"), row.get("b"), row.get("same")
        if not a or not b or same not in {"0", "1"}:
            raise PairsError(f"{path} line {line}: needs a, b, and same as 0 or 1")
        if any(PurePosixPath(name).is_absolute() or ".." in name.split("/") for name in (a, b)):
            raise PairsError(f"{path} line {line}: a picture outside --images")
        if (person(a) == person(b)) != (same == "1"):
            raise PairsError(f"{path} line {line}: same={same}, but the folders say otherwise")
        pairs.append(Pair(a, b, row.get("group") or ""))
    if not pairs:
        raise PairsError(f"{path}: no pairs")
    return pairs


def person(picture: str) -> str:
    """First path segment."""
    return picture.split("/", 1)[0]


def pictures_of(pairs: Sequence[Pair]) -> list[str]:
    """Every picture of a list once, in order."""
    return sorted({name for pair in pairs for name in (pair.a, pair.b)})


def encode_all(
    engine: FaceEngine, folder: Path, pictures: Sequence[str], work: WorkFile | None = None
) -> Encoded:
    """Look at every picture once."""
    from atm_face.images import ImageError, decode_image, read_encoded

    done = Encoded()
    known = work.known if work else {}
    for number, name in enumerate(pictures, start=1):
        show_progress(engine.name, number, len(pictures))
        try:
            raw = read_encoded(folder / name)
            digest = hashlib.sha256(raw).digest()
            if digest in known:
                done.looked[name] = known[digest]
                continue
            image = decode_image(raw, str(folder / name))
        except ImageError as error:
            done.looked[name] = Looked("unreadable")
            done.unreadable.append(str(error))
            continue
        done.looked[name], spent_ms = look(engine, image)
        done.spent_ms.append(spent_ms)
        if work:
            work.add(digest, done.looked[name])
    return done


def look(engine: FaceEngine, image: Image) -> tuple[Looked, float]:
    """What a picture offers, and the milliseconds of one detection, judgement and encoding."""
    from atm_face.decision import GlancingEngine
    from atm_face.faces import inspect

    started = time.perf_counter()
    capture = inspect(engine, image)
    prompt = None if capture.prompt is None else capture.prompt.value
    if capture.face is None:
        return Looked(capture.finding.value, prompt), (time.perf_counter() - started) * 1e3
    glance = None
    if isinstance(engine, GlancingEngine):
        glance = engine.glance(image, capture.face)
        spent_ms = (time.perf_counter() - started) * 1e3
        template = engine.encode(image, capture.face)
    else:
        template = engine.encode(image, capture.face)
        spent_ms = (time.perf_counter() - started) * 1e3
    return Looked(capture.finding.value, prompt, template, glance), spent_ms


def compare(engine: FaceEngine, encoded: Encoded, a: str, b: str) -> Comparison:
    """Compare two pictures as a machine would: ``a`` was enrolled, ``b`` stands there."""
    from atm_face.decision import is_clear
    from atm_face.evaluation import Comparison

    reference, probe = encoded.template(a), encoded.template(b)
    if reference is None or probe is None:
        return Comparison(person(a), person(b), MISSED)
    glance = encoded.looked[b].glance
    if glance is not None:
        score = engine.compare(reference, glance)
        if is_clear(score, engine.default_threshold):
            return Comparison(person(a), person(b), score)
    return Comparison(person(a), person(b), engine.compare(reference, probe))


def all_impostors(
    engine: FaceEngine, encoded: Encoded, people: frozenset[str] | None = None
) -> Iterator[Comparison]:
    """Every pair of different people (of these, if named), the first picture of each."""
    first: dict[str, str] = {}
    for name in sorted(encoded.looked):
        if people is None or person(name) in people:
            first.setdefault(person(name), name)
    for a, b in combinations(first.values(), 2):
        yield compare(engine, encoded, a, b)


def show_progress(what: str, number: int, total: int) -> None:
    """Draw a bar on a terminal; elsewhere nothing, so that logs stay readable."""
    if not sys.stderr.isatty() or (number % 10 and number != total):
        return
    filled = 30 * number // total
    end = "\n" if number == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r{what} [{bar}] {number}/{total}", end=end, file=sys.stderr, flush=True)
