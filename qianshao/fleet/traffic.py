"""What simulated stations have to say, and when."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import StrEnum

from contract.clock import UnixMicros
from contract.codec import Values
from contract.envelope import message_id_of
from contract.messages import Detection, Reason, Source, content_id
from contract.topics import Lane
from contract.words import DetectionKind, Level, Severity, TimeBasis

BURST = 50
"""Messages that come at once where arrivals are in bursts."""

LANES = (Lane.EVIDENCE, Lane.DECISIONS, Lane.TELEMETRY, Lane.TELEMETRY)
"""Lanes of the messages in turn: half of what stations say is telemetry."""

EPOCH = UnixMicros(1_750_000_000_000_000)
"""Time that the made-up readings bear; the envelope has the real one."""


class Arrivals(StrEnum):
    """How messages come."""

    STEADY = "steady"
    """At even distances."""
    POISSON = "poisson"
    """At random, independent of one another."""
    BURST = "burst"
    """Fifty at once, then a rest."""


def gaps_s(arrivals: Arrivals, rate_per_s: float, chance: random.Random) -> Iterator[float]:
    """Seconds before each message, for ever; their mean is one over the rate."""
    mean_s = 1.0 / rate_per_s
    while True:
        match arrivals:
            case Arrivals.STEADY:
                yield mean_s
            case Arrivals.POISSON:
                yield chance.expovariate(rate_per_s)
            case Arrivals.BURST:
                yield BURST * mean_s
                yield from [0.0] * (BURST - 1)


def lane_of(index: int) -> Lane:
    """Lane of a station's message."""
    return LANES[index % len(LANES)]


def made_up(device: str, index: int) -> Detection:
    """Return message ``index`` of a station: an observation that raises no alert.

    The same number gives the same content, so that a station that was killed may say again what
    it was not told is durable, as a detector does.
    """
    subject: Values = {"plmn": "460-00", "lac": 4096 + index % 60_000, "cell_id": index}
    return Detection(
        detection_id=content_id("fleet", device, index),
        revision=0,
        sensor="fleet0",
        kind=DetectionKind.FAKE_BASE_STATION,
        level=Level.OBSERVED,
        severity=Severity.WARNING,
        score=0.4,
        reasons=(
            Reason(
                rule="FLEET-MADE-UP",
                family="simulated",
                weight=0.4,
                values={"rxlev_dbm": -60.0 - index % 40, "index": index},
            ),
        ),
        first_seen=EPOCH,
        last_seen=UnixMicros(EPOCH + index),
        time_basis=TimeBasis.LIVE,
        track_id=f"fleet/{index}",
        subject=subject,
        source=Source(file="fleet", place=str(index)),
    )


def id_of(device: str, index: int) -> bytes:
    """Message id under which message ``index`` stands in the central's store."""
    return message_id_of(made_up(device, index), device, 0, 0)
