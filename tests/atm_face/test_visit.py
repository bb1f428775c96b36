"""One visit's face: real engine, simulated camera, and every way a camera can let one down."""

from __future__ import annotations

import dataclasses

import pytest

from atm_face.engines.interface import Template, TemplateMismatchError, ThresholdError
from atm_face.engines.sface import DEFAULT_THRESHOLD, SFaceEngine
from atm_face.faces import Capture, template_of
from atm_face.images import decode_image
from atm_face.liveness import PROMPT_OF
from atm_face.policy import Business, ListMode, Policy, Visit, decide
from atm_face.screens import PROMPTS, Prompt
from atm_face.simulated import made_up_template
from atm_face.visit import Examination, Session, examine, open_session
from contract import UnixMicros, VirtualClock
from contract.words import Decision, DecisionReason, Pad, PinVerdict
from hardware.cameras.interface import ChallengeKind
from hardware.simulators import portraits
from hardware.simulators.camera import SimulatedCamera

NOW = UnixMicros(1_760_000_000_000_000)
LEFT, RIGHT = b"\x00" * 16, b"\x01" * 16
NEAR_LEFT, NEAR_RIGHT = b"\x02" * 16, b"\x03" * 16
TURNS = {
    ChallengeKind.TURN_LEFT: [portraits.turned(20), portraits.turned(55)],
    ChallengeKind.TURN_RIGHT: [portraits.turned(-20), portraits.turned(-55)],
}


@pytest.fixture(scope="session")
def owner(engine: SFaceEngine) -> Template:
    template = template_of(engine, decode_image(portraits.portrait(), "enrolment"))
    assert isinstance(template, Template)
    return template


def a_camera(*images: bytes, clock: VirtualClock | None = None) -> SimulatedCamera:
    """A camera in front of somebody who does as asked."""
    clock = clock or VirtualClock(NOW)
    return SimulatedCamera(
        images or (portraits.portrait_jpeg(),), clock=clock, turns=TURNS, can_approach=True
    )


def look(
    engine: SFaceEngine,
    reference: Template | None,
    camera: SimulatedCamera,
    *,
    nonce: bytes = LEFT,
    shots: int = 1,
) -> Examination:
    session = Session(nonce=nonce, opened_us=NOW)
    return examine(
        engine,
        reference,
        [camera.capture(nonce) for _ in range(shots)],
        camera.challenge(session.challenge, nonce),
        session=session,
        now_us=NOW,
    )


def decision(examination: Examination) -> tuple[Decision, DecisionReason | None]:
    verdict = decide(
        Visit(
            business=Business.WITHDRAW,
            pin=PinVerdict.OK,
            is_enrolled=True,
            is_face_covered=examination.is_face_covered,
            pad=examination.evidence.pad if examination.evidence else Pad.NONE,
            is_live=examination.is_live,
            is_match=examination.is_match,
            list_mode=ListMode.ONLINE,
        ),
        Policy(),
    )
    return verdict.decision, verdict.reason


@pytest.mark.parametrize(
    "nonce", [LEFT, RIGHT, NEAR_LEFT, NEAR_RIGHT], ids=["left", "right", "near left", "near right"]
)
def test_the_owner_who_turns_as_asked_gets_cash(
    engine: SFaceEngine, owner: Template, nonce: bytes
) -> None:
    seen = look(engine, owner, a_camera(), nonce=nonce)
    assert (seen.is_match, seen.is_live, seen.is_face_covered) == (True, True, False)
    evidence = seen.evidence
    assert evidence is not None
    assert evidence.similarity is not None
    assert evidence.similarity > 0.9
    assert evidence.pad is Pad.CHALLENGE
    assert evidence.is_simulated
    assert (evidence.engine, evidence.threshold) == ("sface", DEFAULT_THRESHOLD)
    assert decision(seen) == (Decision.ALLOW, None)


def test_somebody_else_is_refused(engine: SFaceEngine) -> None:
    seen = look(engine, made_up_template(engine, "the real owner"), a_camera())
    assert (seen.is_match, seen.is_live) == (False, True)
    assert decision(seen) == (Decision.DENY, DecisionReason.FACE_MISMATCH)


def test_who_keeps_still_is_not_live(engine: SFaceEngine, owner: Template) -> None:
    camera = SimulatedCamera([portraits.portrait()], clock=VirtualClock(NOW))
    assert decision(look(engine, owner, camera)) == (
        Decision.DENY,
        DecisionReason.LIVENESS_FAILED,
    )


def test_who_turns_the_wrong_way_is_not_live(engine: SFaceEngine, owner: Template) -> None:
    wrong = dict(zip(TURNS, reversed(TURNS.values()), strict=True))
    camera = SimulatedCamera([portraits.portrait()], clock=VirtualClock(NOW), turns=wrong)
    for nonce in (LEFT, RIGHT):
        assert look(engine, owner, camera, nonce=nonce).is_live is False


@pytest.mark.parametrize("nonce", [LEFT, RIGHT], ids=["left", "right"])
@pytest.mark.parametrize("degrees", [-50, -30, 30, 50])
def test_a_tilted_print_is_not_live(
    engine: SFaceEngine, owner: Template, nonce: bytes, degrees: int
) -> None:
    tilted = [portraits.tilted_print(degrees)]
    camera = SimulatedCamera(
        [portraits.portrait()],
        clock=VirtualClock(NOW),
        turns=dict.fromkeys(ChallengeKind, tilted),
    )
    seen = look(engine, owner, camera, nonce=nonce)
    assert (seen.is_match, seen.is_live) == (True, False)


def test_a_still_of_a_turned_head_is_not_live(engine: SFaceEngine, owner: Template) -> None:
    """The first picture shows the same turn, so nothing changed when it was asked for."""
    still = [portraits.turned(45)]
    camera = SimulatedCamera(still, clock=VirtualClock(NOW), turns={ChallengeKind.TURN_LEFT: still})
    assert look(engine, owner, camera).is_live is False


BEFORE, TURNED = portraits.portrait(), portraits.turned(55)
NEAR, NEAR_TURNED = portraits.nearer(BEFORE), portraits.nearer(TURNED)


@pytest.mark.parametrize(
    ("pictures", "is_live"),
    [
        ([BEFORE, NEAR, NEAR_TURNED], True),
        ([BEFORE, TURNED, NEAR], False),  # turned first, then nearer and straight
        ([BEFORE, TURNED], False),  # never nearer
        ([BEFORE, NEAR], False),  # never turned
        ([BEFORE, NEAR, TURNED], False),  # stepped back before turning
        ([NEAR, NEAR_TURNED], False),  # nearer before it was asked
        ([BEFORE, portraits.nearer(BEFORE, 1.1), NEAR_TURNED], False),  # not near enough
        ([BEFORE, NEAR, portraits.nearer(portraits.tilted_print(50))], False),  # a print
    ],
)
def test_coming_closer_and_turning_are_seen_in_the_order_asked(
    engine: SFaceEngine, owner: Template, pictures: list[bytes], is_live: bool
) -> None:
    camera = SimulatedCamera(
        [BEFORE],
        clock=VirtualClock(NOW),
        turns={ChallengeKind.APPROACH_LEFT: pictures[1:]},
        can_approach=True,
    )
    seen = camera.capture(NEAR_LEFT)
    answer = camera.challenge(ChallengeKind.APPROACH_LEFT, NEAR_LEFT)
    assert answer is not None
    first = dataclasses.replace(answer.frames[0], encoded=pictures[0])
    answer = dataclasses.replace(answer, frames=(first, *answer.frames[1:]))
    session = Session(nonce=NEAR_LEFT, opened_us=NOW)
    found = examine(engine, owner, [seen], answer, session=session, now_us=NOW)
    assert found.is_live is is_live


@pytest.mark.parametrize("nonce", [LEFT, NEAR_LEFT])
def test_what_was_done_before_it_was_asked_is_no_answer(
    engine: SFaceEngine, owner: Template, nonce: bytes
) -> None:
    """A film that already shows the turn when the challenge begins."""
    camera = a_camera()
    session = Session(nonce=nonce, opened_us=NOW)
    seen = camera.capture(nonce)
    answer = camera.challenge(session.challenge, nonce)
    assert answer is not None
    late = dataclasses.replace(answer, frames=answer.frames[-1:])
    assert examine(engine, owner, [seen], answer, session=session, now_us=NOW).is_live is True
    assert examine(engine, owner, [seen], late, session=session, now_us=NOW).is_live is False


@pytest.mark.parametrize(("offset_us", "is_live"), [(0, True), (-1, None), (10_000_001, None)])
def test_only_pictures_from_asking_until_ten_seconds_later_answer(
    engine: SFaceEngine, owner: Template, offset_us: int, is_live: bool | None
) -> None:
    camera = a_camera()
    seen, answer = camera.capture(LEFT), camera.challenge(ChallengeKind.TURN_LEFT, LEFT)
    assert answer is not None
    moved = tuple(
        dataclasses.replace(frame, captured_us=frame.captured_us + offset_us + 1)
        for frame in answer.frames
    )
    answer = dataclasses.replace(answer, asked_us=answer.asked_us + 1, frames=moved)
    session = Session(nonce=LEFT, opened_us=NOW)
    found = examine(engine, owner, [seen], answer, session=session, now_us=NOW + 20_000_000)
    assert found.is_live is is_live


@pytest.mark.parametrize(
    "picture",
    [
        portraits.masked(),
        portraits.masked((235, 235, 235)),
        portraits.masked((30, 30, 32)),
        portraits.in_dark_glasses(),
    ],
    ids=["blue", "white", "black", "glasses"],
)
def test_a_mask_or_dark_glasses_are_a_prompt_and_then_the_counter(
    engine: SFaceEngine, owner: Template, picture: bytes
) -> None:
    seen = look(engine, owner, a_camera(picture), shots=2)
    assert seen.is_face_covered
    assert seen.prompts == (Prompt.REMOVE_COVER,)
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.FACE_COVERED)


def test_a_camera_that_cannot_challenge_proves_nothing(
    engine: SFaceEngine, owner: Template
) -> None:
    camera = SimulatedCamera([portraits.portrait()], clock=VirtualClock(NOW), can_challenge=False)
    seen = look(engine, owner, camera)
    assert (seen.is_match, seen.is_live) == (True, None)
    assert seen.evidence is not None
    assert seen.evidence.pad is Pad.NONE
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.LIVENESS_UNAVAILABLE)


def test_a_face_that_vanishes_during_the_challenge_accuses_nobody(
    engine: SFaceEngine, owner: Template
) -> None:
    camera = SimulatedCamera(
        [portraits.portrait()],
        clock=VirtualClock(NOW),
        turns={ChallengeKind.TURN_LEFT: [portraits.nobody()]},
    )
    assert decision(look(engine, owner, camera))[1] is DecisionReason.LIVENESS_UNAVAILABLE


def test_the_answer_to_another_question_is_none(engine: SFaceEngine, owner: Template) -> None:
    camera = a_camera()
    session = Session(nonce=LEFT, opened_us=NOW)
    answer = camera.challenge(ChallengeKind.TURN_RIGHT, LEFT)
    seen = examine(engine, owner, [camera.capture(LEFT)], answer, session=session, now_us=NOW)
    assert session.challenge is ChallengeKind.TURN_LEFT
    assert seen.is_live is None


def test_frames_of_another_camera_answer_nothing(engine: SFaceEngine, owner: Template) -> None:
    camera = a_camera()
    other = SimulatedCamera(
        [portraits.portrait()], clock=VirtualClock(NOW), turns=TURNS, name="other"
    )
    seen = examine(
        engine,
        owner,
        [camera.capture(LEFT)],
        other.challenge(ChallengeKind.TURN_LEFT, LEFT),
        session=Session(nonce=LEFT, opened_us=NOW),
        now_us=NOW,
    )
    assert seen.is_live is None


def test_a_covered_face_is_asked_to_be_shown(engine: SFaceEngine, owner: Template) -> None:
    seen = look(engine, owner, a_camera(portraits.covered()), shots=2)
    assert seen.is_face_covered
    assert seen.prompts == (Prompt.REMOVE_COVER,)
    assert seen.evidence is None
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.FACE_COVERED)


def test_one_good_frame_among_bad_ones_is_enough(engine: SFaceEngine, owner: Template) -> None:
    camera = a_camera(b"torn", portraits.covered(), portraits.blurred(6), portraits.portrait())
    seen = look(engine, owner, camera, shots=4)
    assert (seen.is_match, seen.is_live, seen.prompts) == (True, True, ())


def test_two_people_are_asked_to_part_and_nobody_is_accused(
    engine: SFaceEngine, owner: Template
) -> None:
    seen = look(engine, owner, a_camera(portraits.two_people()))
    assert seen.prompts == (Prompt.ONE_PERSON_ONLY,)
    assert (seen.is_match, seen.is_face_covered) == (None, False)
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.LIVENESS_UNAVAILABLE)


@pytest.mark.parametrize("late_us", [1, -1], ids=["stale", "from the future"])
def test_frames_from_outside_the_session_do_not_count(
    engine: SFaceEngine, owner: Template, late_us: int
) -> None:
    camera = a_camera()
    camera.late_us = late_us
    assert look(engine, owner, camera) == Examination(
        evidence=None, is_match=None, is_live=None, is_face_covered=False
    )


def test_frames_of_another_session_do_not_count(engine: SFaceEngine, owner: Template) -> None:
    camera = a_camera()
    seen = examine(
        engine,
        owner,
        [camera.capture(RIGHT)],
        camera.challenge(ChallengeKind.TURN_LEFT, RIGHT),
        session=Session(nonce=LEFT, opened_us=NOW),
        now_us=NOW,
    )
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.LIVENESS_UNAVAILABLE)


def test_without_any_picture_the_counter_is_offered(engine: SFaceEngine, owner: Template) -> None:
    session = open_session(NOW)
    seen = examine(engine, owner, [], None, session=session, now_us=NOW)
    assert decision(seen) == (Decision.REFER_TO_COUNTER, DecisionReason.LIVENESS_UNAVAILABLE)


def test_a_card_without_a_reference_compares_nothing(engine: SFaceEngine) -> None:
    seen = look(engine, None, a_camera())
    assert seen.is_match is None
    assert seen.evidence is not None
    assert seen.evidence.similarity is None


def test_a_reference_of_other_weights_is_an_error_and_not_a_mismatch(
    engine: SFaceEngine, owner: Template
) -> None:
    with pytest.raises(TemplateMismatchError):
        look(engine, dataclasses.replace(owner, model_sha256=bytes(32)), a_camera())


def test_no_visit_is_examined_below_the_floor(engine: SFaceEngine, owner: Template) -> None:
    with pytest.raises(ThresholdError):
        examine(
            engine,
            owner,
            [],
            None,
            session=Session(nonce=LEFT, opened_us=NOW),
            now_us=NOW,
            threshold=0.2,
        )


def test_a_raised_threshold_is_the_one_that_counts(engine: SFaceEngine, owner: Template) -> None:
    camera = a_camera(portraits.noisy())
    session = Session(nonce=LEFT, opened_us=NOW)
    seen = examine(
        engine, owner, [camera.capture(LEFT)], None, session=session, now_us=NOW, threshold=0.999
    )
    assert seen.is_match is False
    assert seen.evidence is not None
    assert seen.evidence.threshold == 0.999


def test_sessions_do_not_repeat_and_ask_both_ways() -> None:
    sessions = [open_session(NOW) for _ in range(64)]
    assert len({session.nonce for session in sessions}) == 64
    assert {session.challenge for session in sessions} == set(ChallengeKind)


def test_every_challenge_has_a_text() -> None:
    assert {PROMPTS[PROMPT_OF[kind]].zh for kind in ChallengeKind} == {
        "请缓慢向左转头",
        "请缓慢向右转头",
        "请稍微靠近一些，然后缓慢向左转头",
        "请稍微靠近一些，然后缓慢向右转头",
    }


def test_no_text_form_shows_a_nonce_a_picture_or_a_template(
    engine: SFaceEngine, owner: Template
) -> None:
    camera = a_camera()
    frame = camera.capture(LEFT)
    texts = [repr(frame), repr(Session(nonce=LEFT, opened_us=NOW)), repr(owner)]
    texts.append(repr(look(engine, owner, camera)))
    for text in texts:
        assert "\\x00" not in text
        assert "\\xff\\xd8" not in text
        assert f"{owner.vector[0]:.6f}"[:8] not in text


def test_a_picture_unfit_for_enrolment_says_why(engine: SFaceEngine) -> None:
    refused = template_of(engine, decode_image(portraits.two_people(), "enrolment"))
    assert isinstance(refused, Capture)
    assert refused.prompt is Prompt.ONE_PERSON_ONLY


def test_a_picture_of_another_camera_than_the_pinned_one_was_not_taken(
    engine: SFaceEngine, owner: Template
) -> None:
    camera = a_camera()
    for pinned, has_evidence in ((camera.name, True), ("usb-1-1.2:0001", False)):
        session = Session(nonce=LEFT, opened_us=NOW, camera=pinned)
        frame = camera.capture(LEFT)
        seen = examine(engine, owner, [frame], None, session=session, now_us=NOW)
        assert (seen.evidence is not None) is has_evidence
        assert not seen.is_face_covered
