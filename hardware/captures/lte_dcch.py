"""Where an LTE cell lets its terminal go, and how it secures it (TS 36.331 section 6.2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.captures.bits import BitReader
from hardware.captures.refusal import Refused, passed_over
from hardware.readings import Direction, Rat, SignallingReading, SignalType, Stamp

DL_CCCH, DL_DCCH = 0, 1
"""GSMTAP_LTE_RRC_SUB_DL_CCCH_Message and _DL_DCCH_Message."""

_CCCH_SETUP = 3
_DCCH_RELEASE, _DCCH_SECURITY = 5, 6
_REDIRECTS = (Rat.LTE, Rat.GSM, Rat.WCDMA, Rat.WCDMA)
"""RedirectedCarrierInfo: eutra, geran, utra-FDD, utra-TDD; CDMA2000 is of no concern here."""


@dataclass(frozen=True, slots=True)
class _Said:
    type: SignalType
    cause: int | None = None
    redirect: Rat | None = None
    ciphering: int | None = None
    integrity: int | None = None


def decode_downlink(
    message: bytes, stamp: Stamp, *, sub_type: int, earfcn: int | None = None
) -> SignallingReading:
    """Return what a DL-CCCH or DL-DCCH message says; other messages are passed over."""
    bits = BitReader(message)
    if bits.take(1, "the message type"):
        raise passed_over("LTE RRC message of a later release")
    said = _ccch(bits) if sub_type == DL_CCCH else _dcch(bits)
    return SignallingReading(
        stamp=stamp,
        raw=message,
        rat=Rat.LTE,
        type=said.type,
        direction=Direction.DOWNLINK,
        channel=earfcn,
        cause=said.cause,
        ciphering=said.ciphering,
        integrity=said.integrity,
        redirect=said.redirect,
    )


def _ccch(bits: BitReader) -> _Said:
    if bits.take(2, "the message type") != _CCCH_SETUP:
        raise passed_over("LTE RRC message other than setup, release and security mode")
    return _Said(SignalType.RRC_SETUP)


def _dcch(bits: BitReader) -> _Said:
    kind = bits.take(4, "the message type")
    if kind not in {_DCCH_RELEASE, _DCCH_SECURITY}:
        raise passed_over("LTE RRC message other than setup, release and security mode")
    bits.take(2, "rrc-TransactionIdentifier")
    if bits.take(1, "criticalExtensions") or bits.take(2, "criticalExtensions"):
        raise passed_over("LTE RRC message of a later release")
    return _release(bits) if kind == _DCCH_RELEASE else _security(bits)


def _release(bits: BitReader) -> _Said:
    has_redirect, _, _ = bits.flags(3, "RRCConnectionRelease")
    cause = bits.take(2, "releaseCause")
    redirect: Rat | None = None
    if has_redirect and not bits.take(1, "redirectedCarrierInfo"):
        index = bits.take(3, "redirectedCarrierInfo")
        redirect = _REDIRECTS[index] if index < len(_REDIRECTS) else None
    return _Said(SignalType.RRC_RELEASE, cause=cause, redirect=redirect)


def _security(bits: BitReader) -> _Said:
    bits.take(1, "nonCriticalExtension")
    bits.take(1, "securityConfigSMC")
    return _Said(
        SignalType.RRC_SECURITY_MODE_COMMAND,
        ciphering=_algorithm(bits, "cipheringAlgorithm"),
        integrity=_algorithm(bits, "integrityProtAlgorithm"),
    )


def _algorithm(bits: BitReader, what: str) -> int:
    if bits.take(1, what):
        raise Refused(f"{what} of a later release")
    return bits.take(3, what)
