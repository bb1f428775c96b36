"""``qianshao face compare``: our engine and its named peers on the same pairs, in one run."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qianshao.face_evaluate import failures, rates_of
from qianshao.face_pictures import (
    Encoded,
    Pair,
    PairsError,
    all_impostors,
    compare,
    encode_all,
    pictures_of,
    read_pairs,
)
from qianshao.face_report import rate_lines

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine
    from atm_face.evaluation import Scores

SCHEMA = "qianshao.face_compare/1"
OURS = "sface"
NAMES = ("opencv", "face_recognition")


@dataclass(frozen=True, slots=True)
class Run:
    """One engine over the list."""

    scores: Scores
    result: dict[str, Any]


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face compare``."""
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="tab-separated: fold same a b")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their folder")
    parser.add_argument(
        "--all-impostors", action="store_true", help="every pair of different people"
    )
    parser.add_argument(
        "--peer", action="append", choices=NAMES, help="compare with this one (default: all)"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="keep sealed work here, to go on when stopped"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main_compare(args: argparse.Namespace) -> int:
    """Run ``face compare``; 2 for a bad list, 1 without an engine, 3 for unreadable pictures."""
    from atm_face.engines.interface import EngineError
    from atm_face.engines.sface import SFaceEngine
    from atm_face.evaluation import paired
    from qianshao.face_peers import open_peer
    from qianshao.face_work import WorkFileError

    try:
        pairs = read_pairs(args.pairs)
        engines = [SFaceEngine(), *(open_peer(name) for name in args.peer or NAMES)]
        runs = {engine.name: _run(engine, pairs, args) for engine in engines}
    except (PairsError, WorkFileError, EngineError) as error:
        print(f"qianshao face compare: {error}", file=sys.stderr)
        return 1 if isinstance(error, EngineError) else 2
    result = {
        "schema": SCHEMA,
        "pairs": len(pairs),
        "engines": {name: run.result for name, run in runs.items()},
        "paired": {
            name: {
                f"{one.fmr:.0e}".replace("e-0", "e-"): {
                    "misses": list(one.misses),
                    "found_again": one.found_again,
                    "newly_missed": one.newly_missed,
                    "fnmr_difference": one.difference,
                    "ci95": list(one.ci95),
                }
                for one in paired(runs[OURS].scores, run.scores)
            }
            for name, run in runs.items()
            if name != OURS
        },
    }
    print(json.dumps(result) if args.json else "\n".join(lines_of(result)))
    return 3 if any(run.result["failures"]["unreadable"] for run in runs.values()) else 0


def _run(engine: FaceEngine, pairs: list[Pair], args: argparse.Namespace) -> Run:
    from atm_face.evaluation import Scores
    from qianshao.face_work import WorkFile

    folder = None if args.resume is None else args.resume / engine.name
    if args.resume is not None:
        args.resume.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = WorkFile.open(folder, engine) if folder else None
    started = time.process_time()
    encoded: Encoded = encode_all(engine, args.images, pictures_of(pairs), work)
    spent_s = time.process_time() - started
    used = [compare(engine, encoded, pair.a, pair.b) for pair in pairs]
    if args.all_impostors:
        used = [item for item in used if item.is_genuine]
        used += list(all_impostors(engine, encoded))
    for problem in encoded.unreadable:
        print(f"qianshao face compare: {problem}", file=sys.stderr)
    result = {**rates_of(used), **failures(encoded), "encode_cpu_s": round(spent_s, 1)}
    if work:
        work.erase()
    return Run(Scores.of(used), result)


def lines_of(result: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    lines: list[str] = []
    for name, one in result["engines"].items():
        lines += rate_lines(name, one)
    for name, rates in result["paired"].items():
        for rate, one in rates.items():
            low, high = (100 * edge for edge in one["ci95"])
            lines.append(
                f"{OURS} against {name} at FMR {rate}: {one['misses'][0]} and {one['misses'][1]}"
                f" misses, {one['found_again']} found again, {one['newly_missed']} newly missed,"
                f" difference {100 * one['fnmr_difference']:+.2f} (95 % {low:+.2f} to {high:+.2f})"
            )
    return lines
