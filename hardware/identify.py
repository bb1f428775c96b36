"""What is at the other end of a port: by listening, and by asking only where that is allowed."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from hardware.board.frames import FrameReader
from hardware.modems.at import LineKind, LineSplitter, kind_of, without_long_numbers
from hardware.modems.families import family_of
from hardware.modems.lines import maker_of
from hardware.serial.port import PortData, PortEnded, PortLost, SerialPort

LISTEN_S = 1.5
ANSWER_S = 1.5
NAMELESS = "it answers, but does not say who it is"
_KEEP_BYTES = 16 * 1024

_HEARD = (
    (re.compile(rb"\$G[A-Z]{4},[^\r\n*]*\*[0-9A-F]{2}"), "nmea", "a GNSS receiver (NMEA 0183)"),
    (
        re.compile(
            rb"^\d{13}, *\d{1,3}, *[\d.]+, *-?[\d.]+, *\d{8,10}, *(?:UCA|ULA|Custom),", re.M
        ),
        "kraken",
        "a KrakenSDR direction finder (CSV lines)",
    ),
    (re.compile(rb"^P[0-9A-F]{4}[?]*\r?$", re.M), "fm_tuner", "an FM-DX tuner (XDR lines)"),
    (re.compile(rb"^#C2-[FM]:", re.M), "rf_explorer", "an RF Explorer"),
    (re.compile(rb"^ch> ?$", re.M), "tinysa", "a tinySA or a NanoVNA (its shell's prompt)"),
)
_BOARD = "a sniffer board (frames with a right checksum)"
_QUESTIONS = (b"AT+CGMI\r", b"AT+CGMM\r", b"AT+CGMR\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a device said or showed itself to be."""

    kind: str | None
    """``quectel``, ``simcom``, ``telit``, ``ublox``, ``nmea``, ``fm_tuner``...; None: not known."""
    words: str
    """For a person: maker, model and firmware, or what was heard."""
    has_been_asked: bool
    """Bytes were written to it."""


class NotIdentified(Exception):  # noqa: N818 - carries the sentence for the operator
    """Nobody answered, or the port was lost meanwhile."""


async def identify(port: SerialPort, *, may_ask: bool) -> Identity:
    """Listen, then ask for maker, model and firmware if ``may_ask``; NotIdentified says why not.

    The three questions are those of 3GPP TS 27.007 sections 5.1 to 5.3. They change no setting; yet
    a device that is no modem may take any byte for an order, which is why they need leave.
    """
    heard = await _listen(port, LISTEN_S)
    guess = _guess(heard)
    if guess is not None:
        return guess
    if not may_ask:
        if heard:
            return Identity(kind=None, words=_unknown_words(heard), has_been_asked=False)
        raise NotIdentified(
            f"it said nothing within {LISTEN_S:g} s, and what it is is not known: nothing was "
            "written to it (--probe asks it, --as KIND says what it is)"
        )
    return await _ask(port)


def _guess(heard: bytes) -> Identity | None:
    if FrameReader().feed(heard):
        return Identity(kind="board", words=_BOARD, has_been_asked=False)
    for pattern, kind, words in _HEARD:
        if pattern.search(heard):
            return Identity(kind=kind, words=words, has_been_asked=False)
    family = family_of(heard)
    if family is None:
        return None
    return Identity(kind=family, words=f"lines of a {family} modem", has_been_asked=False)


async def _ask(port: SerialPort) -> Identity:
    answers: list[bytes] = []
    for question in _QUESTIONS:
        await port.write(question)
        answer = await _listen(port, ANSWER_S, until_final=True)
        answers += _information(answer)
        if b"ch>" in answer:  # a shell repeats what it does not know, and prompts
            return Identity(kind="tinysa", words=_HEARD[-1][2], has_been_asked=True)
        if not answer:
            raise NotIdentified(
                f"it left {question.decode().strip()} unanswered for {ANSWER_S:g} s"
            )
    said = b" ".join(answers)
    kind = maker_of(said)
    words = without_long_numbers(said).decode("ascii", "replace")
    return Identity(kind=kind, words=words or NAMELESS, has_been_asked=True)


async def _listen(port: SerialPort, seconds: float, *, until_final: bool = False) -> bytes:
    heard = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while not (until_final and _has_final(bytes(heard))):
                event = await port.next_event()
                if event is None or isinstance(event, PortEnded):
                    break
                if isinstance(event, PortLost):
                    raise NotIdentified(event.problem)
                if isinstance(event, PortData) and len(heard) < _KEEP_BYTES:
                    heard += event.data
    except TimeoutError:
        pass
    return bytes(heard)


def _has_final(data: bytes) -> bool:
    kinds = {kind_of(line.data) for line in LineSplitter().feed(data)}
    return bool(kinds & {LineKind.OK, LineKind.ERROR})


def _information(answer: bytes) -> list[bytes]:
    """The lines that are neither echo nor result nor unsolicited."""
    splitter = LineSplitter()
    lines = [line.data for line in splitter.feed(answer + b"\r\n")]
    wanted = [re.sub(rb"^\+CGM[IMR]: *", b"", line) for line in lines]
    return [line for line in wanted if kind_of(line) is LineKind.OTHER and line.isascii()]


def _unknown_words(heard: bytes) -> str:
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in heard)
    form = "text" if printable > 0.9 * len(heard) else "binary data"
    return f"{len(heard)} bytes of {form} that no codec here knows"
