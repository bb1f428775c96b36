"""The customer's screen: one page on the loopback, pushed by the machine.

A browser in kiosk mode shows it. Large type, both languages, a live region for screen readers, and
an event for the voice guidance. It loads nothing from elsewhere. What may be answered, by touch or
keyboard: what to do, how much, to which account, and whether it is one's own wish. None of it is a
secret or a factor; a PIN is typed on the encrypting keypad and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Final

from atm_face.screens import PROMPTS, Prompt, Text
from atm_face.withdrawal import State, Withdrawal
from atm_face.withdrawal_screens import TEXTS, Screen, screen_of
from edge_agent.atm.dialog import AmountRange, HeldTransfer, Service
from edge_agent.atm.kiosk_page import PAGE

LOOPBACK: Final = "127.0.0.1"
REQUEST_S: Final = 2.0
LOOK_S: Final = 1.0
IDLE_AFTER_S: Final = 10.0
"""So long the last screen of a visit stays up."""
MAX_ANSWER_BYTES: Final = 1024
ANSWER_S: Final = 60.0
"""A customer who has not answered by then has left."""
READ_S: Final = 5
"""The question can be said yes to only after so many seconds: it is to be read."""
QUICK_FEN: Final = (10_000, 20_000, 50_000, 100_000, 200_000, 300_000)
CHOOSE_AMOUNT: Final = Text("How much would you like to withdraw?", "请选择或输入取款金额")
TRANSFER_AMOUNT: Final = Text("How much would you like to transfer?", "请输入转账金额")
CHOOSE_SERVICE: Final = Text("What would you like to do?", "请选择业务")
ENTER_PAYEE: Final = Text("Account that gets the money", "请输入收款账号")
CHOOSE_TRANSFER: Final = Text(
    "Which transfer made at this machine would you like to cancel?",
    "请选择要撤销的本机转账",
)
SERVICES: Final = {
    Service.CASH: Text("Withdraw cash", "取款"),
    Service.TRANSFER: Text("Transfer to another person", "转账给他人"),
    Service.REVOKE: Text("Cancel a transfer of the last 24 hours", "撤销24小时内的转账"),
}
PAYEE_DIGITS: Final = range(12, 20)
TRANSFERS_SHOWN: Final = 4

_HEADERS = (
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src"
    " 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'\r\nCache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """One question that the page asks; ``answer`` is set once."""

    number: int
    fields: dict[str, Any]
    answer: Future[Any]


class Kiosk:
    """Shows what the machine is at; as many screens as connect."""

    def __init__(self, idle: Callable[[], Text | None] = lambda: None) -> None:
        """``idle``: what the centre says to whoever passes, while nobody is served."""
        self._idle = idle
        self._put_at = 0.0
        self._shown: dict[str, Any] | None = None
        self._changed = asyncio.Condition()
        self._number = 0
        self._form: _Form | None = None
        self._forms = 0
        self._key = secrets.token_hex(16)
        self._tasks: set[asyncio.Task[None]] = set()
        self.counters = {"answers": 0, "refused": 0}

    async def show(self, withdrawal: Withdrawal, ending: Text | None = None) -> None:
        """Put the screen of this withdrawal up; ``ending``: words for why it came to nothing."""
        shown = screen_of(withdrawal)
        text = shown.text
        if ending is not None and shown.screen is Screen.COUNTER:
            text = ending
        await self._put(
            shown.screen.value,
            text,
            asks_for_card=shown.asks_for_card,
            is_end=withdrawal.state is State.ENDED,
        )

    async def look(self) -> None:
        """While nobody is served, show what the centre says, and no longer than it holds."""
        text, shown = self._idle(), self._shown
        if shown is None:
            is_free = text is not None  # the page itself says welcome
        elif shown["screen"] == Screen.IDLE.value:
            is_free = True
        else:
            rest_s = asyncio.get_running_loop().time() - self._put_at
            is_free = shown["is_end"] and rest_s >= IDLE_AFTER_S
        wanted = text or TEXTS[Screen.IDLE]
        is_there = shown is not None and (shown["zh"], shown["en"]) == (wanted.zh, wanted.en)
        if is_free and not is_there:
            await self._put(Screen.IDLE.value, wanted)

    async def watch(self) -> None:
        """Look once a second for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def prompt(self, prompt: Prompt) -> None:
        """Put one thing up that the customer can do."""
        await self._put(prompt.value.lower(), PROMPTS[prompt])

    async def tell(self, text: Text) -> None:
        """Put the end of a visit up."""
        await self._put(Screen.COUNTER.value, text, asks_for_card=True, is_end=True)

    async def ask(self, screen: str, text: Text, fields: dict[str, Any]) -> Future[Any]:
        """Put a question up; the future gets the answer, ``False`` for no."""
        self.drop()
        self._forms += 1
        form = _Form(number=self._forms, fields=fields, answer=Future())
        self._form = form
        await self._put(screen, text, form={**fields, "number": form.number})
        return form.answer

    def drop(self) -> None:
        """Take a question back: nothing that comes for it counts any more."""
        form, self._form = self._form, None
        if form is not None and not form.answer.done():
            form.answer.set_result(False)

    async def _put(self, screen: str, text: Text, **more: Any) -> None:
        async with self._changed:
            if "form" not in more:
                self.drop()
            defaults = {"asks_for_card": False, "is_end": False, "form": None}
            self._shown = {"screen": screen, "zh": text.zh, "en": text.en, **defaults, **more}
            self._put_at = asyncio.get_running_loop().time()
            self._number += 1
            self._changed.notify_all()

    # -- the page ----------------------------------------------------------------------------------

    async def listen(self, port: int) -> asyncio.Server:
        """Serve the page on the loopback; port 0 takes any. Raises OSError."""
        return await asyncio.start_server(self._handle, LOOPBACK, port, limit=8192)

    async def close(self) -> None:
        """End every open stream; the listening server is its owner's."""
        self.drop()
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
        except asyncio.CancelledError:
            pass  # of close(): this task ends here
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
            page = PAGE.replace("@KEY@", self._key)
            await _send(writer, "200 OK", "text/html; charset=utf-8", page)
        elif head.startswith(b"POST /answer "):
            body = await asyncio.wait_for(reader.readexactly(_length(head)), REQUEST_S)
            is_taken = self._take(body)
            self.counters["answers" if is_taken else "refused"] += 1
            await _send(writer, "204 No Content" if is_taken else "409 Conflict", "text/plain", "")
        else:
            await _send(writer, "404 Not Found", "text/plain", "only the screen is here\n")

    def _take(self, body: bytes) -> bool:
        """Take an answer to the question that stands; whether it was one."""
        try:
            found = json.loads(body)
            key, number, value = found["key"], found["number"], found["value"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        form = self._form
        if form is None or number != form.number or form.answer.done():
            return False
        # Only the page that this process gave out knows the key: no other page may answer.
        if not isinstance(key, str) or not secrets.compare_digest(key.encode(), self._key.encode()):
            return False
        # True and false are whole numbers here; an account is digits that may begin with nought.
        if not isinstance(value, str if form.fields["kind"] == "payee" and value else int):
            return False
        self._form = None
        form.answer.set_result(value)
        return True

    async def _push(self, writer: asyncio.StreamWriter) -> None:
        seen = 0
        while True:
            async with self._changed:
                while self._number == seen:
                    await self._changed.wait()
                seen, shown = self._number, self._shown
            if shown is not None:
                writer.write(f"data: {json.dumps(shown, ensure_ascii=False)}\n\n".encode())
                await writer.drain()


class KioskDialog:
    """The customer's page for the machine's thread; the page lives in the agent's loop."""

    def __init__(self, kiosk: Kiosk, *, answer_s: float = ANSWER_S, read_s: int = READ_S) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        """Set once the page is served; until then nobody sees or answers anything."""
        self._kiosk = kiosk
        self._answer_s = answer_s
        self._read_s = read_s
        self._ending: Text | None = None

    def show(self, withdrawal: Withdrawal) -> None:
        """Show where a withdrawal stands."""
        self._do(self._kiosk.show(withdrawal, self._ending))

    def say(self, prompt: Prompt) -> None:
        """Show one thing the customer can do."""
        self._ending = None
        self._do(self._kiosk.prompt(prompt))

    def end_with(self, text: Text) -> None:
        """Keep the words for the screens of this withdrawal that come to nothing."""
        self._ending = text

    def tell(self, text: Text) -> None:
        """Show the end of a visit that came to no withdrawal."""
        self._do(self._kiosk.tell(text))

    def ask_amount(self, limits: AmountRange, service: Service = Service.CASH) -> int | None:
        """Let the customer choose; None for nobody, "cancel", or what the limits do not hold."""
        self._ending = None
        quick = [fen for fen in QUICK_FEN if limits.holds(fen)]
        fields = {"kind": "amount", "note_fen": limits.note_fen, "most_fen": limits.most_fen}
        text = CHOOSE_AMOUNT if service is Service.CASH else TRANSFER_AMOUNT
        answer = self._ask("amount", text, {**fields, "quick_fen": quick})
        if isinstance(answer, bool) or not isinstance(answer, int) or not limits.holds(answer):
            return None
        return answer

    def ask_service(self, services: Sequence[Service]) -> Service | None:
        """Let the customer choose; None for nobody or "cancel"."""
        self._ending = None
        chosen = self._choose("service", CHOOSE_SERVICE, [SERVICES[one] for one in services])
        return None if chosen is None else services[chosen]

    def ask_payee(self) -> str | None:
        """Let the customer enter an account; None for nobody, "cancel", or what is none."""
        shape = {"least": PAYEE_DIGITS.start, "most": PAYEE_DIGITS.stop - 1}
        answer = self._ask("payee", ENTER_PAYEE, {"kind": "payee", **shape})
        is_account = isinstance(answer, str) and answer.isascii() and answer.isdigit()
        return str(answer) if is_account and len(str(answer)) in PAYEE_DIGITS else None

    def choose_transfer(self, transfers: Sequence[HeldTransfer]) -> int | None:
        """Let the customer choose among the newest; None for nobody or "cancel"."""
        first = max(len(transfers) - TRANSFERS_SHOWN, 0)
        options = [_held(one) for one in transfers[first:]]
        chosen = self._choose("choose_transfer", CHOOSE_TRANSFER, options)
        return None if chosen is None else first + chosen

    def _choose(self, screen: str, text: Text, options: Sequence[Text]) -> int | None:
        named = [{"zh": one.zh, "en": one.en} for one in options]
        answer = self._ask(screen, text, {"kind": "choice", "options": named})
        if isinstance(answer, bool) or not isinstance(answer, int):
            return None
        return answer if 0 <= answer < len(options) else None

    def confirm(self, prompt: Prompt, detail: Text | None = None) -> bool:
        """Let the customer read a question; only a yes is one."""
        fields: dict[str, Any] = {"kind": "confirm", "wait_s": self._read_s}
        if detail is not None:
            fields["detail"] = {"zh": detail.zh, "en": detail.en}
        return self._ask(prompt.value.lower(), PROMPTS[prompt], fields) is True

    def _ask(self, screen: str, text: Text, fields: dict[str, Any]) -> object:
        if self.loop is None:
            return False
        asked = asyncio.run_coroutine_threadsafe(self._kiosk.ask(screen, text, fields), self.loop)
        try:
            return asked.result(self._answer_s).result(self._answer_s)
        except FutureTimeoutError:
            self.loop.call_soon_threadsafe(self._kiosk.drop)
            return False

    def _do(self, work: Any) -> None:
        if self.loop is None:
            work.close()
        else:
            asyncio.run_coroutine_threadsafe(work, self.loop)


def _held(transfer: HeldTransfer) -> Text:
    yuan, tail, at = f"{transfer.amount_fen / 100:,.2f}", transfer.payee_last4, transfer.ordered_at
    return Text(f"¥{yuan} to ···· {tail}, {at}", f"{yuan} 元，收款账号尾号 {tail}，{at}")


def _length(head: bytes) -> int:
    """Length of a body; raises OSError for one that cannot be an answer."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
            if length <= MAX_ANSWER_BYTES:
                return length
    raise OSError("no answer of a bearable length")


async def _send(writer: asyncio.StreamWriter, status: str, kind: str, text: str) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{_HEADERS}\r\n"
    writer.write(head.encode("ascii") + text.encode())
    await writer.drain()
