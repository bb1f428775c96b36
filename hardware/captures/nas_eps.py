"""EPS mobility management messages (TS 24.301) as far as a detector looks at them.

Subscribers' identities are not decoded: neither the mobile identity of an attach request nor that
of an identity response, nor a GUTI ever becomes a field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.captures.plmn import plmn_from_bcd
from hardware.captures.refusal import Refused
from hardware.readings import Direction, NasReading, NasType, Stamp

_EMM, _ESM = 0x7, 0x2  # protocol discriminators, TS 24.007 section 11.2.3.1.1
_SECURITY_HEADER_BYTES = 6  # discriminator, MAC of four octets, sequence number
_PLAIN, _INTEGRITY, _INTEGRITY_NEW = 0, 1, 3
_CIPHERED = frozenset({2, 4, 5})
_SERVICE_REQUEST = 12  # 12 to 15: the short header of a service request, section 9.3.1
_EMM_CAUSE, _TAI_LIST = 0x53, 0x54

_UP, _DOWN, _BOTH = Direction.UPLINK, Direction.DOWNLINK, Direction.UNKNOWN

_TYPES: dict[int, tuple[NasType, Direction]] = {
    0x41: (NasType.ATTACH_REQUEST, _UP),
    0x42: (NasType.ATTACH_ACCEPT, _DOWN),
    0x43: (NasType.ATTACH_COMPLETE, _UP),
    0x44: (NasType.ATTACH_REJECT, _DOWN),
    0x45: (NasType.DETACH_REQUEST, _UP),  # or downlink: _details_of_detach tells them apart
    0x46: (NasType.DETACH_ACCEPT, _BOTH),
    0x48: (NasType.TAU_REQUEST, _UP),
    0x49: (NasType.TAU_ACCEPT, _DOWN),
    0x4A: (NasType.TAU_COMPLETE, _UP),
    0x4B: (NasType.TAU_REJECT, _DOWN),
    0x4C: (NasType.EXTENDED_SERVICE_REQUEST, _UP),  # a call over circuit switching
    0x4E: (NasType.SERVICE_REJECT, _DOWN),
    0x50: (NasType.GUTI_REALLOCATION_COMMAND, _DOWN),
    0x51: (NasType.OTHER, _UP),  # GUTI reallocation complete
    0x52: (NasType.AUTHENTICATION_REQUEST, _DOWN),
    0x53: (NasType.AUTHENTICATION_RESPONSE, _UP),
    0x54: (NasType.AUTHENTICATION_REJECT, _DOWN),
    0x55: (NasType.IDENTITY_REQUEST, _DOWN),
    0x56: (NasType.IDENTITY_RESPONSE, _UP),
    0x5C: (NasType.AUTHENTICATION_FAILURE, _UP),
    0x5D: (NasType.SECURITY_MODE_COMMAND, _DOWN),
    0x5E: (NasType.SECURITY_MODE_COMPLETE, _UP),
    0x5F: (NasType.SECURITY_MODE_REJECT, _UP),
    0x60: (NasType.EMM_STATUS, _BOTH),
    0x61: (NasType.EMM_INFORMATION, _DOWN),
    0x62: (NasType.OTHER, _DOWN),  # downlink NAS transport
    0x63: (NasType.OTHER, _UP),  # uplink NAS transport
    0x64: (NasType.OTHER, _DOWN),  # CS service notification
    0x68: (NasType.OTHER, _DOWN),  # downlink generic NAS transport
    0x69: (NasType.OTHER, _UP),  # uplink generic NAS transport
}
"""Message types of TS 24.301 table 9.8.1 and who sends them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Details:
    cause: int | None = None
    identity_type: int | None = None
    ciphering: int | None = None
    integrity: int | None = None
    plmns: tuple[str, ...] = ()
    direction: Direction | None = None
    """Where the message type alone does not tell."""


def decode_nas(message: bytes, stamp: Stamp) -> NasReading:
    """Return what one NAS message says; raises Refused for one that is damaged.

    Integrity protection is looked through; a ciphered message and one of session management come
    back as ``NasType.OTHER``, for that they were sent is itself worth knowing.
    """
    plain = _plain_part(message)
    if plain is None:
        return NasReading(stamp=stamp, raw=message, type=NasType.OTHER, direction=_BOTH)
    if plain[0] >> 4 >= _SERVICE_REQUEST:
        return NasReading(stamp=stamp, raw=message, type=NasType.SERVICE_REQUEST, direction=_UP)
    if len(plain) < 2:
        raise Refused("the NAS message ends before its type")
    kind, direction = _TYPES.get(plain[1], (NasType.OTHER, _BOTH))
    details = _DETAILS[kind](plain) if kind in _DETAILS else _Details()
    return NasReading(
        stamp=stamp,
        raw=message,
        type=kind,
        direction=details.direction or direction,
        cause=details.cause,
        identity_type=details.identity_type,
        ciphering=details.ciphering,
        integrity=details.integrity,
        plmns=details.plmns,
    )


def _plain_part(message: bytes) -> bytes | None:
    """Return the plain EMM message (sections 9.2 and 9.3.1); None for ESM and ciphered ones."""
    security, discriminator = _header(message)
    if discriminator == _ESM:
        return None
    if security in _CIPHERED:
        return None
    if security in {_INTEGRITY, _INTEGRITY_NEW}:
        message = message[_SECURITY_HEADER_BYTES:]
        if not message:
            raise Refused("the NAS message ends inside its security header")
        security, discriminator = _header(message)
        if discriminator == _ESM:
            return None
    if security == _PLAIN:
        return message
    if security >= _SERVICE_REQUEST:
        if len(message) < 4:
            raise Refused(f"service request of {len(message)} bytes, 4 are needed")
        return message
    raise Refused(f"security header type {security} has no meaning here")


def _header(message: bytes) -> tuple[int, int]:
    """Return the security header type and the protocol discriminator of the first octet."""
    if not message:
        raise Refused("empty NAS message")
    if message[0] & 0x0F not in {_EMM, _ESM}:
        raise Refused(f"protocol discriminator {message[0] & 0x0F} is not one of EPS")
    return message[0] >> 4, message[0] & 0x0F


# -- what each message says -------------------------------------------------------------------


class _Octets:
    """Walks through the information elements of one message."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._at = start

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int, what: str) -> bytes:
        """Return the next octets; raises Refused where the message ends before."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise Refused(f"the NAS message ends inside {what}")
        self._at += count
        return taken

    def counted(self, length_octets: int, what: str) -> bytes:
        """Return a value that is preceded by its length."""
        return self.take(int.from_bytes(self.take(length_octets, what)), what)


def _details_of_cause(plain: bytes) -> _Details:
    """EMM cause as the first element: rejects, authentication failure, EMM status."""
    return _Details(cause=_Octets(plain, 2).take(1, "the EMM cause")[0])


def _details_of_identity_request(plain: bytes) -> _Details:
    return _Details(identity_type=_Octets(plain, 2).take(1, "the identity type")[0] & 0x07)


def _details_of_security_mode(plain: bytes) -> _Details:
    """Selected algorithms (section 9.9.3.23)."""
    algorithms = _Octets(plain, 2).take(1, "the selected algorithms")[0]
    return _Details(ciphering=algorithms >> 4 & 0x07, integrity=algorithms & 0x07)


def _details_of_attach_accept(plain: bytes) -> _Details:
    octets = _Octets(plain, 2)
    octets.take(2, "the attach result and T3412")
    areas = octets.counted(1, "the TAI list")
    octets.counted(2, "the ESM container")
    cause = _optional(octets).get(_EMM_CAUSE)
    return _Details(cause=cause[0] if cause else None, plmns=_tai_plmns(areas))


def _details_of_tau_accept(plain: bytes) -> _Details:
    octets = _Octets(plain, 2)
    octets.take(1, "the update result")
    elements = _optional(octets)
    cause = elements.get(_EMM_CAUSE)
    return _Details(
        cause=cause[0] if cause else None, plmns=_tai_plmns(elements.get(_TAI_LIST, b""))
    )


def _details_of_detach(plain: bytes) -> _Details:
    """From the network (section 8.2.11.2) a type and at most a cause; a terminal names itself."""
    if len(plain) == 3:
        return _Details(direction=_DOWN)
    if len(plain) == 5 and plain[3] == _EMM_CAUSE:
        return _Details(direction=_DOWN, cause=plain[4])
    return _Details()


_DETAILS: dict[NasType, Callable[[bytes], _Details]] = {
    NasType.ATTACH_ACCEPT: _details_of_attach_accept,
    NasType.ATTACH_REJECT: _details_of_cause,
    NasType.DETACH_REQUEST: _details_of_detach,
    NasType.TAU_ACCEPT: _details_of_tau_accept,
    NasType.TAU_REJECT: _details_of_cause,
    NasType.SERVICE_REJECT: _details_of_cause,
    NasType.AUTHENTICATION_FAILURE: _details_of_cause,
    NasType.IDENTITY_REQUEST: _details_of_identity_request,
    NasType.SECURITY_MODE_COMMAND: _details_of_security_mode,
    NasType.SECURITY_MODE_REJECT: _details_of_cause,
    NasType.EMM_STATUS: _details_of_cause,
}

_VALUE_OCTETS = {0x13: 5, 0x17: 1, 0x53: 1, 0x59: 1, 0x5A: 1}
"""Elements without a length in an attach or TAU accept: LAI, T3402, EMM cause, T3423, T3412."""


def _optional(octets: _Octets) -> dict[int, bytes]:
    """Read optional elements, the first of each kind (TS 24.007 section 11.2.4)."""
    elements: dict[int, bytes] = {}
    while octets:
        tag = octets.take(1, "an element")[0]
        what = f"element 0x{tag:02x}"
        if tag & 0x80:  # one octet, with its value in the lower half
            continue
        if tag in _VALUE_OCTETS:
            value = octets.take(_VALUE_OCTETS[tag], what)
        else:
            value = octets.counted(2 if tag & 0xF0 == 0x70 else 1, what)
        elements.setdefault(tag, value)
    return elements


def _tai_plmns(areas: bytes) -> tuple[str, ...]:
    """Return the PLMNs of a tracking area identity list (section 9.9.3.33), each once."""
    found: list[str | None] = []
    octets = _Octets(areas, 0)
    while octets:
        head = octets.take(1, "the TAI list")[0]
        form, count = head >> 5 & 0x03, (head & 0x1F) + 1
        if form == 3:
            raise Refused("TAI list of a reserved form")
        if form == 2:  # each area with a PLMN of its own
            found += [plmn_from_bcd(octets.take(5, "the TAI list")) for _ in range(count)]
            continue
        found.append(plmn_from_bcd(octets.take(3, "the TAI list")))
        octets.take(2 if form == 1 else 2 * count, "the TAI list")
    return tuple(dict.fromkeys(plmn for plmn in found if plmn is not None))
