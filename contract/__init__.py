"""What everyone agrees on: messages, topics, the signed envelope, clocks, words.

Imports nothing of the house; standard library, cbor2 and cryptography only.
"""

from contract.clock import Clock, ClockQuality, MonoMicros, SystemClock, UnixMicros, VirtualClock
from contract.envelope import Envelope, EnvelopeError, Refusal, open_envelope, seal
from contract.messages import (
    Body,
    Detection,
    Evidence,
    FaceEvidence,
    Gap,
    Health,
    OrderResult,
    PartHealth,
    Reason,
    Receipt,
    Rival,
    SeqRange,
    Source,
    State,
    WithdrawalDecision,
)
from contract.topics import Lane

__all__ = [
    "Body",
    "Clock",
    "ClockQuality",
    "Detection",
    "Envelope",
    "EnvelopeError",
    "Evidence",
    "FaceEvidence",
    "Gap",
    "Health",
    "Lane",
    "MonoMicros",
    "OrderResult",
    "PartHealth",
    "Reason",
    "Receipt",
    "Refusal",
    "Rival",
    "SeqRange",
    "Source",
    "State",
    "SystemClock",
    "UnixMicros",
    "VirtualClock",
    "WithdrawalDecision",
    "open_envelope",
    "seal",
]
