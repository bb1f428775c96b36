"""GSM layer 2 frames as text, one a line, in the form that ``grgsm_decode`` prints.

A line is a TDMA frame number, a count for A5, a colon and the octets of the frame in hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hardware.captures.gsm_broadcast import BroadcastReader
from hardware.captures.refusal import Refused
from hardware.readings import Item, Stamp

_FRAME = re.compile(rb"\d{1,7} +\d{1,7}: +((?:[0-9a-fA-F]{2} ?){3,23})")
_LINE_US = 1_000_000


def looks_like_gsm_text(head: bytes) -> bool:
    """Whether the first line of a file is such a frame."""
    return _FRAME.fullmatch(head.lstrip().partition(b"\n")[0].strip()) is not None


def read_gsm_text(
    content: bytes, file: str, sensor: str, start_us: int | None = None
) -> Iterator[Item]:
    """Read frames; each line that is not blank is one item and takes one second.

    Seconds count from ``start_us`` (``recorded``), or from 1970-01-01T00:00:00Z (``synthetic``):
    the text has frame numbers but no date. Nor does it say on which ARFCN a frame was heard.
    """
    lines = ((number, line.strip()) for number, line in enumerate(content.split(b"\n"), start=1))
    frames = ((number, line) for number, line in lines if line)
    broadcast = BroadcastReader()
    for index, (number, line) in enumerate(frames):
        stamp = Stamp(
            at_us=(start_us or 0) + index * _LINE_US,
            time_basis="synthetic" if start_us is None else "recorded",
            sensor=sensor,
            file=file,
            place=f"line {number}",
        )
        try:
            yield _read(line, stamp, broadcast)
        except Refused as refused:
            yield refused.item(file, stamp.place, line)


def _read(line: bytes, stamp: Stamp, broadcast: BroadcastReader) -> Item:
    match = _FRAME.fullmatch(line)
    if match is None:
        raise Refused("no GSM frame of the form NUMBER COUNT: OCTETS")
    return broadcast.system_information(bytes.fromhex(match[1].decode("ascii")), stamp)
