"""Logs of RDS groups as hexadecimal text: ``3ABC A750 4352 492E``, RDS Spy's and redsea's form.

``----`` stands for a block that could not be read. RDS Spy adds ``@2019/05/04 22:36:23.05``.
Lines in ``<...>`` and ``;`` comments are headers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from hardware.readings import Item, Stamp, TimeBasisWord, Unreadable
from hardware.spectrum.lines import LineCutter
from hardware.spectrum.rds import RdsDecoder

_BLOCK = rb"([0-9A-Fa-f]{4}|-{4})"
_GROUP = re.compile(
    rb"%b ?%b ?%b ?%b" % (_BLOCK, _BLOCK, _BLOCK, _BLOCK)
    + rb"(?:\s*@?(\d{4})[/-](\d\d)[/-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?\s*"
)
_GROUP_US = 87_579  # 104 bits at 1187.5 bit/s
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read_rds_log(
    content: bytes, file: str, sensor: str, start_us: int | None, utc_offset_s: int = 0
) -> Iterator[Item]:
    """Yield a reading for every group; other lines are ``Unreadable`` with their number."""
    decoder = RdsDecoder()
    cutter = LineCutter(4096)
    groups = 0
    for line in [*cutter.feed(content), *cutter.close()]:
        if line.data[:1] in b"<;#%":
            continue
        match = _GROUP.fullmatch(line.data)
        if match is None:
            yield Unreadable(
                file=file, place=f"line {line.number}", reason="no RDS group", raw=line.data[:64]
            )
            continue
        basis: TimeBasisWord = "synthetic" if start_us is None else "recorded"
        at_us = (start_us or 0) + groups * _GROUP_US
        if match[5] is not None:
            try:
                at_us, basis = _time(match, utc_offset_s), "recorded"
            except ValueError:
                yield Unreadable(
                    file=file, place=f"line {line.number}", reason="no such time", raw=line.data
                )
                continue
        groups += 1
        blocks = [None if b.startswith(b"-") else int(b, 16) for b in match.groups()[:4]]
        stamp = Stamp(
            at_us=at_us,
            time_basis=basis,
            sensor=sensor,
            file=file,
            place=f"line {line.number}",
            is_local_time=match[5] is not None,
        )
        yield decoder.decode(blocks, stamp, line.data)


def _time(match: re.Match[bytes], utc_offset_s: int) -> int:
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[4:10])
    moment = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    fraction = int((match[11] or b"0").ljust(6, b"0"))
    return (moment - _EPOCH) // dt.timedelta(microseconds=1) + fraction - utc_offset_s * 1_000_000
