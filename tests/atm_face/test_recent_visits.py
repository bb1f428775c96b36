"""One face, many cards: what counts, what is forgotten, and how long a search takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from atm_face.engines.interface import TemplateMismatchError
from atm_face.engines.sface import DEFAULT_THRESHOLD, SFaceEngine
from atm_face.recent_visits import CAPACITY, ManyCards, RecentVisits
from atm_face.simulated import made_up_template

MINUTE = 60_000_000


def test_three_cards_with_one_face_in_half_an_hour_are_an_alert(engine: SFaceEngine) -> None:
    window = RecentVisits(engine, threshold=DEFAULT_THRESHOLD)
    face = made_up_template(engine, "runner")
    assert window.add(face, b"card 1", 0) == ManyCards(cards=1, is_alert=False)
    assert window.add(face, b"card 1", MINUTE).cards == 1
    assert window.add(made_up_template(engine, "customer"), b"card 9", MINUTE).cards == 1
    assert window.add(face, b"card 2", 2 * MINUTE) == ManyCards(cards=2, is_alert=False)
    reached = window.add(face, b"card 3", 3 * MINUTE)
    assert reached == ManyCards(cards=3, is_alert=True, is_reached=True)


def test_what_left_the_window_is_forgotten(engine: SFaceEngine) -> None:
    window = RecentVisits(engine, threshold=DEFAULT_THRESHOLD)
    face = made_up_template(engine, "regular")
    window.add(face, b"card 1", 0)
    window.add(face, b"card 2", 10 * MINUTE)
    assert window.add(face, b"card 3", 31 * MINUTE).cards == 2
    assert window._vectors is not None
    assert not window._vectors[0].any()


def test_the_oldest_visit_gives_way(engine: SFaceEngine) -> None:
    window = RecentVisits(engine, threshold=DEFAULT_THRESHOLD, capacity=2)
    faces = [made_up_template(engine, f"person {n}") for n in range(3)]
    for number, face in enumerate(faces):
        window.add(face, b"card %d" % number, number)
    assert window.add(faces[0], b"card 7", 3).cards == 1


def test_other_weights_are_refused(engine: SFaceEngine) -> None:
    window = RecentVisits(engine, threshold=DEFAULT_THRESHOLD)
    foreign = replace(made_up_template(engine, "somebody"), model_sha256=bytes(32))
    with pytest.raises(TemplateMismatchError):
        window.add(foreign, b"card", 0)


def test_ten_thousand_visits_are_searched_exactly_and_fast(engine: SFaceEngine) -> None:
    """Against the engine's own comparison, visit by visit; bench face prints the milliseconds."""
    window = RecentVisits(engine, threshold=DEFAULT_THRESHOLD)
    face = made_up_template(engine, "runner")
    window.add(face, b"card 1", 0)
    noise = np.random.default_rng(1).normal(size=(CAPACITY, 128)).astype(np.float32)
    assert window._vectors is not None
    assert window._times is not None
    window._vectors[1:] = noise[1:] / np.linalg.norm(noise[1:], axis=1, keepdims=True)
    window._times[:] = 0
    window._next = CAPACITY - 1
    probe = np.array(face.vector, np.float32)
    assert b"card 1" in window._cards_of(probe, 0)

    def spent(work: Callable[[], object]) -> float:
        started = time.thread_time()
        work()
        return time.thread_time() - started

    whole = min(spent(lambda: window._cards_of(probe, 0)) for _ in range(20))
    one = min(spent(lambda: engine.compare(face, face)) for _ in range(20))
    assert whole * 20 < one * CAPACITY
