"""Realistic messages and stores for ``qianshao bench``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract import (
    ClockQuality,
    Detection,
    MonoMicros,
    Reason,
    Source,
    SystemClock,
    UnixMicros,
    seal,
)
from contract.envelope import NO_PREVIOUS
from contract.keys import KeySigner, Signer
from contract.messages import Body, content_id, detection_id
from contract.topics import Lane
from contract.words import AlertKind, DetectionKind, Level, Severity, TimeBasis
from edge_agent.outbox import Outbox

_SUBJECT: dict[str, bool | int | float | str] = {"plmn": "460-11", "arfcn": 62, "lac": 9999}

SAMPLE = Detection(
    detection_id=detection_id("van-01", "modem0", _SUBJECT, UnixMicros(0)),
    revision=0,
    sensor="modem0",
    kind=DetectionKind.FAKE_BASE_STATION,
    level=Level.CONFIRMED,
    severity=Severity.CRITICAL,
    alert=AlertKind.FAKE_BTS_CONFIRMED,
    score=4.5,
    reasons=(
        Reason(rule="GSM-PLMN-IMPOSSIBLE", family="plan", weight=4.5, values={"plmn": "460-11"}),
    ),
    first_seen=UnixMicros(1_767_225_600_000_000),
    last_seen=UnixMicros(1_767_225_601_000_000),
    time_basis=TimeBasis.LIVE,
    track_id="460-11/62",
    subject=_SUBJECT,
    source=Source(file="ttyUSB2", place="line 40"),
)


def seal_sample(signer: Signer) -> bytes:
    """Sign the sample detection once."""
    return seal(
        SAMPLE,
        tenant="demo",
        device="van-01",
        boot_id=bytes(16),
        seq=1,
        wall=UnixMicros(1_767_225_602_000_000),
        mono=MonoMicros(1),
        quality=ClockQuality(is_synced=True, estimated_error_ms=1),
        prev=NO_PREVIOUS,
        signer=signer,
    )


def sample_bodies(count: int, run: int) -> list[tuple[Body, Lane]]:
    """Different detections, so that none is known from before."""
    return [
        (
            dataclasses.replace(SAMPLE, detection_id=content_id("bench", run, number)),
            Lane.EVIDENCE,
        )
        for number in range(count)
    ]


def open_outbox(path: Path) -> Outbox:
    """A new outbox with a key of its own."""
    return Outbox.open(
        path,
        tenant="demo",
        device="van-01",
        signer=KeySigner(Ed25519PrivateKey.generate()),
        clock=SystemClock(),
        boot_id=bytes(16),
        central_keys=lambda kid: None,
    )


def face_steps() -> dict[str, Callable[[], None]]:
    """One decision over a 640 x 480 picture of somebody at a machine: detect, encode, compare.

    ``ours``: the owner, whom a glance settles; ``ours_closer``: somebody else, who gets glance and
    closer look; ``ours_steady`` and ``ours_full``: the extras of the closer look one by one and
    without a glance. ``opencv``: YuNet and SFace called directly; ``face_recognition``: as its
    readme says.
    """
    import cv2
    import numpy as np

    from atm_face.decision import likeness
    from atm_face.engines.interface import Template
    from atm_face.engines.sface import SFACE, SFaceEngine
    from atm_face.engines.weights import carried_folder
    from atm_face.engines.yunet import YUNET
    from atm_face.images import Image
    from atm_face.simulated import made_up_template
    from hardware.simulators.portraits import portrait

    face_recognition: Any = import_module("face_recognition")
    cv2.setNumThreads(1)
    whole = cv2.imdecode(np.frombuffer(portrait(), np.uint8), cv2.IMREAD_COLOR)
    assert whole is not None
    # Head and shoulders of the portrait, so that the face is as large as at an arm's length.
    pixels = cv2.resize(whole[0:240, 64:384], (640, 480)).astype(np.uint8, copy=False)
    image = Image("portrait", np.ascontiguousarray(pixels))
    engine = SFaceEngine()
    enrolled = engine.encode(image, engine.detect(image)[0])
    stranger = made_up_template(engine, "somebody else")

    def ours() -> None:
        decide(enrolled)

    def ours_closer() -> None:
        decide(stranger)

    def decide(reference: Template) -> None:
        face = engine.detect(image)[0]
        likeness(engine, reference, image, face, threshold=engine.default_threshold)

    steady, full = SFaceEngine(is_mirrored=False), engine

    def ours_steady() -> None:
        engine.compare(enrolled, steady.encode(image, steady.detect(image)[0]))

    def ours_full() -> None:
        engine.compare(enrolled, full.encode(image, full.detect(image)[0]))

    models = carried_folder()
    detector = cv2.FaceDetectorYN.create(str(models / YUNET.file), "", (640, 480))
    recogniser = cv2.FaceRecognizerSF.create(str(models / SFACE.file), "")

    def opencv() -> None:
        _, faces = detector.detect(pixels)
        vector = recogniser.feature(recogniser.alignCrop(pixels, faces[0]))
        recogniser.match(vector, vector, cv2.FaceRecognizerSF_FR_COSINE)

    rgb = np.ascontiguousarray(pixels[:, :, ::-1])
    known = face_recognition.face_encodings(rgb)

    def peer() -> None:
        face_recognition.compare_faces(known, face_recognition.face_encodings(rgb)[0])

    return {
        "ours": ours,
        "ours_closer": ours_closer,
        "ours_steady": ours_steady,
        "ours_full": ours_full,
        "opencv": opencv,
        "face_recognition": peer,
    }


def window_step() -> Callable[[], None]:
    """One visit searched exactly among 10,000 recent ones, and remembered."""
    from atm_face.engines.sface import SFaceEngine
    from atm_face.recent_visits import CAPACITY, RecentVisits
    from atm_face.simulated import made_up_template

    engine = SFaceEngine()
    visits = RecentVisits(engine, threshold=engine.default_threshold)
    for number in range(CAPACITY):
        card = number.to_bytes(32, "big")
        visits.add(made_up_template(engine, f"visitor {number}"), card, number)
    probe = made_up_template(engine, "visitor 77")

    def step() -> None:
        visits.add(probe, b"card" * 8, CAPACITY)

    return step
