"""What a GSM cell and the test terminal say on a dedicated channel: RR, MM and short messages.

Sources: TS 44.018 section 9.1 (RR), TS 24.008 sections 9.2 (MM) and 10.5, TS 24.011 (SMS on the
link). Subscribers' identities are not decoded.
"""

from __future__ import annotations

from hardware.captures.lapdm import Layer3
from hardware.captures.refusal import Refused, passed_over
from hardware.captures.sms_tpdu import decode_deliver
from hardware.readings import (
    Direction,
    MessageReading,
    Rat,
    SignallingReading,
    SignalType,
    Stamp,
)

_MM, _RR, _SMS = 5, 6, 9  # protocol discriminators, TS 24.007 section 11.2.3.1.1
_CP_DATA, _RP_DATA_DOWN = 0x01, 0x01

_MM_TYPES = {
    0x02: SignalType.LU_ACCEPT,
    0x04: SignalType.LU_REJECT,
    0x08: SignalType.LU_REQUEST,
    0x11: SignalType.MM_AUTHENTICATION_REJECT,
    0x12: SignalType.MM_AUTHENTICATION_REQUEST,
    0x14: SignalType.MM_AUTHENTICATION_RESPONSE,
    0x18: SignalType.MM_IDENTITY_REQUEST,
    0x24: SignalType.CONNECTION_START,  # CM service request
}
_RR_TYPES = {
    0x0D: SignalType.CHANNEL_RELEASE,
    0x27: SignalType.CONNECTION_START,  # paging response
    0x35: SignalType.CIPHERING_MODE_COMMAND,
}
_HAS_CAUSE = frozenset({SignalType.LU_REJECT, SignalType.CHANNEL_RELEASE})


def decode_layer3(
    layer3: Layer3, raw: bytes, stamp: Stamp, *, arfcn: int | None, is_uplink: bool
) -> SignallingReading | MessageReading:
    """Return what one layer 3 message says; raises Refused for what nobody here reads."""
    message = layer3.message
    if len(message) < 2:
        raise Refused(f"GSM layer 3 message of {len(message)} bytes")
    protocol = message[0] & 0x0F
    if protocol == _SMS:
        if is_uplink:
            raise passed_over("GSM short message of the terminal")
        return _short_message(message, stamp, arfcn)
    types = {_MM: _MM_TYPES, _RR: _RR_TYPES}.get(protocol)
    kind = message[1] & 0x3F if protocol == _MM else message[1]
    if types is None or kind not in types:
        raise passed_over("GSM message other than those of mobility and ciphering")
    signal = types[kind]
    return SignallingReading(
        stamp=stamp,
        raw=raw,
        rat=Rat.GSM,
        type=signal,
        direction=Direction.UPLINK if is_uplink else Direction.DOWNLINK,
        channel=arfcn,
        cause=_octet(message, 2, "the cause") if signal in _HAS_CAUSE else None,
        identity_type=(
            _octet(message, 2, "the identity type") & 0x07
            if signal is SignalType.MM_IDENTITY_REQUEST
            else None
        ),
        ciphering=(
            _cipher(_octet(message, 2, "the cipher mode setting"))
            if signal is SignalType.CIPHERING_MODE_COMMAND
            else None
        ),
    )


def _octet(message: bytes, at: int, what: str) -> int:
    if len(message) <= at:
        raise Refused(f"the GSM message ends before {what}")
    return message[at]


def _cipher(setting: int) -> int:
    """Return n of A5/n, 0 for "no ciphering" (TS 44.018 section 10.5.2.9)."""
    return (setting >> 1 & 0x07) + 1 if setting & 1 else 0


def _short_message(message: bytes, stamp: Stamp, arfcn: int | None) -> MessageReading:
    """Unwrap CP-DATA and RP-DATA (TS 24.011 sections 7.2.1 and 7.3.1.1)."""
    if message[1] != _CP_DATA:
        raise passed_over("GSM short message control other than CP-DATA")
    rp = _counted(message, 2, "CP user data")
    if not rp or rp[0] & 0x07 != _RP_DATA_DOWN:
        raise passed_over("GSM relay message other than RP-DATA")
    origin = _counted(rp, 2, "the originator")
    destination_at = 3 + len(origin)
    destination = _counted(rp, destination_at, "the destination")
    tpdu = _counted(rp, destination_at + 1 + len(destination), "RP user data")
    found = decode_deliver(tpdu)
    return MessageReading(
        stamp=stamp,
        raw=tpdu,
        sender=found.sender,
        text=found.text,
        sent=found.sent,
        rat=Rat.GSM,
        channel=arfcn,
        part=found.part,
    )


def _counted(data: bytes, at: int, what: str) -> bytes:
    """Return a value that is preceded by its length."""
    length = _octet(data, at, what)
    value = data[at + 1 : at + 1 + length]
    if len(value) < length:
        raise Refused(f"the GSM message ends inside {what}")
    return value
