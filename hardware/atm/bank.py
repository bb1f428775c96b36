"""Bank profiles: how one bank's host wants its messages, as data; messages built from them.

A profile holds no code. A new bank is a new profile; what it cannot say here is not supported, and
the docs say so.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from hardware.atm.interface import Advice, AdviceKind, CardSecrets, Movement, Trace
from hardware.atm.iso8583 import Edition, Encoding, Format, IsoError, Message
from hardware.atm.money import NUMERIC_CODES

MAC_BYTES: Final = 8


class Mac(Protocol):
    """The hook for field 64 or 128: most banks compute it in a security module."""

    def sign(self, data: bytes) -> bytes:
        """Return eight bytes over the message without its MAC."""


class AesCmac:
    """AES-CMAC cut to eight bytes, for hosts that take a key in software, and for tests."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, data: bytes) -> bytes:
        """Return the first eight bytes of the CMAC."""
        cmac = CMAC(AES(self._key))
        cmac.update(data)
        return cmac.finalize()[:MAC_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class BankProfile:
    """Everything that differs from bank to bank."""

    id: str
    format: Format
    length_bytes: int = 2
    """Bytes of the length before each message, big-endian."""
    header: bytes = b""
    """TPDU and what follows it, before each message; an answer's own is skipped."""
    processing_code: str = "012000"
    pin_check_code: str = ""
    """Processing code of a 0100 that moves no money and has the host judge the PIN (at most hosts a
    balance inquiry, 31xxxx). Empty: only the answer to the withdrawal tells, after the face."""
    transfer_code: str = ""
    """Processing code of transfers (payee in field 103) that the bank holds for the legal delay and
    takes back on a 0400 with field 90. Empty: this bank takes none from a machine."""
    merchant_type: str = "6011"
    entry_mode: str = "051"
    """Chip with PIN; stripe is 021."""
    condition_code: str = "02"
    currency: str = "CNY"
    acquirer: str = ""
    merchant: str = ""
    utc_offset_hours: int = 8
    has_mac: bool = False
    reversal_has_new_stan: bool = False
    allows_partial: bool = False
    """DE95 carries what was really paid out."""
    sends_confirmation: bool = False
    """0220 after the notes were taken."""
    token_field: str = ""
    """Field of an approval that holds the dispense token; empty: none."""
    nonce_field: str = ""
    """Field of a request that holds the dispenser's nonce."""
    assertion_field: str = ""
    """Field of a request that holds the face assertion."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Further fields of every request, by number."""


PROFILES: Final[Mapping[str, BankProfile]] = {
    profile.id: profile
    for profile in (
        BankProfile(id="iso87-ascii", format=Format(Edition.ISO_1987, Encoding.ASCII)),
        BankProfile(
            id="iso87-ascii-mac",
            format=Format(Edition.ISO_1987, Encoding.ASCII),
            has_mac=True,
            pin_check_code="310000",
            transfer_code="400000",
            allows_partial=True,
            sends_confirmation=True,
            token_field="62",  # noqa: S106 - a field number
            nonce_field="61",
            assertion_field="60",
        ),
        # The terminal profile common in China: TPDU, six bytes of header, BCD throughout.
        BankProfile(
            id="iso87-bcd-tpdu",
            format=Format(Edition.ISO_1987, Encoding.BINARY),
            header=bytes.fromhex("6000030000") + bytes.fromhex("602200000000"),
            processing_code="010000",
            reversal_has_new_stan=True,
        ),
    )
}
"""Profiles that come with the product."""


class Messages:
    """Builds and reads one bank's messages."""

    def __init__(self, profile: BankProfile, mac: Mac | None = None) -> None:
        """Raises ValueError for a profile with MACs and no hook for them."""
        if profile.has_mac and mac is None:
            raise ValueError(f"profile {profile.id} needs a MAC")
        self.profile = profile
        self._mac = mac

    def pack(self, message: Mapping[str, str]) -> bytes:
        """Return the message with its MAC, header and length; raises IsoError."""
        form = self.profile.format
        if self.profile.has_mac and self._mac is not None:
            number = _mac_field(message)
            blank = form.pack({**message, number: "00" * MAC_BYTES})
            signed = self._mac.sign(blank[: -self._mac_width])
            body = form.pack({**message, number: signed.hex().upper()})
        else:
            body = form.pack(message)
        body = self.profile.header + body
        return len(body).to_bytes(self.profile.length_bytes, "big") + body

    def unpack(self, body: bytes) -> tuple[Message, bool]:
        """Read a message without its length; also whether its MAC is right. Raises IsoError."""
        raw = body[len(self.profile.header) :]
        message = self.profile.format.unpack(raw)
        if not self.profile.has_mac or self._mac is None:
            return message, True
        claimed = message.pop(_mac_field(message), "")
        real = self._mac.sign(raw[: -self._mac_width])
        return message, hmac.compare_digest(claimed.upper(), real.hex().upper())

    @property
    def _mac_width(self) -> int:
        is_text = self.profile.format.encoding is Encoding.ASCII
        return MAC_BYTES * (2 if is_text else 1)

    # -- what a terminal says ----------------------------------------------------------------------

    def request(self, trace: Trace, secrets: CardSecrets) -> Message:
        """Return the 0200 of a withdrawal or transfer, or the 0400 that takes a transfer back.

        Raises IsoError for a transfer where this bank takes none.
        """
        profile = self.profile
        message = self._common(trace, secrets.pan) | {
            "t": "0200" if trace.original is None else "0400",
            "103": secrets.payee,
            "90": "" if trace.original is None else self.original_data(trace.original),
            "35": secrets.track2,
            "52": secrets.pin_block.hex().upper(),
            "55": secrets.emv.hex().upper(),
            **profile.fixed,
        }
        if profile.nonce_field:
            message[profile.nonce_field] = secrets.nonce
        if profile.assertion_field:
            message[profile.assertion_field] = secrets.assertion.decode("ascii")
        return {key: value for key, value in message.items() if value}

    def pin_check(self, trace: Trace, secrets: CardSecrets) -> Message:
        """Return the 0100 that asks about the PIN alone; raises IsoError where there is none."""
        code = self.profile.pin_check_code
        if not code:
            raise IsoError("this bank judges a PIN with the withdrawal alone", "3")
        message = self._common(trace, secrets.pan) | {
            "t": "0100",
            "3": code,
            "4": f"{0:012}",
            "35": secrets.track2,
            "52": secrets.pin_block.hex().upper(),
        }
        return {key: value for key, value in message.items() if value}

    def advice(self, advice: Advice, new_stan: Callable[[], str]) -> Message:
        """Return the 0420, 0421 (repeat) or 0220 that this advice is; raises IsoError."""
        profile, trace = self.profile, advice.trace
        is_confirmation = advice.kind is AdviceKind.CONFIRMATION
        base = "022" if is_confirmation else "042"
        message = self._common(trace, advice.pan) | {"t": base + ("1" if advice.is_repeat else "0")}
        message["90"] = self.original_data(trace.original or trace)
        if profile.reversal_has_new_stan:
            message["11"] = new_stan()
        if advice.kind is AdviceKind.PARTIAL_REVERSAL:
            if not profile.allows_partial:
                raise IsoError("this bank takes no partial reversal", "95")
            message["95"] = f"{advice.actual_fen:012}".ljust(42, "0")
        return {key: value for key, value in message.items() if value}

    def echo(self, stan: str, local_time: str) -> Message:
        """Return the 0800 that asks whether the host is there (301)."""
        return {"t": "0800", "7": self._sent_at(local_time), "11": stan, "70": "301"}

    def original_data(self, trace: Trace) -> str:
        """DE90: type, STAN, time and institutions of the request."""
        acquirer = self.profile.acquirer.rjust(11, "0")
        return f"0200{trace.stan}{self._sent_at(trace.local_time)}{acquirer}{'0' * 11}"

    def _common(self, trace: Trace, pan: str) -> Message:
        local = trace.local_time
        is_cash = trace.movement is Movement.CASH
        code = self.profile.processing_code if is_cash else self.profile.transfer_code
        if not code:
            raise IsoError("this bank takes no transfer from a machine", "3")
        return {
            "2": pan,
            "3": code,
            "4": f"{trace.amount_fen:012}",
            "7": self._sent_at(local),
            "11": trace.stan,
            "12": local[8:14],
            "13": local[4:8],
            "18": self.profile.merchant_type,
            "22": self.profile.entry_mode,
            "25": self.profile.condition_code,
            "32": self.profile.acquirer,
            "37": retrieval_number(trace),
            "41": trace.terminal,
            "42": self.profile.merchant,
            "49": NUMERIC_CODES[self.profile.currency],
        }

    def _sent_at(self, local_time: str) -> str:
        """DE7 in UTC, out of the one time that the journal keeps, so that a reversal repeats it."""
        local = datetime.strptime(local_time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return (local - timedelta(hours=self.profile.utc_offset_hours)).strftime("%m%d%H%M%S")


def retrieval_number(trace: Trace) -> str:
    """DE37: last digit of the year, day of the year, hour, STAN (the usual YDDDhhnnnnnn)."""
    local = datetime.strptime(trace.local_time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return f"{local.year % 10}{local:%j%H}{trace.stan}"


def _mac_field(message: Mapping[str, str]) -> str:
    """64, or 128 where the message has a second bitmap."""
    return "128" if any(key.isdigit() and int(key) > 64 for key in message) else "64"


def answer_type(message_type: str) -> str:
    """0200 → 0210, 0421 → 0430, 0220 → 0230."""
    return f"{message_type[:2]}{int(message_type[2]) + 1}0"
