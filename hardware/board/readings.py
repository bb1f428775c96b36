"""What a board's messages say, as readings.

A tuner's level is in dBuV at its antenna pin; with the 75 ohm of a broadcast antenna 0 dBuV is
-108.75 dBm, or 11.25 dBf. Nobody calibrated it, and each sweep says so.
"""

from __future__ import annotations

from array import array

from hardware.board import messages as m
from hardware.board.interface import Received
from hardware.readings import Item, Stamp, SweepDevice, SweepReading, TunerReading, Unreadable
from hardware.spectrum.rds import RdsDecoder

DBUV_DBM = -108.75
DBUV_DBF = 11.25
_CHANNEL_BYTES = 3
_UNKNOWN = 255
_NO_OFFSET = -128
_STEREO, _RELATIVE = 2, 8


class BoardReadings:
    """Follows one board; :meth:`reset` it when the board starts anew."""

    def __init__(self, *, sensor: str, file: str) -> None:
        self._sensor = sensor
        self._file = file
        self._rds = RdsDecoder()
        self._khz: int | None = None
        self._parts: list[m.Sweep] = []
        self._count = 0
        self.faults: dict[int, int] = {}
        """How often each code of a fault came."""

    def reset(self) -> None:
        """What was begun stays unfinished."""
        self._parts.clear()
        self._khz = None
        self._rds.reset()

    def take(self, received: Received, now_us: int) -> list[Item]:
        """One message to what it says; ``now_us`` is the wall time, where it has none itself."""
        self._count += 1
        message = received.message
        stamp = Stamp(
            at_us=now_us if received.at_us is None else received.at_us,
            time_basis="live",
            sensor=self._sensor,
            file=self._file,
            place=f"message {self._count}",
            is_checked=True,  # the frame's CRC-32
            received_us=now_us,
        )
        match message:
            case m.Sweep():
                return self._sweep(message, stamp)
            case m.Quality():
                return [self._quality(message, stamp)]
            case m.RdsGroup():
                return [self._group(message, stamp)]
            case m.Fault():
                self.faults[message.code] = self.faults.get(message.code, 0) + 1
                return []
            case _:
                return []

    def _quality(self, said: m.Quality, stamp: Stamp) -> TunerReading:
        self._move(said.frequency_khz)
        is_relative = bool(said.flags & _RELATIVE)
        return TunerReading(
            stamp=stamp,
            raw=said.pack(),
            mhz=said.frequency_khz / 1000,
            level_dbf=None if is_relative else said.level + DBUV_DBF,
            is_stereo=bool(said.flags & _STEREO),
            snr_db=None if said.snr_db == _UNKNOWN else said.snr_db,
            multipath_percent=None if said.multipath == _UNKNOWN else said.multipath,
            offset_khz=None if said.offset_khz == _NO_OFFSET else said.offset_khz,
        )

    def _group(self, said: m.RdsGroup, stamp: Stamp) -> Item:
        self._move(said.frequency_khz)
        errors = [(said.errors >> shift) & 3 for shift in (6, 4, 2, 0)]
        words = (said.block_a, said.block_b, said.block_c, said.block_d)
        blocks = [None if bad else word for word, bad in zip(words, errors, strict=True)]
        mhz = said.frequency_khz / 1000
        return self._rds.decode(blocks, stamp, said.pack(), mhz=mhz, is_clean=not any(errors))

    def _move(self, khz: int) -> None:
        if khz != self._khz:
            self._khz = khz
            self._rds.reset()

    def _sweep(self, part: m.Sweep, stamp: Stamp) -> list[Item]:
        """Parts of one sweep in their order; what a lost part leaves is no sweep."""
        items: list[Item] = []
        is_next = (
            bool(self._parts)
            and part.sweep_no == self._parts[0].sweep_no
            and part.part == len(self._parts)
            and part.parts == self._parts[0].parts
            and part.step_khz == self._parts[0].step_khz
            and part.start_khz == self._end_khz()
        )
        if not is_next:
            if self._parts:
                items.append(self._bad(stamp, "a sweep that lost its end", self._parts[-1]))
            self._parts.clear()
        if not is_next and part.part:
            return [*items, self._bad(stamp, f"part {part.part} of a sweep without those before")]
        if not part.step_khz or not part.channels or len(part.channels) % _CHANNEL_BYTES:
            self._parts.clear()
            return [*items, self._bad(stamp, "a sweep's part that does not fit its form", part)]
        self._parts.append(part)
        if len(self._parts) < part.parts:
            return items
        first, channels = self._parts[0], b"".join(p.channels for p in self._parts)
        self._parts.clear()
        levels = array("f", (level + DBUV_DBM for level in channels[::_CHANNEL_BYTES]))
        return [
            *items,
            SweepReading(
                stamp=stamp,
                raw=channels,
                device=SweepDevice.FM_TUNER,
                start_hz=first.start_khz * 1000.0,
                step_hz=first.step_khz * 1000.0,
                levels_dbm=levels,
            ),
        ]

    def _end_khz(self) -> int:
        last = self._parts[-1]
        return last.start_khz + len(last.channels) // _CHANNEL_BYTES * last.step_khz

    def _bad(self, stamp: Stamp, reason: str, part: m.Sweep | None = None) -> Unreadable:
        raw = b"" if part is None else part.pack()
        return Unreadable(file=self._file, place=stamp.place, reason=reason, raw=raw)


def stations(sweep: SweepReading, *, above_dbm: float, most: int) -> list[int]:
    """Channels (kHz) that are the tops of a sweep, the strongest first."""
    levels = [-200.0, *sweep.levels_dbm, -200.0]
    tops = [
        (levels[i], i - 1)
        for i in range(1, len(levels) - 1)
        if levels[i - 1] <= levels[i] > levels[i + 1] and levels[i] >= above_dbm
    ]
    tops.sort(reverse=True)
    return [round((sweep.start_hz + i * sweep.step_hz) / 1000) for _, i in tops[:most]]
