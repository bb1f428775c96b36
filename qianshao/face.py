"""``qianshao face verify``: compares the faces of two pictures and says what that is worth."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atm_face.engines.interface import FaceEngine
    from atm_face.faces import Capture
    from atm_face.verify import Stopwatch, Verification

SCHEMA = "qianshao.face_verify/1"

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREADABLE = 3

_WORDS = {
    "match": "match: the same person, as far as this engine can tell",
    "no_match": "no match",
    "no_face": "no decision: no face was found",
    "several_faces": "no decision: several faces, none of them clearly the one meant",
    "poor_quality": "no decision: the picture is too poor",
}


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face verify``."""
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="picture of the person")
    parser.add_argument("probe", type=Path, metavar="PROBE", help="picture to compare with it")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--threshold",
        type=_threshold,
        metavar="T",
        help="similarity from which it is a match (default: the engine's own)",
    )
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of the weights (default: installed)"
    )


def main_verify(args: argparse.Namespace) -> int:
    """Run ``face verify``; exit 0 whatever the decision is.

    1: the face engine cannot run here. 2: a picture, or the weights of ``--models``, are not what
    the command line says. 3: a picture cannot be read; its name and the reason are on stderr.
    """
    from atm_face.engines.interface import EngineError, WeightsError
    from atm_face.images import ImageError
    from atm_face.verify import Stopwatch

    for name, path in (("REFERENCE", args.reference), ("PROBE", args.probe)):
        if not path.is_file():
            return _fail(EXIT_USAGE, f"{name}: {path} is not a file")
    stopwatch = Stopwatch()
    try:
        result = _verify(args, stopwatch)
    except ImageError as error:
        return _fail(EXIT_UNREADABLE, str(error))
    except WeightsError as error:
        if args.models is None:
            return _fail(EXIT_FAILED, str(error))
        return _fail(EXIT_USAGE, f"--models: {error}")
    except EngineError as error:
        return _fail(EXIT_FAILED, str(error))
    if args.json:
        print(json.dumps(_as_json(result), ensure_ascii=False))
    else:
        print("\n".join(_as_lines(result)))
    return EXIT_OK


def _verify(args: argparse.Namespace, stopwatch: Stopwatch) -> Verification:
    from atm_face.engines.sface import SFaceEngine
    from atm_face.images import load_image
    from atm_face.verify import verify

    with stopwatch.step("total"):
        with stopwatch.step("load_engine"):
            engine: FaceEngine = SFaceEngine(args.models)
        with stopwatch.step("read"):
            images = load_image(args.reference), load_image(args.probe)
        threshold = engine.default_threshold if args.threshold is None else args.threshold
        if threshold < engine.threshold_floor:
            print(
                f"qianshao face verify: threshold {threshold} is below {engine.threshold_floor},"
                f" from which {engine.name} may decide at a machine",
                file=sys.stderr,
            )
        result = verify(engine, images[0], images[1], threshold=threshold, stopwatch=stopwatch)
    result.timings_ms.update(stopwatch.timings_ms)
    return result


def _threshold(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or not -1.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not a cosine between -1 and 1")
    return value


def _fail(code: int, problem: str) -> int:
    print(f"qianshao face verify: {problem}", file=sys.stderr)
    return code


def _as_json(result: Verification) -> dict[str, Any]:
    """The documented fields; numbers are rounded to what they mean."""
    similarity = result.similarity
    return {
        "schema": SCHEMA,
        "decision": result.decision.value,
        "similarity": None if similarity is None else round(similarity, 6),
        "threshold": result.threshold,
        "engine": result.engine,
        "model_sha256": result.model_sha256.hex(),
        "quality": {
            "reference": _quality_json(result.reference),
            "probe": _quality_json(result.probe),
        },
        "pad": "none",
        "timings_ms": {name: round(spent, 2) for name, spent in result.timings_ms.items()},
    }


def _quality_json(capture: Capture) -> dict[str, Any]:
    """What one picture offered; the measures are null where no face was found."""
    from atm_face.engines.interface import MEASURES

    quality = capture.quality
    measures = {
        name: None if quality is None else round(float(getattr(quality, name)), 3)
        for name in MEASURES
    }
    return {
        "finding": capture.finding.value,
        "face_count": capture.face_count,
        **measures,
        "prompt": None if capture.prompt is None else capture.prompt.value,
    }


def _as_lines(result: Verification) -> list[str]:
    lines = [_WORDS[result.decision.value]]
    if result.similarity is not None:
        lines.append(f"similarity {result.similarity:.3f}, threshold {result.threshold:.3f}")
    for name, capture in (("reference", result.reference), ("probe", result.probe)):
        lines.append(f"{name}: {_describe(capture)}")
    lines.append(
        f"engine {result.engine}, weights {result.model_sha256.hex()[:16]},"
        f" {result.timings_ms['total']:.0f} ms"
    )
    lines.append("liveness: none. One still picture does not prove that a living person was there.")
    return lines


def _describe(capture: Capture) -> str:
    from atm_face.screens import PROMPTS

    if capture.quality is None:
        return "no face found"
    words = f"face of {capture.quality.face_px:.0f} pixels"
    if capture.face_count > 1:
        words += f", {capture.face_count} faces in the picture"
    if capture.prompt is not None:
        words += f" ({PROMPTS[capture.prompt].en})"
    return words
