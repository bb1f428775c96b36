"""``qianshao face evaluate``: error rates and latency of the engine on a labelled pair list."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qianshao.face_pictures import (
    Encoded,
    Pair,
    PairsError,
    all_impostors,
    compare,
    encode_all,
    person,
    pictures_of,
    read_pairs,
)

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine
    from atm_face.evaluation import Comparison
    from atm_face.pad_evaluation import Presentation

SCHEMA = "qianshao.face_evaluate/1"


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
        "--gate",
        action="store_true",
        help="count a picture as missed where a machine would ask for a better one",
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
    encoded = encode_all(engine, args.images, pictures_of(pairs), work)
    encoded.is_gated = args.gate
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
    from qianshao.face_report import evaluation_lines

    print(json.dumps(result) if args.json else "\n".join(evaluation_lines(result)))
    return (3 if encoded.unreadable else 0), result


def report(
    engine: FaceEngine, pairs: list[Pair], encoded: Encoded, *, is_all: bool
) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """Build the documented fields, and the points of the DET curve."""
    import numpy as np

    from qianshao.face_report import det_curve

    listed = [compare(engine, encoded, pair.a, pair.b) for pair in pairs]
    used = list(listed)
    if is_all:
        used = [item for item in listed if item.is_genuine]
        used += list(all_impostors(engine, encoded))
    right = sum((item.score >= engine.default_threshold) == item.is_genuine for item in listed)
    rates = rates_of(used)
    groups = {
        group: _group_rates(
            comparisons, rates["fnmr_at_fmr"]["1e-3"]["threshold"], engine.default_threshold
        )
        for group, comparisons in _by_group(engine, pairs, encoded, listed, is_all=is_all).items()
    }
    latency = np.quantile(encoded.spent_ms, [0.5, 0.99]) if encoded.spent_ms else (None, None)
    card = getattr(engine, "card", None)
    result = {
        "schema": SCHEMA,
        "engine": engine.name,
        "model_sha256": engine.model_sha256.hex(),
        "weights_sha256": engine.model_sha256.hex() if card is None else card.sha256,
        "pairs": len(pairs),
        "people": len({person(name) for name in encoded.looked}),
        **rates,
        "accuracy": right / len(listed),
        **failures(encoded),
        "at_default_threshold": errors_at(used, engine.default_threshold),
        "groups": groups,
        "worst_group": _worst(groups),
        "latency_ms": {
            name: None if value is None else round(float(value), 2)
            for name, value in zip(("p50", "p99"), latency, strict=True)
        },
    }
    same = [item.score for item in used if item.is_genuine]
    return result, det_curve(same, [item.score for item in used if not item.is_genuine])


def failures(encoded: Encoded) -> dict[str, Any]:
    """Pictures without a template, and why; what a machine would refuse is told beside it."""
    count = len(encoded.looked)
    prompts = [one.prompt for one in encoded.looked.values() if one.template and one.prompt]
    return {
        "failure_to_enrol": encoded.not_enrolled / count,
        "failures": {
            "pictures": count,
            "unreadable": encoded.count("unreadable"),
            "no_face": encoded.count("no_face"),
            "would_be_refused": {name: prompts.count(name) for name in sorted(set(prompts))},
            "is_refusal_a_miss": encoded.is_gated,
        },
    }


def _by_group(
    engine: FaceEngine,
    pairs: Sequence[Pair],
    encoded: Encoded,
    listed: Sequence[Comparison],
    *,
    is_all: bool,
) -> dict[str, list[Comparison]]:
    """Comparisons within each group; with all impostors, every pair of two people of the group.

    A person belongs to a group if every labelled pair of theirs does.
    """
    names = sorted({pair.group for pair in pairs} - {""})
    found = {
        name: [one for one, pair in zip(listed, pairs, strict=True) if pair.group == name]
        for name in names
    }
    if not is_all:
        return found
    labels: dict[str, set[str]] = {}
    for pair in pairs:
        for picture in (pair.a, pair.b):
            labels.setdefault(person(picture), set()).add(pair.group)
    for name, comparisons in found.items():
        people = frozenset(who for who, seen in labels.items() if seen == {name})
        same = [one for one in comparisons if one.is_genuine]
        found[name] = same + list(all_impostors(engine, encoded, people))
    return found


def _group_rates(
    comparisons: Sequence[Comparison], threshold: float | None, default: float | None = None
) -> dict[str, Any]:
    """A group's own rates, and its errors at thresholds that were set over everybody."""
    return rates_of(comparisons) | {
        "at_overall_threshold": errors_at(comparisons, threshold),
        "at_default_threshold": errors_at(comparisons, default),
    }


def errors_at(comparisons: Sequence[Comparison], threshold: float | None) -> dict[str, Any]:
    """Both error rates at one threshold, with their counts; None where nothing was compared."""
    found: dict[str, Any] = {"threshold": threshold, "fmr": None, "fnmr": None}
    if threshold is not None and math.isfinite(threshold):
        for name, is_genuine in (("fmr", False), ("fnmr", True)):
            scores = [one.score for one in comparisons if one.is_genuine is is_genuine]
            errors = sum((score >= threshold) != is_genuine for score in scores)
            found[name] = errors / len(scores) if scores else None
            found["false_matches" if name == "fmr" else "misses"] = errors
    return found


def _worst(groups: dict[str, dict[str, Any]]) -> str | None:
    """The group with most false matches at the common threshold, or at the engine's own."""
    for at in ("at_overall_threshold", "at_default_threshold"):
        known = {name: rates[at]["fmr"] for name, rates in groups.items()}
        known = {name: fmr for name, fmr in known.items() if fmr is not None}
        if known:
            return max(known, key=lambda name: float(known[name]))
    return None


def rates_of(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Counts, equal error rate and operating points of a list of comparisons."""
    from atm_face.evaluation import Scores, equal_error_rate, operating_points

    scores = Scores.of(comparisons)
    genuine, impostor = scores.genuine, scores.impostors
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
            for name, point in zip(("1e-2", "1e-3", "1e-4"), operating_points(scores), strict=True)
        },
    }
