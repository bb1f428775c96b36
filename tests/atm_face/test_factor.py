"""One constructor: engine, templates, camera, attacks; a card in, a verdict out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from atm_face.engines.interface import ThresholdError
from atm_face.engines.sface import SFaceEngine
from atm_face.factor import FaceFactor, NoReference
from atm_face.images import decode_image
from atm_face.recent_visits import RecentVisits
from atm_face.simulated import made_up_template
from atm_face.templates import Consent, TemplateStore
from atm_face.visit import Vote
from contract import UnixMicros, VirtualClock
from contract.words import Pad
from hardware.cameras.interface import ChallengeKind
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera

CARD = b"c" * 32
TURNS = {
    ChallengeKind.TURN_LEFT: [portraits.turned(45)],
    ChallengeKind.TURN_RIGHT: [portraits.turned(-45)],
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(UnixMicros(1_000_000))


@pytest.fixture
def store(engine: SFaceEngine, tmp_path: Path) -> TemplateStore:
    store = TemplateStore(tmp_path / "templates", b"k" * 32)
    image = decode_image(portraits.portrait(), "enrolment")
    template = engine.encode(image, engine.detect(image)[0])
    store.enrol(CARD, template, Consent(purpose="withdrawal", given_on=date(2026, 11, 1)))
    return store


def a_camera(clock: VirtualClock, *pictures: bytes) -> SimulatedCamera:
    return SimulatedCamera(pictures or [portraits.cropped()], clock=clock, turns=TURNS)


def test_the_owner_is_told_from_the_card_to_the_count(
    engine: SFaceEngine, store: TemplateStore, clock: VirtualClock
) -> None:
    recent = RecentVisits(engine, threshold=engine.default_threshold)
    factor = FaceFactor(
        engine,
        store,
        a_camera(clock, portraits.nobody(), portraits.with_brightness(0.8)),
        clock=clock,
        pinned_camera="simulated0",
        recent=recent,
    )
    asked: list[ChallengeKind] = []
    verdict = factor.check(CARD, asked.append)
    seen = verdict.examination
    assert (seen.is_match, seen.is_live, verdict.no_reference) == (True, True, None)
    assert seen.evidence is not None
    assert seen.evidence.pad is Pad.CHALLENGE
    assert len(asked) == 1
    assert verdict.many_cards is None  # the owner is nobody to count
    verdict = factor.check(bytes(32))
    assert (verdict.no_reference, verdict.is_enrolled) == (NoReference.NOT_ENROLLED, False)
    assert (verdict.examination.is_match, verdict.many_cards) == (None, None)
    reached = []
    consent = Consent(purpose="withdrawal", given_on=date(2026, 11, 1))
    for number in (1, 2, 3, 4, 4):  # the same face with cards of other people
        card = bytes([number]) * 32
        store.enrol(card, made_up_template(engine, f"owner {number}"), consent)
        verdict = factor.check(card)
        reached.append(verdict.reached_cards)
    assert reached == [None, None, 3, None, None]
    assert verdict.many_cards is not None
    assert (verdict.many_cards.cards, verdict.many_cards.is_alert) == (4, True)
    assert "vector" not in repr(verdict)
    assert str(seen.probe.vector[0] if seen.probe else "")[:8] not in repr(verdict)


def test_each_reason_without_a_reference_is_its_own(
    engine: SFaceEngine, store: TemplateStore, clock: VirtualClock, tmp_path: Path
) -> None:
    other_device = TemplateStore(tmp_path / "templates", b"x" * 32)
    factor = FaceFactor(engine, other_device, a_camera(clock), clock=clock)
    assert factor.check(CARD).no_reference is NoReference.SEAL
    store.withdraw(CARD, date(2026, 11, 20))
    factor = FaceFactor(engine, store, a_camera(clock), clock=clock)
    assert factor.check(CARD).no_reference is NoReference.NO_CONSENT


def test_a_camera_that_fails_or_is_another_matches_nobody(
    engine: SFaceEngine, store: TemplateStore, clock: VirtualClock
) -> None:
    camera = a_camera(clock)
    camera.unplug()
    verdict = FaceFactor(engine, store, camera, clock=clock).check(CARD)
    assert verdict.examination.is_match is None
    assert "unplugged" in verdict.camera_trouble
    swapped = FaceFactor(engine, store, a_camera(clock), clock=clock, pinned_camera="usb:own")
    assert swapped.check(CARD).examination.evidence is None


def test_two_of_three_frames_have_to_match(
    engine: SFaceEngine, store: TemplateStore, clock: VirtualClock
) -> None:
    vote = Vote(needed=2, of=3)
    frames = [portraits.cropped(), portraits.rotated(5), portraits.noisy(10)]
    factor = FaceFactor(engine, store, a_camera(clock, *frames), clock=clock, vote=vote)
    assert factor.check(CARD).examination.is_match is True
    one = FaceFactor(
        engine,
        store,
        a_camera(clock, portraits.cropped(), *[portraits.nobody()] * 4),
        clock=clock,
        vote=vote,
    )
    assert one.check(CARD).examination.is_match is None
    with pytest.raises(ValueError, match="no majority"):
        Vote(needed=1, of=2)


def test_an_unsafe_threshold_is_refused_at_the_start(
    engine: SFaceEngine, store: TemplateStore, clock: VirtualClock
) -> None:
    with pytest.raises(ThresholdError):
        FaceFactor(engine, store, a_camera(clock), clock=clock, threshold=0.2)
