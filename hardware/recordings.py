"""Recorded files: what kind they are, by their content, and the readings in them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from hardware.captures.diag import DiagReader, looks_like_diag
from hardware.captures.gsm_text import looks_like_gsm_text, read_gsm_text
from hardware.captures.pcap import is_pcap, is_pcapng
from hardware.captures.reader import CaptureReader
from hardware.modems.families import family_of, read_log
from hardware.readings import Item, Unreadable
from hardware.spectrum_files import SPECTRUM_FILES, SpectrumFileKind

HEAD_BYTES = 4096
"""So many bytes of a file are enough to recognise it."""

_CHUNK_BYTES = 64 * 1024
_RAW_BYTES = 32


class RecordingKind(StrEnum):
    """Kinds of recordings."""

    PCAP = "pcap"
    PCAPNG = "pcapng"
    GSM_L2_TEXT = "gsm_l2_text"
    DIAG = "diag"
    """QMDL or .mi2log; unverified on real files."""
    QUECTEL_TRANSCRIPT = "quectel_transcript"
    SIMCOM_TRANSCRIPT = "simcom_transcript"
    TELIT_TRANSCRIPT = "telit_transcript"
    UBLOX_TRANSCRIPT = "ublox_transcript"
    QTTINYSA_ARRAY = SpectrumFileKind.QTTINYSA_ARRAY.value
    SWEEP_CSV = SpectrumFileKind.SWEEP_CSV.value
    SPECTRUM_TABLE = SpectrumFileKind.SPECTRUM_TABLE.value
    NAMED_COLUMNS = SpectrumFileKind.NAMED_COLUMNS.value
    RDS_JSON = SpectrumFileKind.RDS_JSON.value
    TINYSA_CONSOLE = SpectrumFileKind.TINYSA_CONSOLE.value
    RF_EXPLORER = SpectrumFileKind.RF_EXPLORER.value
    FM_TUNER_LINES = SpectrumFileKind.FM_TUNER_LINES.value
    RDS_GROUPS = SpectrumFileKind.RDS_GROUPS.value
    NMEA = SpectrumFileKind.NMEA.value


_UTF8_MARK = b"\xef\xbb\xbf"

_Open = Callable[[BinaryIO, str, str, int | None], Iterator[Item]]
"""Reads an open file: file, its name, sensor, start_us."""


def _read_capture(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    reader = CaptureReader(sensor, file, start_us=start_us)
    while chunk := source.read(_CHUNK_BYTES):
        yield from reader.feed(chunk)
    yield from reader.close()


def _read_diag(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    reader = DiagReader(sensor, file, start_us=start_us)
    while chunk := source.read(_CHUNK_BYTES):
        yield from reader.feed(chunk)
    yield from reader.close()


def _read_gsm_text(
    source: BinaryIO, file: str, sensor: str, start_us: int | None
) -> Iterator[Item]:
    yield from read_gsm_text(source.read(), file, sensor, start_us)


def _fits_family(family: str) -> Callable[[bytes], bool]:
    return lambda head: family_of(head) == family


def _read_family(family: str) -> _Open:
    def read(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
        yield from read_log(family, source.read(), file, sensor, start_us)

    return read


_TRANSCRIPTS = {
    RecordingKind.QUECTEL_TRANSCRIPT: "quectel",
    RecordingKind.SIMCOM_TRANSCRIPT: "simcom",
    RecordingKind.TELIT_TRANSCRIPT: "telit",
    RecordingKind.UBLOX_TRANSCRIPT: "ublox",
}
_KINDS: tuple[tuple[RecordingKind, Callable[[bytes], bool], _Open], ...] = (
    (RecordingKind.PCAP, is_pcap, _read_capture),
    (RecordingKind.PCAPNG, is_pcapng, _read_capture),
    (RecordingKind.GSM_L2_TEXT, looks_like_gsm_text, _read_gsm_text),
    (RecordingKind.DIAG, looks_like_diag, _read_diag),
    *((kind, _fits_family(name), _read_family(name)) for kind, name in _TRANSCRIPTS.items()),
    *((RecordingKind(kind.value), fits, read) for kind, fits, read in SPECTRUM_FILES),
)
"""Kind, how its first HEAD_BYTES bytes are told, and its reader; the first that fits is taken."""


def recognise(head: bytes) -> RecordingKind | None:
    """Return the kind of a recording whose first HEAD_BYTES bytes are given; None if unknown."""
    return next((kind for kind, fits, _ in _KINDS if fits(head)), None)


def read_recording(
    path: Path, *, sensor: str | None = None, start_us: int | None = None
) -> Iterator[Item]:
    """Yield the items of a recording in order, bad places among them as ``Unreadable``.

    ``sensor`` is the file's name without its suffix where none is given, so that the traces of two
    recordings are not taken for one. ``start_us`` (microseconds since 1970) dates a recording that
    has no times of its own. A file that cannot be opened or read, and one of an unknown kind, is
    one ``Unreadable``, never an exception.
    """
    file = _printable(path.name)
    try:
        with _open(path) as source:
            head = source.read(HEAD_BYTES)
            if head.startswith(_UTF8_MARK) and recognise(head) is None:
                head = head.removeprefix(_UTF8_MARK)  # spreadsheets and Windows editors write it
                source.seek(len(_UTF8_MARK))
            else:
                source.seek(0)
            open_kind = next((read for _, fits, read in _KINDS if fits(head)), None)
            if open_kind is None:
                yield _unknown(file, head)
                return
            name = sensor if sensor is not None else _printable(path.stem)
            yield from open_kind(source, file, name, start_us)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        yield Unreadable(file=file, place="offset 0", reason=f"cannot be read: {reason}")
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        reason = f"the compressed file is damaged from here on: {error}"
        yield Unreadable(file=file, place="end", reason=reason)


_COMPRESSED: tuple[tuple[bytes, Callable[[Path], object]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)


def _open(path: Path) -> BinaryIO:
    """Open a file, through its compression where it has one; the name says nothing."""
    with path.open("rb") as source:
        head = source.read(8)
    for magic, opens in _COMPRESSED:
        if head.startswith(magic):
            return cast("BinaryIO", opens(path))
    return path.open("rb")


_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive or an office document: unpack it, or save its table as CSV"),
    (b"RIFF", "sound (WAV): a sensor of kind audio hears it, a replay does not"),
    (b"SQLite format 3", "a data base: export its table as CSV"),
    (b"<?xml", "XML: export it as CSV"),
    (b"\x89PNG", "a picture"),
    (b"%PDF", "a PDF document"),
)
"""What people also have, and what to do with it."""


def _unknown(file: str, head: bytes) -> Unreadable:
    """Say what was expected: the kinds, and what a table of a spectrum needs."""
    known = ", ".join(RecordingKind)
    told = next((words for magic, words in _FOREIGN if head.startswith(magic)), None)
    reason = f"no recording of a known kind ({known}"
    if told is not None:
        reason = f"{told}; {reason}"
    elif _is_text(head):
        reason += (
            "); a table needs a header that names a frequency (Hz, kHz or MHz) and a level, a PI "
            f"or a bearing; its first line is {_first_line(head)!r}"
        )
        return Unreadable(file=file, place="line 1", reason=reason, raw=head[:_RAW_BYTES])
    reason = f"{reason})" if head else "the file is empty"
    return Unreadable(file=file, place="offset 0", reason=reason, raw=head[:_RAW_BYTES])


def _is_text(head: bytes) -> bool:
    return bool(head) and not any(byte < 9 or 13 < byte < 27 for byte in head[:512])


def _first_line(head: bytes) -> str:
    first = next((line for line in head.splitlines() if line.strip()), b"")
    return first[:60].decode("utf-8", "replace")


def _printable(name: str) -> str:
    """Return a file name that any message can carry, also where it is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
