"""``qianshao face extras``: what several frames and a cohort gain on a set, each beside its cost.

People with four pictures or more are compared with everybody; every draw is seeded. A figure is
stated only where the comparisons carry it, and each strategy sees the same pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qianshao.face_pictures import (
    PairsError,
    encode_all,
    person,
    pictures_of,
    read_pairs,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCHEMA = "qianshao.face_extras/1"
SEED = 7
DRAWS = 6
PICTURES_MIN = 4
COHORT = 100
RATES = (1e-3, 1e-4)


@dataclass(frozen=True, slots=True)
class Faces:
    """Vectors of a set by person, and a weight of each picture by its quality."""

    by_person: dict[str, Floats]
    weights: dict[str, Floats]


def add_extras_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``face extras``."""
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="tab-separated: fold same a b")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="their folder")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def main_extras(args: argparse.Namespace) -> int:
    """Run ``face extras``; 2 for a bad list, 1 without an engine or without enough pictures."""
    from atm_face.engines.interface import EngineError
    from atm_face.engines.sface import SFaceEngine

    try:
        pairs = read_pairs(args.pairs)
        engine = SFaceEngine()
        faces = _faces(engine, args.images, pictures_of(pairs))
    except (PairsError, EngineError) as error:
        print(f"qianshao face extras: {error}", file=sys.stderr)
        return 1 if isinstance(error, EngineError) else 2
    many = [name for name, one in faces.by_person.items() if len(one) >= PICTURES_MIN]
    if len(many) < 2:
        print("qianshao face extras: two people with four pictures are needed", file=sys.stderr)
        return 1
    rows = [*_references(faces, many, engine.default_threshold)]
    rows += _frames(faces, many, engine.default_threshold)
    rows += _cohort(faces, engine.default_threshold)
    result = {"schema": SCHEMA, "people": len(many), "rows": rows}
    print(json.dumps(result) if args.json else "\n".join(_lines(result)))
    return 0


def _faces(engine: Any, folder: Path, pictures: list[str]) -> Faces:
    """Encode everything once; quality is the detector's confidence, sharpness and pose."""
    import numpy as np

    from atm_face.faces import inspect
    from atm_face.images import ImageError, load_image

    encoded = encode_all(engine, folder, pictures)
    vectors: dict[str, list[Any]] = {}
    weights: dict[str, list[float]] = {}
    for name in pictures:
        template = encoded.template(name)
        if template is None:
            continue
        try:
            quality = inspect(engine, load_image(folder / name)).quality
        except ImageError:
            continue
        assert quality is not None
        sharp = min(1.0, quality.sharpness / 200)
        straight = max(0.2, float(np.cos(np.radians(quality.yaw_deg))))
        vectors.setdefault(person(name), []).append(np.array(template.vector))
        weights.setdefault(person(name), []).append(quality.score * max(1e-3, sharp) * straight)
    return Faces(
        {name: np.stack(one) for name, one in vectors.items()},
        {name: np.array(one) for name, one in weights.items()},
    )


def _references(faces: Faces, many: Sequence[str], limit: float) -> list[dict[str, Any]]:
    """References of one to three pictures, plain and weighted by quality, three probes each."""
    import numpy as np

    rows = []
    for is_weighted in (False, True):
        for count in (1, 2, 3) if not is_weighted else (2, 3):
            generator = np.random.default_rng(SEED)
            genuine: list[float] = []
            impostors: list[Floats] = []
            first = {name: one[0] for name, one in faces.by_person.items()}
            for name in many:
                others = np.stack([one for other, one in first.items() if other != name])
                own, weight = faces.by_person[name], faces.weights[name]
                for _ in range(DRAWS):
                    order = generator.permutation(len(own))
                    picks = order[:count]
                    share = weight[picks] if is_weighted else np.ones(count)
                    reference = _unit((share[:, None] * own[picks]).sum(axis=0))
                    genuine += [float(reference @ own[place]) for place in order[3:6]]
                    impostors.append(others @ reference)
            kind = "weighted by quality" if is_weighted else "mean"
            name = f"reference of {count}, {kind}" if count > 1 else "reference of 1"
            rows.append(_row(name, genuine, np.concatenate(impostors), limit))
    return rows


def _frames(faces: Faces, many: Sequence[str], limit: float) -> list[dict[str, Any]]:
    """One reference picture, three pictures at the machine."""
    import numpy as np

    rules: dict[str, Callable[[Floats], float]] = {
        "first of 3 frames": lambda scores: float(scores[0]),
        "best of 3 frames": lambda scores: float(scores.max()),
        "2 of 3 frames": lambda scores: float(np.sort(scores)[-2]),
        "3 of 3 frames": lambda scores: float(scores.min()),
        "mean of 3 similarities": lambda scores: float(scores.mean()),
    }
    genuine: dict[str, list[float]] = {name: [] for name in rules}
    impostors: dict[str, list[float]] = {name: [] for name in rules}
    generator = np.random.default_rng(SEED)
    for name in many:
        own = faces.by_person[name]
        for _ in range(DRAWS):
            order = generator.permutation(len(own))
            scores = own[order[1:4]] @ own[order[0]]
            for rule, of in rules.items():
                genuine[rule].append(of(scores))
        for other in many:
            if other == name:
                continue
            frames = faces.by_person[other]
            for reference in own[:8]:
                scores = frames[generator.permutation(len(frames))[:3]] @ reference
                for rule, of in rules.items():
                    impostors[rule].append(of(scores))
    return [_row(name, genuine[name], np.array(impostors[name]), limit) for name in rules]


def _cohort(faces: Faces, limit: float) -> list[dict[str, Any]]:
    """Half of the people normalise the scores of the other half (symmetric, top 100)."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    names = sorted(faces.by_person)
    order = generator.permutation(len(names))
    cohort = np.stack([faces.by_person[names[n]][0] for n in order[: len(names) // 2]])
    tested = [names[n] for n in order[len(names) // 2 :]]

    def level(vector: Floats) -> tuple[float, float]:
        top = np.sort(cohort @ vector)[-COHORT:]
        return float(top.mean()), max(float(top.std()), 1e-6)

    def both(a: Floats, b: Floats) -> tuple[float, float]:
        raw, (mean_a, std_a), (mean_b, std_b) = float(a @ b), level(a), level(b)
        return raw, ((raw - mean_a) / std_a + (raw - mean_b) / std_b) / 2

    genuine = [
        both(own[i], own[j])
        for own in (faces.by_person[name] for name in tested)
        for i in range(min(len(own), 4))
        for j in range(i)
    ]
    firsts = np.stack([faces.by_person[name][0] for name in tested])
    levels = np.array([level(one) for one in firsts])
    left, right = np.triu_indices(len(tested), 1)
    raw = (firsts @ firsts.T)[left, right]
    normal = (
        (raw - levels[left, 0]) / levels[left, 1] + (raw - levels[right, 0]) / levels[right, 1]
    ) / 2
    return [
        _row("half of the people, plain", [one for one, _ in genuine], raw, limit),
        _row("half of the people, cohort", [two for _, two in genuine], normal, None),
    ]


def _row(
    name: str, genuine: Sequence[float], impostors: Floats, limit: float | None
) -> dict[str, Any]:
    """Errors at two false match rates, and at the shipped threshold."""
    import numpy as np

    from atm_face.evaluation import can_carry, threshold_at

    same = np.array(genuine)
    row: dict[str, Any] = {"name": name, "genuine": len(same), "impostor": len(impostors)}
    for rate in RATES:
        cut = threshold_at(impostors, rate) if can_carry(rate, len(impostors)) else None
        key = f"fnmr_at_{rate:.0e}".replace("e-0", "e-")
        row[key] = None if cut is None or not len(same) else float((same < cut).mean())
    row |= {"threshold": None, "fmr": None, "fnmr": None}
    if limit is not None and len(same) and len(impostors):
        row["threshold"] = limit
        row["fmr"] = float((impostors >= limit).mean())
        row["fnmr"] = float((same < limit).mean())
    return row


def _unit(vector: Floats) -> Floats:
    import numpy as np

    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['people']} people with {PICTURES_MIN} pictures or more"]
    for row in result["rows"]:
        words = [f"{row['name']}: {row['genuine']} of one person, {row['impostor']} of two"]
        for key in ("fnmr_at_1e-3", "fnmr_at_1e-4"):
            value = "cannot be stated" if row[key] is None else f"{100 * row[key]:.2f} %"
            words.append(f"{key.replace('_at_', ' at FMR ')} {value}")
        if row["threshold"] is not None:
            words.append(
                f"at {row['threshold']}: FMR {row['fmr']:.1e}, FNMR {100 * row['fnmr']:.2f} %"
            )
        lines.append("; ".join(words))
    return lines
