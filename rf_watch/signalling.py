"""What the sniffer's own test terminal goes through, apart from runs of refused authentications.

Findings are about the cell that serves the terminal; who that is, the cell detector knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from contract.codec import Values
from contract.messages import Rival
from contract.words import RivalVerdict
from hardware.readings import (
    MessageReading,
    NasReading,
    NasType,
    Rat,
    SignallingReading,
    SignalType,
    Stamp,
)
from rf_watch import rule_table as table
from rf_watch.authentication import GOOD_AUTHENTICATIONS
from rf_watch.rules import Finding, Rule
from rf_watch.tables.hotlines import hotline, normalised

EMM_CAUSE_NO_SUITABLE_CELLS = 15  # TS 24.301 annex A
_IDENTITY_IMSI = 1
_NULL = 0
_FOLLOWS_US = 60_000_000
"""A redirect within a minute of a reject belongs to it."""

_REQUESTS = frozenset({NasType.ATTACH_REQUEST, NasType.TAU_REQUEST})
_REJECTS = frozenset({NasType.ATTACH_REJECT, NasType.TAU_REJECT, NasType.SERVICE_REJECT})


@dataclass(frozen=True, slots=True)
class TerminalFinding:
    """A finding about the serving cell, with what else it could be and its raw bytes."""

    rat: Rat
    finding: Finding
    rivals: tuple[Rival, ...]
    stamp: Stamp
    raw: bytes
    channel: int | None = None


@dataclass(slots=True)
class _Session:
    """From one request of the terminal to the next."""

    is_authenticated: bool = False
    is_imsi_asked: bool = False
    is_call: bool = False
    """A circuit-switched call was asked for: a redirect to GSM is then ordinary (CSFB)."""
    identity_raw: bytes = b""
    number: int = 1


@dataclass(slots=True)
class _Gsm:
    """A dedicated connection on GSM; None: not seen from its start."""

    is_lu_asked: bool = False
    is_authenticated: bool = False
    is_ciphered: bool | None = None


@dataclass(slots=True)
class TerminalWatch:
    """Follows one terminal, in constant memory."""

    session: _Session = field(default_factory=_Session)
    gsm: _Gsm = field(default_factory=_Gsm)
    is_as_secure: bool | None = None
    """Access stratum security of the LTE connection; None: its start was not seen."""
    rejected_us: int | None = None
    rejected_cause: int | None = None

    def feed_nas(self, reading: NasReading) -> list[TerminalFinding]:
        """Take one EMM message."""
        kind, session = reading.type, self.session
        out: list[TerminalFinding] = []
        if kind in _REQUESTS:
            out += self._end_session(reading)
            self.session = _Session(number=session.number + 1)
        elif kind in GOOD_AUTHENTICATIONS:
            session.is_authenticated = True
        elif kind is NasType.EXTENDED_SERVICE_REQUEST:
            session.is_call = True
        elif kind is NasType.IDENTITY_REQUEST and reading.identity_type == _IDENTITY_IMSI:
            session.is_imsi_asked, session.identity_raw = True, reading.raw
        elif kind is NasType.SECURITY_MODE_COMMAND and reading.ciphering == _NULL:
            values: Values = {"layer": "NAS", "algorithm": "EEA0"}
            if reading.integrity is not None:
                values["integrity"] = reading.integrity
            out.append(_found(reading, Rat.LTE, table.NULL_CIPHER, values, _emergency()))
        elif kind in _REJECTS:
            out += self._rejected(reading)
        return out

    def _rejected(self, reading: NasReading) -> list[TerminalFinding]:
        self.rejected_us, self.rejected_cause = reading.stamp.at_us, reading.cause
        if self.session.is_authenticated:
            return []
        out = self._end_session(reading)
        if reading.cause == EMM_CAUSE_NO_SUITABLE_CELLS:
            values: Values = {"cause": reading.cause, "message": reading.type.value}
            redirect = Rival(
                explanation="OPERATOR_REDIRECT", verdict=RivalVerdict.POSSIBLE, values={"cause": 15}
            )
            out.append(_found(reading, Rat.LTE, table.REJECT_CAUSE_15, values, redirect))
        return out

    def _end_session(self, reading: NasReading) -> list[TerminalFinding]:
        session = self.session
        if not session.is_imsi_asked or session.is_authenticated:
            return []
        session.is_imsi_asked = False
        is_first = session.number <= 2  # the capture may have begun with a terminal switched on
        power_on = Rival(
            explanation="POWER_ON",
            verdict=RivalVerdict.POSSIBLE if is_first else RivalVerdict.RULED_OUT,
            values={"session": session.number},
        )
        values: Values = {"ended_by": reading.type.value}
        return [_found(reading, Rat.LTE, table.IDENTITY_WITHOUT_SECURITY, values, power_on)]

    def feed_signalling(self, reading: SignallingReading) -> list[TerminalFinding]:
        """Take one message of LTE RRC or of GSM."""
        return self._rrc(reading) if reading.rat is Rat.LTE else self._gsm(reading)

    def _rrc(self, reading: SignallingReading) -> list[TerminalFinding]:
        match reading.type:
            case SignalType.RRC_SETUP:
                self.is_as_secure = False
            case SignalType.RRC_SECURITY_MODE_COMMAND:
                self.is_as_secure = True
                if reading.ciphering == _NULL:
                    values: Values = {"layer": "RRC", "algorithm": "EEA0"}
                    return [_found(reading, Rat.LTE, table.NULL_CIPHER, values, _emergency())]
            case SignalType.RRC_RELEASE:
                was_secure, self.is_as_secure = self.is_as_secure, None
                if reading.redirect is Rat.GSM and was_secure is False:
                    return self._redirected(reading)
            case _:
                pass
        return []

    def _redirected(self, reading: SignallingReading) -> list[TerminalFinding]:
        if self.session.is_call:
            return []
        values: Values = {"redirect": Rat.GSM.value, "is_as_security_active": False}
        since = None if self.rejected_us is None else reading.stamp.at_us - self.rejected_us
        if since is not None and 0 <= since <= _FOLLOWS_US:
            values["after_reject_s"] = round(since / 1e6, 1)
            if self.rejected_cause is not None:
                values["reject_cause"] = self.rejected_cause
        csfb = Rival(
            explanation="CSFB_REDIRECT",
            verdict=RivalVerdict.RULED_OUT,
            values={"is_extended_service_request_seen": False},
        )
        return [_found(reading, Rat.LTE, table.REJECT_THEN_GERAN_REDIRECT, values, csfb)]

    def _gsm(self, reading: SignallingReading) -> list[TerminalFinding]:
        gsm = self.gsm
        match reading.type:
            case SignalType.LU_REQUEST:
                self.gsm = _Gsm(is_lu_asked=True, is_ciphered=False)
            case SignalType.CONNECTION_START:
                self.gsm = _Gsm(is_ciphered=False)
            case SignalType.MM_AUTHENTICATION_REQUEST | SignalType.MM_AUTHENTICATION_RESPONSE:
                gsm.is_authenticated = True
            case SignalType.CIPHERING_MODE_COMMAND:
                gsm.is_ciphered = reading.ciphering != _NULL
                if reading.ciphering == _NULL:
                    values: Values = {"layer": "RR", "algorithm": "A5/0"}
                    return [_found(reading, Rat.GSM, table.NULL_CIPHER, values, _emergency())]
            case SignalType.LU_ACCEPT:
                if gsm.is_lu_asked and not gsm.is_authenticated:
                    values = {"is_ciphered": bool(gsm.is_ciphered)}
                    rule = table.LU_ACCEPTED_WITHOUT_AUTHENTICATION
                    return [_found(reading, Rat.GSM, rule, values, _selective())]
            case SignalType.CHANNEL_RELEASE:
                self.gsm = _Gsm()
            case _:
                pass
        return []

    def feed_message(self, reading: MessageReading) -> list[TerminalFinding]:
        """Take one short message: its sender, and how it was carried."""
        out: list[TerminalFinding] = []
        whose = hotline(reading.sender)
        if whose is not None:
            values: Values = {"sender": normalised(reading.sender), "whose": whose}
            genuine = Rival(
                explanation="GENUINE_MESSAGE", verdict=RivalVerdict.POSSIBLE, values={"count": 1}
            )
            out.append(_found(reading, reading.rat, table.SPOOFED_SENDER, values, genuine))
        is_clear = reading.is_ciphered is False or self.gsm.is_ciphered is False
        if reading.rat is Rat.GSM and is_clear and not self.gsm.is_authenticated:
            values = {"algorithm": "A5/0", "is_authenticated": False}
            rule = table.SMS_WITHOUT_SECURITY
            out.append(_found(reading, Rat.GSM, rule, values, _selective()))
        return out


def _found(
    reading: NasReading | SignallingReading | MessageReading,
    rat: Rat,
    rule: Rule,
    values: Values,
    *rivals: Rival,
) -> TerminalFinding:
    """A message of the air interface was decoded whole; a modem's line has no check of its own.

    Signalling that a modem reports in words passed the modem's own checks, so it counts as two.
    """
    return TerminalFinding(
        rat=rat,
        finding=Finding(rule=rule, values=values, misreads=2),
        rivals=rivals,
        stamp=reading.stamp,
        raw=reading.raw,
        channel=getattr(reading, "channel", None),
    )


def _emergency() -> Rival:
    return Rival(
        explanation="NETWORK_WITHOUT_CIPHERING", verdict=RivalVerdict.NOT_CHECKED, values={}
    )


def _selective() -> Rival:
    return Rival(explanation="SELECTIVE_AUTHENTICATION", verdict=RivalVerdict.POSSIBLE, values={})
