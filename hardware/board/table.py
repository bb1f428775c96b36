"""The one table of messages between a sniffer board and its host.

``python -m hardware.board.generate`` writes from it the board's ``firmware/sniffer/messages.py``,
the host's ``hardware/board/messages.py`` and the table in ``docs/firmware.md``; a test fails when
one is stale. A change that an older peer would misread raises ``PROTOCOL``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

PROTOCOL = 1
"""Version of everything below; goes into the high half of each frame's first byte."""
HEADER = "<BBHI"
"""Version and flags, type, sequence number, milliseconds since the board started."""
MAX_PAYLOAD = 238
"""8 of header + 238 + 4 of CRC = 250: COBS then never needs its long block, and adds one byte."""
EVENT_RING = 64
"""Events the board keeps for a re-send."""
MAX_EVENT = 160
"""Longest payload of an event: the ring is allocated once, at start."""


class Lane(StrEnum):
    """What a message gives way to when the line is slow; each lane drops its own oldest."""

    CONTROL = "control"
    EVENT = "event"
    TELEMETRY = "telemetry"
    COMMAND = "command"
    """From the host."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a ``struct`` code and what it says."""

    name: str
    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message type. ``tail`` names the bytes that follow the fields, if any may."""

    name: str
    type: int
    lane: Lane
    says: str
    fields: tuple[Field, ...] = ()
    tail: Field | None = None
    answer: tuple[Field, ...] = ()
    """Of a command: what the reply carries when it succeeds."""

    @property
    def layout(self) -> str:
        """The ``struct`` format of the fields."""
        return "<" + "".join(f.code for f in self.fields)

    @property
    def answer_layout(self) -> str:
        """The ``struct`` format of the answer."""
        return "<" + "".join(f.code for f in self.answer)


def _f(name: str, code: str, says: str) -> Field:
    return Field(name, code, says)


_EVENT_NO = _f("event_no", "I", "number of the event since boot, for re-sends")
_KHZ = _f("frequency_khz", "I", "tuned frequency")
_COUNTERS = (
    _f("boot_id", "I", "drawn at each start"),
    _f("offered", "I", "messages handed to the link"),
    _f("sent", "I", "frames put on the wire"),
    _f("dropped_control", "I", "control messages that found no room"),
    _f("dropped_event", "I", "events overwritten before they were sent"),
    _f("dropped_telemetry", "I", "telemetry messages that found no room"),
    _f("resent", "I", "events sent again on request; counted in offered too"),
    _f("received", "I", "good frames from the host"),
    _f("bad_frames", "I", "frames from the host with a wrong CRC or form"),
    _f("next_event", "I", "number the next event will get"),
    _f("bus_faults", "H", "I2C transfers that failed or read all ones"),
    _f("bus_recoveries", "H", "times the bus was clocked free"),
    _f("heap_free", "I", "bytes"),
    _f("job", "B", "0 idle, 1 starting the tuner, 2 tuned, 3 sweeping"),
    _f("flags", "B", "1 safe mode, 2 trial boot, 4 paused, 8 tuner lost"),
)

MESSAGES: tuple[Message, ...] = (
    Message(
        "Hello",
        0x01,
        Lane.CONTROL,
        "who the board is; sent at start and on request",
        (
            _f("protocol", "B", "highest version the board speaks"),
            _f("boot_id", "I", "drawn at each start"),
            _f("unique_id", "8s", "the chip's serial number; no secret"),
            _f("board", "12s", "board model"),
            _f("version", "12s", "version of the application"),
            _f("image", "8s", "first bytes of the running image's SHA-256; zeros when frozen"),
            _f("python", "12s", "version of MicroPython"),
            _f("reset_cause", "B", "machine.reset_cause()"),
            _f("slot", "1s", "a or b; f = installed by hand"),
            _f("flags", "B", "1 safe mode, 2 trial boot, 16 holds a key"),
            _f("tuner", "B", "0 none, 1 Si4735 family, 2 Si4703, 3 RDA5807M"),
            _f("modem", "B", "1 when a modem UART is configured"),
            _f("heap_free", "I", "bytes"),
            _f("proof", "16s", "HMAC-SHA256 over nonce and all before it; zeros without a key"),
        ),
    ),
    Message("Heartbeat", 0x02, Lane.CONTROL, "the counters, each second", _COUNTERS),
    Message(
        "Reply",
        0x03,
        Lane.CONTROL,
        "answer to one command",
        (
            _f("command_seq", "H", "sequence number of the command"),
            _f("command", "B", "its type"),
            _f("status", "B", "0 done, see the list of refusals"),
        ),
        _f("answer", "s", "as the command's row says"),
    ),
    Message(
        "Sweep",
        0x04,
        Lane.TELEMETRY,
        "a part of one sweep over the band",
        (
            _f("sweep_no", "H", "number of the sweep since boot"),
            _f("part", "B", "from 0"),
            _f("parts", "B", "how many make the sweep"),
            _f("start_khz", "I", "frequency of this part's first channel"),
            _f("step_khz", "H", "distance of channels"),
        ),
        _f(
            "channels",
            "s",
            "3 bytes each: level, SNR in dB (255 unknown), flags (1 valid, 2 stereo, 4 AFC rail)",
        ),
    ),
    Message(
        "Quality",
        0x05,
        Lane.TELEMETRY,
        "the tuned channel, five times a second",
        (
            _KHZ,
            _f("level", "B", "dBuV; on the RDA5807M a relative 0-127"),
            _f("snr_db", "B", "255: the chip does not measure it"),
            _f("multipath", "B", "percent; 255: the chip does not measure it"),
            _f("offset_khz", "b", "of the carrier; -128: the chip does not measure it"),
            _f("flags", "B", "1 valid, 2 stereo, 4 AFC rail, 8 level is relative"),
        ),
    ),
    Message(
        "Log",
        0x06,
        Lane.TELEMETRY,
        "a line for the log",
        (_f("level", "B", "as in logging"),),
        _f("text", "s", "UTF-8"),
    ),
    Message(
        "RdsGroup",
        0x10,
        Lane.EVENT,
        "one RDS group; an uncorrectable block is zeroed and marked",
        (
            _EVENT_NO,
            _KHZ,
            _f("block_a", "H", ""),
            _f("block_b", "H", ""),
            _f("block_c", "H", ""),
            _f("block_d", "H", ""),
            _f("errors", "B", "2 bits a block, A highest: 0 clean, 1 1-2 bits, 2 3-5, 3 unusable"),
        ),
    ),
    Message(
        "ModemLine",
        0x11,
        Lane.EVENT,
        "a line of the modem, or a part of a long one",
        (_EVENT_NO, _f("flags", "B", "1 ends a command, 2 continues in the next, 4 timed out")),
        _f("text", "s", "bytes as the modem sent them"),
    ),
    Message(
        "Fault",
        0x12,
        Lane.EVENT,
        "something broke or healed",
        (
            _EVENT_NO,
            _f("code", "B", "1 bus, 2 tuner lost, 3 tuner back, 4 watchdog reset, 5 error caught"),
            _f("detail", "I", ""),
        ),
        _f("text", "s", "UTF-8"),
    ),
    Message(
        "HelloRequest",
        0x41,
        Lane.COMMAND,
        "begin a session: the board forgets the last command",
        (_f("protocol", "B", "version the host speaks"), _f("nonce", "16s", "fresh random bytes")),
    ),
    Message(
        "SyncTime",
        0x42,
        Lane.COMMAND,
        "one exchange of clock readings",
        (_f("host_us", "Q", "host's clock when it sent"),),
        answer=(
            _f("host_us", "Q", "as sent"),
            _f("received_us", "Q", "board's clock when the command was whole"),
            _f("replied_us", "Q", "board's clock when the reply was made"),
        ),
    ),
    Message("Tune", 0x43, Lane.COMMAND, "stay on one channel", (_KHZ,)),
    Message(
        "StartSweep",
        0x44,
        Lane.COMMAND,
        "sweep over a band",
        (
            _f("start_khz", "I", ""),
            _f("stop_khz", "I", "last channel, included"),
            _f("step_khz", "H", ""),
            _f("repeats", "B", "0: until Stop"),
        ),
    ),
    Message("Stop", 0x45, Lane.COMMAND, "end what is running"),
    Message("SetVolume", 0x46, Lane.COMMAND, "audio output", (_f("volume", "B", "0-15"),)),
    Message(
        "Resend",
        0x47,
        Lane.COMMAND,
        "events again",
        (_f("first", "I", ""), _f("last", "I", "included")),
        answer=(_f("oldest", "I", "oldest event still held"),),
    ),
    Message(
        "Pause",
        0x48,
        Lane.COMMAND,
        "hold telemetry back (1) or not (0)",
        (_f("is_paused", "B", ""),),
    ),
    Message(
        "ModemCommand",
        0x49,
        Lane.COMMAND,
        "one AT command; the lines come as events",
        (_f("timeout_s", "H", ""),),
        _f("text", "s", "without the final CR; empty cancels the one running"),
    ),
    Message("GetCounters", 0x4A, Lane.COMMAND, "the heartbeat at once", answer=_COUNTERS),
    Message(
        "UpdateBegin",
        0x4B,
        Lane.COMMAND,
        "an image for the slot that is not running",
        (
            _f("size", "I", "bytes"),
            _f("sha256", "32s", "of the image"),
            _f("proof", "16s", "HMAC-SHA256 over boot_id, size, sha256; zeros without a key"),
        ),
    ),
    Message(
        "UpdateData",
        0x4C,
        Lane.COMMAND,
        "the image's next bytes",
        (_f("offset", "I", "must follow the last"),),
        _f("data", "s", "up to 224 bytes"),
    ),
    Message("UpdateEnd", 0x4D, Lane.COMMAND, "check it, unpack it, try it at the next start"),
    Message("ConfirmBoot", 0x4E, Lane.COMMAND, "the running image is good: keep it"),
    Message(
        "Provision",
        0x4F,
        Lane.COMMAND,
        "give a board its key; refused when it holds one",
        (_f("key", "32s", ""),),
    ),
    Message(
        "Reboot",
        0x50,
        Lane.COMMAND,
        "restart",
        (_f("is_safe", "B", "1: into safe mode; 2, from safe mode: to the prompt"),),
    ),
    Message(
        "SetDialect",
        0x51,
        Lane.COMMAND,
        "1: speak FM-DX text from now on",
        (_f("dialect", "B", ""),),
    ),
    Message(
        "Ping",
        0x52,
        Lane.COMMAND,
        "nothing, answered",
        (),
        _f("echo", "s", ""),
        (_f("echo", "0s", "the same bytes"),),
    ),
)

REFUSALS: tuple[tuple[str, int, str], ...] = (
    ("DONE", 0, "done"),
    ("UNKNOWN", 1, "no such command"),
    ("BAD_LENGTH", 2, "the payload's length is wrong"),
    ("BAD_VALUE", 3, "a value is out of range"),
    ("BUSY", 4, "a sweep or an update is running: stop it first"),
    ("NO_DEVICE", 5, "no tuner or modem answers"),
    ("REFUSED", 6, "the proof is wrong, or a key is held already"),
    ("FAILED", 7, "it was tried and failed"),
    ("BAD_VERSION", 8, "no common protocol version"),
    ("SAFE_MODE", 9, "not in safe mode"),
)


def by_name(name: str) -> Message:
    """The message of that name."""
    return next(m for m in MESSAGES if m.name == name)


def check() -> None:
    """ValueError where the table contradicts itself."""
    seen: set[int] = set()
    for message in MESSAGES:
        room = MAX_EVENT if message.lane is Lane.EVENT else MAX_PAYLOAD
        if message.type in seen or struct.calcsize(message.layout) > room:
            raise ValueError(f"{message.name}: type used twice, or too long")
        seen.add(message.type)
