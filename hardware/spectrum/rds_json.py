"""RDS as JSON: redsea's line for each group, or a document with lists of hexadecimal groups.

A line with ``raw_data`` is decoded by our own decoder; one without is taken at its word. What
redsea calls ``partial_ps`` and ``partial_radiotext`` is no text yet and is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from hardware.readings import CarrierReading, Item, RdsReading, Stamp, TimeBasisWord, Unreadable
from hardware.spectrum.log_times import DayOrder, parse_time
from hardware.spectrum.rds import RdsDecoder

CONTENT_MAX_BYTES = 64 * 1024 * 1024
DEPTH_MAX = 6
_PI = re.compile(r"0x[0-9A-Fa-f]{4}")
_BLOCK = re.compile(r"[0-9A-Fa-f]{4}|-{4}")
_GROUP_US = 87_579  # 104 bits at 1187.5 bit/s
_RAW_KEPT = 256
_ISO = DayOrder(None)


def looks_rds_json(head: bytes) -> bool:
    """Whether the beginning of a file is redsea's output or a document of groups."""
    text = head.lstrip()
    if not text.startswith((b"{", b"[")):
        return False
    if re.search(rb'"raw_data"\s*:\s*"|"pi"\s*:\s*"0x[0-9A-Fa-f]{4}"', text):
        return True
    return re.search(rb'"(?:[0-9A-Fa-f]{4}|-{4})(?: (?:[0-9A-Fa-f]{4}|-{4})){3}"', text) is not None


def read_rds_json(content: bytes, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    """Yield a reading for every group; a line that is none is ``Unreadable`` with its number."""
    if len(content) > CONTENT_MAX_BYTES:
        yield Unreadable(file=file, place="offset 0", reason="larger than any log of RDS groups")
        return
    reader = _Reader(file, sensor, start_us)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        yield from reader.lines(content)
        return
    if isinstance(document, dict) and ("pi" in document or "raw_data" in document):
        yield from reader.lines(content)
        return
    yield from reader.document(document, "$", 0)


class _Reader:
    def __init__(self, file: str, sensor: str, start_us: int | None) -> None:
        self._file, self._sensor, self._start_us = file, sensor, start_us
        self._groups = 0
        self._decoder = RdsDecoder()
        self._channels: dict[object, RdsDecoder] = {}

    def lines(self, content: bytes) -> Iterator[Item]:
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise TypeError("no object")
                yield from self._record(record, place, line)
            except (ValueError, TypeError, RecursionError) as problem:
                reason = f"no RDS group in JSON: {problem}"[:120]
                yield self._bad(place, reason, line)

    def document(self, value: object, place: str, depth: int) -> Iterator[Item]:
        """Each list of groups is a station of its own; whatever else the document holds is not."""
        if depth > DEPTH_MAX:
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from self.document(inner, f"{place}.{name}", depth + 1)
        elif isinstance(value, list):
            if any(isinstance(inner, str) and _blocks(inner) for inner in value):
                yield from self._group_list(value, place)
                return
            for index, inner in enumerate(value):
                yield from self.document(inner, f"{place}[{index}]", depth + 1)

    def _group_list(self, value: list[object], place: str) -> Iterator[Item]:
        self._decoder.reset()
        for index, inner in enumerate(value):
            where = f"{place}[{index}]"
            blocks = _blocks(inner) if isinstance(inner, str) else None
            if blocks is None:
                yield self._bad(where, "no RDS group", str(inner).encode())
                continue
            raw = str(inner).encode()
            yield self._decoder.decode(blocks, self._stamp(where, None), raw)

    def _record(self, record: dict[str, object], place: str, raw: bytes) -> Iterator[Item]:
        told = record.get("raw_data")
        blocks = _blocks(told) if isinstance(told, str) else None
        if isinstance(told, str) and blocks is None:
            raise ValueError(f"raw_data {told[:24]!r}")
        pi_text = record.get("pi")
        has_pi = isinstance(pi_text, str) and _PI.fullmatch(pi_text)
        if blocks is None and not has_pi:
            raise ValueError("neither raw_data nor a pi")
        stamp = self._stamp(place, record.get("rx_time"))
        mhz, kept = _mhz(record), raw[:_RAW_KEPT]
        if mhz is not None:  # it stands there, for it was decoded; nobody measured its level
            yield CarrierReading(stamp=stamp, raw=kept, mhz=mhz, level_dbm=None)
        if blocks is not None:
            channel = record.get("channel")
            key = channel if isinstance(channel, int | str) else None
            decoder = self._channels.setdefault(key, RdsDecoder())
            yield replace(decoder.decode(blocks, stamp, kept), mhz=mhz)
            return
        yield RdsReading(
            stamp=stamp,
            raw=kept,
            mhz=mhz,
            pi=int(str(pi_text), 16),
            is_clean=True,
            group=_text(record, "group"),
            programme_type=_text(record, "prog_type"),
            ps=_text(record, "ps"),
            radiotext=_text(record, "radiotext"),
            clock_time=_text(record, "clock_time"),
            long_ps=_text(record, "long_ps"),
            enhanced_radiotext=_text(record, "enhanced_radiotext"),
        )

    def _stamp(self, place: str, told: object) -> Stamp:
        basis: TimeBasisWord = "synthetic" if self._start_us is None else "recorded"
        at_us = (self._start_us or 0) + self._groups * _GROUP_US
        is_local = False
        self._groups += 1
        at = parse_time(told, _ISO) if isinstance(told, str) else None
        if at is not None and at.has_date:
            at_us, basis, is_local = at.at_us, "recorded", not at.has_zone
        return Stamp(
            at_us=at_us,
            time_basis=basis,
            sensor=self._sensor,
            file=self._file,
            place=place,
            is_local_time=is_local,
        )

    def _bad(self, place: str, reason: str, raw: bytes) -> Unreadable:
        return Unreadable(file=self._file, place=place, reason=reason, raw=raw[:64])


def _blocks(text: str) -> list[int | None] | None:
    parts = text.split()
    if len(parts) == 1 and len(text) == 16:
        parts = [text[i : i + 4] for i in range(0, 16, 4)]
    if len(parts) != 4 or not all(_BLOCK.fullmatch(part) for part in parts):
        return None
    return [None if part.startswith("-") else int(part, 16) for part in parts]


def _mhz(record: dict[str, object]) -> float | None:
    """Some front ends add the frequency they stand on, in whatever unit."""
    for name in ("frequency", "freq", "mhz"):
        value = record.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            scale = 1e6 if value >= 3e6 else 1e3 if value >= 1e4 else 1.0
            return float(value) / scale
    return None


def _text(record: dict[str, object], name: str) -> str | None:
    value = record.get(name)
    return value.rstrip() or None if isinstance(value, str) else None
