"""Structured log events on standard error: JSON lines for machines, coloured text on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

HIDDEN = "***"
MAX_DEPTH = 8

_SECRET_NAMES = re.compile(
    r"(^|_)(pin|pan|track2?|cvv2?|password|passwd|secret|token|authorization|private_key"
    r"|tenant_key|key_pem|pin_block|template|embedding|imsi|imei)($|_)"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
)
_BEARER = re.compile(r"(?i)\b(bearer|token|password|secret|pin)\b(\s*[=:]\s*|\s+)\S+")
# A first digit of 2 to 9: 0 and 1 are no banks' (ISO/IEC 7812-1), and every time in microseconds
# since 1970 begins with 1 until 2033.
_DIGITS = re.compile(r"(?<![0-9A-Za-z.])[2-9](?:[ -]?[0-9]){11,18}(?![0-9A-Za-z])")


def hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Structlog processor: no card number, PIN, key or token leaves in a log, whoever wrote it.

    A value is hidden by its name (``pin``, ``token``), or in any text by its look: 12 to 19 digits
    that pass the check of a card number (the last four are kept), a private key, a bearer token.
    """
    return {name: _safe(name, value, 0) for name, value in event.items()}


def _safe(name: str, value: Any, depth: int) -> Any:
    if name != "event" and _SECRET_NAMES.search(name.lower()):
        return HIDDEN
    if depth > MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _safe(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe("", inner, depth + 1) for inner in value]
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        text = str(value)
        return _without_numbers(text) if _DIGITS.fullmatch(text) and _passes(text) else value
    return _clean(str(value))


def _clean(text: str) -> str:
    text = _PEM.sub(HIDDEN, text)
    text = _BEARER.sub(lambda found: f"{found[1]}{found[2]}{HIDDEN}", text)
    return _without_numbers(text)


def _without_numbers(text: str) -> str:
    def hide(found: re.Match[str]) -> str:
        digits = re.sub("[ -]", "", found[0])
        return f"{HIDDEN}{digits[-4:]}" if _passes(digits) else found[0]

    return _DIGITS.sub(hide, text)


def _passes(digits: str) -> bool:
    """Check digit of a card number (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def configure_logs(*, least: str = "info") -> None:
    """Set up structlog once for the process; every event carries its level and a UTC time.

    ``least``: events below this level are not told (``info``, ``warning`` or ``error``).
    """
    is_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if is_terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
