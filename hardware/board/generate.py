"""Write both sides' message types, and the table of the manual, from :mod:`hardware.board.table`.

``python -m hardware.board.generate`` rewrites the files; ``make schemas`` calls it.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from hardware.board.table import (
    EVENT_RING,
    HEADER,
    MAX_EVENT,
    MAX_PAYLOAD,
    MESSAGES,
    PROTOCOL,
    REFUSALS,
    Field,
    Lane,
    Message,
    check,
)

ROOT = Path(__file__).resolve().parent.parent.parent
_DO_NOT_EDIT = "Generated from hardware/board/table.py by ``make schemas``."


def constant(name: str) -> str:
    """``RdsGroup`` -> ``RDS_GROUP``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def board_side() -> str:
    """The board's module: numbers and layouts, nothing to allocate."""
    lines = [f'"""Message types and layouts. {_DO_NOT_EDIT}"""', ""]
    lines += [
        f"PROTOCOL = {PROTOCOL}",
        f'HEADER = "{HEADER}"',
        f"MAX_PAYLOAD = {MAX_PAYLOAD}",
        f"EVENT_RING = {EVENT_RING}",
        f"MAX_EVENT = {MAX_EVENT}",
        "",
    ]
    lines += [f"{constant(m.name)} = {m.type:#04x}" for m in MESSAGES]
    lines += [""] + [f"{name} = {code}  # {says}" for name, code, says in REFUSALS]
    for message in MESSAGES:
        if message.fields and message.lane is not Lane.COMMAND:
            lines += _layout_line(constant(message.name) + "_LAYOUT", message.fields)
    for message in MESSAGES:
        if message.answer and message.name != "Ping":
            lines += _layout_line(constant(message.name) + "_ANSWER", message.answer)
    lines += ["", "# type: (layout, bytes of the fields, may bytes follow)", "COMMANDS = {"]
    lines += [
        f'    {m.type:#04x}: ("{m.layout}", {struct.calcsize(m.layout)}, {m.tail is not None}),'
        for m in MESSAGES
        if m.lane is Lane.COMMAND
    ]
    return "\n".join([*lines, "}", ""])


def _layout_line(name: str, fields: tuple[Field, ...]) -> list[str]:
    layout = "<" + "".join(f.code for f in fields)
    return [f'{name} = "{layout}"']


def _python_type(code: str) -> str:
    return "bytes" if code.endswith(("s", "c")) else "int"


def host_side() -> str:
    """The host's module: one frozen dataclass a message."""
    lines = [f'"""Messages as dataclasses. {_DO_NOT_EDIT}"""', ""]
    lines += [
        "from __future__ import annotations",
        "",
        "from dataclasses import dataclass",
        "from enum import IntEnum",
        "from struct import Struct",
        "from typing import ClassVar",
        "",
    ]
    lines += ["", "class Status(IntEnum):", '    """What a reply says of its command."""', ""]
    for name, code, says in REFUSALS:
        lines += [f"    {name} = {code}", f'    """{says}"""']
    for message in MESSAGES:
        lines += _dataclass(message, "Command" if message.lane is Lane.COMMAND else "Message")
        if message.answer and message.name != "Ping":
            lines += _answer(message)
    for title, wanted in (("Message", False), ("Command", True)):
        names = [m.name for m in MESSAGES if (m.lane is Lane.COMMAND) == wanted]
        lines += (
            ["", "", f"{title} = ("]
            + [f"    {'' if i == 0 else '| '}{n}" for i, n in enumerate(names)]
            + [")"]
        )
    lines += ["", "MESSAGE_TYPES: dict[int, type[Message]] = {"]
    lines += [f"    {m.type:#04x}: {m.name}," for m in MESSAGES if m.lane is not Lane.COMMAND]
    lines += ["}", '"""What a board sends."""', "", "COMMAND_TYPES: dict[int, type[Command]] = {"]
    lines += [f"    {m.type:#04x}: {m.name}," for m in MESSAGES if m.lane is Lane.COMMAND]
    lines += ["}", '"""What a host sends."""', "", "EVENTS = ("]
    lines += [f"    {m.name}," for m in MESSAGES if m.lane is Lane.EVENT]
    return "\n".join([*lines, ")", '"""Numbered, and sent again on request."""', ""])


def _dataclass(message: Message, kind: str) -> list[str]:
    head = ["", "", "@dataclass(frozen=True, slots=True, kw_only=True)", f"class {message.name}:"]
    head += [f'    """{kind}: {message.says}."""', ""]
    head += [f"    TYPE: ClassVar[int] = {message.type:#04x}"]
    head += [f'    LAYOUT: ClassVar[Struct] = Struct("{message.layout}")']
    head += [f"    HAS_TAIL: ClassVar[bool] = {message.tail is not None}"]
    fields = [*message.fields, *([message.tail] if message.tail else [])]
    for field in fields:
        head += [f"    {field.name}: {_python_type(field.code)}"]
        head += [f'    """{field.says}"""'] if field.says else []
    values = ", ".join(f"self.{f.name}" for f in message.fields)
    tail = f" + self.{message.tail.name}" if message.tail else ""
    head += ["", "    def pack(self) -> bytes:", '        """The payload."""']
    head += [f"        return self.LAYOUT.pack({values}){tail}"]
    head += ["", "    @classmethod", f"    def unpack(cls, payload: bytes) -> {message.name}:"]
    head += ['        """Read a payload; struct.error when its length is wrong."""']
    head += _unpack_body(message)
    return head


def _unpack_body(message: Message) -> list[str]:
    if not message.fields and message.tail is None:
        return ["        cls.LAYOUT.unpack(payload)", "        return cls()"]
    lines = []
    if message.fields:
        source = "payload[: cls.LAYOUT.size]" if message.tail else "payload"
        names = ", ".join(f.name for f in message.fields)
        comma = "," if len(message.fields) == 1 else ""
        lines += [f"        ({names}{comma}) = cls.LAYOUT.unpack({source})"]
    arguments = [f"{f.name}={f.name}" for f in message.fields]
    if message.tail:
        arguments.append(f"{message.tail.name}=payload[cls.LAYOUT.size :]")
    return [*lines, f"        return cls({', '.join(arguments)})"]


def _answer(message: Message) -> list[str]:
    name = f"{message.name}Answer"
    head = ["", "", "@dataclass(frozen=True, slots=True, kw_only=True)", f"class {name}:"]
    head += [f'    """What a reply to {message.name} carries."""', ""]
    head += [f'    LAYOUT: ClassVar[Struct] = Struct("{message.answer_layout}")']
    for field in message.answer:
        head += [f"    {field.name}: {_python_type(field.code)}"]
        head += [f'    """{field.says}"""'] if field.says else []
    head += ["", "    @classmethod", f"    def unpack(cls, answer: bytes) -> {name}:"]
    head += ['        """Read an answer; struct.error when its length is wrong."""']
    names = ", ".join(f.name for f in message.answer)
    comma = "," if len(message.answer) == 1 else ""
    head += [f"        ({names}{comma}) = cls.LAYOUT.unpack(answer)"]
    return [*head, f"        return cls({', '.join(f'{f.name}={f.name}' for f in message.answer)})"]


def manual() -> str:
    """The tables of docs/firmware.md."""
    lines = ["| type | message | lane | payload (little-endian) | says |", "|---|---|---|---|---|"]
    for m in MESSAGES:
        fields = [f"{f.name} `{f.code}`" for f in m.fields]
        fields += [f"{m.tail.name} `…`"] if m.tail else []
        says = m.says
        if m.answer:
            says += "; answer: " + ", ".join(f"{f.name} `{f.code}`" for f in m.answer)
        row = f"| `{m.type:#04x}` | {m.name} | {m.lane} | {', '.join(fields) or '–'} | {says} |"
        lines.append(row)
    lines += ["", "| status | name | says |", "|---|---|---|"]
    lines += [f"| {code} | {name} | {says} |" for name, code, says in REFUSALS]
    return "\n".join(lines)


def _formatted(source: str) -> str:
    """As ruff would write it, so that the linter has nothing to say to generated files."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--line-length=100", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def documents(root: Path = ROOT) -> dict[Path, str]:
    """Each generated file and what it must hold."""
    check()
    book = root / "docs" / "firmware.md"
    before, _, rest = book.read_text(encoding="utf-8").partition("<!-- messages -->\n")
    _, mark, after = rest.partition("<!-- end of messages -->")
    return {
        root / "firmware" / "sniffer" / "messages.py": _formatted(board_side()),
        root / "hardware" / "board" / "messages.py": _formatted(host_side()),
        book: f"{before}<!-- messages -->\n{manual()}\n{mark}{after}",
    }


if __name__ == "__main__":
    for path, content in documents().items():
        path.write_text(content, encoding="utf-8")
