"""Realistic messages and stores for ``qianshao bench``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

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


def face_steps() -> tuple[Callable[[], None], Callable[[], None]]:
    """Detect and encode one face: through our engine, and through OpenCV called directly."""
    import cv2
    import numpy as np

    from atm_face.engines.sface import SFACE, SFaceEngine
    from atm_face.engines.weights import carried_folder
    from atm_face.engines.yunet import YUNET
    from atm_face.images import decode_image
    from hardware.simulators.portraits import portrait

    picture = portrait()
    engine = SFaceEngine()
    image = decode_image(picture, "portrait")

    def ours() -> None:
        engine.encode(image, engine.detect(image)[0])

    models = carried_folder()
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    detector = cv2.FaceDetectorYN.create(str(models / YUNET.file), "", pixels.shape[1::-1])
    recogniser = cv2.FaceRecognizerSF.create(str(models / SFACE.file), "")

    def peer() -> None:
        _, faces = detector.detect(pixels)
        recogniser.feature(recogniser.alignCrop(pixels, faces[0]))

    return ours, peer
