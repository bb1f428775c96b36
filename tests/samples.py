"""Ready-made records and sealed messages for the tests of every room."""

from __future__ import annotations

import dataclasses
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract import ClockQuality, Detection, MonoMicros, Reason, Source, UnixMicros, seal
from contract.envelope import NO_PREVIOUS
from contract.keys import KeySigner, PrivateKey
from contract.messages import detection_id
from contract.words import AlertKind, DetectionKind, Level, Severity, TimeBasis

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(7, ec.SECP256R1())
BOOT = b"\x07" * 16
SUBJECT: dict[str, bool | int | float | str] = {"plmn": "460-11", "arfcn": 62}


def a_detection(**changes: Any) -> Detection:
    detection = Detection(
        detection_id=detection_id("van-1", "modem0", SUBJECT, UnixMicros(600_000_000)),
        revision=0,
        sensor="modem0",
        kind=DetectionKind.FAKE_BASE_STATION,
        level=Level.CONFIRMED,
        severity=Severity.CRITICAL,
        alert=AlertKind.FAKE_BTS_CONFIRMED,
        score=4.5,
        reasons=(
            Reason(
                rule="GSM-PLMN-IMPOSSIBLE",
                family="plan",
                weight=4.5,
                values={"plmn": "460-11", "rxlev_dbm": -51.5, "seen": 2, "is_serving": True},
            ),
        ),
        first_seen=UnixMicros(600_000_000),
        last_seen=UnixMicros(601_000_000),
        time_basis=TimeBasis.LIVE,
        track_id="460-11/62",
        subject=SUBJECT,
        source=Source(file="ttyUSB2", place="line 40"),
    )
    return dataclasses.replace(detection, **changes)


def sealed(
    body: Any = None, *, seq: int = 1, key: PrivateKey = ED25519, prev: bytes = NO_PREVIOUS
) -> bytes:
    return seal(
        body if body is not None else a_detection(),
        tenant="demo",
        device="van-1",
        boot_id=BOOT,
        seq=seq,
        wall=UnixMicros(1_700_000_000_000_000),
        mono=MonoMicros(5_000_000),
        quality=ClockQuality(is_synced=True, estimated_error_ms=3),
        prev=prev,
        signer=KeySigner(key),
    )
