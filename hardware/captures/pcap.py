"""Packets out of a pcap or pcapng stream, whatever the chunks it arrives in."""

from __future__ import annotations

from collections.abc import Iterator

from hardware.captures.classic import FILE_HEADER_BYTES, MAGICS, ClassicFraming
from hardware.captures.framing import Framing, Lost, Packet, Step
from hardware.captures.pcapng import SECTION_MAGIC, PcapngFraming
from hardware.captures.refusal import RAW_LIMIT
from hardware.readings import Unreadable

__all__ = ["Packet", "PcapReader", "is_pcap", "is_pcapng"]


def is_pcap(head: bytes) -> bool:
    """Whether a file that starts so is a classic pcap."""
    return head[:4] in MAGICS


def is_pcapng(head: bytes) -> bool:
    """Whether a file that starts so is a pcapng."""
    return head[:4] == SECTION_MAGIC


class PcapReader:
    """Sans-I/O reader of a capture: bytes in, packets and bad places out, never an exception.

    Holds at most one record of bytes (262 160, or 1 MiB of pcapng) beside the chunk it was fed.
    After damage it looks for the next believable record and says how many bytes it passed over.
    """

    def __init__(self, file: str = "capture") -> None:
        self._file = file
        self._buffer = bytearray()
        self._offset = 0
        self._framing: Framing | None = None
        self._lost: tuple[int, str, bytearray] | None = None
        self._is_done = False

    def feed(self, data: bytes) -> list[Packet | Unreadable]:
        """Take the next bytes of the stream; return what they completed."""
        if self._is_done:
            return []
        self._buffer += data
        return list(self._advance(is_end=False))

    def close(self) -> list[Packet | Unreadable]:
        """Say that no more bytes come; return what is left, bad places included."""
        if self._is_done:
            return []
        items = list(self._advance(is_end=True))
        self._is_done = True
        return items

    def _advance(self, *, is_end: bool) -> Iterator[Packet | Unreadable]:
        if self._framing is None:
            yield from self._open(is_end=is_end)
        while self._framing is not None and not self._is_done:
            if self._lost is not None:
                found = self._resume(self._framing, is_end=is_end)
                if found is None:
                    return
                yield found
            step = self._framing.step(self._buffer, self._offset)
            if isinstance(step, Step):
                yield from self._take(step)
            elif isinstance(step, Lost):
                self._lost = (self._offset, step.reason, bytearray())
            elif is_end and self._buffer:
                self._lost = (self._offset, self._framing.ending(self._buffer), bytearray())
            else:
                return

    def _open(self, *, is_end: bool) -> Iterator[Unreadable]:
        """Recognise the format by its first bytes and build its framing."""
        head = bytes(self._buffer[:FILE_HEADER_BYTES])
        if is_pcapng(head):
            self._framing = PcapngFraming()
        elif is_pcap(head) and len(head) == FILE_HEADER_BYTES:
            framing = ClassicFraming(head)
            if framing.version != 2:
                yield self._stop(f"pcap version {framing.version} is not known", head)
                return
            self._framing = framing
            self._drop(FILE_HEADER_BYTES)
        elif len(head) >= 4 and not is_pcap(head):
            yield self._stop("no pcap or pcapng header", head[:4])
        elif is_end and head:
            yield self._stop(f"the capture ends inside its header ({len(head)} bytes)", head)

    def _stop(self, reason: str, raw: bytes) -> Unreadable:
        self._is_done = True
        self._buffer.clear()
        return Unreadable(file=self._file, place="offset 0", reason=reason, raw=raw)

    def _take(self, step: Step) -> Iterator[Packet | Unreadable]:
        if step.packet is not None:
            yield step.packet
        elif step.damage is not None:
            yield Unreadable(
                file=self._file,
                place=f"offset {self._offset}",
                reason=step.damage,
                raw=bytes(self._buffer[: min(step.size, RAW_LIMIT)]),
            )
        self._drop(step.size)

    def _resume(self, framing: Framing, *, is_end: bool) -> Unreadable | None:
        """Look for the next record after damage; None while none was found and more may come."""
        assert self._lost is not None
        start, reason, raw = self._lost
        # the record that was found bad is not looked at again
        begin = 1 if self._offset == start else 0
        position, is_found = framing.search(self._buffer, begin, is_end=is_end)
        if is_end and not is_found:
            position = len(self._buffer)
        position = min(position, len(self._buffer))
        raw += self._buffer[: min(position, RAW_LIMIT - len(raw))]
        self._drop(position)
        if not (is_found or is_end):
            return None
        self._lost = None
        skipped = self._offset - start
        after = f"reading goes on at offset {self._offset}" if is_found else "nothing follows"
        return Unreadable(
            file=self._file,
            place=f"offset {start}",
            reason=f"{reason}; {skipped} bytes passed over, {after}",
            raw=bytes(raw),
        )

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
