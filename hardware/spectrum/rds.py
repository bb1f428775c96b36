"""RDS groups to what they say (EN 50067, IEC 62106): a decoder for each tuned frequency.

A text is given out when it is complete, and again only when it has changed. Only blocks that came
without any error enter a text or a PI: a corrected block may have been corrected wrongly.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hardware.readings import RdsReading, Stamp
from hardware.spectrum.rds_text import (
    CARRIAGE_RETURN,
    PROGRAMME_TYPES,
    basic_text,
    radiotext,
    utf8_text,
)

_MJD_FIRST = 15_079  # 1900-03-01: the formulas of EN 50067 annex G hold from here
_MJD_DAY_0 = dt.date(1858, 11, 17)
_AID_ERT = 0x6552  # enhanced RadioText
_FM_CODES = range(1, 205)  # EN 50067 table 11: 87.6 to 107.9 MHz
_PASSES = 2


@dataclass(slots=True)
class SegmentedText:
    """A text that comes in numbered segments, in any order, with any of them missing."""

    segments: int
    size: int
    """Bytes of one segment."""
    decode: Callable[[bytes], str]
    is_open_ended: bool = False
    """It may be shorter than its field without saying so: then two equal passes end it."""
    parts: dict[int, bytes] = field(default_factory=dict)
    passes: list[bytes] = field(default_factory=list)
    last_given: bytes | None = None
    last_number: int = -1

    def clear(self) -> None:
        """A new text begins."""
        self.parts.clear()
        self.passes.clear()
        self.last_number = -1
        self.last_given = None

    def put(self, number: int, data: bytes) -> str | None:
        """Take a segment; return the text when it is complete and new."""
        if self.parts.get(number, data) != data:
            self.parts.clear()
            self.passes.clear()
        elif self.is_open_ended and number == 0 and self.last_number > 0:
            self._note_pass()
        self.parts[number] = data
        self.last_number = number
        whole = self._whole()
        if whole is None or whole == self.last_given:
            return None
        self.last_given = whole
        return self.decode(whole)

    def _note_pass(self) -> None:
        """Segment 0 again: all that came between was one pass of the text."""
        run = self._run()
        if run is not None and len(self.parts) * self.size == len(run):
            self.passes = [*self.passes, run][-_PASSES:]

    def _run(self) -> bytes | None:
        """Segments 0 to the last one that came, None if one is missing between."""
        if not self.parts or set(self.parts) != set(range(max(self.parts) + 1)):
            return None
        return b"".join(self.parts[n] for n in range(max(self.parts) + 1))

    def _whole(self) -> bytes | None:
        joined = bytearray()
        for number in range(self.segments):
            part = self.parts.get(number)
            if part is None:
                break
            joined += part
            end = part.find(CARRIAGE_RETURN)
            if end >= 0:
                return bytes(joined[: len(joined) - self.size + end])
        if len(joined) == self.segments * self.size:
            return bytes(joined)
        is_repeated = len(self.passes) == _PASSES and self.passes[0] == self.passes[1]
        return self.passes[0] if is_repeated else None


def _stripped(decode: Callable[[bytes], str]) -> Callable[[bytes], str]:
    return lambda data: decode(data).rstrip()


def _until_null(data: bytes) -> str:
    return utf8_text(data.split(b"\0", 1)[0]).rstrip()


class RdsDecoder:
    """Follows one station; :meth:`reset` it when the tuner moves."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: another frequency, another station."""
        self._pi: int | None = None
        self._ps = SegmentedText(4, 2, basic_text)
        self._other_ps = SegmentedText(4, 2, basic_text)
        self._text_a = SegmentedText(16, 4, _stripped(radiotext), is_open_ended=True)
        self._text_b = SegmentedText(16, 2, _stripped(radiotext), is_open_ended=True)
        self._text_flag: int | None = None
        self._type_name = bytearray(8)
        self._type_name_seen = 0
        self._type_name_flag: int | None = None
        self._long_ps = SegmentedText(8, 4, _until_null)
        self._ert = SegmentedText(32, 4, _until_null)
        self._ert_group: int | None = None
        self._other_pi: int | None = None

    def decode(
        self,
        blocks: Sequence[int | None],
        stamp: Stamp,
        raw: bytes,
        *,
        mhz: float | None = None,
        is_clean: bool = True,
    ) -> RdsReading:
        """Take a group of four blocks; None for a block that came with an error."""
        a, b, c, d = blocks
        if b is None:
            return RdsReading(stamp=stamp, raw=raw, mhz=mhz, pi=a, is_clean=False)
        number, is_b = b >> 12, bool(b & 0x0800)
        pi = a if a is not None or not is_b else c  # a B group repeats the PI in block C'
        if pi is not None and pi != self._pi:
            self.reset()
            self._pi = pi
        said: dict[str, object] = {}
        handler = _HANDLERS.get((number, is_b))
        if handler is not None:
            said = handler(self, b, c, d)
        elif self._ert_group == (b >> 11) & 0x1F:
            said = self._enhanced_radiotext(b, c, d)
        return RdsReading(
            stamp=stamp,
            raw=raw,
            mhz=mhz,
            pi=pi,
            is_clean=is_clean and None not in blocks,
            group=f"{number}{'B' if is_b else 'A'}",
            programme_type=PROGRAMME_TYPES[(b >> 5) & 0x1F],
            **said,  # type: ignore[arg-type]
        )

    # -- groups: block B and what of C and D came without an error ----------------------------

    def _basic(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        said: dict[str, object] = {}
        if not b & 0x0800 and c is not None:
            said["alternative_mhz"] = _frequencies(c)
        if d is not None:
            said["ps"] = self._ps.put(b & 3, d.to_bytes(2, "big"))
        return said

    def _radiotext(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        flag = (b >> 4) & 1
        if flag != self._text_flag:  # the A/B flag: a new text, the old one goes
            self._text_flag = flag
            self._text_a.clear()
            self._text_b.clear()
        if b & 0x0800:
            return {} if d is None else {"radiotext": self._text_b.put(b & 15, _bytes(d))}
        if c is None or d is None:
            return {}
        return {"radiotext": self._text_a.put(b & 15, _bytes(c) + _bytes(d))}

    def _application(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        if d == _AID_ERT:
            self._ert_group = b & 0x1F
        return {}

    def _clock(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        if c is None or d is None:
            return {}
        return {"clock_time": _clock_time(b, c, d)}

    def _programme_type_name(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        if c is None or d is None:
            return {}
        flag, at = (b >> 4) & 1, b & 1
        if flag != self._type_name_flag:
            self._type_name_flag, self._type_name_seen = flag, 0
        self._type_name[4 * at : 4 * at + 4] = _bytes(c) + _bytes(d)
        self._type_name_seen |= 1 << at
        if self._type_name_seen != 3:
            return {}
        name = bytes(self._type_name)
        end = name.find(CARRIAGE_RETURN)
        return {"pty_name": basic_text(name if end < 0 else name[: end + 1])}

    def _other_network(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        said: dict[str, object] = {"other_pi": d}
        if d is None or c is None:
            return said
        if d != self._other_pi:
            self._other_pi = d
            self._other_ps.clear()
        variant = b & 15
        if variant < 4:
            said["other_ps"] = self._other_ps.put(variant, _bytes(c))
        elif variant == 13:
            said["other_programme_type"] = PROGRAMME_TYPES[c >> 11]
        return said

    def _other_network_b(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        return {"other_pi": d}

    def _long_name(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        if c is None or d is None:
            return {}
        return {"long_ps": self._long_ps.put(b & 7, _bytes(c) + _bytes(d))}

    def _enhanced_radiotext(self, b: int, c: int | None, d: int | None) -> dict[str, object]:
        if c is None or d is None:
            return {}
        return {"enhanced_radiotext": self._ert.put(b & 0x1F, _bytes(c) + _bytes(d))}


_Handler = Callable[[RdsDecoder, int, int | None, int | None], dict[str, object]]

_HANDLERS: dict[tuple[int, bool], _Handler] = {
    (0, False): RdsDecoder._basic,
    (0, True): RdsDecoder._basic,
    (2, False): RdsDecoder._radiotext,
    (2, True): RdsDecoder._radiotext,
    (3, False): RdsDecoder._application,
    (4, False): RdsDecoder._clock,
    (10, False): RdsDecoder._programme_type_name,
    (14, False): RdsDecoder._other_network,
    (14, True): RdsDecoder._other_network_b,
    (15, False): RdsDecoder._long_name,
}


def _bytes(block: int) -> bytes:
    return block.to_bytes(2, "big")


def _frequencies(c: int) -> tuple[float, ...]:
    return tuple(round(87.5 + code / 10, 1) for code in _bytes(c) if code in _FM_CODES)


def _clock_time(b: int, c: int, d: int) -> str | None:
    """Local time of a 4A group, or None if it is no time (EN 50067 section 3.1.5.6)."""
    mjd = (b & 3) << 15 | c >> 1
    hour, minute = (c & 1) << 4 | d >> 12, (d >> 6) & 0x3F
    if mjd < _MJD_FIRST or hour > 23 or minute > 59:
        return None
    half_hours = -(d & 0x1F) if d & 0x20 else d & 0x1F
    if abs(half_hours) > 28:  # 14 h, as far as any zone goes
        return None
    zone = dt.timezone(dt.timedelta(minutes=30 * half_hours))
    day = _MJD_DAY_0 + dt.timedelta(days=mjd)
    utc = dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=dt.UTC)
    text = utc.astimezone(zone).isoformat()
    return text.replace("+00:00", "Z") if half_hours == 0 else text
