"""``qianshao face evaluate``: error rates and latency of the engine on a labelled pair list."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine, Template
    from atm_face.evaluation import Comparison
    from atm_face.pad_evaluation import Presentation
    from qianshao.face_work import WorkFile

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
    parser.add_argument(
        "--engine", choices=("sface", "face_recognition", "onnx"), default="sface", help="engine"
    )
    parser.add_argument(
        "--models", type=Path, help="folder of the weights; for onnx the model's card"
    )
    parser.add_argument(
        "--presentations", type=Path, metavar="TSV", help="attacks and what the machine answered"
    )
    parser.add_argument("--report", type=Path, metavar="HTML", help="write a page with DET curve")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="keep sealed work here, to go on when stopped"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face calibrate``: those of evaluate, and where the result goes."""
    add_evaluate_arguments(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="JSON", help="thresholds and what they rest on"
    )


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


def read_presentations(path: Path) -> list[Presentation]:
    """Read tab-separated ``species answer``; raises PairsError with the line."""
    from atm_face.pad_evaluation import Presentation

    answers = {"live": True, "not_live": False, "none": None}
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines(), delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PairsError(f"{path}: {error}") from error
    found = []
    for line, row in enumerate(rows, start=2):
        species, answer = row.get("species"), row.get("answer")
        if not species or answer not in answers:
            raise PairsError(f"{path} line {line}: needs species, and {', '.join(answers)}")
        found.append(Presentation(species, answers[answer]))
    return found


def person(picture: str) -> str:
    """First path segment."""
    return picture.split("/", 1)[0]


def encode_all(
    engine: FaceEngine, folder: Path, pictures: list[str], work: WorkFile | None = None
) -> Encoded:
    """Encode every picture once; None where no usable face was found."""
    from atm_face.engines.interface import Template
    from atm_face.faces import template_of
    from atm_face.images import ImageError, decode_image, read_encoded

    done = Encoded()
    known = work.known if work else {}
    for number, name in enumerate(pictures, start=1):
        show_progress("encode", number, len(pictures))
        try:
            raw = read_encoded(folder / name)
            digest = hashlib.sha256(raw).digest()
            if digest in known:
                done.templates[name] = known[digest]
                continue
            image = decode_image(raw, str(folder / name))
        except ImageError as error:
            done.templates[name] = None
            done.unreadable.append(str(error))
            continue
        started = time.perf_counter()
        result = template_of(engine, image)
        done.spent_ms.append((time.perf_counter() - started) * 1e3)
        template = result if isinstance(result, Template) else None
        done.templates[name] = template
        if work:
            work.add(digest, template)
    return done


def show_progress(what: str, number: int, total: int) -> None:
    """Draw a bar on a terminal; elsewhere nothing, so that logs stay readable."""
    if not sys.stderr.isatty() or (number % 10 and number != total):
        return
    filled = 30 * number // total
    end = "\n" if number == total else ""
    bar = "#" * filled + "." * (30 - filled)
    print(f"\r{what} [{bar}] {number}/{total}", end=end, file=sys.stderr, flush=True)


def main_evaluate(args: argparse.Namespace) -> int:
    """Run ``face evaluate``; 2 for a bad pair list, 3 where a picture could not be read."""
    return _run(args)[0]


def main_calibrate(args: argparse.Namespace) -> int:
    """Run ``face calibrate``: write the thresholds that the comparisons carry, 1 if none is."""
    code, result = _run(args)
    if result is None:
        return code
    thresholds = {
        rate: {name: point[name] for name in ("threshold", "fnmr", "impostor_comparisons", "ci95")}
        for rate, point in result["fnmr_at_fmr"].items()
        if point["threshold"] is not None
    }
    if not thresholds:
        count = result["impostor"]
        print(
            f"qianshao face calibrate: {count} comparisons of different people carry no threshold",
            file=sys.stderr,
        )
        return 1
    names = ("engine", "model_sha256", "weights_sha256", "people", "genuine", "worst_group")
    written = {"schema": "qianshao.face_calibration/1", **{name: result[name] for name in names}}
    args.out.write_text(json.dumps(written | {"thresholds": thresholds}, indent=2) + "\n", "utf-8")
    return code


def _run(args: argparse.Namespace) -> tuple[int, dict[str, Any] | None]:
    from atm_face.engines.interface import EngineError
    from atm_face.engines.table import open_engine
    from qianshao.face_work import WorkFile, WorkFileError

    command = "qianshao face"
    try:
        pairs = read_pairs(args.pairs)
        engine = open_engine(args.engine, args.models)
        shown = read_presentations(args.presentations) if args.presentations else None
        work = WorkFile.open(args.resume, engine) if args.resume else None
    except (PairsError, WorkFileError, EngineError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return (1 if isinstance(error, EngineError) else 2), None
    pictures = sorted({name for pair in pairs for name in (pair.a, pair.b)})
    encoded = encode_all(engine, args.images, pictures, work)
    for problem in encoded.unreadable:
        print(f"{command}: {problem}", file=sys.stderr)
    result, curve = report(engine, pairs, encoded, is_all=args.all_impostors)
    if shown is not None:
        from atm_face.pad_evaluation import pad_rates

        result["pad"] = asdict(pad_rates(shown))
    if args.report:
        from qianshao.face_report import page

        args.report.write_text(page(result, curve), "utf-8")
    if work:
        work.erase()
    print(json.dumps(result, indent=None if args.json else 2))
    return (3 if encoded.unreadable else 0), result


def report(
    engine: FaceEngine, pairs: list[Pair], encoded: Encoded, *, is_all: bool
) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """Build the documented fields, and the points of the DET curve."""
    import numpy as np

    from qianshao.face_report import det_curve

    listed = [_compare(engine, encoded, pair.a, pair.b) for pair in pairs]
    used = list(listed)
    if is_all:
        used = [item for item in listed if item.is_genuine]
        used += list(_all_impostors(engine, encoded))
    right = sum((item.score >= engine.default_threshold) == item.is_genuine for item in listed)
    missed = sum(template is None for template in encoded.templates.values())
    rates = _rates(used)
    groups = {
        group: _group_rates(
            [c for c, p in zip(listed, pairs, strict=True) if p.group == group],
            rates["fnmr_at_fmr"]["1e-3"]["threshold"],
        )
        for group in sorted({pair.group for pair in pairs} - {""})
    }
    latency = np.quantile(encoded.spent_ms, [0.5, 0.99]) if encoded.spent_ms else (None, None)
    card = getattr(engine, "card", None)
    result = {
        "schema": SCHEMA,
        "engine": engine.name,
        "model_sha256": engine.model_sha256.hex(),
        "weights_sha256": engine.model_sha256.hex() if card is None else card.sha256,
        "pairs": len(pairs),
        "people": len({person(name) for name in encoded.templates}),
        **rates,
        "accuracy": right / len(listed),
        "failure_to_enrol": missed / len(encoded.templates),
        "groups": groups,
        "worst_group": _worst(groups),
        "latency_ms": {
            name: None if value is None else round(float(value), 2)
            for name, value in zip(("p50", "p99"), latency, strict=True)
        },
    }
    same = [item.score for item in used if item.is_genuine]
    return result, det_curve(same, [item.score for item in used if not item.is_genuine])


def _group_rates(comparisons: list[Comparison], threshold: float | None) -> dict[str, Any]:
    """A group's own rates, and its rates at the threshold that was set over everybody."""
    rates = _rates(comparisons)
    found: dict[str, float | None] = {"fmr": None, "fnmr": None}
    if threshold is not None:
        for name, is_genuine in (("fmr", False), ("fnmr", True)):
            scores = [one.score for one in comparisons if one.is_genuine is is_genuine]
            if scores:
                errors = sum((score >= threshold) != is_genuine for score in scores)
                found[name] = errors / len(scores)
    return rates | {"at_overall_threshold": found | {"threshold": threshold}}


def _worst(groups: dict[str, dict[str, Any]]) -> str | None:
    """The group with most false matches at the common threshold."""
    known = {
        name: rates["at_overall_threshold"]["fmr"]
        for name, rates in groups.items()
        if rates["at_overall_threshold"]["fmr"] is not None
    }
    return max(known, key=lambda name: known[name]) if known else None


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
                "misses": None if point.fnmr is None else round(point.fnmr * len(genuine)),
                "threshold": point.threshold,
                "ci95": None if point.ci95 is None else list(point.ci95),
                "impostor_comparisons": point.impostor_comparisons,
            }
            for name, point in zip(
                ("1e-2", "1e-3", "1e-4"), operating_points(comparisons), strict=True
            )
        },
    }
