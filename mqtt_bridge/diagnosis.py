"""Why there is no connection, in words that tell an operator what to mend."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509

from contract.clock import Clock
from mqtt_bridge.packets import MalformedPacketError
from mqtt_bridge.ports import BrokerAddress


class ProblemKind(StrEnum):
    """What kind of mending a failed connection needs."""

    REFUSED = "refused"
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS_FILES = "tls_files"
    OWN_CERTIFICATE_EXPIRED = "own_certificate_expired"
    OWN_CERTIFICATE_NOT_YET_VALID = "own_certificate_not_yet_valid"
    BROKER_UNTRUSTED = "broker_untrusted"
    CERTIFICATE_REFUSED = "certificate_refused"
    TLS = "tls"
    NOT_AUTHORISED = "not_authorised"
    BUSY = "busy"
    PROTOCOL = "protocol"
    LOST = "lost"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ConnectionProblem:
    """Why a connection failed or ended."""

    kind: ProblemKind
    detail: str

    def __str__(self) -> str:
        return self.detail


class TlsFilesError(RuntimeError):
    """A file of the TLS set-up is missing, unreadable or does not fit the others."""


_VERIFY_HINTS = {
    9: "its certificate is not yet valid: is this machine's clock right?",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "its certificate comes from an authority that this machine does not trust",
    20: "its certificate comes from an authority that this machine does not trust",
    21: "its certificate comes from an authority that this machine does not trust",
    62: "its certificate is made out to another host name",
    64: "its certificate is made out to another address",
}
"""X509_V_ERR numbers of OpenSSL's x509_vfy.h."""

_SESSION_HINTS = {
    0x84: " (set uplink.mqtt_version to what it speaks)",
    0x85: " (it takes no client id of this form)",
    0x90: " (it does not let this machine publish its state: see its access list)",
    0x95: " (it takes smaller packets only: raise its limit to 256 KiB)",
    0x9A: " (it keeps no retained messages, which births and wills need)",
    0x9B: " (it does not offer QoS 1, without which nothing is delivered)",
}
"""CONNACK reasons of MQTT 5 section 3.2.2.2 that ask for something at the broker or here."""

# OpenSSL reports the broker's alert by name (RFC 8446 section 6.2).
_REFUSING_ALERT = re.compile(
    r"alert (bad certificate|unsupported certificate|certificate (?:revoked|expired|unknown"
    r"|required)|unknown ca|access denied)|certificate required",
    re.IGNORECASE,
)


def own_certificate_problem(address: BrokerAddress, clock: Clock) -> ConnectionProblem | None:
    """Say whether one's own certificate is outside its dates by one's own clock."""
    if address.tls is None:
        return None
    path = address.tls.certificate
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return ConnectionProblem(ProblemKind.TLS_FILES, f"{path.name}: {error}")
    now = dt.datetime.fromtimestamp(clock.wall() / 1e6, dt.UTC)
    if now > certificate.not_valid_after_utc:
        return ConnectionProblem(
            ProblemKind.OWN_CERTIFICATE_EXPIRED,
            f"{path.name} expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        )
    if now < certificate.not_valid_before_utc:
        return ConnectionProblem(
            ProblemKind.OWN_CERTIFICATE_NOT_YET_VALID,
            f"{path.name} is valid from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}, "
            f"this machine's clock says {now:%Y-%m-%dT%H:%M:%SZ}: is it right?",
        )
    return None


def of_error(error: Exception, address: BrokerAddress, clock: Clock) -> ConnectionProblem:
    """Explain an exception of connecting or talking."""
    where = f"{address.host}:{address.port}"
    match error:
        case ssl.SSLCertVerificationError():
            hint = _VERIFY_HINTS.get(error.verify_code, error.verify_message)
            return ConnectionProblem(
                ProblemKind.BROKER_UNTRUSTED, f"{where} is not trusted: {hint}"
            )
        case ssl.SSLError():
            return of_tls_words(str(error), address, clock)
        case TlsFilesError():
            return ConnectionProblem(ProblemKind.TLS_FILES, str(error))
        case socket.gaierror():
            return ConnectionProblem(
                ProblemKind.UNKNOWN_HOST, f"{address.host} has no address: {error.strerror}"
            )
        case ConnectionRefusedError():
            return ConnectionProblem(ProblemKind.REFUSED, f"nothing listens at {where}")
        case TimeoutError():
            return ConnectionProblem(ProblemKind.TIMEOUT, f"{where} did not answer in time")
        case ConnectionError():
            return ConnectionProblem(ProblemKind.LOST, f"{where} broke off: {error}")
        case OSError():
            return ConnectionProblem(ProblemKind.UNREACHABLE, f"{where}: {error}")
        case MalformedPacketError():
            return ConnectionProblem(ProblemKind.PROTOCOL, f"{where} does not speak MQTT: {error}")
        case _:
            return ConnectionProblem(
                ProblemKind.PROTOCOL, f"{where} does not speak MQTT: {error!r}"
            )


def of_tls_words(words: str, address: BrokerAddress, clock: Clock) -> ConnectionProblem:
    """Explain a TLS failure that is known only by its text; one's own certificate comes first.

    Under TLS 1.3 the broker judges the client's certificate after the client has finished its
    handshake: the refusal arrives as an alert on what looked like a good connection.
    """
    own = own_certificate_problem(address, clock)
    if own is not None:
        return own
    alert = _REFUSING_ALERT.search(words)
    if alert:
        return ConnectionProblem(
            ProblemKind.CERTIFICATE_REFUSED,
            f"{address.host}:{address.port} refuses this machine's certificate: {alert.group(0)}",
        )
    return ConnectionProblem(ProblemKind.TLS, f"{address.host}:{address.port}: {words}")


def of_connack(reason: str, code: int, address: BrokerAddress) -> ConnectionProblem:
    """Explain a CONNACK that says no, by its MQTT 5 reason code (3.1.1 codes are mapped to it)."""
    where = f"{address.host}:{address.port}"
    if code in {0x86, 0x87, 0x8A, 0x8C}:
        return ConnectionProblem(
            ProblemKind.NOT_AUTHORISED,
            f"{where} does not know this machine's certificate or user: {reason}",
        )
    if code in {0x88, 0x89, 0x97, 0x9C, 0x9D, 0x9F}:
        return ConnectionProblem(ProblemKind.BUSY, f"{where} asks to come back later: {reason}")
    hint = _SESSION_HINTS.get(code, "")
    return ConnectionProblem(ProblemKind.PROTOCOL, f"{where} refused the session: {reason}{hint}")


def of_disconnect(
    reason: str, last_words: str, address: BrokerAddress, clock: Clock, *, was_open: bool
) -> ConnectionProblem:
    """Explain the end of a connection, from the reason and the last error that was logged.

    A broker that hangs up before it has taken the session may mean an expired certificate without
    saying so.
    """
    own = None if was_open else own_certificate_problem(address, clock)
    if own is not None:
        return own
    if "ssl" in last_words.lower():
        return of_tls_words(last_words, address, clock)
    detail = f"{address.host}:{address.port} ended the connection: {last_words or reason}"
    return ConnectionProblem(ProblemKind.LOST, detail)
