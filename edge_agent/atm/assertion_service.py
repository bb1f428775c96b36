"""The face assertion service: HTTP with JSON on a Unix socket, or on the loopback with mutual TLS.

For the bank's ATM application and nobody else: the socket's folder is private, the TLS port takes
only certificates of the bank's own authority. docs/integration-bank.md tells how to call it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from atm_face.policy import Business
from contract.clock import UnixMicros
from contract.codec import rfc3339
from contract.words import PinVerdict
from edge_agent.atm.assertions import (
    READ_US,
    Asked,
    AssertionDesk,
    CallRefusedError,
    Outcome,
    Refusal,
    prompt_json,
)

LOOPBACK: Final = "127.0.0.1"
MAX_HEAD_BYTES: Final = 8192
MAX_BODY_BYTES: Final = 4096
REQUEST_S: Final = 5.0

_STATUS = {
    Refusal.NO_SESSION: 404,
    Refusal.EXPIRED: 410,
    Refusal.WRONG_STEP: 409,
    Refusal.BAD_VALUE: 400,
    Refusal.CAMERA: 503,
    Refusal.CLOSED: 503,
}
_PHRASES = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_SESSION_PATH = re.compile(
    r"/v1/sessions/([0-9a-f]{32})(?:/(capture|challenge|question|decision))?"
)

log = structlog.get_logger("assertions")


def _private_socket(path: Path) -> socket.socket:
    """Bind a socket with mode 0600 from the first moment; a left-over of a dead agent goes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: dict[str, Any]


class _BadRequestError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


Reply = tuple[int, dict[str, Any] | None]


class AssertionService:
    """Speaks HTTP/1.1, one request on each connection, for one desk."""

    def __init__(self, desk: AssertionDesk) -> None:
        self._desk = desk
        self._turn = asyncio.Lock()
        self.counters = {"requests": 0, "bad_requests": 0}

    async def on_socket(self, path: Path) -> asyncio.Server:
        """Listen on a Unix socket that only this user may open; raises OSError."""
        return await asyncio.start_unix_server(
            self._handle, sock=_private_socket(path), limit=MAX_HEAD_BYTES
        )

    async def on_loopback(self, port: int, tls: ssl.SSLContext) -> asyncio.Server:
        """Listen on the loopback; the context must ask for a client certificate."""
        if tls.verify_mode is not ssl.CERT_REQUIRED:
            raise ValueError("the assertion port needs mutual TLS")
        return await asyncio.start_server(
            self._handle, LOOPBACK, port, ssl=tls, limit=MAX_HEAD_BYTES
        )

    # -- HTTP --------------------------------------------------------------------------------------

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters["requests"] += 1
        try:
            status, body = await self._reply(reader)
            writer.write(_http(status, body))
            await writer.drain()
        except (OSError, ssl.SSLError) as error:
            log.info("caller_gone", problem=str(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply:
        try:
            request = await asyncio.wait_for(_read(reader), REQUEST_S)
            return await self._route(request)
        except _BadRequestError as error:
            self.counters["bad_requests"] += 1
            return error.status, {"error": "bad_request", "detail": error.detail}
        except CallRefusedError as error:
            return _STATUS[error.refusal], {"error": error.refusal.value, "detail": error.detail}
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.counters["bad_requests"] += 1
            return 400, {"error": "bad_request", "detail": "the request did not come whole"}
        except Exception:
            # The caller must have an answer, and it must not be an approval.
            log.exception("call_failed")
            return 500, {"error": "failed", "detail": "see the agent's log"}

    async def _route(self, request: _Request) -> Reply:
        if request.path == "/v1/health" and request.method == "GET":
            return 200, {"counters": self._desk.counters | self.counters}
        if request.path == "/v1/sessions" and request.method == "POST":
            return await self._in_turn(lambda: self._begin(request))
        match = _SESSION_PATH.fullmatch(request.path)
        if match is None:
            raise _BadRequestError(404, "no such path")
        session, call = match[1], match[2]
        calls: dict[tuple[str, str | None], Callable[[], Reply]] = {
            ("DELETE", None): lambda: self._end(session),
            ("POST", "capture"): lambda: self._capture(session),
            ("POST", "challenge"): lambda: self._challenge(session),
            ("POST", "question"): lambda: self._question(session, request),
            ("POST", "decision"): lambda: self._decide(session, request),
        }
        action = calls.get((request.method, call))
        if action is None:
            raise _BadRequestError(405, f"{request.method} is not for this path")
        return await self._in_turn(action)

    def _in_turn(self, action: Callable[[], Reply]) -> Awaitable[Reply]:
        """One call at a time, off the event loop: camera and engine block."""

        async def run() -> Reply:
            async with self._turn:
                return await asyncio.to_thread(action)

        return run()

    # -- calls -------------------------------------------------------------------------------------

    def _begin(self, request: _Request) -> Reply:
        opened = self._desk.begin(_text(request, "pan"))
        return 201, {
            "session": opened.session,
            "challenge": opened.challenge.value,
            "expires_at": rfc3339(opened.expires_at),
        }

    def _capture(self, session: str) -> Reply:
        return 200, {"prompts": prompt_json(self._desk.capture(session))}

    def _challenge(self, session: str) -> Reply:
        return 200, {"done": self._desk.challenge(session)}

    def _question(self, session: str, request: _Request) -> Reply:
        prompts = self._desk.question(session, _business(request))
        return 200, {
            "prompts": prompt_json(prompts),
            "read_s": READ_US // 1_000_000 if prompts else 0,
        }

    def _decide(self, session: str, request: _Request) -> Reply:
        try:
            asked = Asked(
                stan=_text(request, "stan"),
                amount_fen=_integer(request, "amount_fen"),
                nonce=bytes.fromhex(_text(request, "nonce")),
                pin=PinVerdict(_text(request, "pin")),
                currency=str(request.body.get("currency", "CNY")),
                business=_business(request),
                payee=_text(request, "payee") if "payee" in request.body else "",
                is_confirmed=_boolean_or_none(request, "confirmed"),
            )
        except ValueError as error:
            raise CallRefusedError(Refusal.BAD_VALUE, str(error)) from None
        return 200, _decision_json(self._desk.decide(session, asked))

    def _end(self, session: str) -> Reply:
        self._desk.end(session)
        return 204, None


def _decision_json(outcome: Outcome) -> dict[str, Any]:
    """No reason: the screen must not tell it, and what the application lacks it cannot show."""
    verdict = outcome.verdict
    body: dict[str, Any] = {
        "decision": verdict.decision.value,
        "screen": {"zh": verdict.screen.zh, "en": verdict.screen.en},
        "prompts": prompt_json(verdict.prompts),
    }
    if outcome.assertion is not None and outcome.expires_at is not None:
        body["assertion"] = outcome.assertion
        body["expires_at"] = rfc3339(UnixMicros(outcome.expires_at))
    if verdict.delay_s:
        body["delay_s"] = verdict.delay_s
        body["is_revocable"] = True
    return body


def _text(request: _Request, name: str) -> str:
    value = request.body.get(name)
    if not isinstance(value, str) or len(value) > 100:
        raise CallRefusedError(Refusal.BAD_VALUE, f"{name} is a text")
    return value


def _business(request: _Request) -> Business:
    name = request.body.get("business", Business.WITHDRAW.value)
    if name not in {one.value for one in Business} - {Business.DEPOSIT, Business.REVOKE}:
        raise CallRefusedError(Refusal.BAD_VALUE, "business: withdraw or a transfer")
    return Business(name)


def _boolean_or_none(request: _Request, name: str) -> bool | None:
    value = request.body.get(name)
    if value is not None and not isinstance(value, bool):
        raise CallRefusedError(Refusal.BAD_VALUE, f"{name} is true or false")
    return value


def _integer(request: _Request, name: str) -> int:
    value = request.body.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CallRefusedError(Refusal.BAD_VALUE, f"{name} is an integer")
    return value


async def _read(reader: asyncio.StreamReader) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequestError(400, "not HTTP/1.1")
    headers = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines)
        if colon
    }
    if "transfer-encoding" in headers:
        raise _BadRequestError(400, "a body has a Content-Length here")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise _BadRequestError(400, "Content-Length is no number")
    if int(length) > MAX_BODY_BYTES:
        raise _BadRequestError(413, f"at most {MAX_BODY_BYTES} bytes")
    raw = await reader.readexactly(int(length))
    return _Request(parts[0], parts[1], _json_object(raw))


def _json_object(raw: bytes) -> dict[str, Any]:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise _BadRequestError(400, "the body is no JSON") from None
    if not isinstance(body, dict):
        raise _BadRequestError(400, "the body is no JSON object")
    return body


def _http(status: int, body: dict[str, Any] | None) -> bytes:
    raw = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(raw)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + raw
