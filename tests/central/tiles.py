"""A small true PMTiles archive, written by its specification (version 3): one vector tile."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable

_WHOLE = 4096
"""Extent of a tile (Mapbox Vector Tile 2.1)."""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _polygon(points: Iterable[tuple[int, int]]) -> bytes:
    """Commands of one closed ring: move to, line to, close path."""
    x = y = 0
    deltas: list[bytes] = []
    for px, py in points:
        deltas.append(_varint(_zigzag(px - x)) + _varint(_zigzag(py - y)))
        x, y = px, py
    move, line, close = 1 | 1 << 3, 2 | (len(deltas) - 1) << 3, 7 | 1 << 3
    return b"".join([_varint(move), deltas[0], _varint(line), *deltas[1:], _varint(close)])


def vector_tile(layer: str) -> bytes:
    """A tile whose one layer covers all of it."""
    ring = [(0, 0), (_WHOLE, 0), (_WHOLE, _WHOLE), (0, _WHOLE)]
    feature = _field(3, 3) + _field(4, _polygon(ring))
    body = _field(15, 2) + _field(1, layer.encode()) + _field(2, feature) + _field(5, _WHOLE)
    return _field(3, body)


def pmtiles(layer: str = "water") -> bytes:
    """An archive with the tile of the whole world."""
    tile = vector_tile(layer)
    metadata = json.dumps({"vector_layers": [{"id": layer, "fields": {}}]}).encode()
    # One entry: tile id 0, run 1, its length, and offset 0 (written as 1).
    directory = b"".join(map(_varint, (1, 0, 1, len(tile), 1)))
    at_directory = 127
    at_metadata = at_directory + len(directory)
    at_tiles = at_metadata + len(metadata)
    sections = (
        *(at_directory, len(directory), at_metadata, len(metadata), 0, 0, at_tiles, len(tile)),
        *(1, 1, 1),  # addressed tiles, entries, contents
    )
    header = b"PMTiles\x03" + struct.pack("<11Q", *sections)
    header += struct.pack("<6B", 1, 1, 1, 1, 0, 0)  # clustered, no compression, vector, zoom 0
    header += struct.pack("<4i", -1_800_000_000, -850_000_000, 1_800_000_000, 850_000_000)
    header += struct.pack("<B2i", 0, 1_027_000_000, 250_000_000)
    assert len(header) == at_directory
    return header + directory + metadata + tile
