"""Compares two still pictures: a measurement at a desk, never a decision about cash."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from atm_face.engines.interface import FaceEngine, Finding
from atm_face.faces import Capture, inspect
from atm_face.images import Image


class Decision(StrEnum):
    """What two pictures say about each other."""

    MATCH = "match"
    NO_MATCH = "no_match"
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    POOR_QUALITY = "poor_quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Outcome of a comparison, with what each picture offered and where the time went."""

    decision: Decision
    similarity: float | None
    """Absent if one of the pictures offers no single usable face."""
    threshold: float
    engine: str
    model_sha256: bytes
    reference: Capture
    probe: Capture
    timings_ms: dict[str, float]


class Stopwatch:
    """Adds up wall time by the name of the step."""

    def __init__(self) -> None:
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.timings_ms[name] = self.timings_ms.get(name, 0.0) + spent


def verify(
    engine: FaceEngine,
    reference: Image,
    probe: Image,
    *,
    threshold: float,
    stopwatch: Stopwatch,
) -> Verification:
    """Compare the faces of two pictures; the first picture's trouble is told before the second's.

    Any threshold is taken, because nothing but a line of text depends on the answer.
    """
    with stopwatch.step("detect"):
        captures = inspect(engine, reference), inspect(engine, probe)
    similarity = None
    trouble = next((one for one in captures if one.finding is not Finding.FACE), None)
    if trouble is not None:
        decision = Decision(trouble.finding.value)
    else:
        with stopwatch.step("encode"):
            templates = [
                engine.encode(image, capture.face)
                for image, capture in zip((reference, probe), captures, strict=True)
                if capture.face is not None
            ]
        with stopwatch.step("compare"):
            similarity = engine.compare(templates[0], templates[1])
        decision = Decision.MATCH if similarity >= threshold else Decision.NO_MATCH
    return Verification(
        decision=decision,
        similarity=similarity,
        threshold=threshold,
        engine=engine.name,
        model_sha256=engine.model_sha256,
        reference=captures[0],
        probe=captures[1],
        timings_ms=dict(stopwatch.timings_ms),
    )
