"""The customer's screen: one page on the loopback, pushed by the machine, nothing to click through.

A browser in kiosk mode shows it. Large type, both languages, a live region for screen readers, and
an event for the voice guidance. It loads nothing from elsewhere and sends nothing back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Final

from atm_face.screens import Text
from atm_face.withdrawal import State, Withdrawal
from atm_face.withdrawal_screens import TEXTS, Screen, Shown, screen_of

LOOPBACK: Final = "127.0.0.1"
REQUEST_S: Final = 2.0
LOOK_S: Final = 1.0
IDLE_AFTER_S: Final = 10.0
"""So long the last screen of a withdrawal stays up."""
_HEADERS = (
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src"
    " 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
)
PAGE: Final = """<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>取款 Withdrawal</title>
<style>
 :root { color-scheme: dark; font-family: system-ui, "Noto Sans CJK SC", sans-serif }
 body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 2vh; padding: 4vw;
   box-sizing: border-box; background: #0b2239; color: #fff; text-align: center }
 p { margin: 0 0 2vh; text-wrap: balance }
 #zh { font-size: clamp(2.5rem, 6.5vw, 6rem); font-weight: 600; line-height: 1.3;
   word-break: keep-all; overflow-wrap: anywhere }
 #en { font-size: clamp(1.5rem, 3.6vw, 3rem); line-height: 1.4; color: #d7e6f5 }
 #card { font-size: clamp(1.5rem, 3.6vw, 3rem); color: #ffd75e; min-height: 1.5em }
 #other { font-size: clamp(1.1rem, 2.2vw, 1.8rem); color: #b8cbe0 }
</style>
<main aria-live="assertive" role="status">
 <p id="zh" lang="zh-CN">欢迎使用</p><p id="en" lang="en">Welcome</p><p id="card"></p>
</main>
<p id="other">您可随时到柜台办理 · You can always go to the counter</p>
<script>
 const put = (id, text) => { document.getElementById(id).textContent = text };
 new EventSource("/events").onmessage = (event) => {
   const shown = JSON.parse(event.data);
   document.body.dataset.screen = shown.screen;
   put("zh", shown.zh); put("en", shown.en);
   put("card", shown.asks_for_card ? "请取走银行卡 · Please take your card" : "");
   document.dispatchEvent(new CustomEvent("qianshao-voice", { detail: shown }));
 };
</script></html>
"""


class Kiosk:
    """Shows what the machine is at; as many screens as connect."""

    def __init__(self, idle: Callable[[], Text | None] = lambda: None) -> None:
        """``idle``: what the centre says to whoever passes, while nobody is served."""
        self._idle = idle
        self._is_busy = False
        self._ended_at = 0.0
        self._shown: Shown | None = None
        self._changed = asyncio.Condition()
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def show(self, withdrawal: Withdrawal) -> None:
        """Put the screen of this withdrawal up."""
        async with self._changed:
            self._is_busy = withdrawal.state is not State.ENDED
            self._ended_at = asyncio.get_running_loop().time()
            self._put(screen_of(withdrawal))

    def _put(self, shown: Shown) -> None:
        self._shown = shown
        self._number += 1
        self._changed.notify_all()

    async def look(self) -> None:
        """While nobody is served, show what the centre says, and no longer than it holds."""
        text = self._idle()
        rest_s = asyncio.get_running_loop().time() - self._ended_at
        is_idle_shown = self._shown is None or self._shown.screen is Screen.IDLE
        if self._is_busy or (not is_idle_shown and rest_s < IDLE_AFTER_S):
            return
        wanted = Shown(Screen.IDLE, text or TEXTS[Screen.IDLE], asks_for_card=False)
        async with self._changed:
            if self._shown != wanted and not (self._shown is None and text is None):
                self._put(wanted)

    async def watch(self) -> None:
        """Look once a second for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def listen(self, port: int) -> asyncio.Server:
        """Serve the page on the loopback; port 0 takes any. Raises OSError."""
        return await asyncio.start_server(self._handle, LOOPBACK, port, limit=8192)

    async def close(self) -> None:
        """End every open stream; the listening server is its owner's."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a browser that went away or sent no request: it will come again
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
        if head.startswith(b"GET /events "):
            await _send(writer, "200 OK", "text/event-stream", "")
            push = asyncio.create_task(self._push(writer))
            try:
                await reader.read()  # ends when the browser goes
            finally:
                push.cancel()
                await asyncio.gather(push, return_exceptions=True)
        elif head.startswith(b"GET / "):
            await _send(writer, "200 OK", "text/html; charset=utf-8", PAGE)
        else:
            await _send(writer, "404 Not Found", "text/plain", "only the screen is here\n")

    async def _push(self, writer: asyncio.StreamWriter) -> None:
        seen = 0
        while True:
            async with self._changed:
                while self._number == seen:
                    await self._changed.wait()
                seen, shown = self._number, self._shown
            if shown is not None:
                writer.write(f"data: {_json(shown)}\n\n".encode())
                await writer.drain()


def _json(shown: Shown) -> str:
    return json.dumps(
        {
            "screen": shown.screen.value,
            "zh": shown.text.zh,
            "en": shown.text.en,
            "asks_for_card": shown.asks_for_card,
        },
        ensure_ascii=False,
    )


async def _send(writer: asyncio.StreamWriter, status: str, kind: str, text: str) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{_HEADERS}\r\n"
    writer.write(head.encode("ascii") + text.encode())
    await writer.drain()
