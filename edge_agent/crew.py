"""What a van's crew sees and says: where it is sent, and a small page on this machine to answer.

The page listens on the loopback only and is plain forms; what it takes becomes a signed message in
the outbox like everything else, so that an answer given without a network arrives later.
"""

from __future__ import annotations

import asyncio
import html
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs

from contract.clock import Clock
from contract.messages import CrewReport
from contract.orders import CallVanOff, SendVan
from contract.words import CrewWord

LOOPBACK = "127.0.0.1"
MAX_REQUEST_BYTES = 16_384
REQUEST_S = 5.0
KEPT = 20
_CALLED_OFF = "called off"

_HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n"
    "Connection: close\r\n"
)
_WORDS = {
    CrewWord.ACKNOWLEDGED: "收到 / Acknowledge",
    CrewWord.ARRIVED: "到达 / Arrived",
    CrewWord.DONE: "完成 / Done",
    CrewWord.DECLINED: "不能去 / Cannot go",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One dispatch as the crew has it."""

    dispatch: str
    case: str
    lat: float
    lon: float
    text: str
    said: str = ""
    """The crew's last word, or that it was called off."""


class CrewBook:
    """Dispatches of this van, kept over a restart. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._sent = self._read()

    def _read(self) -> list[Sent]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            return [Sent(**row) for row in rows]
        except (FileNotFoundError, ValueError, TypeError):
            return []  # the central still has every dispatch; a damaged list begins anew

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps([asdict(row) for row in self._sent]), encoding="utf-8")
        temporary.replace(self._path)

    def take(self, body: SendVan | CallVanOff) -> None:
        """Note where the van is sent or that it is called off; the same again adds nothing."""
        name = body.dispatch.hex()
        with self._lock:
            if isinstance(body, CallVanOff):
                self._sent = [
                    replace(row, said=_CALLED_OFF) if row.dispatch == name else row
                    for row in self._sent
                ]
            elif all(row.dispatch != name for row in self._sent):
                row = Sent(
                    dispatch=name, case=body.case, lat=body.lat, lon=body.lon, text=body.text
                )
                self._sent = [row, *self._sent][:KEPT]
            self._write()

    def say(self, name: str, word: CrewWord) -> bool:
        """Note the crew's word; False for a dispatch that is not here or was called off."""
        with self._lock:
            known = any(r.dispatch == name and r.said != _CALLED_OFF for r in self._sent)
            if known:
                self._sent = [
                    replace(row, said=word.value) if row.dispatch == name else row
                    for row in self._sent
                ]
                self._write()
            return known

    def sent(self) -> list[Sent]:
        """Dispatches, newest first."""
        with self._lock:
            return list(self._sent)


class CrewPage:
    """The page on which the crew answers."""

    def __init__(
        self, book: CrewBook, send: Callable[[CrewReport], Awaitable[bool]], clock: Clock
    ) -> None:
        self._book = book
        self._send = send
        self._clock = clock

    async def serve(self, port: int) -> asyncio.Server:
        """Answer on the loopback; port 0 takes any. Raises OSError if it is taken."""
        return await asyncio.start_server(self._answer, LOOPBACK, port, limit=MAX_REQUEST_BYTES)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, body = await asyncio.wait_for(self._respond(reader), REQUEST_S)
            raw = body.encode()
            where = "Location: /\r\n" if status.startswith("303") else ""
            head = f"HTTP/1.1 {status}\r\n{_HEADERS}{where}Content-Length: {len(raw)}\r\n\r\n"
            writer.write(head.encode() + raw)
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or sends no request: nobody waits for an answer
        finally:
            writer.close()

    async def _respond(self, reader: asyncio.StreamReader) -> tuple[str, str]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        method, _, rest = first.partition(" ")
        if not headers.get("host", "").startswith((LOOPBACK, "localhost")):
            return "421 Misdirected Request", "this page has another name"
        if method == "GET" and rest.startswith("/ "):
            return "200 OK", self._page()
        if method != "POST" or not rest.startswith("/say "):
            return "404 Not Found", "only / is here"
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return "403 Forbidden", "this form came from another site"
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= MAX_REQUEST_BYTES):
            return "413 Content Too Large", "too long"
        form = parse_qs((await reader.readexactly(int(length))).decode("utf-8", "replace"))
        return await self._say({name: values[0] for name, values in form.items()})

    async def _say(self, form: dict[str, str]) -> tuple[str, str]:
        if form.get("word") not in {word.value for word in CrewWord}:
            return "422 Unprocessable Content", "no such word"
        word, name = CrewWord(form["word"]), form.get("dispatch", "")
        if not self._book.say(name, word):
            return "409 Conflict", "this dispatch is over, or it is not this van's"
        report = CrewReport(
            dispatch=bytes.fromhex(name),
            word=word,
            crew=form.get("crew", "").strip()[:80],
            note=form.get("note", "").strip()[:2000],
            at=self._clock.wall(),
        )
        if not await self._send(report):
            return "503 Service Unavailable", "the outbox is full: say it again"
        return "303 See Other", ""

    def _page(self) -> str:
        rows = "".join(_row(row) for row in self._book.sent()) or "<p>没有任务 / Nothing to do</p>"
        return (
            "<!doctype html><html lang='zh-CN'><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width'>"
            "<meta http-equiv='refresh' content='10'><title>任务 / Dispatch</title>"
            "<style>:root{color-scheme:light dark}body{font:1.2rem sans-serif;margin:1rem}"
            "button,input{font:inherit;min-height:52px;margin:.3rem}"
            "section{border:1px solid;padding:.8rem;margin:.8rem 0}</style>"
            f"<h1>任务 / Dispatch</h1>{rows}</html>"
        )


def _row(row: Sent) -> str:
    escape = html.escape
    buttons = "".join(
        f"<button name='word' value='{word.value}'>{escape(text)}</button>"
        for word, text in _WORDS.items()
    )
    is_over = row.said in {_CALLED_OFF, CrewWord.DONE.value, CrewWord.DECLINED.value}
    form = (
        f"<form method='post' action='/say'><input type='hidden' name='dispatch'"
        f" value='{escape(row.dispatch)}'><label>姓名 / Name <input name='crew' maxlength='80'"
        f" required></label> <label>备注 / Note <input name='note' maxlength='2000'></label><br>"
        f"{buttons}</form>"
    )
    return (
        f"<section><h2>{escape(row.case)}</h2><p>{row.lat:.5f}, {row.lon:.5f} (WGS-84)</p>"
        f"<p>{escape(row.text)}</p><p><b>{escape(row.said)}</b></p>"
        f"{'' if is_over else form}</section>"
    )
