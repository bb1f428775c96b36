"""PLMN codes as cellular messages carry them."""

from __future__ import annotations


def plmn_from_bcd(octets: bytes) -> str | None:
    """Return ``MCC-MNC`` of three octets (TS 24.008 section 10.5.1.3, TS 24.301 section 9.9.3.33).

    A third MNC digit of 0xF means a two-digit MNC. None where a digit is no decimal digit.
    """
    low = [octet & 0x0F for octet in octets[:3]]
    high = [octet >> 4 for octet in octets[:3]]
    mcc = [low[0], high[0], low[1]]
    mnc = [low[2], high[2]] + ([] if high[1] == 0xF else [high[1]])
    if any(digit > 9 for digit in mcc + mnc):
        return None
    return "".join(map(str, mcc)) + "-" + "".join(map(str, mnc))


def plmn_to_bcd(plmn: str) -> bytes:
    """Return the three octets of ``MCC-MNC``; the inverse of :func:`plmn_from_bcd`."""
    mcc, _, mnc = plmn.partition("-")
    if not (len(mcc) == 3 and len(mnc) in {2, 3} and (mcc + mnc).isdecimal()):
        raise ValueError(f"{plmn!r} is no PLMN of the form MCC-MNC")
    a, b, c = (int(digit) for digit in mcc)
    d, e = int(mnc[0]), int(mnc[1])
    f = int(mnc[2]) if len(mnc) == 3 else 0xF
    return bytes((b << 4 | a, f << 4 | c, e << 4 | d))
