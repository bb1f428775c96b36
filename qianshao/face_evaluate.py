"""``qianshao face evaluate``: error rates and latency of the engine on a labelled pair list."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine, Template
    from atm_face.evaluation import Comparison

SCHEMA = "qianshao.face_evaluate/1"
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


@dataclass(slots=True)
class Encoded:
    """Templates by picture, and what it took to make them."""

    templates: dict[str, Template | None] = field(default_factory=dict)
    spent_ms: list[float] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face evaluate``."""
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="tab-separated: fold same a b")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their folder")
    parser.add_argument(
        "--all-impostors", action="store_true", help="add every pair of different people"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


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


def encode_all(engine: FaceEngine, folder: Path, pictures: list[str]) -> Encoded:
    """Encode every picture once; None where no usable face was found."""
    from atm_face.engines.interface import Template
    from atm_face.faces import template_of
    from atm_face.images import ImageError, load_image

    done = Encoded()
    for name in pictures:
        try:
            image = load_image(folder / name)
        except ImageError as error:
            done.templates[name] = None
            done.unreadable.append(str(error))
            continue
        started = time.perf_counter()
        result = template_of(engine, image)
        done.spent_ms.append((time.perf_counter() - started) * 1e3)
        done.templates[name] = result if isinstance(result, Template) else None
    return done


def main_evaluate(args: argparse.Namespace) -> int:
    """Run ``face evaluate``; 2 for a bad pair list, 3 where a picture could not be read."""
    from atm_face.engines.interface import EngineError
    from atm_face.engines.sface import SFaceEngine

    try:
        pairs = read_pairs(args.pairs)
        engine = SFaceEngine()
    except (PairsError, EngineError) as error:
        print(f"qianshao face evaluate: {error}", file=sys.stderr)
        return 2 if isinstance(error, PairsError) else 1
    pictures = sorted({name for pair in pairs for name in (pair.a, pair.b)})
    encoded = encode_all(engine, args.images, pictures)
    for problem in encoded.unreadable:
        print(f"qianshao face evaluate: {problem}", file=sys.stderr)
    result = report(engine, pairs, encoded, is_all=args.all_impostors)
    print(json.dumps(result, indent=None if args.json else 2))
    return 3 if encoded.unreadable else 0


def report(
    engine: FaceEngine, pairs: list[Pair], encoded: Encoded, *, is_all: bool
) -> dict[str, Any]:
    """Build the documented fields."""
    import numpy as np

    listed = [_compare(engine, encoded, pair.a, pair.b) for pair in pairs]
    used = list(listed)
    if is_all:
        used = [item for item in listed if item.is_genuine]
        used += list(_all_impostors(engine, encoded))
    right = sum((item.score >= engine.default_threshold) == item.is_genuine for item in listed)
    missed = sum(template is None for template in encoded.templates.values())
    groups = sorted({pair.group for pair in pairs} - {""})
    latency = np.quantile(encoded.spent_ms, [0.5, 0.99]) if encoded.spent_ms else (None, None)
    return {
        "schema": SCHEMA,
        "engine": engine.name,
        "pairs": len(pairs),
        **_rates(used),
        "accuracy": right / len(listed),
        "failure_to_enrol": missed / len(encoded.templates),
        "groups": {
            group: _rates([c for c, p in zip(listed, pairs, strict=True) if p.group == group])
            for group in groups
        },
        "latency_ms": {
            name: None if value is None else round(float(value), 2)
            for name, value in zip(("p50", "p99"), latency, strict=True)
        },
    }


def _compare(engine: FaceEngine, encoded: Encoded, a: str, b: str) -> Comparison:
    from atm_face.evaluation import Comparison

    first, second = encoded.templates[a], encoded.templates[b]
    score = MISSED if first is None or second is None else engine.compare(first, second)
    return Comparison(person(a), person(b), score)


def _all_impostors(engine: FaceEngine, encoded: Encoded) -> Iterator[Comparison]:
    """Every pair of different people, the first picture of each."""
    first: dict[str, str] = {}
    for name in sorted(encoded.templates):
        first.setdefault(person(name), name)
    for a, b in combinations(first.values(), 2):
        yield _compare(engine, encoded, a, b)


def _rates(comparisons: list[Comparison]) -> dict[str, Any]:
    import numpy as np

    from atm_face.evaluation import equal_error_rate, operating_points

    genuine = np.array([item.score for item in comparisons if item.is_genuine])
    impostor = np.array([item.score for item in comparisons if not item.is_genuine])
    has_both = len(genuine) > 0 and len(impostor) > 0
    return {
        "genuine": len(genuine),
        "impostor": len(impostor),
        "eer": equal_error_rate(genuine, impostor) if has_both else None,
        "fnmr_at_fmr": {
            name: {
                "fnmr": point.fnmr,
                "threshold": point.threshold,
                "ci95": None if point.ci95 is None else list(point.ci95),
                "impostor_comparisons": point.impostor_comparisons,
            }
            for name, point in zip(
                ("1e-2", "1e-3", "1e-4"), operating_points(comparisons), strict=True
            )
        },
    }
