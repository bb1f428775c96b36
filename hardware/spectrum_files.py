"""Recorded files of spectrum analysers, tuners and GNSS receivers: kind by content, and readers.

The codecs need numpy; they are imported when such a file is read, so that a bare agent replays
captures without it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import BinaryIO

from hardware.modems.interface import Arrival
from hardware.readings import Item, TimeBasisWord

_CHUNK_BYTES = 256 * 1024
_MICROS = 1_000_000

NPY_MAGIC = b"\x93NUMPY"
_CSV_ROW = re.compile(
    rb"\s*\d{4}-\d\d-\d\d\s*,\s*\d\d?:\d\d:\d\d(?:\.\d+)?\s*,"
    rb"\s*\d+(?:\.\d*)?\s*,\s*\d+(?:\.\d*)?\s*,\s*\d+(?:\.\d*)?\s*,\s*\d+"
)
TABLE_ROW = re.compile(
    rb"\s*(\d{6,11}(?:\.\d+)?(?:[eE]\+?\d+)?)\s*[,;\t ]"
    rb"\s*(-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf|nan))"
    rb"(?:\s*[,;\t ].*)?\s*"
)
"""Frequency in Hz and level, then whatever."""
TABLE_ROWS_MIN = 3
_CONSOLE = re.compile(rb"(?:^|[\r\n]|ch> )scan(?:raw)? \d+ \d+")
_RDS_BLOCKS = re.compile(rb"(?:[0-9A-Fa-f]{4}|-{4})(?: ?(?:[0-9A-Fa-f]{4}|-{4})){3}(?:[\s@].*)?")
_TUNER_TELLING = re.compile(
    rb"R(?:[0-9A-Fa-f]{14}|[0-9A-Fa-f]{18})|S[smSM]-?\d+(?:\.\d+)?(?:,-?\d+)*|U\s*\d{4,6}\s*=.*"
)
_TUNER_LINE = re.compile(rb"OK|[A-Z][0-9a-zA-Z.,?\-]*|[a-z]\d*|U\s*\d{4,6}\s*=.*")
_NMEA = re.compile(rb"\$(?:G[PNLAB]|BD|QZ)[A-Z]{3},.*")
_HEADER = b"<;#%"


class SpectrumFileKind(StrEnum):
    """Kinds of recordings this module reads."""

    QTTINYSA_ARRAY = "qttinysa_array"
    SWEEP_CSV = "sweep_csv"
    SPECTRUM_TABLE = "spectrum_table"
    NAMED_COLUMNS = "named_columns"
    RDS_JSON = "rds_json"
    TINYSA_CONSOLE = "tinysa_console"
    RF_EXPLORER = "rf_explorer"
    FM_TUNER_LINES = "fm_tuner_lines"
    RDS_GROUPS = "rds_groups"
    NMEA = "nmea"


def _lines(head: bytes, count: int) -> list[bytes]:
    lines = [line.strip() for line in head.splitlines()[:count]]
    return [line for line in lines if line and line[:1] not in _HEADER]


def _is_npy(head: bytes) -> bool:
    return head.startswith(NPY_MAGIC)


def _is_csv(head: bytes) -> bool:
    return any(_CSV_ROW.match(line) for line in head.splitlines()[:8])


def _is_table(head: bytes) -> bool:
    """Two columns of numbers under any header, the first ascending frequencies of a radio."""
    rows = [match for line in head.splitlines()[:12] if (match := TABLE_ROW.fullmatch(line))]
    if len(rows) < TABLE_ROWS_MIN:
        return False
    hz = [float(row[1]) for row in rows]
    return hz[0] >= 1e5 and all(a < b for a, b in itertools.pairwise(hz))


def _is_named(head: bytes) -> bool:
    from hardware.spectrum.column_names import looks_named

    return looks_named(head)


def _is_rds_json(head: bytes) -> bool:
    from hardware.spectrum.rds_json import looks_rds_json

    return looks_rds_json(head)


def _is_console(head: bytes) -> bool:
    return _CONSOLE.search(head) is not None


def _is_rf_explorer(head: bytes) -> bool:
    return b"#C2-F:" in head[:1024] or b"#C2-f:" in head[:1024]


def _is_tuner(head: bytes) -> bool:
    lines = _lines(head, 40)
    telling = sum(bool(_TUNER_TELLING.fullmatch(line)) for line in lines)
    fitting = sum(bool(_TUNER_LINE.fullmatch(line)) for line in lines)
    return telling > 0 and fitting * 2 > len(lines)


def _is_rds(head: bytes) -> bool:
    lines = _lines(head, 30)
    return bool(lines) and sum(bool(_RDS_BLOCKS.fullmatch(line)) for line in lines) * 2 > len(lines)


def _is_nmea(head: bytes) -> bool:
    lines = _lines(head, 20)
    return bool(lines) and sum(bool(_NMEA.fullmatch(line)) for line in lines) * 2 > len(lines)


def _read_npy(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.qttinysa import read_npy

    yield from read_npy(source.read(), file, sensor, start_us)


def _read_csv(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.csv_rows import CsvSweeps

    codec = CsvSweeps(sensor=sensor, file=file, time_basis="recorded")
    while chunk := source.read(_CHUNK_BYTES):
        yield from codec.feed(chunk)
    yield from codec.close()


def _read_table(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.table import read_table

    yield from read_table(source.read(), file, sensor, start_us)


def _read_named(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.named_columns import read_named

    yield from read_named(source.read(), file, sensor, start_us)


def _read_rds_json(
    source: BinaryIO, file: str, sensor: str, start_us: int | None
) -> Iterator[Item]:
    from hardware.spectrum.rds_json import read_rds_json

    yield from read_rds_json(source.read(), file, sensor, start_us)


def _arrival(number: int, start_us: int | None) -> Arrival:
    """A recording without times: one poll a second."""
    basis: TimeBasisWord = "synthetic" if start_us is None else "recorded"
    return Arrival(at_us=(start_us or 0) + number * _MICROS, time_basis=basis)


def _read_console(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.tinysa import TinySa

    yield from _paced(TinySa(sensor=sensor, file=file).feed, source, start_us, b"scan")


def _read_rf_explorer(
    source: BinaryIO, file: str, sensor: str, start_us: int | None
) -> Iterator[Item]:
    from hardware.spectrum.rf_explorer import RfExplorer

    yield from _paced(RfExplorer(sensor=sensor, file=file).feed, source, start_us, b"$")


def _paced(
    feed: Callable[[bytes, Arrival], list[Item]],
    source: BinaryIO,
    start_us: int | None,
    mark: bytes,
) -> Iterator[Item]:
    """Feed piece by piece, each beginning at a mark, so that every sweep has a time of its own."""
    number = 0
    for piece in re.split(rb"(?=%b)" % re.escape(mark), source.read()):
        items = feed(piece, _arrival(number, start_us))
        number += bool(items)
        yield from items


def _read_tuner(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.fmdx import FmDxTuner

    codec = FmDxTuner(sensor=sensor, file=file)
    polls = 0
    for line in source.read().splitlines(keepends=True):
        # a tuner tells its status once a poll; a scan line is a poll of its own
        polls += line[:1] in b"SU" and line[1:2] in b"smSM 0123456789" and len(line) > 2
        yield from codec.feed(line, _arrival(polls, start_us))
    yield from codec.close(_arrival(polls, start_us))


def _read_rds(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.spectrum.rds_log import read_rds_log

    yield from read_rds_log(source.read(), file, sensor, start_us)


def _read_nmea(source: BinaryIO, file: str, sensor: str, start_us: int | None) -> Iterator[Item]:
    from hardware.gnss.nmea import NmeaReader

    codec = NmeaReader(sensor=sensor, file=file)
    number = 0
    for line in source.read().splitlines(keepends=True):
        items = codec.feed(line, _arrival(number, start_us))
        number += bool(items)
        yield from items
    yield from codec.close(_arrival(number, start_us))


SPECTRUM_FILES: tuple[
    tuple[
        SpectrumFileKind,
        Callable[[bytes], bool],
        Callable[[BinaryIO, str, str, int | None], Iterator[Item]],
    ],
    ...,
] = (
    (SpectrumFileKind.QTTINYSA_ARRAY, _is_npy, _read_npy),
    (SpectrumFileKind.SWEEP_CSV, _is_csv, _read_csv),
    (SpectrumFileKind.RDS_JSON, _is_rds_json, _read_rds_json),
    (SpectrumFileKind.NAMED_COLUMNS, _is_named, _read_named),
    (SpectrumFileKind.SPECTRUM_TABLE, _is_table, _read_table),
    (SpectrumFileKind.TINYSA_CONSOLE, _is_console, _read_console),
    (SpectrumFileKind.RF_EXPLORER, _is_rf_explorer, _read_rf_explorer),
    (SpectrumFileKind.RDS_GROUPS, _is_rds, _read_rds),
    (SpectrumFileKind.FM_TUNER_LINES, _is_tuner, _read_tuner),
    (SpectrumFileKind.NMEA, _is_nmea, _read_nmea),
)
"""Kind, how its head is told, and its reader."""
