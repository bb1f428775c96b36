"""The crew's page: where the van is sent, what the crew says, and nothing from elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.clock import MonoMicros, UnixMicros, VirtualClock
from contract.messages import CrewReport
from contract.orders import CallVanOff, SendVan
from contract.words import CrewWord
from edge_agent.crew import LOOPBACK, CrewBook, CrewPage

SENT = SendVan(
    dispatch=b"\x01" * 16, case="530102-1", lat=25.0, lon=102.7, text="<script>x</script>"
)
HOST = f"Host: {LOOPBACK}\r\n"


def ask(
    folder: Path, *requests: bytes, book: CrewBook | None = None
) -> tuple[list[str], list[CrewReport]]:
    """Send requests to a running page; return the answers and what was said."""
    said: list[CrewReport] = []

    async def send(report: CrewReport) -> bool:
        said.append(report)
        return True

    async def run() -> list[str]:
        clock = VirtualClock(UnixMicros(10), MonoMicros(0))
        page = CrewPage(book or CrewBook(folder / "dispatches.json"), send, clock)
        answers = []
        async with await page.serve(0) as server:
            port = server.sockets[0].getsockname()[1]
            for request in requests:
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(request)
                writer.write_eof()
                answers.append((await asyncio.wait_for(reader.read(), 10)).decode())
                writer.close()
        return answers

    return asyncio.run(run()), said


def post(extra: str = "", **form: str) -> bytes:
    body = urlencode(form)
    return (
        f"POST /say HTTP/1.1\r\n{HOST}{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def test_the_crew_reads_answers_and_the_text_is_text(tmp_path: Path) -> None:
    CrewBook(tmp_path / "dispatches.json").take(SENT)
    get = f"GET / HTTP/1.1\r\n{HOST}\r\n".encode()
    word = post(dispatch="01" * 16, word="acknowledged", crew="王", note="on the way")
    (page, done, after), said = ask(tmp_path, get, word, get)
    assert "530102-1" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert done.startswith("HTTP/1.1 303")
    assert said == [
        CrewReport(
            dispatch=b"\x01" * 16, word=CrewWord.ACKNOWLEDGED, crew="王", note="on the way",
            at=UnixMicros(10),
        )
    ]  # fmt: skip
    assert "<b>acknowledged</b>" in after


def test_a_dispatch_survives_a_restart_comes_once_and_ends_when_called_off(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dispatches.json"
    book = CrewBook(path)
    book.take(SENT)
    book.take(SENT)
    assert len(CrewBook(path).sent()) == 1
    book.take(CallVanOff(dispatch=SENT.dispatch))
    answers, said = ask(tmp_path, post(dispatch="01" * 16, word="arrived", crew="x"))
    assert answers[0].startswith("HTTP/1.1 409")
    assert said == []
    path.write_text("{damaged")
    assert CrewBook(path).sent() == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /other HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "404"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"),
        (post("Sec-Fetch-Site: cross-site\r\n", dispatch="01" * 16, word="done"), "403"),
        (post(dispatch="01" * 16, word="dance"), "422"),
        (post(dispatch="zz", word="done"), "409"),
        (b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n", "413"),
        (b"POST /say HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", "413"),
    ],
)
def test_what_is_no_answer_of_this_crew_is_refused(
    tmp_path: Path, request_: bytes, status: str
) -> None:
    CrewBook(tmp_path / "dispatches.json").take(SENT)
    (answer,), said = ask(tmp_path, request_)
    assert answer.startswith(f"HTTP/1.1 {status}")
    assert said == []


@given(st.binary(max_size=300))
def test_any_bytes_leave_the_page_standing(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    folder = tmp_path_factory.mktemp("crew")
    get = f"GET / HTTP/1.1\r\n{HOST}\r\n".encode()
    answers, said = ask(folder, raw, get)
    assert answers[1].startswith("HTTP/1.1 200")
    assert said == []
